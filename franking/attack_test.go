package franking

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// wants fails unless err is the fault.
func wants(t *testing.T, what string, err error, f error) {
	t.Helper()
	if !errors.Is(err, f) {
		t.Errorf("%s: %v, want %v", what, err, f)
	}
}

func (w *world) verify(e *Evidence) error {
	_, err := Verify(e, w.snapshot, bob, readFrame)
	return err
}

// examine is what the desk finds about one message that bob reports.
func (w *world) examine(e *Evidence, change ...func(*Case)) error {
	c := w.desk(w.bob)
	for _, f := range change {
		f(c)
	}
	if f := c.Examine(&Report{Messages: []Evidence{*e}})[0].Fault; f != FaultNone {
		return f
	}
	return nil
}

// restamp is what a relay does that hands out stamps to anybody.
func (w *world) restamp(t testing.TB, e *Evidence) *Evidence {
	return w.deliver(t, e)
}

// TestAttack runs the adversarial list of the protocol's specification, by its
// numbers. Those on attachments, seals and running relays are elsewhere.
func TestAttack(t *testing.T) {
	for _, a := range []struct {
		number int
		name   string
		run    func(*testing.T, *world)
	}{
		{1, "any bit of a report's fields", attackBits},
		{2, "shortened and longer com and stamp", attackLengths},
		{3, "franking keys of other lengths", attackKeyLengths},
		{4, "encodings that are not canonical", attackEncodings},
		{5, "commitment to another frame", attackOtherFrame},
		{6, "commitment without author's signature", attackNoAuthor},
		{7, "author's signature under another valid token", attackOtherToken},
		{8, "one key in two tokens", attackSharedKey},
		{9, "malleable signatures and keys of small order", attackMalleable},
		{10, "wrapped account moved to another token", attackTransplant},
		{11, "mallory's token with alice's certificate", attackForeignCertificate},
		{12, "owner's proof carried elsewhere", attackOwnerProof},
		{13, "tokens of wrong epochs and providers", attackEpochs},
		{14, "stamps of another mailbox, day and relay", attackStamps},
		{15, "time of receipt moved by a millisecond", attackReceived},
		{16, "edges of the window", attackWindow},
		{17, "report forged with a published key", attackPublished},
		{18, "bob sends alice's frank to carol", attackForwarded},
		{19, "group's frank in another group", attackGroups},
		{20, "one report twice", attackTwice},
		{21, "reporter who does not own the mailbox", attackOwner},
		{22, "gaps and reordering", attackOrder},
		{23, "relay that stamps what nobody signed", attackFabricated},
		{24, "verdicts replayed, forged and misdirected", attackVerdicts},
		{25, "wrapping key of another epoch", attackWrongWrap},
		{40, "huge counts", attackCounts},
		{47, "midnight and late delivery", attackMidnight},
		{50, "split view of a provider's keys", attackSplitView},
	} {
		t.Run(fmt.Sprintf("%02d %s", a.number, a.name), func(t *testing.T) { a.run(t, newWorld(t)) })
	}
}

func attackBits(t *testing.T, w *world) {
	s := w.hello(t)
	raw, err := s.e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		bad := bytes.Clone(raw)
		bad[bit/8] ^= 1 << (bit % 8)
		e, err := ParseEvidence(bad)
		if err != nil {
			continue
		}
		if again, err := e.Marshal(); err != nil || !bytes.Equal(again, bad) {
			t.Fatalf("bit %d: not canonical", bit)
		}
		// The desk takes the snapshot of its history; the client the named one.
		if w.verify(e) == nil && w.examine(e) == nil {
			t.Fatalf("bit %d of byte %d is not covered", bit%8, bit/8)
		}
	}
}

