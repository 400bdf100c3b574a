package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/membership"
	"waxwing/relay/client"
	"waxwing/relay/quicnet"
)

// eventually waits until something is so.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s", what)
		}
	}
}

// agreed waits until each of two providers has the other's keys.
func agreed(t testing.TB, a, b *server) {
	t.Helper()
	for _, s := range [][2]*server{{a, b}, {b, a}} {
		eventually(t, "agreed on keys", func() bool {
			_, err := s[0].node.admission.List(context.Background(), s[1].domain)
			_, ok := s[0].node.admission.Membership(s[1].domain, ratelimit.MonthOf(ids.DayOf(s[0].node.now())))
			return err == nil && ok
		})
	}
}

// list asks for a provider's list on a device's connection.
func (d *device) list(of ids.Domain) ([]byte, error) {
	a, err := quicnet.Ask[*wire.AdmissionKeysAre](testContext(d.t), d.caller, &wire.AdmissionKeys{Provider: of})
	if err != nil {
		return nil, err
	}
	return a.List, nil
}

func code(err error) wire.Code {
	var refused *quicnet.RefusedError
	var told *client.RefusedError
	switch {
	case errors.As(err, &refused):
		return refused.Code
	case errors.As(err, &told):
		return told.Code
	}
	return 0
}

// A client asks its own provider for everybody's list, and gets what that provider
// publishes; so does, a few times, a connection that is nobody's.
func TestListsTravel(t *testing.T) {
	alpha, beta := federated(t)
	agreed(t, alpha, beta)
	alice := newDevice(t, alpha, "alice@alpha.example")
	for _, s := range []*server{alpha, beta} {
		b, err := alice.list(s.domain)
		must(t, err)
		own, err := s.node.admission.List(t.Context(), s.domain)
		must(t, err)
		if !bytes.Equal(b, own.Bytes()) {
			t.Errorf("another list of %v", s == alpha)
		}
	}
	if _, err := alice.list(ids.MustParseDomain("gamma.example")); code(err) != wire.CodeUnknownProvider {
		t.Errorf("of a stranger: %v", err)
	}
	nobody := &device{t: t}
	nobody.dial(alpha)
	for range 8 {
		_, err := nobody.list(beta.domain)
		must(t, err)
	}
	if _, err := nobody.list(beta.domain); code(err) != wire.CodeUnauthenticated {
		t.Errorf("once more: %v", err)
	}
	if _, err := quicnet.Ask[*wire.MembershipIssued](testContext(t), nobody.caller, &wire.IssueMembership{Provider: beta.domain}); code(err) != wire.CodeUnauthenticated {
		t.Errorf("a membership of nobody: %v", err)
	}
}

// What alpha vouches for is verified at beta with the key that alpha shared, and
// gives a credential under the key that beta lists.
func TestMembershipAcrossProviders(t *testing.T) {
	alpha, beta := federated(t)
	agreed(t, alpha, beta)
	alice := newClient(t, alpha, "alice@alpha.example")
	ctx := testContext(t)
	home, err := alice.AdmissionKeys(ctx, alpha.domain)
	must(t, err)
	if _, err := alice.AdmissionKeys(ctx, beta.domain); !errors.Is(err, client.ErrProvider) {
		t.Errorf("of a provider whose root is not known: %v", err)
	}
	at, err := beta.node.admission.List(ctx, beta.domain)
	must(t, err)
	day := ids.DayOf(time.Now())
	month := ratelimit.MonthOf(day)
	key, ok := home.Membership(beta.domain, month)
	if !ok {
		t.Fatal("no key of the month")
	}
	cred, tier, err := alice.Membership(ctx, beta.domain, month, key)
	must(t, err)
	again, _, err := alice.Membership(ctx, beta.domain, month, key)
	must(t, err)
	if tier != ratelimit.TierNew || !bytes.Equal(cred.Bytes(), again.Bytes()) {
		t.Errorf("tier %d, or another membership", tier)
	}
	if _, _, err := alice.Membership(ctx, ids.MustParseDomain("gamma.example"), month, key); code(err) != wire.CodeUnknownProvider {
		t.Errorf("for a stranger: %v", err)
	}
	if _, _, err := alice.Membership(ctx, beta.domain, month+2, key); code(err) != wire.CodeStale {
		t.Errorf("for a month ahead: %v", err)
	}

	epoch, ok := at.Credential(day)
	if !ok {
		t.Fatal("no key of the day")
	}
	r := membership.Refill{
		Home: alpha.domain, Provider: beta.domain, Month: month, Tier: tier, Epoch: day, Membership: key, Key: epoch,
	}
	pending, err := r.Request(cred)
	must(t, err)
	shared, ok := beta.node.admission.Membership(alpha.domain, month)
	if !ok {
		t.Fatal("alpha's key is not at beta")
	}
	shown, err := r.Verify(shared, pending.Bytes())
	must(t, err)
	issuing, ok := beta.node.admission.Credential(day)
	if !ok {
		t.Fatal("no key to issue under")
	}
	answer, err := shown.Issue(issuing)
	must(t, err)
	if _, err := pending.Finish(answer); err != nil {
		t.Error(err)
	}
}

