package relay

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

// refusedBy is what a relay says to who asks again and again.
func (p *provider) refusedBy(ask func() (wire.Code, uint32)) (wire.Code, uint32) {
	p.t.Helper()
	for range 3 {
		if code, after := ask(); code != 0 {
			return code, after
		}
	}
	return 0, 0
}

func ofMessage(m wire.Message) (wire.Code, uint32) {
	if r, ok := m.(*wire.Refusal); ok {
		return r.Code, r.RetryAfter
	}
	return 0, 0
}

func ofEnvelope(r *Refusal) (wire.Code, uint32) {
	if r == nil {
		return 0, 0
	}
	return r.Code(), r.Milliseconds()
}

// askers uses each limit up, by what its scope does in life. One that is not
// here is no refusal (limits.Info.Instead).
var askers = map[limits.Name]func(p *provider, a *applicant) func() (wire.Code, uint32){
	limits.AccountEnvelopes: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		raw := p.fresh()
		return func() (wire.Code, uint32) { return ofEnvelope(p.AdmitSubmit(p.now, alice, alpha, raw, new(Admitted))) }
	},
	limits.AccountTickets: func(p *provider, a *applicant) func() (wire.Code, uint32) {
		return func() (wire.Code, uint32) {
			return ofMessage(a.ask(&wire.Mint{Count: wire.MaxMint, Expiry: p.today() + 1}))
		}
	},
	limits.AccountRequests: func(_ *provider, a *applicant) func() (wire.Code, uint32) {
		return func() (wire.Code, uint32) { return ofMessage(a.ask(new(wire.Account))) }
	},
	limits.AccountSync: func(p *provider, a *applicant) func() (wire.Code, uint32) {
		return func() (wire.Code, uint32) { return ofMessage(a.ask(p.batch())) }
	},
	limits.PrefixSubmissions: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		tokens, raw := p.withTokens().tokens(p.t), p.fresh()
		return func() (wire.Code, uint32) {
			return ofEnvelope(p.AdmitToken(p.now, BearerOf("192.0.2.1/32"), alpha, tokens[0], raw, new(Admitted)))
		}
	},
	limits.PeerEnvelopes: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		raw := p.fresh()
		return func() (wire.Code, uint32) { return ofEnvelope(p.AdmitForward(p.now, p.peer, raw, new(Admitted))) }
	},
	limits.PeerBytes: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		raw := envelope(p.mint(), wire.Class64K, p.today())
		return func() (wire.Code, uint32) { return ofEnvelope(p.AdmitForward(p.now, p.peer, raw, new(Admitted))) }
	},
	limits.PeerIntroductions: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		d := p.withDoor()
		raw := d.introduction(d.stranger())
		return func() (wire.Code, uint32) { return ofEnvelope(p.AdmitForward(p.now, p.peer, raw, new(Admitted))) }
	},
	limits.PeerRefills: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		d := p.withDoor()
		q, _ := d.refillOf(d.member(group.Ristretto255().RandomScalar()))
		return func() (wire.Code, uint32) {
			ref := d.ask(query.KindRefill, func([]byte) ([]byte, error) { return wire.Marshal(q) }, new(query.RefillAnswer))
			if ref == nil {
				return 0, 0
			}
			return ofMessage(ref)
		}
	},
	limits.PeerRequests: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		return func() (wire.Code, uint32) {
			code, after := ofMessage(p.HandlePeer(context.Background(), p.now, p.peer, &wire.Describe{Domain: beta}))
			if code == wire.CodeUnknownProvider {
				return 0, 0 // the peers of this test have no descriptors
			}
			return code, after
		}
	},
	limits.HopQuestions: askHop, limits.HopPeer: askHop,
	limits.MailboxEnvelopes: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		return func() (wire.Code, uint32) {
			return ofEnvelope(p.AdmitForward(p.now, p.peer, p.fresh(), new(Admitted)))
		}
	},
	limits.Registrations: func(p *provider, _ *applicant) func() (wire.Code, uint32) {
		names := []string{"dave@beta.example", "erin@beta.example", "frank@beta.example"}
		return func() (wire.Code, uint32) {
			next := p.applicant(names[0], group.Ristretto255().RandomScalar())
			names = names[1:]
			return ofMessage(next.register(next.manifest.Bytes()))
		}
	},
}

func askHop(p *provider, _ *applicant) func() (wire.Code, uint32) {
	p.hop = true
	return func() (wire.Code, uint32) {
		_, code, after := p.hopTo(nobody(), questionTo(alpha, query.KindRefill))
		return code, after
	}
}

// elsewhere are the limits that other packages ask about, and what shows that
// they answer alike.
var elsewhere = map[limits.Name]string{
	limits.AccountIssues:  "relay/reports.TestEveryLimitTellsWhen",
	limits.AccountReports: "relay/reports.TestEveryLimitTellsWhen",
	limits.PeerVerdicts:   "relay/reports.TestEveryLimitTellsWhen",
}

