package reports

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
)

// look is what must hold at every moment, whatever has failed.
func (w *crashWorld) look(when string) {
	w.t.Helper()
	ctx := w.t.Context()
	for _, s := range []*server{w.alpha, w.beta} {
		if _, err := openTrail(ctx, s.raw, keyAudit); err != nil {
			w.t.Fatalf("%s: the audit log of %v: %v", when, s.domain, err)
		}
		w.lookAtKeys(when, s)
	}
	openings := w.openings(when)
	standing := w.standing()
	if int(standing.Openings) > openings {
		w.t.Fatalf("%s: %d openings counted, %d logged", when, standing.Openings, openings)
	}
	for _, a := range standing.Acts {
		if a.Opening >= uint64(openings) {
			w.t.Fatalf("%s: an account was acted on without an entry", when)
		}
	}
	answers := 0
	must(w.t, w.alpha.each(ctx, prefixOpened, func(*store.KeyDoc) error { answers++; return nil }))
	if answers > openings || w.count(w.alpha, ActOpened) < answers {
		w.t.Fatalf("%s: %d answers, %d openings", when, answers, openings)
	}
}

// lookAtKeys checks that what a provider shows is what it showed before.
func (w *crashWorld) lookAtKeys(when string, s *server) {
	w.t.Helper()
	b, err := s.Publication(w.t.Context(), &wire.Publish{Kind: wire.PublicationEpochKeys, Provider: s.domain}, w.now)
	must(w.t, err)
	if !s.shown[string(b)] {
		s.shown[string(b)] = true
		list, err := franking.ParseEpochKeys(b, s.domain, s.root.Public(), nil)
		must(w.t, err)
		if s.lists[list.Number] {
			w.t.Fatalf("%s: two lists under one number", when)
		}
		s.lists[list.Number] = true
		for _, e := range list.Epochs {
			if old, ok := s.epochs[e.Epoch]; ok && old != e.Key {
				w.t.Fatalf("%s: two keys of one day", when)
			}
			s.epochs[e.Epoch] = e.Key
		}
	}
	for _, issuer := range []ids.Domain{w.alpha.domain, w.beta.domain} {
		id := franking.SnapshotID(s.SnapshotID(issuer, uint64(w.now.UnixMilli())))
		if id == (franking.SnapshotID{}) {
			continue
		}
		b, err := s.Publication(w.t.Context(), &wire.Publish{Kind: wire.PublicationSnapshot, Provider: s.domain, Issuer: issuer, ID: id}, w.now)
		if err != nil {
			w.t.Fatalf("%s: a snapshot is named and not there: %v", when, err)
		}
		if s.shown[string(b)] {
			continue
		}
		s.shown[string(b)] = true
		snap, err := franking.ParseSnapshot(b, s.domain, s.root.Public())
		if err != nil || snap.ID() != id {
			w.t.Fatalf("%s: another snapshot", when)
		}
	}
}

// openings returns how many entries the stored log of openings has.
func (w *crashWorld) openings(when string) int {
	w.t.Helper()
	o, err := franking.LoadOpenings()
	must(w.t, err)
	if err := follow(w.t.Context(), w.alpha.raw, keyOpenings, &openingLog{o, w.now}); err != nil {
		w.t.Fatalf("%s: the log of openings: %v", when, err)
	}
	return int(o.Log().Base() + o.Log().Size())
}

func (w *crashWorld) standing() *directory.Standing {
	w.t.Helper()
	dir, err := directory.New(w.alpha.raw, directory.Config{Domain: w.alpha.domain})
	must(w.t, err)
	s, err := dir.Standing(w.t.Context(), w.alice.address)
	must(w.t, err)
	return s
}

// count returns how many entries of an act a provider's audit log has.
func (w *crashWorld) count(s *server, act Act) (n int) {
	w.t.Helper()
	all, err := s.Trail(w.t.Context(), 0, 1000)
	must(w.t, err)
	for _, e := range all {
		if e.Act == act {
			n++
		}
	}
	return n
}

// take has bob send a report until it is answered.
func (w *crashWorld) take(what string, sealed []byte) (out []franking.Fault) {
	w.t.Helper()
	w.do(what, func() (err error) {
		out, err = w.beta.Take(w.t.Context(), w.now, w.bob.address, sealed)
		return err
	})
	return out
}

// deliver brings what waits to alpha and its answers back.
func (w *crashWorld) deliver() error {
	ctx := w.t.Context()
	pending, err := w.beta.Pending(ctx, w.alpha.domain)
	if err != nil {
		return err
	}
	for _, p := range pending {
		answer, err := w.alpha.OpenVerdict(ctx, w.now, w.beta.domain, w.beta.root.Public(), p.Verdict)
		if err != nil {
			return err
		}
		if err := w.beta.Answered(ctx, w.now, p, w.alpha.domain, answer, w.alpha.root.Public()); err != nil {
			return err
		}
	}
	return nil
}

