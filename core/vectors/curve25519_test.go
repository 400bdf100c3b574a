package vectors_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"slices"
	"testing"

	"waxwing/core/vectors"
)

// wycheproof is the frame of every Wycheproof file: groups G of cases.
type wycheproof[G any] struct {
	TestGroups []G
}

// atLeast fails the test unless it ran the number of cases that the file is
// known to hold.
func atLeast(t *testing.T, what string, ran, want int) {
	t.Helper()
	if ran < want {
		t.Errorf("ran %d %s, want at least %d: is the file whole?", ran, what, want)
	}
}

func TestX25519(t *testing.T) {
	var file wycheproof[struct {
		Curve string
		Tests []struct {
			TcID                    int
			Public, Private, Shared vectors.Hex
			Result                  string
			Flags                   []string
		}
	}]
	vectors.JSON(t, "wycheproof/x25519_test.json", &file)
	ran, zero := 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			ran++
			priv, err := ecdh.X25519().NewPrivateKey(tc.Private)
			if err != nil {
				t.Fatalf("%d: private key: %v", tc.TcID, err)
			}
			pub, err := ecdh.X25519().NewPublicKey(tc.Public)
			if err != nil {
				t.Fatalf("%d: public key: %v", tc.TcID, err)
			}
			shared, err := priv.ECDH(pub)
			// A low-order point gives the all-zero secret, which RFC 7748
			// section 6.1 lets a party refuse and which we rely on being refused.
			if slices.Contains(tc.Flags, "ZeroSharedSecret") {
				zero++
				if err == nil {
					t.Errorf("%d: the all-zero secret was accepted", tc.TcID)
				}
				continue
			}
			if err != nil || !bytes.Equal(shared, tc.Shared) {
				t.Errorf("%d: shared = %x, %v; want %x", tc.TcID, shared, err, []byte(tc.Shared))
			}
		}
	}
	atLeast(t, "X25519 cases", ran, 518)
	atLeast(t, "low-order points", zero, 31)
}

func TestEd25519(t *testing.T) {
	var file wycheproof[struct {
		PublicKey struct{ Pk vectors.Hex }
		Tests     []struct {
			TcID     int
			Msg, Sig vectors.Hex
			Result   string
		}
	}]
	vectors.JSON(t, "wycheproof/ed25519_test.json", &file)
	valid, invalid := 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			got := ed25519.Verify(ed25519.PublicKey(g.PublicKey.Pk), tc.Msg, tc.Sig)
			switch tc.Result {
			case "valid":
				valid++
			case "invalid":
				invalid++
			default:
				t.Fatalf("%d: result %q", tc.TcID, tc.Result)
			}
			if got != (tc.Result == "valid") {
				t.Errorf("%d: Verify = %v, want %s", tc.TcID, got, tc.Result)
			}
		}
	}
	atLeast(t, "valid signatures", valid, 88)
	atLeast(t, "invalid signatures", invalid, 63)
}

// TestEd25519Edges states which of the cases on which verifiers differ this one
// accepts: the equation without cofactor, with R compared as bytes, and with any
// encoding of the key. Parties that must agree on a signature's validity must
// therefore all use this verifier.
func TestEd25519Edges(t *testing.T) {
	var cases []struct {
		Number   int
		Key, Sig vectors.Hex
		Msg      string
		Flags    []string
	}
	vectors.JSON(t, "wycheproof/cctv_ed25519_edge_cases.json", &cases)
	accepted := 0
	for _, tc := range cases {
		want := true
		for _, f := range tc.Flags {
			switch f {
			case "low_order_residue", "non_canonical_R":
				want = false
			}
		}
		got := ed25519.Verify(ed25519.PublicKey(tc.Key), []byte(tc.Msg), tc.Sig)
		if got != want {
			t.Errorf("%d %v: Verify = %v, want %v", tc.Number, tc.Flags, got, want)
		}
		if got {
			accepted++
		}
	}
	atLeast(t, "edge cases", len(cases), 914)
	if accepted == 0 || accepted == len(cases) {
		t.Errorf("%d of %d accepted: the flags tell nothing apart", accepted, len(cases))
	}
}
