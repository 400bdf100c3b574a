package vectors_test

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha3"
	"encoding/hex"
	"testing"

	"waxwing/core/vectors"
)

func TestMLKEM768Decapsulate(t *testing.T) {
	var file wycheproof[struct {
		ParameterSet string
		Tests        []struct {
			TcID           int
			Seed, Ek, C, K vectors.Hex
			Result         string
		}
	}]
	vectors.JSON(t, "wycheproof/mlkem_768_test.json", &file)
	valid, invalid := 0, 0
	for _, g := range file.TestGroups {
		if g.ParameterSet != "ML-KEM-768" {
			t.Fatalf("parameter set %q", g.ParameterSet)
		}
		for _, tc := range g.Tests {
			var key []byte
			dk, err := mlkem.NewDecapsulationKey768(tc.Seed)
			if err == nil {
				if len(tc.Ek) > 0 && !bytes.Equal(dk.EncapsulationKey().Bytes(), tc.Ek) {
					t.Errorf("%d: another encapsulation key", tc.TcID)
				}
				key, err = dk.Decapsulate(tc.C)
			}
			if tc.Result != "valid" {
				invalid++
				if err == nil {
					t.Errorf("%d: accepted, want a refusal of the seed's or the ciphertext's length", tc.TcID)
				}
				continue
			}
			valid++
			if err != nil || !bytes.Equal(key, tc.K) {
				t.Errorf("%d: K = %x, %v; want %x", tc.TcID, key, err, []byte(tc.K))
			}
		}
	}
	atLeast(t, "decapsulations", valid, 153)
	atLeast(t, "refusals", invalid, 40)
}

func TestMLKEM768Encapsulate(t *testing.T) {
	type tests []struct {
		TcID        int
		M, Ek, C, K vectors.Hex
		Result      string
	}
	var file wycheproof[struct{ Tests tests }]
	vectors.JSON(t, "wycheproof/mlkem_768_encaps_test.json", &file)
	valid, invalid := 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			ek, err := mlkem.NewEncapsulationKey768(tc.Ek)
			if tc.Result != "valid" {
				invalid++
				if err == nil {
					t.Errorf("%d: a key with an unreduced coefficient or a wrong length was accepted", tc.TcID)
				}
				continue
			}
			valid++
			if err != nil {
				t.Errorf("%d: %v", tc.TcID, err)
				continue
			}
			checkEncapsulation(t, tc.TcID, ek, tc.M, tc.C, tc.K)
		}
	}
	atLeast(t, "encapsulations", valid, 133)
	atLeast(t, "refused keys", invalid, 132)
}

// checkEncapsulation encapsulates with the randomness m and compares.
func checkEncapsulation(t *testing.T, id int, ek *mlkem.EncapsulationKey768, m, c, k []byte) {
	t.Helper()
	key, ct, err := mlkemtest.Encapsulate768(ek, m)
	if err != nil || !bytes.Equal(key, k) || !bytes.Equal(ct, c) {
		t.Errorf("%d: encapsulation differs (%v)", id, err)
	}
}

// checkKeyGen expands the seed d|z and compares both halves of the pair. The
// library does not give out the expanded decapsulation key; its tail
// (ek | H(ek) | z, FIPS 203 algorithm 16) can be told from the outside.
func checkKeyGen(t *testing.T, id int, seed, ek, dk []byte) {
	t.Helper()
	key, err := mlkem.NewDecapsulationKey768(seed)
	if err != nil {
		t.Errorf("%d: %v", id, err)
		return
	}
	if !bytes.Equal(key.EncapsulationKey().Bytes(), ek) {
		t.Errorf("%d: another encapsulation key", id)
	}
	h := sha3.Sum256(key.EncapsulationKey().Bytes())
	tail := append(append(key.EncapsulationKey().Bytes(), h[:]...), key.Bytes()[32:]...)
	if !bytes.HasSuffix(dk, tail) {
		t.Errorf("%d: the expanded key ends otherwise", id)
	}
}

func TestMLKEM768KeyGen(t *testing.T) {
	var file wycheproof[struct {
		Tests []struct {
			TcID         int
			Seed, Ek, Dk vectors.Hex
			Result       string
		}
	}]
	vectors.JSON(t, "wycheproof/mlkem_768_keygen_seed_test.json", &file)
	ran := 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			ran++
			checkKeyGen(t, tc.TcID, tc.Seed, tc.Ek, tc.Dk)
		}
	}
	atLeast(t, "key pairs", ran, 100)
}

