package reports

import (
	"errors"
	"strings"
	"testing"
	"time"

	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/franking"
)

// TestFlaw runs the attacks that the symbolic model of the protocol found before
// it was written down as code, where they need what a provider has stored. Each
// names the flaw; the pure ones are in franking.
func TestFlaw(t *testing.T) {
	for _, f := range []struct {
		name string
		run  func(*testing.T, *crashWorld)
	}{
		{"a recipient's escrow of somebody else bans her", flawForeignEscrow},
		{"a desk opens a message that was never franked", flawDeskFrames},
		{"a signature for one provider is used by another", flawOtherProvider},
		{"a message of the epoch's last hour is shown and cannot be reported", flawLastHour},
		{"a made-up predecessor makes a message unreportable", flawPredecessor},
		{"a revocation dated back makes a message unreportable", flawBackDated},
		{"the reporter chooses the snapshot", flawChosenSnapshot},
		{"a late verdict finds no wrapping key", flawLateVerdict},
		{"a stamp's key is erased while its report is looked at", flawStampKey},
		{"kf goes to the opener", flawKeyToOpener},
	} {
		t.Run(f.name, func(t *testing.T) {
			w := newCrashWorld(t, &faults{at: -1})
			must(t, w.fetch())
			f.run(t, w)
		})
	}
}

// one has bob report one message, and returns what was found.
func (w *crashWorld) one(m *written) (franking.ReportID, franking.Fault) {
	w.t.Helper()
	r := &franking.Report{
		ID: franking.NewReportID(), Reason: franking.ReasonThreat, Consents: franking.ConsentOrigin, Messages: []franking.Evidence{*m.e},
	}
	sealed, err := r.Seal(w.beta.keyring.current(dayOf(w.now)).public, w.bob.address)
	must(w.t, err)
	f, err := w.beta.Take(w.t.Context(), w.now, w.bob.address, sealed)
	must(w.t, err)
	return r.ID, f[0]
}

// verdict has beta decide about a report, and returns what it sends.
func (w *crashWorld) verdict(id franking.ReportID) []byte {
	w.t.Helper()
	w.decide(id, franking.ActionWarn, "dora")
	pending, err := w.beta.Pending(w.t.Context(), w.alpha.domain)
	must(w.t, err)
	if len(pending) != 1 {
		w.t.Fatalf("%d verdicts", len(pending))
	}
	return pending[0].Verdict
}

// countersign signs a verdict as the desk of a provider could.
func countersign(t *testing.T, v *franking.VerdictFields, s *server, now time.Time) []byte {
	t.Helper()
	b, err := wire.Marshal(v)
	must(t, err)
	n := len(b) - keys.SignatureSize
	copy(b[n:], s.keyring.current(dayOf(now)).countersign.Sign(keys.ContextVerdict, b[:n]))
	return b
}

// refuses checks that alpha does not open a verdict, and logs nothing.
func (w *crashWorld) refuses(what string, from *server, verdict []byte, want error) {
	w.t.Helper()
	before := w.openings(what)
	_, err := w.alpha.OpenVerdict(w.t.Context(), w.now, from.domain, from.root.Public(), verdict)
	if !errors.Is(err, want) {
		w.t.Errorf("%s: %v, want %v", what, err, want)
	}
	if w.openings(what) != before || w.standing().Openings != 0 {
		w.t.Errorf("%s: an account was opened", what)
	}
}

func flawForeignEscrow(t *testing.T, w *crashWorld) {
	m := w.write(1, "one")
	carol := w.register(w.alpha, "carol@alpha.example")
	other := &crashWorld{t: t, f: w.f, now: w.now, alpha: w.alpha, beta: w.beta, alice: carol, bob: w.bob}
	must(t, other.fetch())
	m.esc = other.write(1, "an introduction").esc
	r := &franking.Report{
		ID: franking.NewReportID(), Reason: franking.ReasonThreat, Consents: franking.ConsentBan, Messages: []franking.Evidence{*m.e},
	}
	v, err := franking.Verify(m.e, w.beta.history(w.alpha.domain).Find(m.e.Snapshot), w.bob.address, FrameOf)
	must(t, err)
	// A hostile recipient makes the share from her message, under which it holds.
	e2 := other.write(2, "two")
	v2, err := franking.Verify(e2.e, w.beta.history(w.alpha.domain).Find(e2.e.Snapshot), w.bob.address, FrameOf)
	must(t, err)
	made := 0
	for name, with := range map[string]*franking.Verified{"of her message": v2, "of this one": v} {
		share, err := franking.MakeShare(with, &m.esc, w.bob.recipient(), w.bob.z)
		if err != nil {
			continue // nobody honest gets this far
		}
		made++
		r.ID = franking.NewReportID()
		r.Escrows = []franking.EscrowOpening{{Escrow: m.esc, Share: *share}}
		sealed, err := r.Seal(w.beta.keyring.current(dayOf(w.now)).public, w.bob.address)
		must(t, err)
		if _, err := w.beta.Take(t.Context(), w.now, w.bob.address, sealed); err != nil {
			t.Fatal(err)
		}
		for _, reviewer := range []string{"dora", "erin"} {
			if b, err := w.beta.OpenPseudonym(t.Context(), w.now, r.ID, 0, reviewer); err == nil || b != nil {
				t.Errorf("%s: opened", name)
			}
		}
	}
	bans, err := w.beta.Bans(t.Context(), 0, 10)
	if made == 0 {
		t.Error("no share was made")
	}
	if err != nil || len(bans) != 0 {
		t.Errorf("%d bans, %v", len(bans), err)
	}
}

