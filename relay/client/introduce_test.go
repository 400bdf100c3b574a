package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/membership"
	"waxwing/relay/client/state"
)

// admitting is what the providers of the harness have for introductions. The first
// one vouches, the second admits.
type admitting struct {
	home, day *arc.SecretKey
	tags      map[[32]byte]ids.EnvelopeID
	refused   int
	blocked   int                  // disposed of by the blocklist
	change    func(*wire.Delivery) // what a lying relay does to deliveries; nil for nothing
	stand     *keys.Secret
	asked     map[[32]byte]bool        // tags of questions for stamps
	useless   func(ids.MailboxID) bool // whose stamps are none; nil for nobody's
}

func (p *provider) door() *admitting {
	if p.admits == nil {
		suite := arc.Ristretto255()
		p.admits = &admitting{
			home: suite.NewSecretKey(), day: suite.NewSecretKey(), tags: map[[32]byte]ids.EnvelopeID{},
			stand: keys.NewSecret(), asked: map[[32]byte]bool{},
		}
	}
	return p.admits
}

// credit gets the user the day's credential at a provider.
func (u *user) credit(at *provider) {
	u.w.t.Helper()
	u.creditUnder(at, introduction.DefaultLimits)
}

func (u *user) creditUnder(at *provider, limits introduction.Limits) {
	u.w.t.Helper()
	a, today := at.door(), ids.DayOf(u.w.now)
	m := membership.Membership{Home: u.address.Domain(), Provider: at.domain, Month: ratelimit.MonthOf(today), Tier: ratelimit.TierNew}
	u.w.must(u.learn(u.box.manifest))
	u.do(func(k *work) error {
		secret, err := k.self.Secrets.AccountKey()
		u.w.must(err)
		asked, err := m.Request(secret, a.home.Public())
		u.w.must(err)
		answer, err := m.Issue(a.home, group.Ristretto255().MulGenerator(secret), asked.Bytes())
		u.w.must(err)
		cred, err := asked.Finish(answer)
		u.w.must(err)
		terms := membership.Refill{
			Home: m.Home, Provider: at.domain, Month: m.Month, Tier: m.Tier, Epoch: today, Membership: a.home.Public(), Key: a.day.Public(),
		}
		refill, err := terms.Request(cred)
		u.w.must(err)
		shown, err := terms.Verify(a.home, refill.Bytes())
		u.w.must(err)
		answer, err = shown.Issue(a.day)
		u.w.must(err)
		cred, err = refill.Finish(answer)
		u.w.must(err)
		r := &refilling{home: m.Home, at: at.domain, month: m.Month, today: today, member: &member{m.Tier, nil, [32]byte(group.Ristretto255().MulGenerator(secret).Bytes())}}
		return k.refilled(r, limits, cred)
	})
}

// introduced is what the provider does with an introduction.
func (p *provider) introduced(from ids.Domain, e *wire.Envelope, payload *[32]byte) {
	p.w.t.Helper()
	a := p.door()
	bound := introduction.Envelope{Com: *e.Com, Day: e.Day, Class: e.Class, TTL: e.TTL, Payload: *payload}
	in, err := introduction.Open(p.relay, p.domain, &bound, e.Introduction[:])
	p.w.must(err)
	v, err := introduction.NewVerifier(a.day, p.domain, e.Day, introduction.DefaultLimits)
	p.w.must(err)
	box := p.boxes[in.Mailbox]
	bigW := box.bigW(p.w.t, in.Generation)
	w, err := group.Ristretto255().DecodeElement(bigW[:])
	p.w.must(err)
	shown, err := v.Verify(introduction.Asked{Home: from, W: w, In: in})
	if err != nil {
		a.refused++
		return
	}
	id := e.ID(payload)
	if by, spent := a.tags[shown.Tag]; spent {
		if by != id {
			p.w.t.Error("one introduction was used for two envelopes")
		}
		return
	}
	a.tags[shown.Tag] = id
	if box.list.Blocks(in.NR) {
		a.blocked++
		return
	}
	d := &wire.Delivery{
		Received: uint64(p.w.now.UnixMilli()), Com: *e.Com, Day: e.Day, Class: e.Class, Origin: wire.ByIntroduction,
		Ticket: (&wire.Introduced{NR: in.NR, Generation: in.Generation}).Ticket(), Payload: append(slices.Clone(e.Head), e.Body...),
	}
	stamp, err := p.stamps.Stamp(&franking.Receipt{Mailbox: box.id, Com: d.Com, Day: d.Day, Received: d.Received})
	p.w.must(err)
	d.Stamp = stamp
	if s := p.snapshotOf(from); s != nil {
		d.Snapshot = s.ID()
	}
	if a.change != nil {
		a.change(d)
	}
	box.push(wire.MustMarshal(d))
}

