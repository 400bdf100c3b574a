package client

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// replaceKey does what a replacement of the account key does on a connection. False says
// that it could not be published.
func (u *user) replaceKey() bool {
	u.w.t.Helper()
	u.do(func(k *work) error { return k.drawAccountKey() })
	return u.publishKey()
}

// publishKey is replaceKey from where it stands.
func (u *user) publishKey() bool {
	u.w.t.Helper()
	for range untoldBatches {
		next, done := u.keyStep()
		switch {
		case done:
			return true
		case next == nil:
			if !u.tick() {
				return false
			}
			continue
		case next.Replaces(u.box.manifest) != nil:
			return false
		}
		u.box.manifest = next
		u.w.must(u.learn(next))
		return true
	}
	return false
}

// keyStep asks for the account and returns what is to be published; done says that
// nothing is to be, and neither says that the other devices are to be told first.
func (u *user) keyStep() (next *directory.Manifest, done bool) {
	u.w.t.Helper()
	u.w.must(u.learn(u.box.manifest))
	u.do(func(k *work) error {
		m, untold, err := k.replacement()
		next, done = m, m == nil && untold == ""
		return err
	})
	return next, done
}

// inForce is the X_S whose k is in use, and whether it is the account's.
func (u *user) inForce() (xs [32]byte, ok bool) {
	u.do(func(k *work) error { xs, ok = k.self.xs, !k.self.lacksAccountKey(); return nil })
	return xs, ok
}

func (u *user) drawn() (n int) {
	u.do(func(k *work) error { n = state.AccountKeys.Count(k.tx); return nil })
	return n
}

// made counts what was made of k: tokens, memberships, credentials.
func (u *user) made() (n int) {
	u.do(func(k *work) error {
		n = state.Tokens.Count(k.tx) + state.Memberships.Count(k.tx) + state.Credentials.Count(k.tx)
		return nil
	})
	return n
}

// Whatever step ends in a crash, the account has one X_S and this device its k.
func TestReplaceAccountKey(t *testing.T) {
	for name, crash := range map[string]bool{"": false, "crash after each step": true} {
		t.Run(name, func(t *testing.T) {
			w, carol, bob := strangers(t)
			step := func() {
				if crash {
					carol.reopen()
				}
			}
			carol.supply()
			first := carol.box.manifest
			before, _ := carol.inForce()
			if carol.made() == 0 {
				t.Fatal("nothing was made of k")
			}
			carol.do(func(k *work) error { return k.drawAccountKey() })
			step()
			carol.do(func(k *work) error { return k.drawAccountKey() }) // asked for again
			if xs, ok := carol.inForce(); xs != before || !ok || carol.drawn() != 1 {
				t.Fatalf("in force before it was published; %d drawn", carol.drawn())
			}
			next, _ := carol.keyStep()
			w.must(next.Replaces(carol.box.manifest))
			carol.box.manifest = next // the provider has it, and the answer is lost
			step()
			if next, done := carol.keyStep(); next != nil || !done {
				t.Fatal("published again")
			}
			step()
			xs, ok := carol.inForce()
			if xs == before || !ok || xs != next.XS() || carol.drawn() != 0 || carol.made() != 0 {
				t.Fatalf("in force: %v, %d drawn, %d made of the former", ok, carol.drawn(), carol.made())
			}
			carol.do(func(k *work) error {
				if k.ownCert() != nil {
					t.Error("the certificate names the former X_S")
				}
				return nil
			})
			carol.supply()
			carol.credit(bob.p)
			carol.send(bob, "hello")
			w.settle()
			if len(bob.requests()) != 1 || bob.pinned(carol) != xs {
				t.Errorf("%v: introduced under another X_S", bob.requests())
			}
			w.nothingDropped()
			is(t, carol.learn(first), ErrServer) // not taken back
		})
	}
}

