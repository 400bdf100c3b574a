package node

import (
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/reports"
)

// Peers keep each other's heads, and have later ones proven to continue them; a
// client can ask for them as well.
func TestPeersKeepHeads(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	alpha, beta := newServer(t, "alpha.example"), newServer(t, "beta.example")
	for _, s := range []*server{alpha, beta} {
		s.conf.Listen, s.conf.Now = freeAddr(t), clock
	}
	alpha.conf.Peers = []Peer{{beta.domain, beta.conf.Listen, beta.pin}}
	beta.conf.Peers = []Peer{{alpha.domain, alpha.conf.Listen, alpha.pin}}
	alpha.start()
	beta.start()
	ctx := testContext(t)
	kept := func(size uint64) {
		t.Helper()
		until(t, "head of a peer", func() bool {
			all, err := beta.node.Reports().KeptHeads(ctx)
			must(t, err)
			return len(all) == 1 && all[0].Provider == alpha.domain && all[0].Size == size && !all[0].Forked
		})
	}
	kept(0)

	alice, bob := newAuthor(t, alpha, "alice@alpha.example"), newAuthor(t, beta, "bob@beta.example")
	snapshotKnown(t, beta, alpha.domain)
	must(t, alice.fetch(1))
	minted := bob.mint(2)
	r := newReport(bob.read(alice.write(bob, &minted.Tickets[0], "one"))[0])
	bob.report(r)
	must(t, beta.node.Reports().Decide(ctx, clock(), r.ID, reports.FirstProven, franking.ActionWarn, "dora"))
	must(t, beta.node.Decided(ctx, alpha.domain))
	until(t, "answer", func() bool {
		s, err := beta.node.Reports().Show(ctx, r.ID)
		must(t, err)
		return s.State == reports.StateAnswered
	})
	// Shown within the hour after it, and fetched when the link begins.
	ahead.Add(int64(2 * time.Hour))
	beta.halt()
	beta.start()
	kept(1)

	// An auditor who is anybody's client.
	bob.reconnect(beta)
	desk, err := franking.ParseDesk(bob.published(wire.PublicationDesk, alpha.domain, alpha.domain, [32]byte{}), alpha.domain, alpha.node.keyring.root.Public())
	must(t, err)
	head, err := franking.ParseHead(bob.published(wire.PublicationLogHead, alpha.domain, alpha.domain, [32]byte{}), franking.LogOpenings, desk)
	must(t, err)
	if head.Head() != alpha.node.Reports().OwnHeads()[franking.LogOpenings] {
		t.Errorf("shown %v", head.Head())
	}
	none := auditlog.Head{Segment: 1, Root: auditlog.Root(nil)}
	proof, err := franking.ParseProof(bob.published(wire.PublicationLogProof, alpha.domain, alpha.domain, reports.ProofID(franking.LogOpenings, none, head.Head())))
	must(t, err)
	now := head.Head()
	must(t, now.Continues(&none, proof))
}