// bigW is the mailbox's W of a generation, or another where a relay has none.
func (b *box) bigW(t testing.TB, generation uint32) [32]byte {
	t.Helper()
	if w, ok := b.pairs[generation]; ok {
		return w
	}
	return [32]byte(group.Ristretto255().MulGenerator(group.Ristretto255().RandomScalar()).Bytes())
}

// publish stores a mailbox key by the rule of core/directory, and lets introductions
// in under its W and the one before. False is a conflict.
func (b *box) publish(k *directory.MailboxKey) bool {
	old, err := directory.ParseMailboxKey(b.sealKey, b.manifest.Identity())
	if err == nil {
		switch {
		case string(old.Bytes()) == string(k.Bytes()):
			return true
		case k.Week() < old.Week(), k.Generation() < old.Generation(), k.Week() == old.Week() && k.Generation() == old.Generation(),
			k.Week() == old.Week() && string(k.Key().Bytes()) != string(old.Key().Bytes()),
			k.Generation() == old.Generation() && (k.W() != old.W() || k.Z() != old.Z()):
			return false
		}
	}
	if b.pairs == nil {
		b.pairs = make(map[uint32][32]byte)
	}
	b.sealKey, b.pairs[k.Generation()] = k.Bytes(), k.W()
	for g := range b.pairs {
		if g+1 < k.Generation() {
			delete(b.pairs, g)
		}
	}
	return true
}

// strangers are carol of alpha, with a credential at beta, and bob of beta.
func strangers(t *testing.T) (w *world, carol, bob *user) {
	w = newWorld(t)
	carol, bob = w.user("carol@alpha.example"), w.user("bob@beta.example")
	carol.credit(bob.p)
	carol.do(func(k *work) error { return k.addAddress(bob.address, "") })
	return w, carol, bob
}

func (u *user) requests() (out []string) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		for row, err := range state.Requests.Scan(k.tx, nil, nil) {
			if err != nil {
				return err
			}
			out = append(out, k.contacts[row.Record.Contact].Address.String())
		}
		return nil
	})
	return out
}

// insist has the next message to a contact go as an introduction although it had
// one today, as a modified client does.
func (u *user) insist(to *user) {
	u.do(func(k *work) error {
		k.find(to.address).Introduced = 1
		k.dirty(k.find(to.address))
		return nil
	})
}

func (u *user) left(at *provider) (n int) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		row, err := state.Credentials.Get(k.tx, state.At(k.today, at.domain))
		if err == nil {
			n = int(row.Share.Left())
		}
		return err
	})
	return n
}

