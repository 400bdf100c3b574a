package arc

import (
	"bytes"
	"encoding/hex"
	"testing"

	"waxwing/core/group"
	"waxwing/core/vectors"
)

// published is the one run that the draft's authors published.
type published struct {
	t testing.TB
	v map[string]map[string]string
}

func readPublished(t testing.TB) published {
	var file struct {
		Vectors map[string]map[string]string `json:"ARCV1-P256"`
	}
	vectors.JSON(t, "arc/arc_p256_range_proof_2026-03.json", &file)
	return published{t, file.Vectors}
}

func (p published) bytes(part string, names ...string) []byte {
	p.t.Helper()
	var out []byte
	for _, name := range names {
		b, err := hex.DecodeString(p.v[part][name])
		if err != nil || len(b) == 0 {
			p.t.Fatalf("no %s in %s", name, part)
		}
		out = append(out, b...)
	}
	return out
}

// source gives the published randomness in the order in which it is drawn.
func (p published) source(part string, names ...string) *Source {
	src := P256().Fresh()
	src.next = func() group.Scalar {
		p.t.Helper()
		if len(names) == 0 {
			p.t.Fatal("more randomness than was published")
		}
		x, err := P256().Group().DecodeScalar(p.bytes(part, names[0]))
		if err != nil {
			p.t.Fatal(err)
		}
		names = names[1:]
		return x
	}
	return src
}

// Every published value is computed again; every published proof is verified.
// Only the proofs' own nonces were not published, so that their bytes cannot be
// the same.
func TestPublishedRun(t *testing.T) {
	p, s := readPublished(t), P256()
	const request, response, credential = "CredentialRequest", "CredentialResponse", "Credential"
	key, err := s.ParseSecretKey(p.bytes("ServerKey", "x0", "x1", "x2", "xb"))
	if err != nil {
		t.Fatal(err)
	}
	if got := key.Public().Bytes(); !bytes.Equal(got, p.bytes("ServerKey", "X0", "X1", "X2")) {
		t.Error("public key differs")
	}
	same := func(what string, got, want []byte, fixed int) {
		t.Helper()
		if len(got) != len(want) || !bytes.Equal(got[:fixed], want[:fixed]) {
			t.Errorf("%s: %x, want %x", what, got, want)
		}
	}

	m1, _ := s.Group().DecodeScalar(p.bytes(request, "m1"))
	req, bl, err := s.NewRequest(m1, p.bytes(request, "request_context"), p.source(request, "r1", "r2"))
	if err != nil {
		t.Fatal(err)
	}
	wantReq := p.bytes(request, "m1_enc", "m2_enc", "proof")
	same("request", req.Bytes(), wantReq, 66)
	same("m2", bl.M2.Bytes(), p.bytes(request, "m2"), 32)
	parsedReq, err := s.ParseRequest(wantReq)
	if err != nil || s.VerifyRequest(parsedReq) != nil {
		t.Fatalf("published request: %v", err)
	}

	resp, err := key.Respond(parsedReq, p.source(response, "b"))
	if err != nil {
		t.Fatal(err)
	}
	wantResp := p.bytes(response, "U", "enc_U_prime", "X0_aux", "X1_aux", "X2_aux", "H_aux", "proof")
	same("response", resp.Bytes(), wantResp, 6*33)
	parsedResp, err := s.ParseResponse(wantResp)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*Response{"published": parsedResp, "own": resp} {
		cred, err := key.Public().Finalize(bl, r)
		if err != nil {
			t.Fatalf("%s response: %v", name, err)
		}
		same(name+" credential", cred.Bytes(), p.bytes(credential, "m1", "U", "U_prime", "X1"), s.CredentialSize())
	}

	cred, err := s.ParseCredential(p.bytes(credential, "m1", "U", "U_prime", "X1"))
	if err != nil {
		t.Fatal(err)
	}
	for nonce, part := range []string{"Presentation1", "Presentation2"} {
		terms, err := s.NewTerms(p.bytes(part, "presentation_context"), 2)
		if err != nil {
			t.Fatal(err)
		}
		pres, err := cred.Present(terms, uint32(nonce), p.source(part, "a", "r", "z", "nonce_blinding"))
		if err != nil {
			t.Fatal(err)
		}
		want := p.bytes(part, "U", "U_prime_commit", "m1_commit", "tag", "nonce_commit", "proof") // the proof begins with D_0
		same(part, pres.Bytes(), want, 6*33)
		parsed, err := terms.ParsePresentation(want, 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, q := range map[string]*Presentation{"published": parsed, "own": pres} {
			if err := key.Verify(p.bytes(request, "request_context"), terms, q); err != nil {
				t.Errorf("%s %s: %v", name, part, err)
			}
			if err := key.Verify([]byte("another"), terms, q); err != ErrProof {
				t.Errorf("%s %s under another request context: %v", name, part, err)
			}
		}
		if !bytes.Equal(parsed.Bytes(), want) {
			t.Error("encoding differs")
		}
	}
}

// The sizes of the draft: Nrequest, Nresponse, Npresentation.
func TestSizes(t *testing.T) {
	s := P256()
	for limit, k := range map[uint32]int{2: 1, 3: 2, 4: 2, 5: 3, 8: 3, 32: 5, 33: 6, MaxLimit: 16} {
		terms, err := s.NewTerms([]byte("c"), limit)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := terms.PresentationSize(0), (5+k)*33+(6+3*k)*32; got != want {
			t.Errorf("limit %d: %d bytes, want %d", limit, got, want)
		}
	}
	if s.ResponseSize() != 6*33+8*32 || s.proofSize(2, 4) != 5*32 {
		t.Error("sizes of issuance")
	}
}