// An account replaces its secret on its connection, and not again soon.
func TestReplaceSecret(t *testing.T) {
	s := newServer(t, "alpha.example").start()
	alice, dave := newDevice(t, s, "alice@alpha.example"), newDevice(t, s, "dave@alpha.example")
	replace := func(d *device, k group.Scalar) error {
		f := d.manifest.Next()
		var err error
		f.AccountKey, err = directory.ProveAccountKey(k, d.address, d.identity.Public())
		must(t, err)
		m, err := directory.SignManifest(f, d.identity)
		must(t, err)
		if _, err := quicnet.Ask[*wire.Done](testContext(t), d.caller, &wire.UpdateManifest{Manifest: m.Bytes()}); err != nil {
			return err
		}
		d.manifest = m
		return nil
	}
	g := group.Ristretto255()
	old := alice.k
	must(t, replace(alice, g.RandomScalar()))
	cert, err := quicnet.Ask[*wire.Cert](testContext(t), alice.caller, new(wire.Certify))
	must(t, err)
	xs := alice.manifest.XS()
	if !bytes.Contains(cert.Certificate, xs[:]) {
		t.Error("the certificate does not name the new X_S")
	}
	var refused *quicnet.RefusedError
	if err := replace(alice, g.RandomScalar()); !errors.As(err, &refused) || refused.Code != wire.CodeLimit || refused.RetryAfter <= 0 {
		t.Errorf("again: %v", err)
	}
	if err := replace(dave, old); code(err) != wire.CodeForbidden {
		t.Errorf("another account takes the old one: %v", err)
	}
}

func (s *server) lists(result string) float64 {
	return testutil.ToFloat64(s.node.metrics.lists.WithLabelValues(result))
}

// A peer that shows a list which contradicts the one before is counted, and
// clients are given the one before.
func TestForkIsCounted(t *testing.T) {
	alpha, beta := federated(t)
	agreed(t, alpha, beta)
	kept, err := alpha.node.admission.List(t.Context(), beta.domain)
	must(t, err)
	fork, err := keylist.Sign(keylist.Fields{Provider: beta.domain, Number: kept.Number(), Term: kept.Term()}, beta.node.keyring.root)
	must(t, err)
	if ok, err := alpha.node.peers.link(beta.domain).learnList(t.Context(), fork); ok || err != nil {
		t.Errorf("the fork is taken: %v", err)
	}
	if n := alpha.lists("forked"); n != 1 {
		t.Errorf("%v forks counted", n)
	}
	if l, err := alpha.node.admission.List(t.Context(), beta.domain); err != nil || l.Hash() != kept.Hash() {
		t.Errorf("the fork is kept: %v", err)
	}
}

// A data directory that is put back finds out from a peer, and begins a new term.
func TestRestoredDirectory(t *testing.T) {
	var at clock
	alpha, beta := newServer(t, "alpha.example"), newServer(t, "beta.example")
	alpha.conf.Now, beta.conf.Now = at.now, at.now
	alpha.conf.Listen, beta.conf.Listen = freeAddr(t), freeAddr(t)
	alpha.conf.Peers, beta.conf.Peers = []Peer{beta.asPeer()}, []Peer{alpha.asPeer()}
	alpha.start()
	beta.start()
	agreed(t, alpha, beta)
	beta.halt()
	backup := t.TempDir()
	must(t, os.CopyFS(backup, os.DirFS(beta.conf.Dir)))
	at.ahead.Add(int64(48 * time.Hour))
	must(t, alpha.node.renewKeys())
	beta.start()
	lost, err := beta.node.admission.List(t.Context(), beta.domain)
	must(t, err)
	eventually(t, "the newer list at the peer", func() bool {
		l, err := alpha.node.admission.List(context.Background(), beta.domain)
		return err == nil && l.Hash() == lost.Hash()
	})
	beta.halt()

	beta.conf.Dir = backup
	at.ahead.Add(int64(time.Minute))
	beta.start()
	eventually(t, "a new term", func() bool {
		l, err := beta.node.admission.List(context.Background(), beta.domain)
		return err == nil && l.Term() > lost.Term()
	})
	alpha.node.peers.link(beta.domain).outdated()
	eventually(t, "the new term at the peer", func() bool {
		l, err := alpha.node.admission.List(context.Background(), beta.domain)
		return err == nil && l.Term() > lost.Term() && l.Follows(lost) == nil
	})
	if beta.lists("unknown_own") == 0 || alpha.lists("new_term") != 1 {
		t.Error("not counted")
	}
	key, ok := beta.node.admission.Credential(at.today())
	before, listed := lost.Credential(at.today())
	if !ok || !listed || bytes.Equal(key.Public().Bytes(), before.Bytes()) {
		t.Error("the day's key is the one before")
	}
}

