package franking

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

func attackEpochs(t *testing.T, w *world) {
	s := w.hello(t)
	with := func(change func(*SnapshotFields)) *Snapshot {
		f := w.snapshot.f
		f.Epochs = slices.Clone(f.Epochs)
		change(&f)
		sn, err := SignSnapshot(f, w.b.root)
		if err != nil {
			t.Fatal(err)
		}
		return sn
	}
	try := func(name string, sn *Snapshot, want Fault) {
		t.Helper()
		e := *s.e
		e.Snapshot = sn.ID()
		_, err := Verify(&e, sn, bob, readFrame)
		wants(t, name, err, want)
	}
	try("unlogged", with(func(f *SnapshotFields) { f.Epochs = f.Epochs[1:] }), FaultEpoch)
	try("not federated", with(func(f *SnapshotFields) { f.Epochs = nil }), FaultEpoch)
	try("another provider's", with(func(f *SnapshotFields) { f.Issuer = beta }), FaultIssuer)
	try("revoked", with(func(f *SnapshotFields) { f.Epochs[0].Revoked = s.e.Received }), FaultRevoked)
	try("other key", with(func(f *SnapshotFields) { f.Epochs[0].Key = f.Epochs[1].Key }), FaultToken)
	try("later", with(func(f *SnapshotFields) { f.From = s.e.Received + 1 }), FaultSnapshot)
	later := with(func(f *SnapshotFields) { f.Epochs[0].Revoked = s.e.Received + 1 })
	e := *s.e
	e.Snapshot = later.ID()
	if _, err := Verify(&e, later, bob, readFrame); err != nil {
		t.Error("revoked only afterwards:", err)
	}
	wants(t, "a stranger", w.examine(s.e, func(c *Case) { c.Snapshots = func(ids.Domain) *History { return nil } }), FaultIssuer)

	// A token of tomorrow, of yesterday, and one that is asked for too early.
	tomorrow := w.tokens(t, w.alice, today+1, 1)[0]
	tomorrow.assign(s.target)
	k, d := &s.e.Key, s.e.Key.Digest(s.e.Frame)
	_, _, err := tomorrow.Frank(k, &d, s.target, w.bob.mailbox, ids.HourOf(noon))
	wants(t, "tomorrow's token today", err, ErrEpoch)
	e = *s.e
	e.Token = tomorrow.token
	wants(t, "epoch is not the hour's", w.verify(&e), FaultTime)
	for _, epoch := range []ids.Day{today - 1, today + 2} {
		req, _, err := NewRequest(w.alice.context(epoch), 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = CheckRequest(w.alice.context(epoch), req, today)
		wants(t, "issued for another day", err, ErrRequest)
	}
}

func attackStamps(t *testing.T, w *world) {
	s := w.hello(t)
	bad := *s.e
	bad.Mailbox = w.carol.mailbox
	wants(t, "mailbox", w.examine(&bad, func(c *Case) { c.Reporter = carol }), FaultStamp)
	bad = *s.e
	bad.Day++
	wants(t, "sender's day", w.examine(&bad), FaultStamp)
	bad = *s.e
	bad.Received += msPerDay
	wants(t, "day of receipt", w.examine(&bad, func(c *Case) { c.Now = noon.Add(72 * time.Hour) }), FaultStamp)
	other := newProvider(t, beta)
	wants(t, "relay", w.examine(s.e, func(c *Case) { c.Stamps = other.stamps }), FaultStamp)
}

func attackReceived(t *testing.T, w *world) {
	for _, by := range []int64{-1, 1} {
		s := w.hello(t)
		s.e.Received = uint64(int64(s.e.Received) + by)
		wants(t, fmt.Sprint(by), w.examine(s.e), FaultStamp)
	}
}

func attackWindow(t *testing.T, w *world) {
	s := w.hello(t)
	at := func(d time.Duration) func(*Case) {
		return func(c *Case) { c.Now = noon.Add(d) }
	}
	const window = ReportDays * 24 * time.Hour
	if err := w.examine(s.e, at(window)); err != nil {
		t.Error("in the last moment:", err)
	}
	if err := w.examine(s.e, at(0)); err != nil {
		t.Error("at once:", err)
	}
	wants(t, "a second late", w.examine(s.e, at(window+time.Second)), FaultAge)
	wants(t, "from the future", w.examine(s.e, at(-time.Second)), FaultAge)
}

func attackForwarded(t *testing.T, w *world) {
	s := w.hello(t)
	_, err := Verify(s.e, w.snapshot, carol, readFrame)
	wants(t, "as it is", err, FaultAuthor) // aud names bob
	moved := *s.e
	moved.Mailbox = w.carol.mailbox
	d := moved.Key.Digest(moved.Frame)
	moved.Com = moved.Key.Commit(&d, &Place{Provider: beta, Mailbox: w.carol.mailbox, Day: today})
	w.deliver(t, &moved)
	_, err = Verify(&moved, w.snapshot, carol, readFrame)
	wants(t, "with a commitment for carol", err, FaultAuthor)
	moved.Audience.Salt[0] ^= 1
	_, err = Verify(&moved, w.snapshot, carol, readFrame)
	wants(t, "with another salt", err, FaultAuthor)
}

// groupMessage is alice's message to bob and carol.
func (w *world) groupMessage(t testing.TB, to *person) (*sent, *Target) {
	t.Helper()
	target := &Target{Provider: beta, Group: true, ID: [GroupSize]byte{5}, Epoch: 8}
	own := w.tokens(t, w.alice, today, 1)[0]
	own.assign(target)
	k, f := NewKey(), frame(1, Digest{}, "all of you")
	d := k.Digest(f)
	sig, err := own.FrankGroup(k, &d, target, ids.HourOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	a, err := own.Audience(target)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := MakeBundle(own, target, w.alice.sender(), to.recipient(), w.snapshot, w.alice.k)
	if err != nil {
		t.Fatal(err)
	}
	e := w.deliver(t, &Evidence{
		Token: own.token, Frame: f, Key: *k, Author: sig, Hour: ids.HourOf(noon), Audience: a, Mailbox: to.mailbox,
		Com: k.Commit(&d, &Place{Provider: beta, Mailbox: to.mailbox, Day: today}), Day: today, Received: uint64(noon.UnixMilli()),
	})
	return &sent{own: own, target: target, bundle: bundle, e: e}, target
}

func attackGroups(t *testing.T, w *world) {
	s, _ := w.groupMessage(t, w.bob)
	v, err := Verify(s.e, w.snapshot, bob, readFrame)
	if err != nil {
		t.Fatal(err)
	}
	b, err := CheckBundle(s.bundle, w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Attribute(b, w.alice.sender(), &s.e.Audience.ID, noon); err != nil {
		t.Error("in its group:", err)
	}
	_, err = v.Attribute(b, w.alice.sender(), &[GroupSize]byte{6}, noon)
	wants(t, "shown in another group", err, FaultConversation)
	_, err = v.Attribute(b, w.alice.sender(), nil, noon)
	wants(t, "shown as written to bob alone", err, FaultConversation)
	for name, change := range map[string]func(*Audience){
		"group": func(a *Audience) { a.ID[0]++ },
		"epoch": func(a *Audience) { a.Epoch++ },
		"salt":  func(a *Audience) { a.Salt[0]++ },
		"one":   func(a *Audience) { *a = Audience{Salt: a.Salt} },
	} {
		bad := *s.e
		change(&bad.Audience)
		wants(t, name, w.verify(&bad), FaultAuthor)
	}
}

func attackTwice(t *testing.T, w *world) {
	s := w.hello(t)
	r := &Report{Messages: []Evidence{*s.e, *s.e}}
	if fs := w.desk(w.bob).Examine(r); fs[0].Fault != FaultNone || fs[1].Fault != FaultDuplicate {
		t.Errorf("in one report: %v %v", fs[0].Fault, fs[1].Fault)
	}
	first := w.substantiate(t, s.e)
	wants(t, "in another report", w.examine(s.e, func(c *Case) {
		c.Seen = func(h TokenHash, d Digest) bool { return h == first.token && d == first.d }
	}), FaultDuplicate)
	// The relay stamps a replayed delivery at another time: one message all the same.
	again := *s.e
	again.Received++
	w.restamp(t, &again)
	if fs := w.desk(w.bob).Examine(&Report{Messages: []Evidence{*s.e, again}}); fs[1].Fault != FaultDuplicate {
		t.Errorf("delivered twice: %v", fs[1].Fault)
	}
	// Two members report one message: both may.
	g, _ := w.groupMessage(t, w.bob)
	if err := w.examine(g.e); err != nil {
		t.Error(err)
	}
	d := g.e.Key.Digest(g.e.Frame)
	carols := *g.e
	carols.Mailbox = w.carol.mailbox
	carols.Com = g.e.Key.Commit(&d, &Place{Provider: beta, Mailbox: w.carol.mailbox, Day: today})
	w.restamp(t, &carols)
	if err := w.examine(&carols, func(c *Case) { c.Reporter = carol }); err != nil {
		t.Error("carol's report:", err)
	}
}

func attackOwner(t *testing.T, w *world) {
	s := w.hello(t)
	wants(t, "carol", w.examine(s.e, func(c *Case) { c.Reporter = carol }), FaultOwner)
	own := func(o *Ownership) func(*Case) {
		return func(c *Case) { c.Owner = func(ids.MailboxID, uint64) *Ownership { return o } }
	}
	at := s.e.Received
	for name, o := range map[string]*Ownership{
		"nobody's":    nil,
		"later":       {Account: bob, Mailbox: w.bob.mailbox, From: at + 1},
		"given up":    {Account: bob, Mailbox: w.bob.mailbox, Until: at},
		"another one": {Account: bob, Mailbox: w.carol.mailbox},
	} {
		wants(t, name, w.examine(s.e, own(o)), FaultOwner)
	}
	if err := w.examine(s.e, own(&Ownership{Account: bob, Mailbox: w.bob.mailbox, From: at, Until: at + 1})); err != nil {
		t.Error("rotated since:", err)
	}
}

// Order and gaps are shown, never a reason to refuse.
func attackOrder(t *testing.T, w *world) {
	own := w.tokens(t, w.alice, today, 1)[0]
	var msgs []Evidence
	var prev Digest
	for seq := uint64(1); seq <= 4; seq++ {
		s := w.send(t, own, w.alice, w.bob, frame(seq, prev, "message"))
		prev = s.e.Key.Digest(s.e.Frame)
		msgs = append(msgs, *s.e)
	}
	garbage := w.send(t, own, w.alice, w.bob, frame(9, Digest{7}, "garbage before me"))
	if _, err := w.show(garbage, w.alice, w.bob); err != nil {
		t.Error("garbage prev is not shown:", err)
	}
	fs := w.desk(w.bob).Examine(&Report{Messages: []Evidence{*garbage.e, msgs[3], msgs[0], msgs[1]}})
	for i, want := range []struct{ linked, gap bool }{{false, true}, {false, true}, {false, false}, {true, false}} {
		if fs[i].Fault != FaultNone || fs[i].Linked != want.linked || fs[i].Gap != want.gap {
			t.Errorf("message %d: %v, linked %v, gap %v", i, fs[i].Fault, fs[i].Linked, fs[i].Gap)
		}
	}
	other := frame(2, Digest{}, "elsewhere")
	other[1] = 1
	e := w.send(t, own, w.alice, w.bob, other).e
	if fs := w.desk(w.bob).Examine(&Report{Messages: []Evidence{msgs[0], *e}}); fs[1].Fault != FaultConversation {
		t.Errorf("two conversations: %v", fs[1].Fault)
	}
}

func attackFabricated(t *testing.T, w *world) {
	s := w.hello(t)
	k, f := NewKey(), frame(1, Digest{}, "never written")
	d := k.Digest(f)
	bad := *s.e
	bad.Key, bad.Frame = *k, f
	bad.Com = k.Commit(&d, &Place{Provider: beta, Mailbox: w.bob.mailbox, Day: today})
	w.restamp(t, &bad)
	wants(t, "alice's signature over something else", w.examine(&bad), FaultAuthor)
}

func attackCounts(t *testing.T, w *world) {
	s := w.hello(t)
	r := &Report{ID: NewReportID(), Reason: ReasonSpam, Messages: slices.Repeat([]Evidence{*s.e}, MaxMessages+1)}
	_, err := wire.Marshal(r)
	wants(t, "messages", err, wire.ErrMalformed)
	r.Messages = r.Messages[:1]
	b, err := wire.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	at := 1 + ReportIDSize + 1 + 1 + 4 // the count of messages
	b[at], b[at+1] = 0xff, 0xff
	wants(t, "count", wire.Unmarshal(b, new(Report)), wire.ErrMalformed)
	long := *s.e
	long.Frame = make([]byte, MaxFrame+1)
	_, err = long.Marshal()
	wants(t, "frame", err, wire.ErrMalformed)
	_, err = (&Report{Reason: ReasonSpam, Messages: slices.Repeat([]Evidence{{Token: s.e.Token, Frame: make([]byte, MaxFrame)}}, 2)}).Seal(w.b.desk, bob)
	wants(t, "too much for one report", err, ErrReportSize)
}

// The sender's day and the relay's may differ by delay and clock, as far as both
// sides' one rule says; the token's day is the sender's.
func attackMidnight(t *testing.T, w *world) {
	s := w.hello(t)
	for days, want := range map[int]error{-2: FaultTime, -1: nil, 0: nil, 1: nil, ids.MaxDelay: nil, ids.MaxDelay + 1: FaultTime} {
		e := *s.e
		at := today.Start().Add(time.Duration(days)*24*time.Hour + 23*time.Hour + 59*time.Minute)
		e.Received = uint64(at.UnixMilli())
		sn := w.b.snapshotOf(t, nil, w.list, at.Add(-time.Hour))
		e.Snapshot = sn.ID()
		sn.f.Epochs = w.snapshot.f.Epochs
		if _, err := Verify(&e, sn, bob, readFrame); !errors.Is(err, want) {
			t.Errorf("%d days: %v", days, err)
		}
	}
	e := *s.e
	e.Hour += 24
	wants(t, "hour of another day", w.verify(&e), FaultTime)
	e = *s.e
	e.Received = ^uint64(0)
	wants(t, "received at the end of time", w.verify(&e), FaultTime)
	wants(t, "the same, reported", w.examine(&e), FaultAge)
}
