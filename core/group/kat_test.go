package group

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"waxwing/core/vectors"
)

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func mustElement(t fataler, g Group, enc []byte) Element {
	t.Helper()
	e, err := g.DecodeElement(enc)
	if err != nil {
		t.Fatalf("element %x: %v", enc, err)
	}
	return e
}

func mustScalar(t fataler, g Group, enc []byte) Scalar {
	t.Helper()
	x, err := g.DecodeScalarAllowZero(enc)
	if err != nil {
		t.Fatalf("scalar %x: %v", enc, err)
	}
	return x
}

func TestRFC9496(t *testing.T) {
	var file struct {
		MultiplesOfGenerator []vectors.Hex `json:"multiples_of_generator"`
		BadEncodings         []vectors.Hex `json:"bad_encodings"`
		FromUniformBytes     []struct {
			Input, Output vectors.Hex
		} `json:"from_uniform_bytes"`
	}
	vectors.JSON(t, "h2c_ristretto/ristretto255_rfc9496.json", &file)
	if len(file.MultiplesOfGenerator) != 16 || len(file.BadEncodings) != 29 || len(file.FromUniformBytes) != 11 {
		t.Fatalf("%d, %d and %d vectors", len(file.MultiplesOfGenerator), len(file.BadEncodings), len(file.FromUniformBytes))
	}
	g := Ristretto255()
	sum := g.Identity()
	for i, want := range file.MultiplesOfGenerator {
		if got := g.MulGenerator(g.ScalarFromUint64(uint64(i))); !bytes.Equal(got.Bytes(), want) || !got.Equal(sum) {
			t.Errorf("%d*G = %x, want %x", i, got.Bytes(), []byte(want))
		}
		e, err := g.DecodeElement(want)
		if i == 0 {
			if err == nil {
				t.Error("the identity was accepted")
			}
			e, err = g.DecodeElementAllowIdentity(want)
		}
		if err != nil || !e.Equal(sum) {
			t.Errorf("decoding %d*G: %v", i, err)
		}
		sum = sum.Add(g.Generator())
	}
	for _, bad := range file.BadEncodings {
		if _, err := g.DecodeElementAllowIdentity(bad); err != ErrDecode {
			t.Errorf("%x: %v", []byte(bad), err)
		}
	}
	for _, tc := range file.FromUniformBytes {
		if got := ristrettoFromUniform(tc.Input).appendTo(nil); !bytes.Equal(got, tc.Output) {
			t.Errorf("from %x: %x, want %x", []byte(tc.Input), got, []byte(tc.Output))
		}
	}
}

func TestRFC9380P256(t *testing.T) {
	var file struct {
		DST     string
		Vectors []struct {
			Msg string
			P   struct{ X, Y string }
		}
	}
	vectors.JSON(t, "h2c_ristretto/P256_XMD-SHA-256_SSWU_RO_.json", &file)
	if len(file.Vectors) != 5 {
		t.Fatalf("%d vectors", len(file.Vectors))
	}
	for _, tc := range file.Vectors {
		x, y := mustHex(t, tc.P.X), mustHex(t, tc.P.Y)
		want := append([]byte{2 + y[31]&1}, x...)
		if got := P256().HashToElement([]byte(tc.Msg), file.DST).Bytes(); !bytes.Equal(got, want) {
			t.Errorf("%q: %x, want %x", tc.Msg, got, want)
		}
	}
}