// Over every limit the answer is "over a limit" with the time from which the
// same is taken, and a dry run of the same value refuses nothing and counts.
func TestEveryLimitTellsWhen(t *testing.T) {
	for n := range limits.End {
		t.Run(n.String(), func(t *testing.T) {
			asker, ok := askers[n]
			if _, there := elsewhere[n]; there {
				return
			}
			if instead := limits.All[n].Instead; ok == (instead != "") {
				t.Fatalf("asked: %v, instead of a refusal: %q", ok, instead)
			}
			if !ok {
				return // core/directory.TestPeersAreLimitedApart and the like
			}
			value := gcra.Limit{Burst: limits.All[n].Least, Count: limits.All[n].Least, Period: time.Minute}
			for _, dry := range []bool{false, true} {
				p := newProvider(t, nil)
				a := p.applicant("carol@beta.example", group.Ristretto255().RandomScalar())
				if _, ok := a.register(a.manifest.Bytes()).(*wire.Session); !ok {
					t.Fatal("not registered")
				}
				p.now = p.now.Add(time.Hour) // what that cost is back
				must(t, p.limits.Set(limits.Target{Name: n, DryRun: dry}, &limits.Change{Limit: value}))
				ask := asker(p, a)
				code, after := p.refusedBy(ask)
				if dry {
					if code != 0 || p.limits.Dried(n) == 0 || p.limits.Refused(n, limits.OverRate) != 0 {
						t.Errorf("dry run: %v, %d counted", code, p.limits.Dried(n))
					}
					continue
				}
				want := wire.CodeLimit
				if n == limits.MailboxEnvelopes {
					want = wire.CodeMailbox // not the asker's own
				}
				if code != want || after == 0 || p.limits.Refused(n, limits.OverRate) != 1 {
					t.Fatalf("answered with %v, retry after %d ms, %d counted", code, after, p.limits.Refused(n, limits.OverRate))
				}
				if n != limits.Registrations { // each is another's
					p.now = p.now.Add(time.Duration(after) * time.Millisecond)
					if code, _ := ask(); code != 0 {
						t.Errorf("at the time that it was told: %v", code)
					}
				}
			}
		})
	}
}

// Whatever says "over a limit" or "busy" says when to try again.
func TestEveryRefusalForNowTellsWhen(t *testing.T) {
	for _, c := range codes {
		if (c.code == wire.CodeLimit || c.code == wire.CodeBusy) != (c.retry > 0) {
			t.Errorf("%v: %v, retry after %v", c.err, c.code, c.retry)
		}
		if r, ok := answer(c.err).(*wire.Refusal); !ok || r.Code != c.code || (r.RetryAfter > 0) != (c.retry > 0) {
			t.Errorf("%v is answered with %+v", c.err, answer(c.err))
		}
	}
	for _, r := range []*Refusal{refusedMalformed, refusedStale, refusedOutbox, refusedStore} {
		if forNow := r.Code() == wire.CodeLimit || r.Code() == wire.CodeBusy || r.Code() == wire.CodeUnreachable; forNow != (r.Milliseconds() > 0) {
			t.Errorf("%v: %v, retry after %d ms", r.Reason, r.Code(), r.Milliseconds())
		}
	}
	// refuse makes an answer without a time.
	files, err := filepath.Glob("*.go")
	must(t, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		must(t, err)
		if !strings.HasSuffix(name, "_test.go") && regexp.MustCompile(`refuse\(wire\.Code(Limit|Busy)\)`).Match(b) {
			t.Errorf("%s: says \"over a limit\" or \"busy\" without a time", name)
		}
	}
	for d, want := range map[time.Duration]uint32{
		0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, time.Hour: 3_600_000, gcra.Never: 1 << 31, -1: 0,
	} {
		if got := Milliseconds(d); got != want {
			t.Errorf("%v is %d ms, want %d", d, got, want)
		}
	}
}

// A peer that floods uses up its own limit and nobody else's, and one with a
// value of its own has that one.
func TestPeersAreLimitedApart(t *testing.T) {
	p := newProvider(t, limits.Settings{
		{Name: limits.PeerEnvelopes}:              gcra.Limit{Burst: 3, Count: 1, Period: time.Hour},
		{Name: limits.PeerEnvelopes, Peer: gamma}: gcra.Limit{Burst: 7, Count: 1, Period: time.Hour},
	})
	raw := p.fresh()
	for peer, want := range map[*Peer]int{PeerOf(alpha): 3, PeerOf(gamma): 7, PeerOf(beta): 3} {
		taken := 0
		for range 20 {
			if p.AdmitForward(p.now, peer, raw, new(Admitted)) == nil {
				taken++
			}
		}
		if taken != want {
			t.Errorf("%s: %d taken, want %d", peer.Domain, taken, want)
		}
		if s := p.limits.Status(p.now, limits.PeerEnvelopes, peer.Domain); s.Refused[limits.OverRate] != uint64(20-want) {
			t.Errorf("%s: %+v", peer.Domain, s)
		}
	}
}

// What is over the bytes of a peer has not used up its envelopes.
func TestBytesGiveEnvelopesBack(t *testing.T) {
	p := newProvider(t, limits.Settings{
		{Name: limits.PeerEnvelopes}: gcra.Limit{Burst: 10, Count: 1, Period: time.Hour},
		{Name: limits.PeerBytes}:     gcra.Limit{Burst: wire.MaxEnvelope, Count: 1, Period: time.Second},
	})
	raw := envelope(p.mint(), wire.Class64K, p.today())
	for range 50 {
		p.AdmitForward(p.now, p.peer, raw, new(Admitted))
	}
	if s := p.limits.Status(p.now, limits.PeerEnvelopes, alpha); s.Used != 1 {
		t.Errorf("%d envelopes used, want 1", s.Used)
	}
}