func attackLengths(t *testing.T, w *world) {
	s := w.hello(t)
	raw, _ := s.e.Marshal()
	for n := range raw {
		if _, err := ParseEvidence(raw[:n]); !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	_, err := ParseEvidence(append(bytes.Clone(raw), 0))
	wants(t, "longer", err, wire.ErrMalformed)
	half := *s.e
	clear(half.Stamp[16:])
	wants(t, "half a stamp", w.examine(&half), FaultStamp)
	half = *s.e
	clear(half.Com[16:])
	wants(t, "half a commitment", w.verify(&half), FaultCommitment)
}

func attackKeyLengths(t *testing.T, _ *world) {
	for _, n := range []int{0, 31, 33, 64} {
		_, err := KeyFrom(make([]byte, n))
		wants(t, fmt.Sprint(n), err, ErrKeySize)
	}
}

func attackEncodings(t *testing.T, w *world) {
	s := w.hello(t)
	k := NewKey()
	f := []byte("no frame")
	d := k.Digest(f)
	com, sig, err := s.own.Frank(k, &d, s.target, w.bob.mailbox, ids.HourOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	bad := *s.e
	bad.Frame, bad.Key, bad.Com, bad.Author = f, *k, com, sig
	w.deliver(t, &bad)
	wants(t, "frame, shown", w.verify(&bad), FaultFrame)
	wants(t, "frame, reported", w.examine(&bad), FaultFrame)
	b, _ := s.e.Marshal()
	b[0]++
	_, err = ParseEvidence(b)
	wants(t, "version", err, wire.ErrMalformed)
	tok := wire.MustMarshal(&s.e.Token)
	tok[len(tok)-keys.SignatureSize-wrappedSize-1] |= 0x80 // idcom not reduced
	_, err = ParseToken(tok)
	wants(t, "element", err, wire.ErrMalformed)
}

func attackOtherFrame(t *testing.T, w *world) {
	s := w.hello(t)
	s.e.Frame = frame(1, Digest{}, "another")
	wants(t, "shown", w.verify(s.e), FaultCommitment)
	wants(t, "reported", w.examine(s.e), FaultCommitment)
}

func attackNoAuthor(t *testing.T, w *world) {
	s := w.hello(t)
	s.e.Author = Signature{}
	wants(t, "shown", w.verify(s.e), FaultAuthor)
	wants(t, "reported", w.examine(s.e), FaultAuthor)
}

func attackOtherToken(t *testing.T, w *world) {
	s := w.hello(t)
	other := w.tokens(t, w.alice, today, 1)[0]
	s.e.Token = other.token
	wants(t, "shown", w.verify(s.e), FaultAuthor)
}

// sigma2 covers H(T), not only the key.
func attackSharedKey(t *testing.T, w *world) {
	s := w.hello(t)
	twin := w.tokens(t, w.alice, today, 1)[0].token
	twin.Key = s.e.Token.Key
	copy(twin.Signature[:], w.resign(&twin))
	if twin.verify(w.a.sign.Of(today).SigningKey().Public()) != nil {
		t.Fatal("not a valid token")
	}
	s.e.Token = twin
	wants(t, "shown", w.verify(s.e), FaultAuthor)
}

// resign is a hostile provider's sigma1 over whatever is in the token.
func (w *world) resign(tok *Token) []byte {
	msg, _ := unsigned(wire.MustMarshal(tok))
	return w.a.sign.Of(tok.Epoch).SigningKey().Sign(keys.ContextToken, msg)
}

func attackMalleable(t *testing.T, w *world) {
	s := w.hello(t)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	plusOrder := func(sig []byte) {
		le := slices.Clone(sig[32:])
		slices.Reverse(le)
		sum := new(big.Int).Add(new(big.Int).SetBytes(le), order).FillBytes(make([]byte, 32))
		slices.Reverse(sum)
		copy(sig[32:], sum)
	}
	bad := *s.e
	plusOrder(bad.Author[:])
	wants(t, "sigma2 with S + L", w.verify(&bad), FaultAuthor)
	bad = *s.e
	tok := bad.Token
	plusOrder(tok.Signature[:])
	wants(t, "sigma1 with S + L", tok.verify(w.a.sign.Of(today).SigningKey().Public()), FaultToken)
	bad = *s.e
	copy(bad.Author[:], bytes.Repeat([]byte{0xff}, 32))
	wants(t, "R not canonical", w.verify(&bad), FaultAuthor)

	// Under the neutral element R = S*B verifies for every message.
	small := *s.e
	small.Token.Key = keys.VerifyKey{1}
	copy(small.Token.Signature[:], w.resign(&small.Token))
	small.Author = Signature{1}
	wants(t, "small order", w.verify(&small), FaultAuthor)
	_, err := ParseToken(wire.MustMarshal(&small.Token))
	wants(t, "small order, parsed", err, wire.ErrMalformed)
}

func attackTransplant(t *testing.T, w *world) {
	s := w.hello(t)
	other := w.tokens(t, w.alice, today, 1)[0].token
	moved := s.e.Token
	moved.Wrapped = other.Wrapped
	wants(t, "sigma1", moved.verify(w.a.sign.Of(today).SigningKey().Public()), FaultToken)
	copy(moved.Signature[:], w.resign(&moved))
	_, _, err := w.a.wrap.Of(today).unwrap(&moved)
	wants(t, "though signed", err, FaultWrap)
}

func attackForeignCertificate(t *testing.T, w *world) {
	mallory := newPerson(ids.MustParseAddress("mallory@alpha.example"))
	s := w.send(t, w.tokens(t, mallory, today, 1)[0], mallory, w.bob, frame(1, Digest{}, "I am alice"))
	_, err := w.show(s, w.alice, w.bob)
	wants(t, "alice's certificate", err, FaultIdentity)
	// X_S beside the certificate instead of in it.
	mixed := w.alice.sender()
	mixed.XS = mallory.xs()
	_, err = CheckBundle(s.bundle, mixed, w.bob.recipient(), &s.e.Audience, w.snapshot)
	wants(t, "alice's name, mallory's X_S", err, FaultIdentity)
	if _, err := w.show(s, mallory, w.bob); err != nil {
		t.Error("mallory as herself:", err)
	}
	foreign := newPerson(ids.MustParseAddress("alice@gamma.example"))
	foreign.k, foreign.identity = mallory.k, mallory.identity
	_, err = w.show(s, foreign, w.bob)
	wants(t, "an account of another provider", err, FaultIdentity)
	// One person with one k at two providers: the token of the one, proven for
	// the certificate of the other.
	s.bundle, err = MakeBundle(s.own, s.target, foreign.sender(), w.bob.recipient(), w.snapshot, mallory.k)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.show(s, foreign, w.bob)
	wants(t, "an account of another provider, proven", err, FaultIdentity)
}

func attackOwnerProof(t *testing.T, w *world) {
	s := w.hello(t)
	bundle := func(to *Recipient, from *Sender) error {
		_, err := CheckBundle(s.bundle, from, to, &s.e.Audience, w.snapshot)
		return err
	}
	wants(t, "to carol", bundle(w.carol.recipient(), w.alice.sender()), FaultIdentity)
	for name, change := range map[string]func(*Recipient, *Sender){
		"generation": func(r *Recipient, _ *Sender) { r.Generation++ },
		"mailbox":    func(r *Recipient, _ *Sender) { r.Mailbox[0] ^= 1 },
		"recipient":  func(r *Recipient, _ *Sender) { r.Address = carol },
		"identity":   func(_ *Recipient, f *Sender) { f.Identity[3] ^= 1 },
		"account":    func(_ *Recipient, f *Sender) { f.Address = ids.MustParseAddress("mallory@alpha.example") },
		"X_S":        func(_ *Recipient, f *Sender) { f.XS = w.carol.xs() },
		"no W":       func(r *Recipient, _ *Sender) { r.W = group.Element{} },
		"no X_S":     func(_ *Recipient, f *Sender) { f.XS = group.Element{} },
		"identity W": func(r *Recipient, _ *Sender) { r.W = group.Ristretto255().Identity() },
		"X_S=idcom": func(_ *Recipient, f *Sender) {
			f.XS, _ = s.e.Token.commitment()
		},
	} {
		r, f := w.bob.recipient(), w.alice.sender()
		change(r, f)
		wants(t, name, bundle(r, f), FaultIdentity)
	}
	var fields BundleFields
	if err := wire.Unmarshal(s.bundle, &fields); err != nil {
		t.Fatal(err)
	}
	fields.Owner[63] = 0xff // not reduced
	_, err := CheckBundle(wire.MustMarshal(&fields), w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
	wants(t, "scalar not reduced", err, FaultIdentity)
	fields.Token.Identity = [ElementSize]byte{}
	_, err = CheckBundle(wire.MustMarshal(&fields), w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
	wants(t, "idcom the neutral element", err, wire.ErrMalformed)
}

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

func attackVerdicts(t *testing.T, w *world) {
	s := w.hello(t)
	m := w.substantiate(t, s.e)
	d := w.decision()
	verdict, err := m.Countersign(d, w.b.countersign, noon)
	if err != nil {
		t.Fatal(err)
	}
	check := func(b []byte, from *Desk, issuer ids.Domain) error {
		_, err := CheckVerdict(b, from, issuer, w.list, noon)
		return err
	}
	w.open(t, verdict)
	c, _ := CheckVerdict(verdict, w.b.desk, alpha, w.list, noon)
	_, err = w.a.openings.Prepare(c, noon)
	wants(t, "replayed", err, FaultReplayed)

	wants(t, "wrong provider", check(verdict, w.b.desk, beta), FaultAddressee)
	gamma := newProvider(t, ids.MustParseDomain("gamma.example"))
	wants(t, "another desk's", check(verdict, gamma.desk, alpha), FaultVerdict)
	// Gamma countersigns what was written to beta.
	resigned := func(key *keys.SigningKey, change func(*VerdictFields)) []byte {
		var v VerdictFields
		if err := wire.Unmarshal(verdict, &v); err != nil {
			t.Fatal(err)
		}
		change(&v)
		b, err := signTrailing(&v, key, keys.ContextVerdict)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	wants(t, "gamma in beta's name", check(resigned(gamma.countersign, func(*VerdictFields) {}), gamma.desk, alpha), FaultAddressee)
	wants(t, "gamma in its own", check(resigned(gamma.countersign, func(v *VerdictFields) { v.Provider = gamma.domain }), gamma.desk, alpha), FaultAuthor)
	wants(t, "a lying desk", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Binding[0] ^= 1 }), w.b.desk, alpha), FaultAuthor)
	wants(t, "another audience", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Audience[0] ^= 1 }), w.b.desk, alpha), FaultAuthor)
	wants(t, "another hour", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Hour++ }), w.b.desk, alpha), FaultAuthor)
	wants(t, "hour of another day", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Hour += 24 }), w.b.desk, alpha), FaultTime)
	wants(t, "from the future", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Made += 3 * msPerDay }), w.b.desk, alpha), FaultTime)
	wants(t, "before the desk's keys", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Made -= 3 * msPerDay }), w.b.desk, alpha), FaultTime)
	wants(t, "another issuer's token", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Token.Issuer = beta }), w.b.desk, alpha), FaultAddressee)
	for bit := range len(verdict) * 8 {
		bad := bytes.Clone(verdict)
		bad[bit/8] ^= 1 << (bit % 8)
		if check(bad, w.b.desk, alpha) == nil {
			t.Fatalf("bit %d of byte %d is not covered", bit%8, bit/8)
		}
	}

	// Without an entry in the log nothing opens.
	_, err = new(Logged).Open(w.a.wrap.Of(today))
	wants(t, "not logged", err, FaultWrap)
	_, err = (&Logged{c: c}).Open(w.a.wrap.Of(today))
	wants(t, "no receipt", err, FaultWrap)
	p, err := w.a.openings.log.Prepare([]byte("something else"))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := w.a.openings.log.Commit(p)
	_, err = (&Logged{c: c, entry: []byte("entry"), r: r}).Open(w.a.wrap.Of(today))
	wants(t, "receipt for something else", err, FaultWrap)
	_, err = w.a.openings.Commit(&PendingOpening{p: p, c: c})
	wants(t, "stale", err, auditlog.ErrStale)

	d.Reviewers[1] = d.Reviewers[0]
	_, err = m.Countersign(d, w.b.countersign, noon)
	wants(t, "one reviewer twice", err, ErrFourEyes)
	d.Consents = 0
	_, err = m.Countersign(d, w.b.countersign, noon)
	wants(t, "without consent", err, ErrConsent)
}

