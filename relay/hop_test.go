package relay

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

const testPrefix = "192.0.2.1/32"

// hopTo returns what asks a provider by this one, on a connection of nobody's.
func (p *provider) hopTo(s *Session, m *wire.Query) (HopResult, wire.Code, uint32) {
	h, ref := p.AdmitHop(p.now, s, testPrefix, m)
	if ref == nil {
		return h, 0, 0
	}
	return h, ref.Code, ref.RetryAfter
}

func nobody() *Session { return NewSession([32]byte{}, [wire.NonceSize]byte{}, func() {}) }

// questionTo is a question's form: a hop can read no more of one.
func questionTo(d ids.Domain, kind query.Kind) *wire.Query {
	m := &wire.Query{Dest: d, Kind: uint8(kind), Sealed: make([]byte, kind.QuestionSize())}
	rand.Read(m.Sealed)
	return m
}

// A question that is passed on, and each reason for which one is not.
func TestEveryHopResult(t *testing.T) {
	good := questionTo(alpha, query.KindRefill)
	for name, tt := range map[string]struct {
		change func(p *provider, s *Session, m *wire.Query)
		want   HopResult
		code   wire.Code
	}{
		"as it should be": {func(*provider, *Session, *wire.Query) {}, HopAnswered, 0},
		"lookup":          {func(_ *provider, _ *Session, m *wire.Query) { *m = *questionTo(alpha, query.KindLookup) }, HopAnswered, 0},
		"stamp":           {func(_ *provider, _ *Session, m *wire.Query) { *m = *questionTo(alpha, query.KindStanding) }, HopAnswered, 0},
		"no hop":          {func(p *provider, _ *Session, _ *wire.Query) { p.hop = false }, HopOff, wire.CodeForbidden},
		"an account's":    {func(_ *provider, s *Session, _ *wire.Query) { s.taken.Store(true) }, HopAccount, wire.CodeUnauthenticated},
		"submits":         {func(_ *provider, s *Session, _ *wire.Query) { s.Bearer(testPrefix) }, HopAccount, wire.CodeUnauthenticated},
		"kind":            {func(_ *provider, _ *Session, m *wire.Query) { m.Kind = 200 }, HopMalformed, wire.CodeMalformed},
		"another kind":    {func(_ *provider, _ *Session, m *wire.Query) { m.Kind = uint8(query.KindLookup) }, HopMalformed, wire.CodeMalformed},
		"too short":       {func(_ *provider, _ *Session, m *wire.Query) { m.Sealed = m.Sealed[1:] }, HopMalformed, wire.CodeMalformed},
		"too long":        {func(_ *provider, _ *Session, m *wire.Query) { m.Sealed = append(m.Sealed, 0) }, HopMalformed, wire.CodeMalformed},
		"empty":           {func(_ *provider, _ *Session, m *wire.Query) { m.Sealed = nil }, HopMalformed, wire.CodeMalformed},
		"for itself":      {func(_ *provider, _ *Session, m *wire.Query) { m.Dest = beta }, HopOwn, wire.CodeForbidden},
		"for no peer":     {func(_ *provider, _ *Session, m *wire.Query) { m.Dest = gamma }, HopUnknown, wire.CodeUnknownProvider},
	} {
		t.Run(name, func(t *testing.T) {
			p, s, m := newProvider(t, nil), nobody(), *good
			p.hop = true
			m.Sealed = append([]byte(nil), good.Sealed...)
			tt.change(p, s, &m)
			if h, code, _ := p.hopTo(s, &m); h != tt.want || code != tt.code {
				t.Errorf("%v, %v", h, code)
			}
		})
	}
	// Nobody is a hop who did not say so.
	if h, _, _ := newProvider(t, nil).hopTo(nobody(), good); h != HopOff {
		t.Errorf("by default: %v", h)
	}
	seen := map[string]bool{}
	for h := range HopEnd {
		if h.String() == "" || seen[h.String()] {
			t.Errorf("%d is %q", h, h)
		}
		seen[h.String()] = true
	}
}

// A connection that asks without a name never becomes an account's.
func TestStrangerIsNobody(t *testing.T) {
	p := newProvider(t, nil)
	p.hop = true
	a := p.applicant("carol@beta.example", group.Ristretto255().RandomScalar())
	if h, _, _ := p.hopTo(a.session, questionTo(alpha, query.KindLookup)); h != HopAnswered {
		t.Fatal(h)
	}
	if h, _, _ := p.hopTo(a.session, questionTo(alpha, query.KindLookup)); h != HopAnswered {
		t.Error("once only:", h)
	}
	if r, ok := a.register(a.manifest.Bytes()).(*wire.Refusal); !ok || r.Code != wire.CodeConflict {
		t.Errorf("it registers: %+v", r)
	}
	if a.session.Bearer(testPrefix) != nil {
		t.Error("it submits")
	}
	a.session = NewSession([32]byte{}, [wire.NonceSize]byte{1}, func() {})
	if _, ok := a.register(a.manifest.Bytes()).(*wire.Session); !ok {
		t.Fatal("not registered")
	}
	if h, _, _ := p.hopTo(a.session, questionTo(alpha, query.KindLookup)); h != HopAccount {
		t.Errorf("an account's connection asks without a name: %v", h)
	}
}

// One hop, never more: what a peer passes on is answered here or not at all, also
// by a provider that is a hop for others.
func TestOneHopNeverMore(t *testing.T) {
	p := newProvider(t, nil)
	p.hop = true
	for _, d := range []ids.Domain{alpha, gamma} {
		m := p.HandlePeer(context.Background(), p.now, p.peer, questionTo(d, query.KindLookup))
		if r, ok := m.(*wire.Refusal); !ok || r.Code != wire.CodeForbidden || r.RetryAfter != 0 {
			t.Errorf("%s: %+v", d, m)
		}
	}
}

// Who is over the limit of an address prefix holds nobody else up, and what is over
// the limit to one peer counts for no prefix.
func TestHopLimits(t *testing.T) {
	few := gcra.Limit{Burst: 3, Count: 1, Period: time.Hour}
	m := questionTo(alpha, query.KindRefill)
	p := newProvider(t, limits.Settings{{Name: limits.HopQuestions}: few})
	p.hop = true
	for i := range 5 {
		h, code, after := p.hopTo(nobody(), m)
		if over := i >= 3; over != (h == HopLimit && code == wire.CodeLimit && after > 0) || over == (h == HopAnswered) {
			t.Errorf("number %d: %v, %v, %d ms", i, h, code, after)
		}
	}
	if h, _ := p.AdmitHop(p.now, nobody(), "198.51.100.7/32", m); h != HopAnswered {
		t.Errorf("another prefix: %v", h)
	}
	p = newProvider(t, limits.Settings{{Name: limits.HopPeer}: few})
	p.hop = true
	for i := range 5 {
		if h, _, after := p.hopTo(nobody(), m); (h == HopLimit && after > 0) != (i >= 3) {
			t.Errorf("number %d to one peer: %v, %d ms", i, h, after)
		}
	}
	if s := p.limits.Status(p.now, limits.HopQuestions, ids.Domain{}); s.Used != 3 {
		t.Errorf("%d count for the prefix", s.Used)
	}
	if s := p.limits.Status(p.now, limits.PeerRefills, alpha); s.Used != 0 {
		t.Error("what is passed on counts as a peer's")
	}
}