// decide is a reviewer's decision, until it is made.
func (w *crashWorld) decide(id franking.ReportID, action franking.Action, reviewer string) {
	w.t.Helper()
	w.do("decide", func() error {
		err := w.beta.Decide(w.t.Context(), w.now, id, FirstProven, action, reviewer)
		if errors.Is(err, ErrSecond) || errors.Is(err, ErrDecided) {
			return nil
		}
		return err
	})
}

// ban is a reviewer's decision to open the pseudonym.
func (w *crashWorld) ban(id franking.ReportID, reviewer string) {
	w.t.Helper()
	w.do("open the pseudonym", func() error {
		_, err := w.beta.OpenPseudonym(w.t.Context(), w.now, id, 0, reviewer)
		if errors.Is(err, ErrSecond) || errors.Is(err, ErrDecided) {
			return nil
		}
		return err
	})
}

// wait lets days pass until everything is published and erased.
func (w *crashWorld) wait() {
	w.t.Helper()
	for _, days := range []int{1, 70} {
		w.now = after(days)
		w.do("renew", func() error {
			return errors.Join(w.alpha.Renew(w.t.Context(), w.now), w.beta.Renew(w.t.Context(), w.now))
		})
		w.do("meet", w.meet)
		w.do("retire", func() error {
			return errors.Join(w.alpha.Retire(w.t.Context(), w.now, true), w.beta.Retire(w.t.Context(), w.now, true))
		})
	}
}

// run is the whole life of reports: tokens, two reports, decisions, openings and
// answers.
func (w *crashWorld) run() {
	ctx := w.t.Context()
	w.do("fetch", w.fetch)
	m1, m2, m3 := w.write(1, "one"), w.write(2, "two"), w.write(3, "three")
	id1, sealed1 := w.report(m1, m2)
	id2, sealed2 := w.report(m3)
	_, sealed3 := w.report(m3)
	for _, s := range [][]byte{sealed1, sealed2} {
		for _, f := range w.take("take", s) {
			if f != franking.FaultNone {
				w.t.Fatalf("found %v", f)
			}
		}
	}
	if f := w.take("take again", sealed3); len(f) != 1 || f[0] != franking.FaultDuplicate {
		w.t.Fatalf("reported twice: %v", f)
	}
	w.decide(id1, franking.ActionSuspend, "dora")
	w.decide(id1, franking.ActionSuspend, "erin")
	w.do("deliver", w.deliver)
	w.ban(id2, "dora")
	w.ban(id2, "erin")
	w.decide(id2, franking.ActionWarn, "erin")
	w.do("deliver", w.deliver)

	// Nothing that was answered is lost, and nothing counts twice.
	w.reopen()
	if n, s := w.openings("end"), w.standing(); n != 2 || s.Openings != 2 || !s.Suspended(w.now) || len(s.Acts) != 2 {
		w.t.Errorf("%d openings, standing %+v", n, s)
	}
	list, err := w.beta.List(ctx, 0, 10)
	must(w.t, err)
	if len(list) != 2 || w.beta.waiting != 0 {
		w.t.Errorf("%d reports, %d wait", len(list), w.beta.waiting)
	}
	for id, want := range map[franking.ReportID]franking.Action{id1: franking.ActionSuspend, id2: franking.ActionWarn} {
		s, err := w.beta.Show(ctx, id)
		must(w.t, err)
		if s.State != StateAnswered || s.Asked != want || s.Action < want || s.Proven != s.Messages || s.Reviewers[0] == "" {
			w.t.Errorf("a report is %v, %v, %v", s.State, s.Asked, s.Action)
		}
	}
	pending, err := w.beta.Pending(ctx, w.alpha.domain)
	if err != nil || len(pending) != 0 || w.alpha.suspended == 0 {
		w.t.Errorf("%d verdicts wait, suspended %d times, %v", len(pending), w.alpha.suspended, err)
	}
	bans, err := w.beta.Bans(ctx, 0, 10)
	want := franking.PlatformBase(w.beta.domain).Mul(w.alice.k)
	if err != nil || len(bans) != 1 || !bytes.Equal(bans[0].Pseudonym, want.Bytes()) {
		w.t.Errorf("%d pseudonyms, %v", len(bans), err)
	}
	var taken franking.Allowance
	doc, err := w.alpha.raw.Get(ctx, allowanceKey(w.alice.address, dayOf(w.now)))
	if err != nil || wire.Unmarshal(doc.Value, &taken) != nil || taken.Taken < w.received || w.received != 1 {
		w.t.Errorf("%d tokens given, %d counted, %v", w.received, taken.Taken, err)
	}
	for act, least := range map[Act]int{ActTaken: 2, ActDecided: 3, ActSent: 2, ActAnswered: 2, ActEscrowAsked: 1, ActEscrowOpened: 1} {
		if n := w.count(w.beta, act); n < least {
			w.t.Errorf("%d entries of %v", n, act)
		}
	}
}