// What peers may not ask, and what they share wrongly.
func TestPeerAdmission(t *testing.T) {
	alpha, beta := federated(t)
	agreed(t, alpha, beta)
	caller := alpha.node.peers.link(beta.domain).caller.Load()
	ask := func(m wire.Message) wire.Code {
		_, err := quicnet.Ask[*wire.Done](testContext(t), caller, m)
		return code(err)
	}
	month := uint32(ratelimit.MonthOf(today()))
	own, _ := beta.node.peers.own.Load().RelayKey()
	if c := ask(&wire.AdmissionKeys{Provider: ids.MustParseDomain("gamma.example")}); c != wire.CodeForbidden {
		t.Errorf("a third provider's list: %v", c)
	}
	if c := ask(&wire.ShareMembershipKey{Month: month, KeyID: own.ID + 1}); c != wire.CodeStale {
		t.Errorf("an unknown relay key: %v", c)
	}
	if c := ask(&wire.ShareMembershipKey{Month: month, KeyID: own.ID}); c != wire.CodeMalformed {
		t.Errorf("zeros: %v", c)
	}
	if c := ask(&wire.ShareMembershipKey{Month: month + 5, KeyID: own.ID}); c != wire.CodeStale {
		t.Errorf("another month: %v", c)
	}
	if c := ask(&wire.IssueMembership{Provider: beta.domain}); c != wire.CodeMalformed {
		t.Errorf("a membership: %v", c)
	}
}

// Where it is not known what was spent, no token of before is taken.
func TestRestoredTokens(t *testing.T) {
	s := newServer(t, "beta.example").start()
	bob := newDevice(t, s, "bob@beta.example")
	seed, minted := keys.NewSecret(), bob.mint(3)
	old := bob.submissionTokens(s, seed)
	for _, lost := range []bool{false, true} {
		s.halt()
		if lost {
			must(t, s.keys().erase("admission-mark"))
		}
		s.start()
		bob.reconnect(s)
		want := wire.Code(0)
		if lost {
			want = wire.CodeToken
		}
		if code := bear(t, s, s.domain, old[0], envelope(&minted.Tickets[0], wire.Class1K)); code != want {
			t.Errorf("lost %v: %v", lost, code)
		}
	}
	if code := bear(t, s, s.domain, bob.submissionTokens(s, keys.NewSecret())[0], envelope(&minted.Tickets[1], wire.Class1K)); code != 0 {
		t.Errorf("a token of the new key: %v", code)
	}
}

// Keys of credentials drawn by command are listed, and tokens stay.
func TestRenewCredentials(t *testing.T) {
	s := newServer(t, "beta.example").start()
	bob := newDevice(t, s, "bob@beta.example")
	tokens, minted := bob.submissionTokens(s, keys.NewSecret()), bob.mint(1)
	before, err := s.node.admission.List(t.Context(), s.domain)
	must(t, err)
	r, err := s.node.RenewCredentials()
	must(t, err)
	after, err := s.node.admission.List(t.Context(), s.domain)
	must(t, err)
	old, _ := before.Credential(today())
	fresh, ok := after.Credential(today())
	if r.From != today() || !ok || bytes.Equal(old.Bytes(), fresh.Bytes()) || after.Term() == before.Term() || after.Follows(before) != nil {
		t.Errorf("from %d, term %d after %d", r.From, after.Term(), before.Term())
	}
	if code := bear(t, s, s.domain, tokens[0], envelope(&minted.Tickets[0], wire.Class1K)); code != 0 {
		t.Errorf("a token of before: %v", code)
	}
}