func attackWrongWrap(t *testing.T, w *world) {
	s := w.hello(t)
	for name, secret := range map[string]*EpochSecret{
		"another epoch's": w.a.wrap.Of(today + 1), "another provider's": w.b.wrap.Of(today),
		"the signing key": PublishedSecret(SignSecret, today, w.a.wrap.Of(today).secret),
	} {
		_, _, err := secret.unwrap(&s.e.Token)
		wants(t, name, err, FaultWrap)
	}
	// What was wrapped, whoever did it, is an account of this provider.
	for name, change := range map[string]func(*Token) *EpochSecret{
		"foreign account": func(tok *Token) *EpochSecret {
			w.a.wrap.Of(today).wrap(tok, bob, 1)
			return w.a.wrap.Of(today)
		},
		"nothing wrapped": func(*Token) *EpochSecret { return nil },
	} {
		m := *w.substantiate(t, w.hello(t).e)
		c := &CheckedVerdict{f: VerdictFields{Provider: beta, Issuer: alpha, Report: NewReportID(), Token: m.e.Token}}
		secret := change(&c.f.Token)
		p, err := w.a.openings.Prepare(c, noon)
		if err != nil {
			t.Fatal(err)
		}
		l, err := w.a.openings.Commit(p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Open(secret)
		wants(t, name, err, FaultWrap)
	}
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

func attackSplitView(t *testing.T, w *world) {
	other := keys.NewSigningKey().Public()
	req, mine, _ := NewRequest(w.alice.context(today), 1)
	c, err := CheckRequest(w.alice.context(today), req, today)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := c.Take(Allowance{}, 10)
	is, _ := NewIssuer(w.a.sign.Of(today), w.a.wrap.Of(today))
	answer, _ := is.Issue(c, g)
	_, err = mine.Accept(answer, other)
	wants(t, "alice was shown another key", err, ErrIssued)

	fork := *w.list
	fork.Number, fork.Epochs = 2, slices.Clone(fork.Epochs)
	fork.Epochs[0].Key = other
	b, _ := SignEpochKeys(fork, w.a.root)
	_, err = ParseEpochKeys(b, alpha, w.a.root.Public(), w.list)
	wants(t, "another key for an epoch that B knows", err, ErrForked)
	s := w.hello(t)
	sn := w.b.snapshotOf(t, nil, &fork, noon.Add(-time.Hour))
	s.e.Snapshot = sn.ID()
	_, err = Verify(s.e, sn, bob, readFrame)
	wants(t, "bob was shown another key", err, FaultToken)
}

// Forged with what A published: see also TestDeniability. No report of it can be
// made, as its time is over when keys are published.
func attackPublished(t *testing.T, w *world) {
	f := w.forge(t)
	wants(t, "reported on the day of publication", w.examine(f.e, func(c *Case) {
		c.Now = (today + ids.Day(SignSecret.Days()) + 1).Start()
	}), FaultAge)
}

// forge makes a message of alice's with nothing of alice's: with the epoch's
// signing key and j, both published by then, and her public X_S.
func (w *world) forge(t testing.TB) *sent {
	t.Helper()
	g := group.Ristretto255()
	published := PublishedSecret(SignSecret, today, w.a.sign.Of(today).Secret())
	j := PublishedSecret(JoinSecret, today, w.b.join.Of(today).Secret())

	r := g.RandomScalar()
	key := keys.NewSigningKey()
	tok := Token{Issuer: alpha, Epoch: today, Key: key.Public()}
	tok.Identity = [ElementSize]byte(w.alice.xs().Add(g.SecondGenerator().Mul(r)).Bytes())
	copy(tok.Wrapped[:], bytes.Repeat([]byte{7}, wrappedSize))
	msg, _ := unsigned(wire.MustMarshal(&tok))
	copy(tok.Signature[:], published.SigningKey().Sign(keys.ContextToken, msg))

	own := &OwnToken{token: tok, key: key, r: r}
	s := &sent{own: own, target: w.target(w.bob)}
	own.assign(s.target)
	a, _ := own.Audience(s.target)
	aud := a.Hash(bob)
	b := &BundleFields{Token: tok}
	var err error
	if b.Owner, err = proveOwner(&tok, w.alice.sender(), w.bob.recipient(), 0, r); err != nil {
		t.Fatal(err)
	}
	ek, _ := escrowKeysOf(w.snapshot, today, 7, w.bob.recipient())
	b.Escrow = Escrow{
		Generation: 3, Reviewers: 7, E1: [ElementSize]byte(g.MulGenerator(g.RandomScalar()).Bytes()),
		E2: [ElementSize]byte(g.MulGenerator(g.RandomScalar()).Bytes()),
	}
	if err := ek.prove(&tok, &aud, &b.Escrow, 1, j.Scalar()); err != nil {
		t.Fatal(err)
	}
	s.bundle = wire.MustMarshal(b)
	k, f := NewKey(), frame(1, Digest{}, "alice never wrote this")
	d := k.Digest(f)
	com, sig, err := own.Frank(k, &d, s.target, w.bob.mailbox, ids.HourOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	s.e = &Evidence{
		Token: tok, Frame: f, Key: *k, Author: sig, Hour: ids.HourOf(noon), Audience: a, Mailbox: w.bob.mailbox,
		Com: com, Day: today, Received: uint64(noon.UnixMilli()), Snapshot: w.snapshot.ID(),
	}
	return s
}