func flawDeskFrames(t *testing.T, w *crashWorld) {
	id, f := w.one(w.write(1, "one"))
	if f != franking.FaultNone {
		t.Fatal(f)
	}
	var v franking.VerdictFields
	must(t, wire.Unmarshal(w.verdict(id), &v))
	for name, change := range map[string]func(*franking.VerdictFields){
		"another message":  func(v *franking.VerdictFields) { v.Binding[0] ^= 1 },
		"another audience": func(v *franking.VerdictFields) { v.Audience[0] ^= 1 },
		"another hour":     func(v *franking.VerdictFields) { v.Hour++ },
		"no signature":     func(v *franking.VerdictFields) { v.Author = franking.Signature{} },
	} {
		bad := v
		bad.Report = franking.NewReportID()
		change(&bad)
		w.refuses(name, w.beta, countersign(t, &bad, w.beta, w.now), franking.FaultAuthor)
	}
	w.do("the true one", w.deliver)
	if w.standing().Openings != 1 {
		t.Error("the true verdict was not opened")
	}
}

func flawOtherProvider(t *testing.T, w *crashWorld) {
	id, _ := w.one(w.write(1, "one"))
	var v franking.VerdictFields
	must(t, wire.Unmarshal(w.verdict(id), &v))
	gamma := w.server("gamma.example")
	w.start(gamma)
	desk, err := gamma.Publication(t.Context(), &wire.Publish{Kind: wire.PublicationDesk, Provider: gamma.domain}, w.now)
	must(t, err)
	must(t, w.alpha.LearnDesk(t.Context(), gamma.domain, desk, gamma.root.Public()))
	v.Provider = gamma.domain
	w.refuses("as gamma's own", gamma, countersign(t, &v, gamma, w.now), franking.FaultAuthor)
	v.Provider = w.beta.domain
	w.refuses("in beta's name", gamma, countersign(t, &v, gamma, w.now), franking.FaultAddressee)
	w.refuses("beta's, brought by gamma", gamma, countersign(t, &v, w.beta, w.now), franking.FaultVerdict)
}

func flawLastHour(t *testing.T, _ *crashWorld) {
	for _, late := range []time.Duration{2 * time.Hour, 47 * time.Hour} {
		w := newCrashWorld(t, &faults{at: -1})
		w.now = begin.Truncate(24 * time.Hour).Add(24*time.Hour - time.Minute)
		must(t, w.fetch())
		m := w.write(1, "at night")
		w.now = w.now.Add(late)
		must(t, errors.Join(w.alpha.Renew(t.Context(), w.now), w.beta.Renew(t.Context(), w.now)))
		must(t, w.meet())
		w.stampKeys()
		w.receive(m)
		_, err := franking.Verify(m.e, w.beta.history(w.alpha.domain).Find(m.e.Snapshot), w.bob.address, FrameOf)
		must(t, err) // it is shown
		w.now = w.now.Add((franking.ReportDays*24 - 1) * time.Hour)
		must(t, w.beta.Renew(t.Context(), w.now))
		must(t, w.beta.Retire(t.Context(), w.now, true))
		if _, f := w.one(m); f != franking.FaultNone {
			t.Errorf("%v late: %v", late, f)
		}
	}
}

// stampKeys draws beta's stamp keys of the day.
func (w *crashWorld) stampKeys() {
	changes, err := w.beta.stamps.Prepare(dayOf(w.now))
	must(w.t, err)
	for _, c := range changes {
		must(w.t, w.beta.stamps.Commit(c))
	}
}

// receive stamps a message now.
func (w *crashWorld) receive(m *written) {
	w.t.Helper()
	m.e.Received = uint64(w.now.UnixMilli())
	m.e.Snapshot = w.beta.SnapshotID(w.alpha.domain, m.e.Received)
	var err error
	m.e.Stamp, err = w.beta.stamps.Stamp(&franking.Receipt{Mailbox: m.e.Mailbox, Com: m.e.Com, Day: m.e.Day, Received: m.e.Received})
	must(w.t, err)
}

