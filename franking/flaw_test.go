package franking

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Each test here runs an attack that was found on an earlier form of the
// protocol, by the name of what it broke.

// A join of token and pseudonym that cannot be faked would let bob prove for
// ever who wrote: w*X_S = N_R, then idcom, then sigma2. Whoever has j, and after
// publication that is anybody, makes the same bundle without k; and bob makes
// the owner's proof without r.
func TestDeniability(t *testing.T) {
	w := newWorld(t)
	forged := w.forge(t)
	if _, err := w.show(forged, w.alice, w.bob); err != nil {
		t.Errorf("a forgery with published keys is not like a real message: %v", err)
	}
	real := w.hello(t)
	if len(forged.bundle) != len(real.bundle) {
		t.Error("bundles differ in length")
	}
	// In the window too, bob alone makes the owner's proof for anybody's token.
	proof, err := proveOwner(&real.own.token, w.carol.sender(), w.bob.recipient(), 1, w.bob.w)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ownerProof(&real.own.token, w.carol.sender(), w.bob.recipient())
	if err != nil || d.Verify(ownerSession(real.own.token.Hash(), w.carol.sender(), w.bob.recipient()), proof[:]) != nil {
		t.Error("the recipient cannot simulate the proof")
	}
	// But not with w for another recipient, nor does a third party with k of
	// somebody else.
	if _, err := proveOwner(&real.own.token, w.alice.sender(), w.carol.recipient(), 1, w.bob.w); !errors.Is(err, group.ErrWitness) {
		t.Errorf("w of another: %v", err)
	}
	// The account itself stays sealed: a forged x1 opens to nobody.
	if _, _, err := w.a.wrap.Of(today).unwrap(&forged.own.token); !errors.Is(err, FaultWrap) {
		t.Errorf("a forged token opens: %v", err)
	}
}