// rotate is the life of keys, and the removal of what a report leaves.
func (w *crashWorld) rotate() {
	ctx := w.t.Context()
	at := w.f.at
	w.f.at = -1
	must(w.t, w.fetch())
	_, sealed := w.report(w.write(1, "one"))
	w.take("take", sealed)
	w.f.at, w.f.n = at, 0
	w.wait()
	first := dayOf(begin)
	for _, s := range []*server{w.alpha, w.beta} {
		for ring, kind := range ringKinds {
			if s.keyring.secret(ring, first) != nil || s.files.count(ringPrefixes[ring]+fmt.Sprintf("%010d", first)) != 0 {
				w.t.Errorf("a secret of kind %d is still there", kind)
			}
			secret, err := s.Published(ctx, kind, first)
			if kind.Published() != (err == nil) {
				w.t.Errorf("kind %d is published: %v", kind, err)
			}
			if err == nil && kind == franking.SignSecret && secret.SigningKey().Public() != s.epochs[first] {
				w.t.Error("another key was published")
			}
		}
	}
	left := 0
	must(w.t, w.beta.each(ctx, prefixSeen, func(*store.KeyDoc) error { left++; return nil }))
	if left != 0 {
		w.t.Errorf("%d marks are left", left)
	}
}

// crashStride is how many steps lie between two that fail in one way: with the
// default each step fails in one of the four, with 1 in all.
var crashStride = flag.Int("crash.stride", 4, "every how many steps TestEveryStepFails fails in each way")

// Every durable step of the life of a report and of keys fails once, before and
// after it has its effect, with and without the process ending there. Nothing is
// opened without an entry of the log, nothing that was answered is lost, nothing
// counts twice, no key is drawn twice, and the logs stay chains.
func TestEveryStepFails(t *testing.T) {
	for first, c := range []struct {
		name         string
		after, crash bool
	}{
		{"fails before", false, false},
		{"fails after", true, false},
		{"crash before", false, true},
		{"crash after", true, true},
	} {
		for name, run := range map[string]func(*crashWorld){"reports": (*crashWorld).run, "keys": (*crashWorld).rotate} {
			t.Run(name+" "+c.name, func(t *testing.T) {
				t.Parallel()
				for at := first; ; at += *crashStride {
					f := &faults{at: at, after: c.after, crash: c.crash}
					w := newCrashWorld(t, f)
					run(w)
					if t.Failed() {
						t.Fatalf("at step %d of %d", at, f.n)
					}
					if least := 30; !f.hit {
						if at < least {
							t.Errorf("%d steps, at least %d are known", at, least)
						}
						return
					}
				}
			})
		}
	}
}

// A reporter that is not answered reports the message anew, and later sends the
// first report again, or not: one of them counts.
func TestReportIsOneReport(t *testing.T) {
	for at := range 12 {
		for _, after := range []bool{false, true} {
			for _, crash := range []bool{false, true} {
				f := &faults{at: -1, after: after, crash: crash}
				w := newCrashWorld(t, f)
				w.do("fetch", w.fetch)
				m := w.write(1, "one")
				_, first := w.report(m)
				_, second := w.report(m)
				f.at = f.n + at/2
				_, err := w.beta.Take(t.Context(), w.now, w.bob.address, first)
				if err != nil && crash {
					w.reopen()
				}
				proven := 0
				sends := [][]byte{second, first, second}
				if again := at%2 == 0; !again {
					sends = sends[2:]
				}
				for _, sealed := range sends {
					for _, found := range w.take("take", sealed) {
						if found != franking.FaultNone && found != franking.FaultDuplicate {
							t.Errorf("found %v", found)
						}
					}
				}
				list, err := w.beta.List(t.Context(), 0, 10)
				must(t, err)
				for _, r := range list {
					proven += r.Proven
				}
				if proven != 1 || w.beta.room(t.Context()) != nil || w.beta.waiting != 1 {
					t.Errorf("step %d, after %v, crash %v: the message counts %d times, %d wait", at, after, crash, proven, w.beta.waiting)
				}
			}
		}
	}
}