// A request waits: nothing is shown or answered, until it is accepted. Then all of
// it is shown, once, in order, and tickets go both ways.
func TestRequests(t *testing.T) {
	w, carol, bob := strangers(t)
	first, second := carol.send(bob, "hello"), carol.send(bob, "are you there?")
	w.settle()
	if got := bob.requests(); len(got) != 1 || len(bob.inbox(carol)) != 0 {
		t.Fatalf("%v, shown: %v", got, bob.inbox(carol))
	}
	if carol.status(first) != state.StatusAccepted || carol.status(second) != state.StatusWaiting || !bob.e.memo.find(carol.address).Pending {
		t.Fatal("answered before it was accepted, or introduced twice on a day")
	}
	carol.insist(bob)
	w.settle()
	if got := bob.requests(); len(got) != 2 || carol.classes[wire.ClassIntroduction] != 2 || carol.left(bob.p) != 2 {
		t.Errorf("%v, %v, %d left", got, carol.classes, carol.left(bob.p))
	}
	bob.do(func(k *work) error { return k.accept(k.find(carol.address)) })
	w.settle()
	if got := bob.inbox(carol); !slices.Equal(got, []string{"hello", "are you there?"}) || len(bob.requests()) != 0 {
		t.Fatalf("%q", got)
	}
	if carol.status(first) != state.StatusDelivered || carol.status(second) != state.StatusDelivered {
		t.Error("no receipts")
	}
	carol.send(bob, "under a ticket")
	bob.send(carol, "and back")
	w.settle()
	if carol.classes[wire.ClassIntroduction] != 2 || len(bob.inbox(carol)) != 3 || len(carol.inbox(bob)) != 1 {
		t.Error("not under tickets")
	}
	w.nothingDropped()
}

// More than what is kept of a request is dropped, and nothing of it is answered.
func TestRequestsAreBounded(t *testing.T) {
	w, carol, bob := strangers(t)
	for n := range maxAsks + 2 {
		if n == int(introduction.DefaultLimits.New) {
			w.advance(24 * time.Hour)
			carol.supply()
			carol.credit(bob.p)
		}
		carol.send(bob, "hello")
		carol.insist(bob)
		w.settle()
	}
	if n := len(bob.requests()); n != maxAsks || bob.dropped(dropRequests) != 2 {
		t.Errorf("%d kept, %d dropped", n, bob.dropped(dropRequests))
	}
	bob.do(func(k *work) error { return k.block(carol.address) })
	if len(bob.requests()) != 0 {
		t.Error("a blocked one still asks")
	}
}

// What the relay says of the sender has to be what the certificate says: else a
// block of the one would not meet the other.
func TestIntroductionPseudonym(t *testing.T) {
	for name, change := range map[string]func(*wire.Delivery){
		"another pseudonym": func(d *wire.Delivery) { d.Ticket[5] ^= 1 },
		"another W":         func(d *wire.Delivery) { d.Ticket[35]++ },
	} {
		t.Run(name, func(t *testing.T) {
			w, carol, bob := strangers(t)
			bob.p.door().change = change
			carol.send(bob, "hello")
			w.settle()
			if bob.dropped(dropPseudonym) != 1 || len(bob.requests()) != 0 || bob.e.memo.find(carol.address) != nil {
				t.Error("taken")
			}
		})
	}
}

// After a crash at any moment no introduction is used twice, and none leaves that
// is not stored.
func TestIntroductionAfterCrash(t *testing.T) {
	w, carol, bob := strangers(t)
	carol.send(bob, "hello")
	before := carol.seal(true)
	carol.reopen()
	if again := carol.seal(true); len(again) != 1 || string(again[0].bytes) != string(before[0].bytes) || carol.left(bob.p) != 3 {
		t.Fatalf("%d envelopes, %d left", len(again), carol.left(bob.p))
	}
	failed := errors.New("disk")
	carol.send(bob, "more")
	carol.insist(bob)
	carol.lookUp()
	if err := carol.try(func(k *work) error {
		if _, err := k.pump(batchSize, true); err != nil {
			return err
		}
		return failed
	}); !errors.Is(err, failed) || carol.left(bob.p) != 3 {
		t.Fatalf("%v, %d left", err, carol.left(bob.p))
	}
	w.settle()
	if carol.left(bob.p) != 2 || len(bob.requests()) != 2 {
		t.Errorf("%d left, %d came", carol.left(bob.p), len(bob.requests()))
	}
}