func TestMLKEM768ACVP(t *testing.T) {
	var gen wycheproof[struct {
		Tests []struct {
			TcID     int
			D, Z     vectors.Hex
			Expected struct{ Ek, Dk vectors.Hex }
		}
	}]
	vectors.JSON(t, "hpke_kem/acvp_mlkem768_keyGen.json", &gen)
	ran := 0
	for _, g := range gen.TestGroups {
		for _, tc := range g.Tests {
			ran++
			checkKeyGen(t, tc.TcID, append(bytes.Clone(tc.D), tc.Z...), tc.Expected.Ek, tc.Expected.Dk)
		}
	}
	atLeast(t, "key pairs", ran, 25)

	// The decapsulation group gives expanded keys without their seed, which
	// the library refuses on purpose; only the encapsulations can run.
	var file wycheproof[struct {
		Function string
		Tests    []struct {
			TcID     int
			Ek, M    vectors.Hex
			Expected struct{ C, K vectors.Hex }
		}
	}]
	vectors.JSON(t, "hpke_kem/acvp_mlkem768_encapDecap.json", &file)
	ran = 0
	for _, g := range file.TestGroups {
		if g.Function != "encapsulation" {
			continue
		}
		for _, tc := range g.Tests {
			ran++
			ek, err := mlkem.NewEncapsulationKey768(tc.Ek)
			if err != nil {
				t.Errorf("%d: %v", tc.TcID, err)
				continue
			}
			checkEncapsulation(t, tc.TcID, ek, tc.M, tc.Expected.C, tc.Expected.K)
		}
	}
	atLeast(t, "encapsulations", ran, 25)
}

// TestMLKEM768CCTV runs the vectors made against particular mistakes: a sample
// that needs more XOF output than usual, and keys that are not reduced.
func TestMLKEM768CCTV(t *testing.T) {
	for _, name := range []string{"cctv_mlkem768_unluckysample.txt", "cctv_mlkem768_intermediate.txt"} {
		f := vectors.Fields(vectors.Open(t, "hpke_kem/"+name))
		for _, field := range []string{"ek", "m", "c", "K"} {
			if len(f[field]) == 0 {
				t.Fatalf("%s: no %s", name, field)
			}
		}
		// Both files expand d as the draft of FIPS 203 did, without the byte k
		// of the final standard, so their key pairs cannot be derived here.
		ek, err := mlkem.NewEncapsulationKey768(f["ek"])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkEncapsulation(t, 0, ek, f["m"], f["c"], f["K"])
	}

	ran := 0
	for line := range bytes.Lines(vectors.Open(t, "hpke_kem/cctv_mlkem768_bad_encapsulation_keys.txt")) {
		ran++
		raw, err := hex.DecodeString(string(bytes.TrimSpace(line)))
		if err != nil || len(raw) != mlkem.EncapsulationKeySize768 {
			t.Fatalf("line %d: %d bytes, %v", ran, len(raw), err)
		}
		if _, err := mlkem.NewEncapsulationKey768(raw); err == nil {
			t.Errorf("line %d: an unreduced key was accepted", ran)
		}
	}
	atLeast(t, "unreduced keys", ran, 780)
}

// TestMLKEM1024 takes its cases from the HPKE files: with the pure KEM the
// encapsulated key is an ML-KEM ciphertext and the private key its seed.
func TestMLKEM1024(t *testing.T) {
	const kemMLKEM1024 = 0x0042
	ran := 0
	for _, name := range hpkePQFiles {
		var cases []hpkeCase
		vectors.JSON(t, name, &cases)
		for i, tc := range cases {
			if tc.KEM != kemMLKEM1024 {
				continue
			}
			ran++
			dk, err := mlkem.NewDecapsulationKey1024(tc.SkRm)
			if err != nil {
				t.Fatalf("%s %d: %v", name, i, err)
			}
			if !bytes.Equal(dk.EncapsulationKey().Bytes(), tc.PkRm) {
				t.Errorf("%s %d: another encapsulation key", name, i)
			}
			key, err := dk.Decapsulate(tc.Enc)
			if err != nil || !bytes.Equal(key, tc.SharedSecret) {
				t.Errorf("%s %d: K = %x, %v; want %x", name, i, key, err, []byte(tc.SharedSecret))
			}
			ek, err := mlkem.NewEncapsulationKey1024(tc.PkRm)
			if err != nil {
				t.Fatalf("%s %d: %v", name, i, err)
			}
			key, ct, err := mlkemtest.Encapsulate1024(ek, tc.IkmE)
			if err != nil || !bytes.Equal(ct, tc.Enc) || !bytes.Equal(key, tc.SharedSecret) {
				t.Errorf("%s %d: encapsulation differs (%v)", name, i, err)
			}
			// A changed ciphertext of the right length gives another key and
			// no error (implicit rejection); a shorter one is refused.
			bad := bytes.Clone(tc.Enc)
			bad[0] ^= 1
			if key, err := dk.Decapsulate(bad); err != nil || bytes.Equal(key, tc.SharedSecret) {
				t.Errorf("%s %d: a changed ciphertext gave %x, %v", name, i, key, err)
			}
			if _, err := dk.Decapsulate(tc.Enc[1:]); err == nil {
				t.Errorf("%s %d: a short ciphertext was accepted", name, i)
			}
		}
	}
	atLeast(t, "ML-KEM-1024 cases", ran, 4)
}