func flawPredecessor(t *testing.T, w *crashWorld) {
	for i, seq := range []uint64{7, 7, 1 << 63, 0} { // gaps, repeats, the largest, none
		if _, f := w.one(w.write(seq, string(rune('a'+i)))); f != franking.FaultNone {
			t.Errorf("seq %d: %v", seq, f)
		}
	}
	a, b := w.write(9, "later"), w.write(2, "earlier")
	_, sealed := w.report(a, b)
	for _, f := range w.take("out of order", sealed) {
		if f != franking.FaultNone {
			t.Errorf("out of order: %v", f)
		}
	}
}

// revoke has alpha revoke today's key as of long ago, and beta learn of it.
func (w *crashWorld) revoke() {
	w.t.Helper()
	next := *w.alpha.of(w.alpha.domain).list
	next.Number++
	next.Epochs = append([]franking.EpochKey(nil), next.Epochs...)
	for i := range next.Epochs {
		if next.Epochs[i].Epoch == dayOf(w.now) {
			next.Epochs[i].Revoked = uint64(begin.Add(-time.Hour).UnixMilli())
		}
	}
	b, err := franking.SignEpochKeys(next, w.alpha.root)
	must(w.t, err)
	must(w.t, w.beta.Learn(w.t.Context(), w.alpha.domain, b, w.alpha.root.Public(), w.now))
}

func flawBackDated(t *testing.T, w *crashWorld) {
	m := w.write(1, "one")
	w.now = w.now.Add(time.Hour)
	w.revoke()
	w.now = w.now.Add(time.Hour)
	w.start(w.beta)
	if _, f := w.one(m); f != franking.FaultNone {
		t.Errorf("shown before it was revoked: %v", f)
	}
}

func flawChosenSnapshot(t *testing.T, w *crashWorld) {
	m := w.write(1, "one")
	old := m.e.Snapshot
	w.now = w.now.Add(time.Hour)
	w.revoke()
	w.now = w.now.Add(time.Hour)
	w.receive(m)
	if m.e.Snapshot == old {
		t.Fatal("the revocation is in no snapshot")
	}
	if _, f := w.one(m); f != franking.FaultRevoked {
		t.Errorf("received after the key was revoked: %v", f)
	}
	m.e.Snapshot = old
	if _, f := w.one(m); f != franking.FaultSnapshot {
		t.Errorf("with the snapshot from before: %v", f)
	}
}

func flawLateVerdict(t *testing.T, w *crashWorld) {
	m := w.write(1, "one")
	w.now = begin.Add((franking.ReportDays*24 - 1) * time.Hour) // the last hour
	id, f := w.one(m)
	if f != franking.FaultNone {
		t.Fatal(f)
	}
	w.now = w.now.Add((franking.ReviewDays - 1) * 24 * time.Hour) // and as long as reviewers may take
	for _, s := range []*server{w.alpha, w.beta} {
		must(t, s.Renew(t.Context(), w.now))
		must(t, s.Retire(t.Context(), w.now, true))
	}
	must(t, w.meet())
	if _, err := w.alpha.Published(t.Context(), franking.SignSecret, dayOf(begin)); err != nil {
		t.Fatalf("alpha's signing key is not published: %v", err)
	}
	_ = w.verdict(id)
	w.do("deliver", w.deliver)
	if s := w.standing(); s.Openings != 1 {
		t.Error("the verdict was not opened")
	}
}

func flawStampKey(t *testing.T, w *crashWorld) {
	id, f := w.one(w.write(1, "one"))
	if f != franking.FaultNone {
		t.Fatal(f)
	}
	w.now = after(franking.ReportDays + 20)
	w.beta.stamps.Expire(dayOf(w.now))
	must(t, w.beta.Renew(t.Context(), w.now))
	must(t, w.alpha.Renew(t.Context(), w.now))
	must(t, w.meet())
	_ = w.verdict(id)
	w.do("deliver", w.deliver)
	if s := w.standing(); s.Openings != 1 {
		t.Error("what was taken in time could not be decided")
	}
}

func flawKeyToOpener(t *testing.T, w *crashWorld) {
	m := w.write(1, "one")
	id, _ := w.one(m)
	v := string(w.verdict(id))
	d := m.e.Key.Digest(m.e.Frame)
	for name, b := range map[string][]byte{
		"kf": m.e.Key.Bytes()[:], "com": m.e.Com[:], "d": d[:], "the frame": m.e.Frame, "the reader": []byte(w.bob.address.String()),
		"the mailbox": m.e.Mailbox[:], "the stamp": m.e.Stamp[:], "the salt": m.e.Audience.Salt[:],
	} {
		if len(b) == 0 {
			t.Fatalf("%s is empty", name)
		}
		if strings.Contains(v, string(b)) {
			t.Errorf("the opener gets %s", name)
		}
	}
	if !strings.Contains(v, string(m.e.Token.Wrapped[:])) {
		t.Error("the verdict is not searched")
	}
}
