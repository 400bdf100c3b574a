package node

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/reports"
)

// believes waits until a provider's newest snapshot of another's keys says so about
// a token, and returns from when on.
func believes(t *testing.T, s *server, issuer ids.Domain, token *franking.Token, want error) {
	t.Helper()
	until(t, "snapshot that knows of the revocation", func() bool {
		raw, err := s.node.Reports().Publication(testContext(t), &wire.Publish{
			Kind: wire.PublicationSnapshot, Provider: s.domain, Issuer: issuer,
		}, s.node.now())
		must(t, err)
		sn, err := franking.ParseSnapshot(raw, s.domain, s.node.keyring.root.Public())
		must(t, err)
		return errors.Is(sn.Vouches(token, s.node.now().Add(time.Hour)), want)
	})
}

// verified verifies what a reader was delivered, as its client does.
func (a *author) verdictOn(f *franked) (*franking.Evidence, error) {
	a.t.Helper()
	d := a.receive(a.last, 1)[0]
	e := &franking.Evidence{
		Token: *f.token, Frame: f.frame, Key: *f.kf, Author: f.sig, Hour: f.hour, Audience: f.aud, Mailbox: a.mailbox,
		Com: d.Com, Day: d.Day, Received: d.Received, Stamp: d.Stamp, Snapshot: d.Snapshot,
	}
	s, err := franking.ParseSnapshot(a.published(wire.PublicationSnapshot, a.s.domain, f.token.Issuer, d.Snapshot), a.s.domain, a.s.node.keyring.root.Public())
	must(a.t, err)
	_, err = franking.Verify(e, s, a.address, reports.FrameOf)
	return e, err
}

// A day's key is revoked: what came before can be reported and opened, what comes
// after is shown to nobody, and new tokens of the day work at once.
func TestEpochIsRevoked(t *testing.T) {
	var ahead atomic.Int64 // of the clocks, so that snapshots come into force
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	alpha, beta := newServer(t, "alpha.example"), newServer(t, "beta.example")
	for _, s := range []*server{alpha, beta} {
		s.conf.Listen, s.conf.Now = freeAddr(t), clock
	}
	alpha.conf.Peers = []Peer{{beta.domain, beta.conf.Listen, beta.pin}}
	beta.conf.Peers = []Peer{{alpha.domain, alpha.conf.Listen, alpha.pin}}
	alpha.start()
	beta.start()
	alice, bob := newAuthor(t, alpha, "alice@alpha.example"), newAuthor(t, beta, "bob@beta.example")
	snapshotKnown(t, beta, alpha.domain)
	must(t, alice.fetch(2))
	minted := bob.mint(8)
	before := bob.read(alice.write(bob, &minted.Tickets[0], "before"))[0]
	old := before.Token

	ctx, day := testContext(t), today()
	if err := alpha.node.RevokeEpoch(ctx, day-30); !errors.Is(err, reports.ErrUnknown) {
		t.Errorf("a day that is over: %v", err)
	}
	must(t, alpha.node.RevokeEpoch(ctx, day))
	believes(t, beta, alpha.domain, &old, franking.FaultRevoked)
	believes(t, alpha, alpha.domain, &old, franking.FaultRevoked)
	ahead.Add(int64(time.Minute))

	// Alice is told why, and not taken from until she knows.
	told := func(com franking.Commitment) {
		t.Helper()
		if ref := alice.submit(beta.domain, franEnvelope(&minted.Tickets[1], com)); ref[1].Code != wire.CodeRevoked || ref[1].RetryAfter == 0 {
			t.Errorf("not told: %v", ref)
		}
	}
	told(before.Com)
	list, err := franking.ParseEpochKeys(alice.published(wire.PublicationEpochKeys, alpha.domain, alpha.domain, [32]byte{}), alpha.domain, alpha.node.keyring.root.Public(), nil)
	must(t, err)
	if !list.Revoked(&old) {
		t.Error("the list does not say so")
	}
	// One who goes on with the old one all the same is heard by nobody.
	late, err := bob.verdictOn(alice.write(bob, &minted.Tickets[1], "after"))
	if !errors.Is(err, franking.FaultRevoked) {
		t.Errorf("under the old key: %v", err)
	}
	if f := bob.report(newReport(late)); len(f) != 1 || franking.Fault(f[0]) != franking.FaultRevoked {
		t.Errorf("reported as %v", f)
	}

	// New tokens.
	alice.tokens = nil
	must(t, alice.fetch(2))
	if alice.tokens[0].Token().Epoch != day || list.Revoked(alice.tokens[0].Token()) {
		t.Fatal("the new token is not of the new key")
	}
	believes(t, beta, alpha.domain, alice.tokens[0].Token(), nil)
	good, err := bob.verdictOn(alice.write(bob, &minted.Tickets[2], "again"))
	must(t, err)

	// What came before is proven, and opened, and so is what came after.
	for _, e := range []*franking.Evidence{before, good} {
		r := newReport(e)
		if f := bob.report(r); len(f) != 1 || f[0] != 0 {
			t.Fatalf("found %v", f)
		}
		must(t, beta.node.Reports().Decide(ctx, clock(), r.ID, reports.FirstProven, franking.ActionWarn, "dora"))
		must(t, beta.node.Decided(ctx, alpha.domain))
		until(t, "answer", func() bool {
			s, err := beta.node.Reports().Show(ctx, r.ID)
			must(t, err)
			return s.State == reports.StateAnswered && s.Action != 0
		})
	}

	// A restart changes nothing; a connection is told anew.
	_, listed := alpha.node.Reports().Revoked()
	alpha.halt()
	alpha.start()
	if _, again := alpha.node.Reports().Revoked(); !bytes.Equal(listed, again) {
		t.Error("another list after a restart")
	}
	alice.reconnect(alpha)
	told(good.Com)
	must(t, alice.fetch(1))
	if ref := alice.submit(beta.domain, franEnvelope(&minted.Tickets[3], good.Com)); len(ref) != 0 {
		t.Errorf("not taken: %v", ref)
	}
	// So often and no more.
	for range franking.MaxEpochKeys - 2 {
		must(t, alpha.node.RevokeEpoch(ctx, day))
	}
	if err := alpha.node.RevokeEpoch(ctx, day); !errors.Is(err, reports.ErrRevocations) {
		t.Errorf("revoked once more: %v", err)
	}
	believes(t, beta, alpha.domain, &good.Token, franking.FaultRevoked)
}

// A peer that is away when a key is revoked is told when it is back.
func TestRevocationReachesWhoWasAway(t *testing.T) {
	alpha, beta := federated(t)
	alice := newAuthor(t, alpha, "alice@alpha.example")
	snapshotKnown(t, beta, alpha.domain)
	must(t, alice.fetch(1))
	token := alice.tokens[0].Token()
	beta.halt()
	must(t, alpha.node.RevokeEpoch(testContext(t), today()))
	beta.start()
	believes(t, beta, alpha.domain, token, franking.FaultRevoked)
	// And not told what is not the peer's own list, or an older one.
	_, list := alpha.node.Reports().Revoked()
	for name, b := range map[string][]byte{"another's": list, "cut": list[1:]} {
		from := alpha.domain
		if name == "another's" {
			from = beta.domain
		}
		if _, ok := beta.node.noticed(testContext(t), from, b).(*wire.Refusal); !ok {
			t.Errorf("%s list is taken", name)
		}
	}
}