// The day's share ends, the rest waits and goes out with the next day's.
func TestIntroductionsUsedUp(t *testing.T) {
	w, carol, bob := strangers(t)
	for _, name := range []string{"dave", "erin", "frank", "grace"} {
		u := w.user(name + "@beta.example")
		carol.do(func(k *work) error { return k.addAddress(u.address, "") })
		carol.send(u, "hello")
		w.settle()
	}
	last := carol.send(bob, "hello")
	w.settle()
	if carol.left(bob.p) != 0 || carol.status(last) != state.StatusWaiting {
		t.Fatalf("%d left, the last is %v", carol.left(bob.p), carol.status(last))
	}
	w.advance(24 * time.Hour)
	carol.supply()
	w.settle()
	if carol.status(last) != state.StatusWaiting {
		t.Fatal("without a credential")
	}
	carol.credit(bob.p)
	w.settle()
	if carol.status(last) != state.StatusAccepted {
		t.Errorf("the last is %v", carol.status(last))
	}
}

// Somebody who was written to before, and gave no tickets for a while, is written to
// by an introduction: only then.
func TestOutOfTickets(t *testing.T) {
	w := newWorld(t)
	carol, bob := w.friends()
	carol.do(func(k *work) error {
		c := k.find(bob.address)
		k.dirty(c)
		return k.emptyWallet(c)
	})
	carol.credit(bob.p)
	id := carol.send(bob, "are you there?")
	carol.push(true)
	if carol.status(id) != state.StatusWaiting {
		t.Fatalf("at once: %v", carol.status(id))
	}
	w.advance(introduceAfter)
	carol.push(true)
	bob.pull()
	if carol.classes[wire.ClassIntroduction] != 1 || !slices.Contains(bob.inbox(carol), "are you there?") {
		t.Errorf("%v, %q", carol.classes, bob.inbox(carol))
	}
	w.settle()
	w.nothingDropped()
}

// One that is restored has none on its first day: it may have used them before.
func TestSharesOfDevices(t *testing.T) {
	w := newWorld(t)
	carol, bob := w.user("carol@alpha.example"), w.user("bob@beta.example")
	carol.do(func(k *work) error { k.ownProfile().Since = k.today; return nil })
	carol.credit(bob.p)
	if carol.left(bob.p) != 0 {
		t.Errorf("a restored device has %d", carol.left(bob.p))
	}
	w.advance(24 * time.Hour)
	carol.credit(bob.p)
	if carol.left(bob.p) != int(introduction.DefaultLimits.New) {
		t.Errorf("the next day it has %d", carol.left(bob.p))
	}
}

// What does not fit into an introduction is refused when it is written, and a
// contact that can be written to under tickets has no such bound.
func TestFirstTextIsShort(t *testing.T) {
	w, carol, bob := strangers(t)
	long := strings.Repeat("x", maxIntroduction+1)
	carol.do(func(k *work) error {
		if _, err := k.enqueue(bob.address, long); !errors.Is(err, ErrTooLong) {
			t.Errorf("long: %v", err)
		}
		_, err := k.enqueue(bob.address, long[1:])
		return err
	})
	w.settle()
	if len(bob.requests()) != 1 {
		t.Error("the longest did not arrive")
	}
	bob.do(func(k *work) error { return k.accept(k.find(carol.address)) })
	w.settle()
	carol.send(bob, strings.Repeat("x", 5000))
	w.settle()
	if len(bob.inbox(carol)) != 2 {
		t.Error("a long one under a ticket")
	}
}

// Under the policy "deliver" an introduction is a message like every other.
func TestDeliverPolicy(t *testing.T) {
	w, carol, bob := strangers(t)
	bob.do(func(k *work) error {
		return state.Settings.Put(k.tx, state.Single, &state.Setting{Policy: uint8(mailbox.Deliver)})
	})
	carol.send(bob, "hello")
	w.settle()
	if len(bob.inbox(carol)) != 1 || len(bob.requests()) != 0 {
		t.Error("not shown at once")
	}
}