// RFC 9497 holds the only published answers of hashing to ristretto255 and to
// scalars: its server keys and blinded elements.
func TestRFC9497(t *testing.T) {
	var file []struct {
		Identifier, SkSm        string
		Mode                    int
		GroupDST, Seed, KeyInfo vectors.Hex
		Vectors                 []struct {
			Batch                                           int
			Input, Blind, BlindedElement, EvaluationElement string
		}
	}
	vectors.JSON(t, "oprf/rfc9497.json", &file)
	ran := 0
	for _, f := range file {
		g, ok := map[string]Group{"ristretto255-SHA512": Ristretto255(), "P256-SHA256": P256()}[f.Identifier]
		if !ok {
			continue
		}
		// DeriveKeyPair, RFC 9497, 3.2.1.
		info := append([]byte{0, byte(len(f.KeyInfo))}, f.KeyInfo...)
		dst := "DeriveKeyPairOPRFV1-" + string(rune(f.Mode)) + "-" + f.Identifier
		key := g.HashToScalar(append(append(bytes.Clone(f.Seed), info...), 0), dst)
		if got := hex.EncodeToString(key.Bytes()); got != f.SkSm {
			t.Errorf("%s mode %d: key %s, want %s", f.Identifier, f.Mode, got, f.SkSm)
		}
		for _, tc := range f.Vectors {
			inputs, blinds := strings.Split(tc.Input, ","), strings.Split(tc.Blind, ",")
			blinded, evaluated := strings.Split(tc.BlindedElement, ","), strings.Split(tc.EvaluationElement, ",")
			for i := range inputs {
				blind := mustScalar(t, g, mustHex(t, blinds[i]))
				e := g.HashToElement(mustHex(t, inputs[i]), string(f.GroupDST)).Mul(blind)
				if got := hex.EncodeToString(e.Bytes()); got != blinded[i] {
					t.Errorf("%s mode %d: blinded %s, want %s", f.Identifier, f.Mode, got, blinded[i])
				}
				if got := hex.EncodeToString(e.Mul(key).Bytes()); f.Mode != 2 && got != evaluated[i] {
					t.Errorf("%s mode %d: evaluated %s, want %s", f.Identifier, f.Mode, got, evaluated[i])
				}
				ran++
			}
		}
	}
	if ran < 16 {
		t.Fatalf("only %d inputs", ran)
	}
}

// arc reads the published ARC run, whose proofs were made by another
// implementation of the linear relations and of the transcript.
type arc struct {
	t testing.TB
	v map[string]map[string]string
}

func readARC(t testing.TB) arc {
	var file struct {
		Vectors map[string]map[string]string `json:"ARCV1-P256"`
	}
	vectors.JSON(t, "arc/arc_p256_range_proof_2026-03.json", &file)
	return arc{t, file.Vectors}
}

func (a arc) bytes(part, name string) []byte {
	a.t.Helper()
	s := a.v[part][name]
	if s == "" {
		a.t.Fatalf("no %s in %s", name, part)
	}
	return mustHex(a.t, s)
}

func (a arc) element(part, name string) Element { return mustElement(a.t, P256(), a.bytes(part, name)) }

func (a arc) scalar(part, name string) Scalar { return mustScalar(a.t, P256(), a.bytes(part, name)) }

func (a arc) h() Element {
	return P256().HashToElement(P256().Generator().Bytes(), "HashToGroup-ARCV1-P256generatorH")
}

// check verifies the published proof, makes one of our own, and sees that
// neither is anything under another session.
func (a arc) check(st *Statement, err error, session string, proof []byte, witness ...Scalar) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
	s := RawSession([]byte("ARCV1-P256" + session))
	if err := st.Verify(s, proof); err != nil {
		a.t.Errorf("published proof: %v", err)
	}
	own, err := st.Prove(s, witness...)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, p := range map[string][]byte{"published": proof, "own": own} {
		if err := st.Verify(RawSession([]byte("ARCV1-P256")), p); err != ErrProof {
			a.t.Errorf("%s proof in another session: %v", name, err)
		}
	}
}

func TestARCRequest(t *testing.T) {
	a := readARC(t)
	const part = "CredentialRequest"
	r := NewRelation(P256())
	x := r.AllocScalars(4) // m1, m2, r1, r2
	e := r.AllocElements(P256().Generator(), a.h(), a.element(part, "m1_enc"), a.element(part, "m2_enc"))
	r.Constrain(e[2], x[0].Times(e[0]), x[2].Times(e[1]))
	r.Constrain(e[3], x[1].Times(e[0]), x[3].Times(e[1]))
	st, err := r.Build()
	m2 := P256().HashToScalar(a.bytes(part, "request_context"), "HashToScalar-ARCV1-P256requestContext")
	if !m2.Equal(a.scalar(part, "m2")) {
		t.Error("m2 is hashed otherwise")
	}
	a.check(st, err, part, a.bytes(part, "proof"), a.scalar(part, "m1"), m2, a.scalar(part, "r1"), a.scalar(part, "r2"))
}