// A caller that goes away in the middle of an append leaves the log in step: the
// next append finds out what has become of it.
func TestLostAnswersDoNotStopTheLog(t *testing.T) {
	for _, after := range []bool{false, true} {
		f := &faults{at: -1, after: after}
		w := newCrashWorld(t, f)
		for i := range 5 {
			f.at, f.hit = f.n, false
			if err := w.beta.note(t.Context(), &Entry{Act: ActLifted}, w.now); !lost(err) {
				t.Fatalf("append %d: %v", i, err)
			}
			must(t, w.beta.note(t.Context(), &Entry{Act: ActLifted}, w.now.Add(time.Second)))
		}
		if n := w.count(w.beta, ActLifted); n != 5 && !after || n != 10 && after {
			t.Errorf("after %v: %d entries", after, n)
		}
		if _, err := openTrail(t.Context(), w.beta.raw, keyAudit); err != nil {
			t.Error(err)
		}
	}
}

// A decision that was durable when the process ended has its verdict at the next
// start, whether or not anybody asks.
func TestDecisionIsSent(t *testing.T) {
	for step := range 4 { // entry, report, entry, verdict
		f := &faults{at: -1, crash: true}
		w := newCrashWorld(t, f)
		w.do("fetch", w.fetch)
		id, sealed := w.report(w.write(1, "one"))
		w.take("take", sealed)
		f.at = f.n + step
		if err := w.beta.Decide(t.Context(), w.now, id, FirstProven, franking.ActionWarn, "dora"); !lost(err) {
			t.Fatalf("step %d: %v", step, err)
		}
		w.reopen()
		s, err := w.beta.Show(t.Context(), id)
		must(t, err)
		pending, err := w.beta.Pending(t.Context(), w.alpha.domain)
		must(t, err)
		if decided := step > 1; decided != (s.State == StateSent) || decided != (len(pending) == 1) {
			t.Errorf("step %d: %v, and %d verdicts wait", step, s.State, len(pending))
		}
	}
}

// A verdict whose answer was taken is asked again after a crash, perhaps when the
// other side has forgotten it: what it did stays.
func TestFirstAnswerStays(t *testing.T) {
	w := newCrashWorld(t, &faults{at: -1})
	w.do("fetch", w.fetch)
	id, sealed := w.report(w.write(1, "one"))
	w.take("take", sealed)
	w.decide(id, franking.ActionWarn, "dora")
	pending, err := w.beta.Pending(t.Context(), w.alpha.domain)
	must(t, err)
	w.do("deliver", w.deliver)
	must(t, w.beta.Refused(t.Context(), w.now, pending[0], w.alpha.domain))
	s, err := w.beta.Show(t.Context(), id)
	must(t, err)
	if s.State != StateAnswered || s.Action != franking.ActionWarn || w.count(w.beta, ActAnswered) != 1 {
		t.Errorf("%v, %v", s.State, s.Action)
	}
}

// A verdict that comes again when its answer is gone changes nothing, also for an
// account that was forgiven since.
func TestOpeningCountsOnce(t *testing.T) {
	w := newCrashWorld(t, &faults{at: -1})
	w.do("fetch", w.fetch)
	id, sealed := w.report(w.write(1, "one"))
	w.take("take", sealed)
	w.decide(id, franking.ActionWarn, "dora")
	pending, err := w.beta.Pending(t.Context(), w.alpha.domain)
	must(t, err)
	w.do("deliver", w.deliver)
	open := func() error {
		_, err := w.alpha.OpenVerdict(t.Context(), w.now, w.beta.domain, w.beta.root.Public(), pending[0].Verdict)
		return err
	}
	must(t, w.alpha.put(t.Context(), openedKey(w.beta.domain, pending[0].Verdict), nil))
	must(t, open())
	if s := w.standing(); s.Openings != 1 || s.Warned != 1 {
		t.Errorf("counted %d times, warned %d times", s.Openings, s.Warned)
	}
	_, err = w.alpha.Lift(t.Context(), w.now, w.alice.address)
	must(t, err)
	must(t, w.alpha.put(t.Context(), openedKey(w.beta.domain, pending[0].Verdict), nil))
	must(t, open())
	if s := w.standing(); s.Openings != 0 || s.Warned != 0 || w.openings("end") != 1 {
		t.Errorf("counted %d times, warned %d times after it was lifted", s.Openings, s.Warned)
	}
}

// A list of keys is shown only when it is stored: after a crash another one gets
// its number, and whoever knew the first would take the second for a fork.
func TestListIsStoredBeforeItIsShown(t *testing.T) {
	for step := range 12 {
		f := &faults{at: -1, crash: true}
		w := newCrashWorld(t, f)
		must(t, w.meet())
		w.now = after(1)
		f.at = f.n + step
		if err := w.alpha.Renew(t.Context(), w.now); err == nil {
			break
		}
		f.dead = false
		f.at = -1
		must(t, w.meet()) // alpha goes on, and shows what it has
		w.now = after(2)
		w.reopen()
		if err := w.meet(); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
	}
}
