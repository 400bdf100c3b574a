package arc

import (
	"bytes"
	"testing"

	"waxwing/core/group"
)

// Same request, same answer, without state; and no answer in common.
func TestIssuanceIsIdempotent(t *testing.T) {
	s := Ristretto255()
	key, m1 := s.NewSecretKey(), s.g.RandomScalar()
	for name, change := range map[string]func(*Request, *SecretKey) (*Request, *SecretKey){
		"same": func(r *Request, k *SecretKey) (*Request, *SecretKey) { return r, k },
		"another request": func(*Request, *SecretKey) (*Request, *SecretKey) {
			r, _, _ := s.NewRequest(m1, testContext, s.Fresh())
			return r, key
		},
		"another key": func(r *Request, _ *SecretKey) (*Request, *SecretKey) { return r, s.NewSecretKey() },
	} {
		req, _, err := s.NewRequest(m1, testContext, s.Derived(m1.Bytes(), []byte("info")))
		if err != nil {
			t.Fatal(err)
		}
		one, err := key.Respond(req, key.IssuanceSource(req.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		r, k := change(req, key)
		two, err := k.Respond(r, k.IssuanceSource(r.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(one.Bytes(), two.Bytes()) != (name == "same") || one.U.Equal(two.U) != (name == "same") {
			t.Errorf("%s: wrong answer", name)
		}
	}
	a, _, _ := s.NewRequest(m1, testContext, s.Derived(m1.Bytes(), []byte("info")))
	b, _, _ := s.NewRequest(m1, testContext, s.Derived(m1.Bytes(), []byte("info")))
	c, _, _ := s.NewRequest(m1, testContext, s.Derived(m1.Bytes(), []byte("other")))
	if !bytes.Equal(a.Bytes(), b.Bytes()) || bytes.Equal(a.Bytes(), c.Bytes()) {
		t.Error("a derived request depends on something else than secret and info")
	}
}

// Credentials.md 4, 27 and 28: an issuer that answers under another key than
// the logged one, or with anything but the honest values, is noticed.
func TestAttackIssuer(t *testing.T) {
	forSuites(t, func(t *testing.T, s *Suite) {
		key, tagging := s.NewSecretKey(), s.NewSecretKey()
		req, bl, err := s.NewRequest(s.g.RandomScalar(), testContext, s.Fresh())
		if err != nil {
			t.Fatal(err)
		}
		marked, err := tagging.Respond(req, s.Fresh())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.Public().Finalize(bl, marked); err != ErrProof {
			t.Errorf("27: a key for one client: %v", err)
		}
		good, err := key.Respond(req, s.Fresh())
		if err != nil {
			t.Fatal(err)
		}
		for n, set := range []func(*Response) *group.Element{
			func(r *Response) *group.Element { return &r.U },
			func(r *Response) *group.Element { return &r.EncUPrime },
			func(r *Response) *group.Element { return &r.X0Aux },
			func(r *Response) *group.Element { return &r.X1Aux },
			func(r *Response) *group.Element { return &r.X2Aux },
			func(r *Response) *group.Element { return &r.HAux },
		} {
			for name, e := range map[string]group.Element{"shifted": (*set(good)).Add(s.g.Generator()), "identity": s.g.Identity()} {
				bad := *good
				*set(&bad) = e
				if _, err := key.Public().Finalize(bl, &bad); err != ErrProof {
					t.Errorf("28: element %d %s: %v", n, name, err)
				}
			}
		}
		_, other, _ := s.NewRequest(s.g.RandomScalar(), testContext, s.Fresh())
		if _, err := key.Public().Finalize(other, good); err != ErrProof {
			t.Errorf("28: an answer to somebody else: %v", err)
		}
		// A request that was changed on its way.
		bad := *req
		bad.M1E = bad.M1E.Add(s.g.Generator())
		if _, err := key.Respond(&bad, s.Fresh()); err != ErrProof {
			t.Errorf("26: a shifted commitment: %v", err)
		}
		bad.M1E = s.g.Identity()
		if _, err := key.Respond(&bad, s.Fresh()); err != ErrProof {
			t.Errorf("11: identity: %v", err)
		}
	})
}