func TestARCResponse(t *testing.T) {
	a := readARC(t)
	const key, req, part = "ServerKey", "CredentialRequest", "CredentialResponse"
	r := NewRelation(P256())
	x := r.AllocScalars(7) // x0, x1, x2, xb, b, t1, t2
	x0, x1, x2, xb, b, t1, t2 := x[0], x[1], x[2], x[3], x[4], x[5], x[6]
	e := r.AllocElements(P256().Generator(), a.h(), a.element(req, "m1_enc"), a.element(req, "m2_enc"),
		a.element(part, "U"), a.element(part, "enc_U_prime"),
		a.element(key, "X0"), a.element(key, "X1"), a.element(key, "X2"),
		a.element(part, "X0_aux"), a.element(part, "X1_aux"), a.element(part, "X2_aux"), a.element(part, "H_aux"))
	g, h, m1e, m2e, u, eu, bx0, bx1, bx2, x0a, x1a, x2a, ha := e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7], e[8], e[9], e[10], e[11], e[12]
	r.Constrain(bx0, x0.Times(g), xb.Times(h))
	r.Constrain(bx1, x1.Times(h))
	r.Constrain(bx2, x2.Times(h))
	r.Constrain(ha, b.Times(h))
	r.Constrain(x0a, xb.Times(ha))
	r.Constrain(x1a, t1.Times(h))
	r.Constrain(x1a, b.Times(bx1))
	r.Constrain(x2a, b.Times(bx2))
	r.Constrain(x2a, t2.Times(h))
	r.Constrain(u, b.Times(g))
	r.Constrain(eu, b.Times(bx0), t1.Times(m1e), t2.Times(m2e))
	st, err := r.Build()
	wb, w1, w2 := a.scalar(part, "b"), a.scalar(key, "x1"), a.scalar(key, "x2")
	a.check(st, err, part, a.bytes(part, "proof"),
		a.scalar(key, "x0"), w1, w2, a.scalar(key, "xb"), wb, wb.Mul(w1), wb.Mul(w2))
}

func TestARCPresentations(t *testing.T) {
	a := readARC(t)
	for i, part := range []string{"Presentation1", "Presentation2"} {
		const key = "ServerKey"
		g := P256()
		u, uc, mc := a.element(part, "U"), a.element(part, "U_prime_commit"), a.element(part, "m1_commit")
		m1, z, r, nb := a.scalar("Credential", "m1"), a.scalar(part, "z"), a.scalar(part, "r"), a.scalar(part, "nonce_blinding")
		nonce := g.ScalarFromUint64(uint64(i))
		tag := a.element(part, "tag")
		base := g.HashToElement(a.bytes(part, "presentation_context"), "HashToGroup-ARCV1-P256Tag")
		if !tag.Mul(m1.Add(nonce)).Equal(base) {
			t.Error("the tag is computed otherwise")
		}
		// V as the issuer computes it.
		v := g.MultiMul([]Scalar{
			a.scalar(key, "x0").Add(a.scalar(key, "x2").Mul(a.scalar("CredentialRequest", "m2"))), a.scalar(key, "x1"),
		}, []Element{u, mc}).Sub(uc)

		rel := NewRelation(g)
		x := rel.AllocScalars(8) // m1, z, -r, nonce, nb, b, s, s2
		e := rel.AllocElements(g.Generator(), a.h(), u, uc, mc, v, a.element(key, "X1"), tag, base, a.element(part, "nonce_commit"))
		eG, eH, eU, eMC, eV, eX1, eTag, eT, eNC := e[0], e[1], e[2], e[4], e[5], e[6], e[7], e[8], e[9]
		rel.Constrain(eMC, x[0].Times(eU), x[1].Times(eH))
		rel.Constrain(eV, x[1].Times(eX1), x[2].Times(eG))
		rel.Constrain(eNC, x[3].Times(eG), x[4].Times(eH))
		rel.Constrain(eT, x[0].Times(eTag), x[3].Times(eTag))
		// One bit: its commitment is the nonce's, under the same index.
		rel.Constrain(eNC, x[5].Times(eG), x[6].Times(eH))
		rel.Constrain(eNC, x[5].Times(eNC), x[7].Times(eH))
		st, err := rel.Build()
		one := g.ScalarFromUint64(1)
		a.check(st, err, "CredentialPresentation", a.bytes(part, "proof")[g.ElementSize():],
			m1, z, r.Negate(), nonce, nb, nonce, nb, one.Sub(nonce).Mul(nb))
	}
}
