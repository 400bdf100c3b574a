package node

import (
	"bytes"
	"os"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

// second adds a device to a stranger's account, with a connection of its own.
func (s *stranger) second() *stranger {
	s.t.Helper()
	sign := keys.NewSigningKey()
	f := s.manifest.Next()
	f.AddDevice(sign.Public(), keys.NewDHKey().Public())
	m, err := directory.SignManifest(f, s.identity)
	must(s.t, err)
	_, err = quicnet.Ask[*wire.Done](testContext(s.t), s.caller, &wire.UpdateManifest{Manifest: m.Bytes()})
	must(s.t, err)
	d := &device{t: s.t, address: s.address, sign: sign, k: s.k}
	d.dial(s.home)
	d.enter(&wire.Auth{Address: d.address, Device: 2, Signature: directory.SignAuth(sign, d.address, 2, s.home.domain, d.challenge())})
	return &stranger{d, s.home, s.at, map[ratelimit.Month]*arc.PublicKey{}}
}

// Credentials.md 4, 39: the devices of an account, which say nothing to each other,
// get the same membership and ask for the day's credential with the same bytes. It
// is one credential, and counts as one account.
func TestAttackRefillsOfDevices(t *testing.T) {
	alpha, beta := federated(t)
	agreed(t, alpha, beta)
	beta.slowly(limits.HomeAccounts)
	carol := newStranger(t, alpha, beta, "carol@alpha.example")
	tier, month := ratelimit.TierNew, ratelimit.MonthOf(today())
	var members, payloads, credentials [][]byte
	for _, d := range []*stranger{carol, carol.second()} {
		cred, err := d.member(month, tier)
		must(t, err)
		q, pending := d.refillOf(cred, month, tier, today())
		sealed, _ := d.sealed(q)
		opened, err := query.Open(beta.node.keyring, query.KindRefill, sealed, time.Now())
		must(t, err)
		a := d.refill(q)
		if a.Status != query.RefillIssued {
			t.Fatalf("status %d", a.Status)
		}
		day, err := pending.Finish(a.Answer[:])
		must(t, err)
		members, payloads, credentials = append(members, cred.Bytes()), append(payloads, opened.Payload()), append(credentials, day.Bytes())
	}
	for name, two := range map[string][][]byte{"membership": members, "question": payloads, "credential": credentials} {
		if !bytes.Equal(two[0], two[1]) {
			t.Errorf("the devices' %ss differ", name)
		}
	}
	if n := beta.spentOf(limits.HomeAccounts, alpha); n != 1 {
		t.Errorf("%d accounts are counted", n)
	}
	dave := newStranger(t, alpha, beta, "dave@alpha.example")
	dave.sender(today())
	if n := beta.spentOf(limits.HomeAccounts, alpha); n != 2 {
		t.Errorf("%d accounts are counted, with another one", n)
	}
}

// An account that is new gets no membership as another, and no credential as
// another under the membership that it has. What is refused counts for nothing and
// spends nothing.
func TestAttackRefillTier(t *testing.T) {
	alpha, beta := federated(t)
	agreed(t, alpha, beta)
	beta.slowly(limits.HomeAccounts)
	carol := newStranger(t, alpha, beta, "carol@alpha.example")
	month := ratelimit.MonthOf(today())
	if _, err := carol.member(month, ratelimit.TierMember); code(err) != wire.CodeForbidden {
		t.Errorf("a membership of tier 2: %v", err)
	}
	cred, err := carol.member(month, ratelimit.TierNew)
	must(t, err)
	proven, _ := carol.refillOf(cred, month, ratelimit.TierMember, today())
	said, _ := carol.refillOf(cred, month, ratelimit.TierNew, today())
	said.Tier = uint8(ratelimit.TierMember)
	for name, q := range map[string]*query.Refill{"proven": proven, "said": said} {
		if a := carol.refill(q); a.Status != query.RefillRefused || a.Answer != [query.RefillAnswerSize]byte{} {
			t.Errorf("%s: status %d", name, a.Status)
		}
	}
	if n := beta.spentOf(limits.HomeAccounts, alpha); n != 0 {
		t.Errorf("%d accounts are counted", n)
	}
	carol.credited(cred, month, ratelimit.TierNew, today())
}

// lastOfMonth is the next day that is its month's last.
func lastOfMonth(day ids.Day) ids.Day {
	return (ids.Day(ratelimit.MonthOf(day))+1)*ratelimit.MonthDays - 1
}

// At a month's end a membership is good for three days more, and the next month's
// can be had from its home: whichever an account shows, it gets one credential a
// day.
func TestMonthsEnd(t *testing.T) {
	var at clock
	last := lastOfMonth(today() + 1)
	alpha, beta := federatedAt(t, &at, last, nil)
	beta.slowly(limits.HomeAccounts)
	carol := newStranger(t, alpha, beta, "carol@alpha.example")
	dave := newStranger(t, alpha, beta, "dave@alpha.example")
	erin := newStranger(t, alpha, beta, "erin@alpha.example")
	month, tier := ratelimit.MonthOf(last), ratelimit.TierNew
	old := map[*stranger][]byte{}
	members := map[*stranger]func(epoch ids.Day) *query.Refill{}
	for _, s := range []*stranger{carol, dave, erin} {
		cred, err := s.member(month, tier)
		must(t, err)
		old[s] = cred.Bytes()
		members[s] = func(epoch ids.Day) *query.Refill { q, _ := s.refillOf(cred, month, tier, epoch); return q }
	}
	status := func(name string, s *stranger, q *query.Refill, want query.RefillStatus) {
		t.Helper()
		if a := s.refill(q); a.Status != want {
			t.Errorf("%s: status %d, want %d", name, a.Status, want)
		}
	}
	status("the last day", carol, members[carol](last), query.RefillIssued)
	status("the day after it, ahead", carol, members[carol](last+1), query.RefillIssued)

	at.days(t, 1, alpha, beta)
	next, err := carol.member(month+1, tier)
	must(t, err)
	if bytes.Equal(next.Bytes(), old[carol]) {
		t.Error("the next month's membership is the last one's")
	}
	second, _ := carol.refillOf(next, month+1, tier, last+1)
	status("a second credential, under the next month's", carol, second, query.RefillRefused)
	status("in grace", dave, members[dave](last+1), query.RefillIssued)
	erin.sender(last + 1) // under the next month's

	at.days(t, 1, alpha, beta)
	at.days(t, 1, alpha, beta)
	// Of the month before, on the third day of grace and its eve.
	status("the third day", dave, members[dave](last+3), query.RefillIssued)
	status("the fourth, ahead", dave, members[dave](last+4), query.RefillRefused)
	at.days(t, 1, alpha, beta)
	status("the fourth day", dave, members[dave](last+4), query.RefillRefused)
	if _, err := dave.member(month, tier); code(err) != wire.CodeStale {
		t.Errorf("last month's membership is given: %v", err)
	}
	dave.sender(last + 4)
}

// A store that is put back has forgotten what was spent: nothing made before it is
// taken again, and everybody begins anew under other keys, of which the peer is
// told.
func TestAttackRestoredStore(t *testing.T) {
	var at clock
	alpha, beta := federatedAt(t, &at, today()+1, nil)
	bob := newDevice(t, beta, "bob@beta.example")
	publishAt(t, bob, at.today())
	carol := newStranger(t, alpha, beta, "carol@alpha.example")
	beta.halt()
	backup := t.TempDir()
	must(t, os.CopyFS(backup, os.DirFS(beta.node.path(dirStore))))
	// The store is marked every ten minutes, so that an older one is known.
	at.ahead.Add(int64(time.Hour))
	beta.start()
	s := carol.sender(at.today())
	sent, kept := introductionTo(t, beta, bob.door(), s, 0), introductionTo(t, beta, bob.door(), s, 1)
	carol.hands(relay.Delivered, sent)
	carol.hands(relay.Duplicate, sent)
	before := beta.here()
	beta.halt()

	must(t, os.RemoveAll(beta.node.path(dirStore)))
	must(t, os.CopyFS(beta.node.path(dirStore), os.DirFS(backup)))
	at.ahead.Add(int64(time.Minute))
	beta.start()
	if l := beta.here(); l.Term() <= before.Term() {
		t.Fatal("no other term")
	}
	carol.hands(relay.DisposedProof, sent, kept)
	again := carol.sender(at.today())
	carol.hands(relay.Delivered, introductionTo(t, beta, bob.door(), again, 0))
	eventually(t, "the new term at the peer", func() bool { return alpha.lists("new_term") == 1 })
}