// Without an escrow nothing is shown: no sender is beyond a ban. Attribute takes
// a Bundle, which only CheckBundle makes.
func TestNoBundleNoDisplay(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	var f BundleFields
	if err := wire.Unmarshal(s.bundle, &f); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*BundleFields){
		"no escrow":     func(f *BundleFields) { f.Escrow.Proof = [escrowSize]byte{} },
		"other E1":      func(f *BundleFields) { f.Escrow.E1 = f.Escrow.E2 },
		"generation":    func(f *BundleFields) { f.Escrow.Generation++ },
		"reviewers key": func(f *BundleFields) { f.Escrow.Reviewers++ },
	} {
		bad := f
		change(&bad)
		_, err := CheckBundle(wire.MustMarshal(&bad), w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
		wants(t, name, err, FaultEscrow)
	}
	other := *s.e
	other.Audience.Salt[0] ^= 1
	_, err := CheckBundle(s.bundle, w.alice.sender(), w.bob.recipient(), &other.Audience, w.snapshot)
	wants(t, "for another audience", err, FaultEscrow)
	v, err := Verify(s.e, w.snapshot, bob, readFrame)
	if err != nil {
		t.Fatal(err)
	}
	second := w.hello(t)
	_, err = v.Attribute(mustBundle(t, w, second), w.alice.sender(), nil, noon)
	wants(t, "another message's bundle", err, FaultBundle)
	for name, change := range map[string]func(*Bundle, *Sender){
		"token":     func(b *Bundle, _ *Sender) { b.hash[0]++ },
		"audience":  func(b *Bundle, _ *Sender) { b.aud[0]++ },
		"mailbox":   func(b *Bundle, _ *Sender) { b.to.Mailbox[0]++ },
		"recipient": func(b *Bundle, _ *Sender) { b.to.Address = carol },
		"provider":  func(b *Bundle, _ *Sender) { b.to.Provider = alpha },
		"account":   func(_ *Bundle, f *Sender) { f.Address = bob },
		"identity":  func(_ *Bundle, f *Sender) { f.Identity[0]++ },
		"X_S":       func(_ *Bundle, f *Sender) { f.XS = w.carol.xs() },
	} {
		b, f := *mustBundle(t, w, s), w.alice.sender()
		change(&b, f)
		_, err = v.Attribute(&b, f, nil, noon)
		wants(t, "a bundle of another "+name, err, FaultBundle)
	}
	_, err = v.Attribute(mustBundle(t, w, s), w.carol.sender(), nil, noon)
	wants(t, "another certificate", err, FaultBundle)

	// The sender says another generation of bob's keys than it used: reviewers
	// would look up the wrong ones.
	lie := f
	ek, _ := escrowKeysOf(w.snapshot, today, 7, w.bob.recipient())
	aud := s.e.Audience.Hash(bob)
	ek.to.Generation = 99
	esc, err := makeEscrow(&s.own.token, &aud, &ek, 7, w.alice.k, s.own.r)
	if err != nil {
		t.Fatal(err)
	}
	lie.Escrow = *esc
	_, err = CheckBundle(wire.MustMarshal(&lie), w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
	wants(t, "another generation, proven", err, FaultEscrow)

	// A snapshot of another provider's keys, or by another.
	foreign := w.snapshot.f
	foreign.Issuer = beta
	sn, err := SignSnapshot(foreign, w.b.root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = CheckBundle(s.bundle, w.alice.sender(), w.bob.recipient(), &s.e.Audience, sn)
	wants(t, "another issuer's snapshot", err, FaultBundle)
	moved := w.bob.recipient()
	moved.Provider = alpha
	_, err = CheckBundle(s.bundle, w.alice.sender(), moved, &s.e.Audience, w.snapshot)
	wants(t, "a recipient elsewhere", err, FaultBundle)
	moved = w.bob.recipient()
	moved.Address = ids.MustParseAddress("bob@alpha.example")
	_, err = CheckBundle(s.bundle, w.alice.sender(), moved, &s.e.Audience, w.snapshot)
	wants(t, "an address elsewhere", err, FaultBundle)

	// A snapshot without the keys that the escrow was checked with: reviewers
	// could not open it.
	fields := w.snapshot.f
	fields.Joins, fields.Number, fields.From = fields.Joins[1:], 2, fields.From+1
	if sn, err = SignSnapshot(fields, w.b.root); err != nil {
		t.Fatal(err)
	}
	e := *s.e
	e.Snapshot = sn.ID()
	if v, err = Verify(&e, sn, bob, readFrame); err != nil {
		t.Fatal(err)
	}
	_, err = v.Attribute(mustBundle(t, w, s), w.alice.sender(), nil, noon)
	wants(t, "escrow that reviewers could not open", err, FaultEscrow)
}

// A desk that lies, or any other that once saw T, gets nobody opened for a
// message that was never franked.
func TestDeskCannotFrame(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	v := &VerdictFields{
		Provider: beta, Issuer: alpha, Report: NewReportID(), Made: uint64(noon.UnixMilli()), Reason: ReasonThreat,
		Asked: ActionSuspend, Token: s.e.Token, Hour: s.e.Hour, Audience: AudienceHash{1}, Binding: Binding{2},
	}
	b, err := signTrailing(v, w.b.countersign, keys.ContextVerdict)
	if err != nil {
		t.Fatal(err)
	}
	_, err = CheckVerdict(b, w.b.desk, alpha, w.list, noon)
	wants(t, "no signature of alice's", err, FaultAuthor)
}

// Whatever bob's client shows, B's desk accepts: both decide by one function on
// the same evidence. And the reverse for a sender who would like to be
// unreportable.
func TestWhatIsShownCanBeReported(t *testing.T) {
	w := newWorld(t)
	for name, e := range map[string]func(t *testing.T) *sent{
		"plain": w0(w, func(e *Evidence) {}),
		"late":  w0(w, func(e *Evidence) { e.Received += 20 * 3600 * 1000 }),
		"prev":  func(t *testing.T) *sent { return w.sendFrame(t, frame(1<<63, Digest{9}, "x")) },
		"empty": func(t *testing.T) *sent { return w.sendFrame(t, frame(0, Digest{}, "")) },
		"long":  func(t *testing.T) *sent { return w.sendFrame(t, frame(1, Digest{}, string(make([]byte, 40<<10)))) },
	} {
		t.Run(name, func(t *testing.T) {
			s := e(t)
			w.b.stamps = ringWith(t, w.b.stamps)
			if _, err := w.show(s, w.alice, w.bob); err != nil {
				t.Fatal("not shown: ", err)
			}
			sealed, err := (&Report{Reason: ReasonSpam, Messages: []Evidence{*s.e}}).Seal(w.b.desk, bob)
			if err != nil {
				t.Fatal(err)
			}
			r, err := OpenReport(sealed, w.b.seal, w.b.desk, bob)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.examine(&r.Messages[0], func(c *Case) { c.Now = noon.Add(48 * time.Hour) }); err != nil {
				t.Error("shown and not accepted: ", err)
			}
		})
	}
}

// ringWith makes sure that there are keys for the days of these tests.
func ringWith(t testing.TB, r *StampRing) *StampRing {
	t.Helper()
	changes, err := r.Prepare(today + 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if err := r.Commit(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (w *world) sendFrame(t testing.TB, f []byte) *sent {
	return w.send(t, w.tokens(t, w.alice, today, 1)[0], w.alice, w.bob, f)
}

func w0(w *world, change func(*Evidence)) func(t *testing.T) *sent {
	return func(t *testing.T) *sent {
		s := w.hello(t)
		change(s.e)
		w.deliver(t, s.e)
		return s
	}
}

// A revocation that A dates back makes nothing unreportable that was shown
// before B saw it, and a reporter cannot choose the snapshot from before it.
func TestRevocationIsNotBackDated(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	seen := noon.Add(30 * time.Minute)
	revoked := *w.list
	revoked.Number, revoked.Epochs = 2, slices.Clone(w.list.Epochs)
	revoked.Epochs[0].Revoked = uint64(today.Start().UnixMilli()) // long before noon
	b, err := SignEpochKeys(revoked, w.a.root)
	if err != nil {
		t.Fatal(err)
	}
	list, err := ParseEpochKeys(b, alpha, w.a.root.Public(), w.list)
	if err != nil {
		t.Fatal(err)
	}
	next := w.b.snapshotOf(t, w.snapshot, list, seen)
	if err := w.history.Add(next); err != nil {
		t.Fatal(err)
	}
	if err := w.examine(s.e); err != nil {
		t.Error("shown before, refused now:", err)
	}
	if next.f.Epochs[0].Revoked != next.From() || next.From() != uint64(seen.UnixMilli()) {
		t.Error("the revocation does not count from when it was seen")
	}
	late := *s.e
	late.Received = uint64(seen.UnixMilli())
	w.deliver(t, &late)
	_, err = Verify(&late, next, bob, readFrame)
	wants(t, "delivered afterwards", err, FaultRevoked)
	late.Snapshot = w.snapshot.ID()
	wants(t, "with the snapshot from before", w.examine(&late), FaultSnapshot)
	// A withdraws it, or moves it: B keeps what it saw.
	_, err = ParseEpochKeys(mustSign(t, *w.list, 3, w.a.root), alpha, w.a.root.Public(), list)
	wants(t, "withdrawn", err, ErrForked)
	again, changed := NextSnapshot(next, beta, list, next.f.Joins, next.f.Reviewers, seen.Add(time.Hour))
	if changed || again.Epochs[0].Revoked != next.f.Epochs[0].Revoked {
		t.Error("the time of a revocation moves")
	}
}

func mustSign(t testing.TB, k EpochKeys, number uint64, root *keys.SigningKey) []byte {
	t.Helper()
	k.Number = number
	b, err := SignEpochKeys(k, root)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Bob delivers alice's message to himself once more, on another day or in
// another mailbox of his, to give it another date or origin.
func TestMailboxAndDayAreSigned(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	d := s.e.Key.Digest(s.e.Frame)
	moved := *s.e
	moved.Mailbox = ids.NewMailboxID()
	moved.Com = moved.Key.Commit(&d, &Place{Provider: beta, Mailbox: moved.Mailbox, Day: today})
	w.deliver(t, &moved)
	wants(t, "mailbox", w.verify(&moved), FaultAuthor)
	moved = *s.e
	moved.Day++
	moved.Com = moved.Key.Commit(&d, &Place{Provider: beta, Mailbox: moved.Mailbox, Day: moved.Day})
	wants(t, "day", w.verify(&moved), FaultTime)
	next := w.tokens(t, w.alice, today+1, 1)[0].token
	moved.Token, moved.Hour = next, moved.Hour+24
	wants(t, "day, with another token", w.verify(&moved), FaultAuthor)
}

// A report holds nothing that names the sender, and a verdict nothing that A
// could compare with what it relayed, nor a key that would let it.
func TestWhatReportsAndVerdictsDoNotHold(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	m := w.substantiate(t, s.e)
	r, err := wire.Marshal(&Report{Reason: ReasonSpam, Messages: []Evidence{*s.e}})
	if err != nil {
		t.Fatal(err)
	}
	var bundle BundleFields
	if err := wire.Unmarshal(s.bundle, &bundle); err != nil {
		t.Fatal(err)
	}
	xs := w.alice.xs().Bytes()
	for name, secret := range map[string][]byte{
		"name": []byte("alice"), "identity key": w.alice.identity[:], "X_S": xs, "N_B": PlatformBase(beta).Mul(w.alice.k).Bytes(),
		"owner's proof": bundle.Owner[:32],
	} {
		if bytes.Contains(r, secret) {
			t.Errorf("the report holds the %s", name)
		}
	}
	d := w.decision()
	for _, consents := range []Consents{ConsentOrigin, allConsents} {
		d.Consents = consents
		v, err := m.Countersign(d, w.b.countersign, noon)
		if err != nil {
			t.Fatal(err)
		}
		digest := m.Digest()
		for name, secret := range map[string][]byte{
			"kf": s.e.Key.b[:], "com": s.e.Com[:], "d": digest[:], "mailbox": s.e.Mailbox[:], "stamp": s.e.Stamp[:],
			"salt": s.e.Audience.Salt[:], "bob": []byte("bob@"),
		} {
			if bytes.Contains(v, secret) {
				t.Errorf("the verdict holds %s", name)
			}
		}
		c, err := CheckVerdict(v, w.b.desk, alpha, w.list, noon)
		if err != nil {
			t.Fatal(err)
		}
		if shown := bytes.Contains(v, s.e.Frame); shown != (consents == allConsents) || bytes.Equal(c.Frame(), s.e.Frame) != shown {
			t.Errorf("content with consents %d", consents)
		}
	}
	// A group's content does not go along: A could check it with kf only.
	g, _ := w.groupMessage(t, w.bob)
	b, err := w.substantiate(t, g.e).Countersign(d, w.b.countersign, noon)
	if err != nil || bytes.Contains(b, g.e.Frame) || bytes.Contains(b, g.e.Key.b[:]) {
		t.Error("a group's content", err)
	}
	if c, err := CheckVerdict(b, w.b.desk, alpha, w.list, noon); err != nil || c.Frame() != nil {
		t.Error("a verdict on a group's message:", err)
	}
	// Content that was not what alice signed.
	var v VerdictFields
	b, _ = m.Countersign(d, w.b.countersign, noon)
	if err := wire.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	v.Frame[60] ^= 1
	b, _ = signTrailing(&v, w.b.countersign, keys.ContextVerdict)
	_, err = CheckVerdict(b, w.b.desk, alpha, w.list, noon)
	wants(t, "other content", err, FaultDisclosure)
}

// A bundle held back until nobody could report what it makes readable.
func TestWithheldBundle(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	v, err := Verify(s.e, w.snapshot, bob, readFrame)
	if err != nil {
		t.Fatal(err)
	}
	b := mustBundle(t, w, s)
	if _, err := v.Attribute(b, w.alice.sender(), nil, noon.Add(ReportDays*24*time.Hour)); err != nil {
		t.Error("in the last moment:", err)
	}
	_, err = v.Attribute(b, w.alice.sender(), nil, noon.Add(ReportDays*24*time.Hour+time.Second))
	wants(t, "later", err, FaultWithheld)
}

// A wrapping key outlives the last report by the time that review takes, and a
// signing key is published only when nothing under it can be reported.
func TestWindows(t *testing.T) {
	lastReport := int64(ids.MaxDelay + ReportDays)
	if SignSecret.Days() < lastReport+SkewDays || JoinSecret.Days() != SignSecret.Days() {
		t.Error("published while something can be reported")
	}
	if WrapSecret.Days() < lastReport+ReviewDays {
		t.Error("erased before a late verdict")
	}
	if StampDays < lastReport {
		t.Error("stamp keys gone before the last report")
	}
	if wire.MaxTTL/86400 >= ReportDays {
		t.Error("a message can wait until it cannot be reported")
	}
}
