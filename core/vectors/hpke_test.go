package vectors_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"testing"

	"waxwing/core/vectors"
)

// hpkePQFiles hold the cases of draft-ietf-hpke-pq: the draft's own and a
// second set of the same shape with other randomness.
var hpkePQFiles = []string{"hpke_kem/hpke_pq_draft04.json", "hpke_kem/hpke_pq_gostd126.json"}

// hpkeCase is one case of RFC 9180 appendix A or of the post-quantum draft.
type hpkeCase struct {
	Mode         int
	KEM          uint16 `json:"kem_id"`
	KDF          uint16 `json:"kdf_id"`
	AEAD         uint16 `json:"aead_id"`
	Info         vectors.Hex
	IkmE, IkmR   vectors.Hex
	SkRm, PkRm   vectors.Hex
	Enc          vectors.Hex
	SharedSecret vectors.Hex `json:"shared_secret"`
	Encryptions  []struct{ Aad, Ct, Nonce, Pt vectors.Hex }
	Exports      []struct {
		Context vectors.Hex `json:"exporter_context"`
		L       int
		Value   vectors.Hex `json:"exported_value"`
	}
}

// suite returns the library's algorithms, or false for one that it lacks.
func (tc *hpkeCase) suite() (hpke.KEM, hpke.KDF, hpke.AEAD, bool) {
	kem, err1 := hpke.NewKEM(tc.KEM)
	kdf, err2 := hpke.NewKDF(tc.KDF)
	aead, err3 := hpke.NewAEAD(tc.AEAD)
	return kem, kdf, aead, err1 == nil && err2 == nil && err3 == nil
}

// check derives the recipient's key pair, opens every ciphertext in order and
// compares every export; it returns how many of both it compared.
func (tc *hpkeCase) check(t *testing.T, kem hpke.KEM, kdf hpke.KDF, aead hpke.AEAD) (compared int) {
	t.Helper()
	key, err := kem.DeriveKeyPair(tc.IkmR)
	if err != nil || !bytes.Equal(key.PublicKey().Bytes(), tc.PkRm) {
		t.Fatalf("derived another public key (%v)", err)
	}
	key, err = kem.NewPrivateKey(tc.SkRm)
	if err != nil || !bytes.Equal(key.PublicKey().Bytes(), tc.PkRm) {
		t.Fatalf("the private key gives another public key (%v)", err)
	}
	r, err := hpke.NewRecipient(tc.Enc, key, kdf, aead, tc.Info)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range tc.Encryptions {
		if tc.AEAD == exportOnly {
			break
		}
		pt, err := r.Open(e.Aad, e.Ct)
		if err != nil || !bytes.Equal(pt, e.Pt) {
			t.Fatalf("encryption %d: %x, %v", i, pt, err)
		}
		compared++
	}
	for i, e := range tc.Exports {
		got, err := r.Export(string(e.Context), e.L)
		if err != nil || !bytes.Equal(got, e.Value) {
			t.Fatalf("export %d: %x, %v; want %x", i, got, err, []byte(e.Value))
		}
		compared++
	}
	return compared
}