// The other devices have k before the account has its X_S, whatever comes first to them:
// the manifest or the word.
func TestOthersAreToldFirst(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	bob.do(func(k *work) error { return k.drawAccountKey() })
	if next, done := bob.keyStep(); next != nil || done {
		t.Fatal("published before the other device was told")
	}
	if !bob.tick() {
		t.Fatal("nothing to tell")
	}
	next, _ := bob.keyStep()
	if next == nil {
		t.Fatal("not to be published after the other device was told")
	}
	bob.box.manifest = next
	w.must(bob.learn(next))
	// The manifest first: what it writes waits for k.
	w.must(bob2.learn(next))
	if _, ok := bob2.inForce(); ok {
		t.Fatal("in use before it came")
	}
	bob2.reopen()
	bob2.supply()
	for name, err := range map[string]error{
		"archive": bob2.try(func(k *work) error { return k.prepareArchive() }),
	} {
		if !errors.Is(err, ErrNoAccountKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bob2.do(func(k *work) error {
		if epochs, err := k.wantTokens(); err != nil || len(epochs) > 0 {
			t.Errorf("asks for tokens without k: %v, %v", epochs, err)
		}
		if due, err := k.refills(); err != nil || len(due) > 0 {
			t.Errorf("asks for credentials without k: %v, %v", due, err)
		}
		return nil
	})
	bob2.pull()
	if xs, ok := bob2.inForce(); !ok || xs != next.XS() || bob2.drawn() != 0 {
		t.Errorf("in force: %v; %d left", ok, bob2.drawn())
	}
	// The word first.
	w.now = w.now.Add(time.Hour)
	if !bob2.replaceKey() {
		t.Fatal("refused")
	}
	bob.pull()
	if bob.drawn() != 1 {
		t.Errorf("%d known", bob.drawn())
	}
	bob.reopen()
	w.must(bob.learn(bob.box.manifest))
	if xs, ok := bob.inForce(); !ok || xs != bob.box.manifest.XS() || bob.drawn() != 0 {
		t.Errorf("in force: %v; %d left", ok, bob.drawn())
	}
}

// What is written on a device without k waits, and leaves when k has come.
func TestWaitsForAccountKey(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.settle()
	if !bob.replaceKey() {
		t.Fatal("refused")
	}
	w.must(bob2.learn(bob.box.manifest))
	id := bob2.send(alice, "later")
	if rows := bob2.seal(true); len(rows) != 0 || bob2.status(id) != state.StatusWaiting {
		t.Fatalf("%d sealed, %v", len(rows), bob2.status(id))
	}
	bob2.pull()
	bob2.supply()
	if rows := bob2.seal(true); len(rows) == 0 {
		t.Error("still waits")
	}
}

// Of two devices that draw at once one is published, and both have that.
func TestTwoDevicesReplace(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	for _, u := range []*user{bob, bob2} {
		u.do(func(k *work) error { return k.drawAccountKey() })
		u.tick()
	}
	late, _ := bob2.keyStep()
	if !bob.publishKey() {
		t.Fatal("refused")
	}
	if late.Replaces(bob.box.manifest) == nil {
		t.Fatal("both follow one manifest")
	}
	if next, done := bob2.keyStep(); next != nil || !done {
		t.Fatal("published over the other one")
	}
	w.agree()
	for _, u := range []*user{bob, bob2} {
		if xs, ok := u.inForce(); !ok || xs != bob.box.manifest.XS() {
			t.Errorf("device %d: in force: %v", u.device, ok)
		}
	}
	if bob2.drawn() != 0 {
		t.Error("its own is left")
	}
}

// What a device knows that is removed meanwhile, or one that comes does not, is not
// published: another is drawn.
func TestDrawnAnewAfterAChange(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	draw := func() (xs [32]byte) {
		bob.do(func(k *work) error { return k.drawAccountKey() })
		bob.do(func(k *work) (err error) { _, xs, err = k.drawnKey(); return err })
		return xs
	}
	told := draw()
	bob.tick()
	bob2.pull()
	m, err := bob.without(bob2.device)
	w.must(err)
	w.must(bob.learn(m))
	bob.box.manifest = m
	if !bob.publishKey() {
		t.Fatal("refused")
	}
	if xs, ok := bob.inForce(); !ok || xs == told {
		t.Error("the removed device knows k")
	}
	// Too old to be known to all.
	old := draw()
	w.now = w.now.Add((draftDays + 1) * 24 * time.Hour)
	if again := draw(); again != old {
		t.Fatal("drawn twice")
	}
	if !bob.publishKey() {
		t.Fatal("refused")
	}
	if xs, _ := bob.inForce(); xs == old {
		t.Error("published after weeks")
	}
}

// A refusal for good ends what was begun, and the next one draws anew.
func TestRefusedAccountKeyIsForgotten(t *testing.T) {
	bob := newWorld(t).user("bob@beta.example")
	bob.do(func(k *work) error { return k.drawAccountKey() })
	bob.do(func(k *work) error { return k.dropDrawn() })
	if _, ok := bob.inForce(); !ok || bob.drawn() != 0 {
		t.Errorf("%d left", bob.drawn())
	}
	bob.do(func(k *work) error { return k.dropDrawn() })
	if next, done := bob.keyStep(); next != nil || !done {
		t.Error("goes on")
	}
	stranger := &user{w: bob.w, path: t.TempDir() + "/state"}
	stranger.open()
	t.Cleanup(func() { stranger.e.store.Close() })
	is(t, stranger.try(func(k *work) error { return k.drawAccountKey() }), ErrNotRegistered)
}

// What others draw without publishing it does not grow, is forgotten after a while, and
// never takes the place of what this device drew.
func TestAccountKeysOfOthers(t *testing.T) {
	w, _, bob, _ := siblings(t)
	bob.do(func(k *work) error { return k.drawAccountKey() })
	var mine [32]byte
	bob.do(func(k *work) (err error) { _, mine, err = k.drawnKey(); return err })
	var last *devicesync.AccountSecret
	for range 2 * state.MaxAccountKeys {
		k := state.DrawAccountKey()
		last = &devicesync.AccountSecret{K: k.K}
		for range 2 {
			item := *last
			bob.do(func(w *work) error { return w.apply(&item) })
		}
	}
	if bob.drawn() != state.MaxAccountKeys {
		t.Errorf("%d kept", bob.drawn())
	}
	w.now = w.now.Add((directory.ReplaceDays + 1) * 24 * time.Hour)
	bob.do(func(k *work) error { return k.sweep() })
	var xs [32]byte
	bob.do(func(k *work) (err error) { _, xs, err = k.drawnKey(); return err })
	if bob.drawn() != 1 || xs != mine {
		t.Errorf("%d kept", bob.drawn())
	}
	if text := fmt.Sprintf("%v %+v %s", last, last, last); bytes.Contains([]byte(text), last.K[:4]) || bytes.Contains([]byte(text), fmt.Append(nil, last.K[0], " ", last.K[1])) {
		t.Error("prints a secret")
	}
}

// A file from before the replacement makes a device without k; one from between has it,
// and one from after it, too.
func TestAccountKeyInArchives(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	old := bob.written(false)
	bob.do(func(k *work) error { return k.drawAccountKey() })
	between := bob.written(false)
	if !bob.publishKey() {
		t.Fatal("refused")
	}
	after := bob.written(false)
	for name, c := range map[string]struct {
		file []byte
		has  bool
	}{"before": {old, false}, "between": {between, true}, "after": {after, true}} {
		d := makeDevice()
		e, err := w.restored(c.file, d)
		w.must(err)
		v := &user{w: w, e: e, p: bob.p, box: bob.box, address: bob.address}
		m := bob.next(nil, func(f *directory.ManifestFields) { v.device = f.AddDevice(d.sign.Public(), d.dh.Public()) })
		v.do(func(k *work) error {
			known, there, err := k.withThis(bob.box.manifest.Bytes())
			if err != nil || there || known.Version() != m.Version() {
				t.Errorf("%s: %v", name, err)
			}
			return k.letIn(m)
		})
		if xs, ok := v.inForce(); ok != c.has || ok && xs != m.XS() {
			t.Errorf("%s: has k: %v", name, ok)
		}
		if v.drawn() != 0 {
			t.Errorf("%s: %d left", name, v.drawn())
		}
		// It draws another, which is how a lost k is replaced.
		v.do(func(k *work) error {
			k.ownProfile().Manifest = m.Bytes()
			return k.drawAccountKey()
		})
		var next *directory.Manifest
		v.do(func(k *work) (err error) { _, err = k.untold(); return err })
		v.do(func(k *work) error {
			row, xs, err := k.drawnKey()
			w.must(err)
			row.Told = 0 // as if the others had been told
			return state.AccountKeys.Put(k.tx, xs[:], row)
		})
		v.do(func(k *work) (err error) { next, _, err = k.replacement(); return err })
		if err := next.Replaces(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.must(v.learn(next))
		if xs, ok := v.inForce(); !ok || xs != next.XS() {
			t.Errorf("%s: not in force", name)
		}
	}
	// Twice the same is no archive.
	w.must(alice.e.store.View(func(*state.Tx) error { return nil }))
	s, err := state.Open(t.TempDir()+"/state", state.Options{})
	w.must(err)
	t.Cleanup(func() { s.Close() })
	is(t, s.Update(func(tx *state.Tx) error {
		b := &restoring{tx: tx, today: ids.DayOf(w.now)}
		k := state.DrawAccountKey()
		one, two := &devicesync.AccountSecret{K: k.K}, &devicesync.AccountSecret{K: k.K}
		return errors.Join(b.item(one), b.item(two))
	}), ErrArchive)
}

// A draft that cannot go on, because nobody can be told, ends no connection: on that what
// comes is received, and the queue gets shorter. It is looked at again when batches left.
func TestDraftThatCannotGoOnWaits(t *testing.T) {
	_, _, bob, _ := siblings(t)
	bob.do(func(k *work) error { return k.drawAccountKey() })
	bob.do(func(k *work) error {
		for n := state.SyncQueue.Count(k.tx); n < state.MaxSyncQueue; n++ {
			if err := state.SyncQueue.Put(k.tx, state.U64(uint64(1<<32+n)), &state.SyncItem{Bytes: []byte{1}}); err != nil {
				return err
			}
		}
		return nil
	})
	bob.w.now = bob.w.now.Add((draftDays + 1) * 24 * time.Hour)
	full := bob.try(func(k *work) error { _, _, err := k.replacement(); return err })
	is(t, full, ErrFull)
	for _, err := range []error{full, ErrUntold} {
		var r *quicnet.RefusedError
		if !errors.As(putOff(err, time.Minute), &r) || r.RetryAfter != time.Minute {
			t.Errorf("%v ends the connection, or is tried again at once", err)
		}
	}
	for _, err := range []error{ErrServer, &LaterError{}} {
		is(t, putOff(err, time.Minute), errUnusable)
	}
	for _, err := range []error{nil, quicnet.ErrClosed, state.ErrIO} {
		is(t, putOff(err, time.Minute), err)
	}
}
