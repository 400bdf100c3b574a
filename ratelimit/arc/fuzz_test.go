package arc

import (
	"bytes"
	"testing"
)

func FuzzParsePresentation(f *testing.F) { fuzzPresentation(f, Ristretto255()) }

func fuzzPresentation(f *testing.F, s *Suite) {
	i := issue(f, s)
	tt := terms(f, s, "epoch", 6)
	c := i.claim(f, tt, 3)
	f.Add(c.Presentation.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := tt.ParsePresentation(b, 1)
		if err != nil {
			if err != ErrMalformed {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if !bytes.Equal(p.Bytes(), b) {
			t.Error("accepted bytes are not the encoder's")
		}
	})
}

func FuzzParseIssuance(f *testing.F) { fuzzIssuance(f, Ristretto255()) }

func fuzzIssuance(f *testing.F, s *Suite) {
	req, _, _ := s.NewRequest(s.g.RandomScalar(), testContext, s.Fresh())
	resp, _ := s.NewSecretKey().Respond(req, s.Fresh())
	f.Add(req.Bytes())
	f.Add(resp.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := s.ParseRequest(b); err == nil && !bytes.Equal(r.Bytes(), b) {
			t.Error("request")
		}
		if r, err := s.ParseResponse(b); err == nil && !bytes.Equal(r.Bytes(), b) {
			t.Error("response")
		}
		if k, err := s.ParseSecretKey(b); err == nil && !bytes.Equal(k.Bytes(), b) {
			t.Error("secret key")
		}
		if k, err := s.ParsePublicKey(b); err == nil && !bytes.Equal(k.Bytes(), b) {
			t.Error("public key")
		}
		if c, err := s.ParseCredential(b); err == nil && !bytes.Equal(c.Bytes(), b) {
			t.Error("credential")
		}
	})
}

// The draft's own suite parses as strictly.
func FuzzPresentationP256(f *testing.F) { fuzzPresentation(f, P256()) }

func FuzzIssuanceP256(f *testing.F) { fuzzIssuance(f, P256()) }