// Identifiers of RFC 9180 section 7 and of draft-ietf-hpke-pq.
const (
	exportOnly  = 0xffff
	kemXWing    = 0x647a
	kdfHKDF256  = 0x0001
	modeBase    = 0
	aeadAES256  = 0x0002
	xwingLabel  = `\.//^\` // draft-connolly-cfrg-xwing-kem, section 5.3
	hpkeVersion = "HPKE-v1"
)

func TestHPKEPostQuantum(t *testing.T) {
	for _, name := range hpkePQFiles {
		t.Run(name, func(t *testing.T) {
			var cases []hpkeCase
			vectors.JSON(t, name, &cases)
			ran, compared, xwing := 0, 0, 0
			for i := range cases {
				tc := &cases[i]
				kem, kdf, aead, ok := tc.suite()
				if !ok {
					continue // ML-KEM-512 or TurboSHAKE, which the library lacks
				}
				ran++
				compared += tc.check(t, kem, kdf, aead)
				if tc.KEM == kemXWing {
					xwing++
				}
			}
			atLeast(t, "suites", ran, 9)
			atLeast(t, "X-Wing suites", xwing, 1)
			atLeast(t, "ciphertexts and exports", compared, 9*15)
		})
	}
}

func TestHPKEClassic(t *testing.T) {
	var cases []hpkeCase
	vectors.JSON(t, "hpke_kem/rfc9180_kem10_kem20.json", &cases)
	ran, compared := 0, 0
	for i := range cases {
		tc := &cases[i]
		if tc.Mode != modeBase {
			continue // the library has the base mode only, and so have we
		}
		kem, kdf, aead, ok := tc.suite()
		if !ok {
			t.Fatalf("case %d: no suite %d %d %d", i, tc.KEM, tc.KDF, tc.AEAD)
		}
		ran++
		compared += tc.check(t, kem, kdf, aead)
	}
	atLeast(t, "base-mode suites", ran, 16)
	atLeast(t, "ciphertexts and exports", compared, 12*257)
}

// TestXWing checks the KEM of the seal: the public key that a seed gives, the
// combiner put together from the primitives, and through HPKE's exporter that
// the library decapsulates to the published secret.
func TestXWing(t *testing.T) {
	var cases []struct {
		Seed, Eseed, Ss, Sk, Pk, Ct vectors.Hex
	}
	vectors.JSON(t, "hpke_kem/xwing.json", &cases)
	kem := hpke.MLKEM768X25519()
	for i, tc := range cases {
		key, err := kem.NewPrivateKey(tc.Sk)
		if err != nil || !bytes.Equal(key.PublicKey().Bytes(), tc.Pk) {
			t.Fatalf("%d: the seed gives another public key (%v)", i, err)
		}
		ss, ct := encapsulateXWing(t, tc.Pk, tc.Eseed)
		if !bytes.Equal(ct, tc.Ct) || !bytes.Equal(ss, tc.Ss) {
			t.Errorf("%d: encapsulation differs: %x", i, ss)
		}
		info, label := []byte("info"), "exported"
		r, err := hpke.NewRecipient(tc.Ct, key, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		got, err := r.Export(label, 32)
		if want := exportOf(t, tc.Ss, info, label); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d: export = %x, %v; want %x", i, got, err, want)
		}
	}
	atLeast(t, "X-Wing cases", len(cases), 3)
}

// encapsulateXWing is EncapsulateDerand of draft-connolly-cfrg-xwing-kem,
// section 5.4: eseed = m 32 | ephemeral X25519 key 32.
func encapsulateXWing(t *testing.T, pk, eseed []byte) (ss, ct []byte) {
	t.Helper()
	pkM, pkX := pk[:mlkem.EncapsulationKeySize768], pk[mlkem.EncapsulationKeySize768:]
	ek, err := mlkem.NewEncapsulationKey768(pkM)
	if err != nil {
		t.Fatal(err)
	}
	ssM, ctM, err := mlkemtest.Encapsulate768(ek, eseed[:32])
	if err != nil {
		t.Fatal(err)
	}
	eph, err := ecdh.X25519().NewPrivateKey(eseed[32:])
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ecdh.X25519().NewPublicKey(pkX)
	if err != nil {
		t.Fatal(err)
	}
	ssX, err := eph.ECDH(peer)
	if err != nil {
		t.Fatal(err)
	}
	ctX := eph.PublicKey().Bytes()
	sum := sha3.Sum256(bytes.Join([][]byte{ssM, ssX, ctX, pkX, []byte(xwingLabel)}, nil))
	return sum[:], append(ctM, ctX...)
}

// exportOf derives a 32-byte export from a KEM's shared secret: KeySchedule
// and Context.Export of RFC 9180, sections 5.1 and 5.3, in base mode with
// X-Wing, HKDF-SHA256 and AES-256-GCM.
func exportOf(t *testing.T, shared, info []byte, label string) []byte {
	t.Helper()
	suite := []byte("HPKE")
	for _, id := range []uint16{kemXWing, kdfHKDF256, aeadAES256} {
		suite = binary.BigEndian.AppendUint16(suite, id)
	}
	extract := func(salt []byte, label string, ikm []byte) []byte {
		prk, err := hkdf.Extract(sha256.New, bytes.Join([][]byte{[]byte(hpkeVersion), suite, []byte(label), ikm}, nil), salt)
		if err != nil {
			t.Fatal(err)
		}
		return prk
	}
	expand := func(prk []byte, label string, info []byte) []byte {
		labelled := bytes.Join([][]byte{{0, 32}, []byte(hpkeVersion), suite, []byte(label), info}, nil)
		out, err := hkdf.Expand(sha256.New, prk, string(labelled), 32)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	context := append([]byte{modeBase}, extract(nil, "psk_id_hash", nil)...)
	context = append(context, extract(nil, "info_hash", info)...)
	secret := extract(shared, "secret", nil)
	exporter := expand(secret, "exp", context)
	return expand(exporter, "sec", []byte(label))
}
