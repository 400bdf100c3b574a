package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"waxwing/core/archive"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// written is a user's archive, not encrypted.
func (u *user) written(history bool) []byte {
	u.w.t.Helper()
	var b bytes.Buffer
	u.do(func(k *work) error { return k.prepareArchive() })
	u.do(func(k *work) error { return k.writeArchive(&b, k.self.manifest, history) })
	return b.Bytes()
}

// restored is an engine on a new file, with what restore made of an archive.
func (w *world) restored(b []byte, d newDevice) (*engine, error) {
	s, err := state.Open(filepath.Join(w.t.TempDir(), "state"), state.Options{})
	w.must(err)
	w.t.Cleanup(func() { s.Close() })
	e := &engine{store: s}
	return e, s.Update(func(tx *state.Tx) error {
		return restore(tx, bytes.NewReader(b), d, ids.DayOf(w.now), "")
	})
}

// correspondents have written to each other; bob waits for a code of carol, has
// one out, and has blocked dave.
func (w *world) correspondents() (alice, bob *user) {
	alice, bob = w.friends()
	dave := w.user("dave@beta.example")
	w.befriend(dave, bob)
	for _, text := range []string{"one", "two"} {
		alice.send(bob, text)
		bob.send(alice, "re: "+text)
		w.settle()
	}
	bob.code()
	bob.do(func(k *work) error { return k.block(dave.address) })
	bob.do(func(k *work) error {
		n, err := k.safetyNumber(alice.address)
		if err != nil {
			return err
		}
		d := n.digest()
		return state.Verified.Put(k.tx, state.U32(k.find(alice.address).id), &d)
	})
	bob.send(alice, "not sent yet")
	return alice, bob
}

// rowsOf calls f with what each row of a table stores.
func rowsOf[T any, P state.Record[T]](k *work, table *state.Table[T, P], f func(P)) (n int) {
	for row, err := range table.Scan(k.tx, nil, nil) {
		if err != nil {
			panic(err)
		}
		f(row.Record)
		n++
	}
	return n
}

// No session state, prekey, ticket or key of the device is in an archive.
func TestArchiveHoldsNothingOfTheDevice(t *testing.T) {
	w := newWorld(t)
	_, bob := w.correspondents()
	archive := bob.written(true)
	bob.do(func(k *work) error {
		manifest := k.self.Profile.Manifest
		rowsOf(k, state.Manifests, func(b *state.Blob) { manifest = append(bytes.Clone(manifest), b.Bytes...) })
		absent := func(what string, secret []byte) {
			const window = 24
			for i := 0; i+window <= len(secret); i += window {
				part := secret[i : i+window]
				if bytes.Contains(manifest, part) || bytes.Count(part, []byte{0}) > window/2 {
					continue // public, or nothing
				}
				if bytes.Contains(archive, part) {
					t.Fatalf("the archive holds something of %s", what)
				}
			}
		}
		counts := map[string]int{
			"sessions":  rowsOf(k, state.Sessions, func(s *state.Session) { absent("a session", s.State) }),
			"signed":    rowsOf(k, state.Signed, func(s *state.OwnKey) { absent("a signed prekey", s.Key) }),
			"one-time":  rowsOf(k, state.OneTime, func(s *state.OwnKey) { absent("a one-time prekey", s.Key) }),
			"last":      rowsOf(k, state.LastResort, func(s *state.OwnKey) { absent("a last-resort prekey", s.Key) }),
			"tickets":   rowsOf(k, state.Wallets, func(h *ticket.Held) { absent("a ticket", h.Ticket[:]); absent("its key", h.Key.Bytes()[:]) }),
			"own stock": rowsOf(k, state.Stock, func(s *ticket.Stocked) { absent("a ticket in stock", s.Ticket[:]); absent("its key", s.Key.Bytes()[:]) }),
		}
		for what, n := range counts {
			if n == 0 {
				t.Errorf("no %s to look for", what)
			}
		}
		absent("the device's signing key", k.self.Sign[:])
		absent("the device's DH key", k.self.DeviceDH[:])
		if !bytes.Contains(archive, k.self.Identity[:]) || !bytes.Contains(archive, k.self.Secrets.K[:]) {
			t.Error("the account's own secrets are missing")
		}
		return nil
	})
}

// What devices share comes back; the device begins with nothing of its own, and
// what was still to be sent has failed.
func TestRestore(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.correspondents()
	d := makeDevice()
	e, err := w.restored(bob.written(true), d)
	w.must(err)
	var before, after []state.Status
	bob.do(func(k *work) error {
		rowsOf(k, state.Log, func(m *state.Message) { before = append(before, m.Status) })
		return nil
	})
	w.must(e.update(w.now, func(k *work) error {
		rowsOf(k, state.Log, func(m *state.Message) { after = append(after, m.Status) })
		for _, n := range []int{
			state.Wallets.Count(k.tx), state.Stock.Count(k.tx), state.Sessions.Count(k.tx), state.OneTime.Count(k.tx),
			state.Signed.Count(k.tx), state.LastResort.Count(k.tx), state.Outbox.Count(k.tx), state.Waiting.Count(k.tx),
		} {
			if n != 0 {
				t.Error("the new device has something of the old one")
			}
		}
		c := k.find(alice.address)
		k.self.Registered = true // as it is once the provider has answered
		verified := k.verified(c)
		k.self.Registered = false
		if c == nil || c.Status != state.ContactKnown || c.Identity == (keys.VerifyKey{}) || !verified || len(c.peers) == 0 || c.reachable() {
			t.Error("the contact is not as it was")
		}
		dave := k.find(ids.MustParseAddress("dave@beta.example"))
		if dave == nil || !dave.Blocked || dave.Entry == [16]byte{} || dave.Batch < 1<<generationBits {
			t.Error("the block was forgotten")
		}
		if state.Given.Count(k.tx) == 0 || state.Codes.Count(k.tx) == 0 || !k.unfinished() {
			t.Error("given tickets, codes or the state of the import")
		}
		return nil
	}))
	if len(after) != len(before) {
		t.Fatalf("%d messages, want %d", len(after), len(before))
	}
	failed := 0
	for i, s := range before {
		want := s
		if s == state.StatusWaiting || s == state.StatusSealed {
			want = state.StatusFailed
			failed++
		}
		if after[i] != want {
			t.Errorf("message %d is %v, want %v", i, after[i], want)
		}
	}
	if failed == 0 {
		t.Error("nothing was waiting")
	}
	// Once more out of the new device: the same given tickets and messages.
	var again bytes.Buffer
	w.must(e.view(w.now, func(k *work) error { return k.writeArchive(&again, k.self.manifest, true) }))
	if e, err = w.restored(again.Bytes(), d); err != nil {
		t.Error(err)
	}
	w.must(e.view(w.now, func(k *work) error {
		if state.Log.Count(k.tx) != len(after) {
			t.Error("messages got lost")
		}
		return nil
	}))
}

// The new device does not claim the choices of an old export as its own of today:
// what was chosen since then holds.
func TestRestoredChoicesAreOld(t *testing.T) {
	w := newWorld(t)
	_, bob := w.correspondents()
	archive := bob.written(false)
	chosen := map[ids.Address]state.Told{}
	bob.do(func(k *work) error {
		for _, c := range k.contacts {
			told, err := k.toldOf(c.id)
			if err != nil {
				return err
			}
			chosen[c.Address] = *told
		}
		return nil
	})
	e, err := w.restored(archive, makeDevice())
	w.must(err)
	w.must(e.update(w.now.Add(time.Hour), func(k *work) error {
		for _, c := range k.contacts {
			told, err := k.toldOf(c.id)
			if err != nil {
				return err
			}
			i, _, err := k.contactItem(c)
			if err != nil {
				return err
			}
			if want := chosen[c.Address]; told.Choice != want.Choice || told.Changed != want.Changed || told.Choice != choiceOf(i) {
				t.Errorf("the choice is of %d, want %d", told.Changed, want.Changed)
			}
			if c.Blocked && told.Changed == 0 {
				t.Error("a block without a time")
			}
		}
		return nil
	}))
}

// A device that is sealed to from before it had the account reads what contacts
// send: with the roots and the map of serials, the serial's S is known.
func TestRestoredOpensGivenSerials(t *testing.T) {
	w := newWorld(t)
	_, bob := w.correspondents()
	e, err := w.restored(bob.written(false), makeDevice())
	w.must(err)
	bob.do(func(k *work) error {
		return e.view(w.now, func(n *work) error {
			for row, err := range state.Given.Scan(k.tx, nil, nil) {
				if err != nil {
					return err
				}
				g, err := state.Given.Get(n.tx, row.Key)
				if err != nil {
					return err
				}
				old, fresh := row.Record.SealSecret(k.self.roots[row.Record.Root]), g.SealSecret(n.self.roots[g.Root])
				if !old.Equal(fresh) || *g != *row.Record {
					t.Fatal("another S of a serial")
				}
			}
			if state.Log.Count(n.tx) != 0 {
				t.Error("messages without being asked for")
			}
			return nil
		})
	})
}

// A damaged archive, or one that does not fit together, changes nothing.
func TestRestoreRefuses(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.correspondents()
	good := bob.written(true)
	refused := func(what string, b []byte) {
		t.Helper()
		e, err := w.restored(b, makeDevice())
		if !errors.Is(err, ErrArchive) {
			t.Fatalf("%s: %v", what, err)
		}
		w.must(e.store.View(func(tx *state.Tx) error {
			if state.Profiles.Count(tx)+state.Contacts.Count(tx)+state.Log.Count(tx)+state.Given.Count(tx) != 0 {
				t.Errorf("%s left something", what)
			}
			return nil
		}))
	}
	for _, cut := range []int{0, 3, 100, len(good) / 2, len(good) - 8, len(good) - 1} {
		refused("a cut one", good[:cut])
	}
	refused("a longer one", append(bytes.Clone(good), 0))
	for _, change := range []func(s *self){
		func(s *self) { s.Identity[0] ^= 1 },
		func(s *self) { s.AccountDH[7] ^= 1 },
		func(s *self) { s.Secrets.K = s.Secrets.W },
		func(s *self) { s.Address = alice.address },
	} {
		var b bytes.Buffer
		bob.do(func(k *work) error {
			kept := k.self.Profile
			change(k.self)
			err := k.writeArchive(&b, k.self.manifest, false)
			k.self.Profile = kept
			return err
		})
		refused("secrets of another account", b.Bytes())
	}
}

// A crash after the provider let the device in, before that is stored: the next
// try finds the device in the manifest and adds no other.
func TestImportGoesOn(t *testing.T) {
	w := newWorld(t)
	_, bob := w.correspondents()
	d := makeDevice()
	e, err := w.restored(bob.written(false), d)
	w.must(err)
	var next *directory.Manifest
	w.must(e.view(w.now, func(k *work) error {
		m, there, err := k.withThis(bob.manifest().Bytes())
		if there {
			t.Error("the device is there before it was added")
		}
		next = m
		return err
	}))
	w.must(e.update(w.now, func(k *work) error {
		again, there, err := k.withThis(next.Bytes())
		if err != nil || !there || !again.Equal(next) {
			t.Errorf("added once more: %v", err)
		}
		if _, _, err := k.withThis([]byte{1}); err != ErrServer {
			t.Errorf("no manifest: %v", err)
		}
		if err := k.letIn(next); err != nil {
			return err
		}
		if k.unfinished() || k.self.Device != 2 || len(k.siblings()) != 1 {
			t.Error("not let in")
		}
		return nil
	}))
	// The existing device takes the manifest over.
	is(t, bob.learn(next), nil)
	// With as many devices as there may be, none is added.
	full := next
	for len(full.Devices()) < directory.MaxDevices {
		f := full.Next()
		addDevice(&f)
		bob.do(func(k *work) (err error) { full, err = directory.SignManifest(f, k.self.identity); return err })
	}
	bob.do(func(k *work) error {
		_, _, err := k.withDevice(full, keys.NewSigningKey().Public(), keys.NewDHKey().Public())
		is(t, err, ErrDevices)
		return nil
	})
}

// A registration does not take the place of an account that is being imported.
func TestRegisterOverAnImport(t *testing.T) {
	w := newWorld(t)
	_, bob := w.correspondents()
	e, err := w.restored(bob.written(false), makeDevice())
	w.must(err)
	for _, address := range []string{"bob@beta.example", "erin@beta.example"} {
		err := e.update(w.now, func(k *work) error {
			return k.prepare(ids.MustParseAddress(address), "127.0.0.1:1", bob.p.pin(), nil)
		})
		is(t, err, ErrRegistered)
	}
}

// fuzzRestore has f read archives whole or, of their items alone, behind a good
// account's part: neither its signature nor its keys are then checked each time.
func fuzzRestore(f *testing.F, itemsOnly bool) {
	w := newWorld(f)
	_, bob := w.correspondents()
	whole := bob.written(true)
	cut := 4 + int(binary.BigEndian.Uint32(whole))
	account, items := whole[:cut], whole[cut:]
	if itemsOnly {
		f.Add(items)
		without := bob.written(false)
		f.Add(without[4+int(binary.BigEndian.Uint32(without)):])
	} else {
		f.Add(whole)
		f.Add(account)
	}
	s, err := state.Open(filepath.Join(f.TempDir(), "state"), state.Options{})
	w.must(err)
	f.Cleanup(func() { s.Close() })
	device := makeDevice()
	const today = 20_000
	f.Fuzz(func(t *testing.T, b []byte) {
		var err error
		_ = s.Update(func(tx *state.Tx) error {
			if itemsOnly {
				r, _, err2 := archive.NewReader(io.MultiReader(bytes.NewReader(account), bytes.NewReader(b)))
				if err2 != nil {
					t.Fatal(err2)
				}
				err = (&restoring{tx: tx, today: today, contacts: make(map[ids.Address]state.ContactID)}).items(r)
			} else {
				err = restore(tx, bytes.NewReader(b), device, today, "")
			}
			return errors.New("nothing stays")
		})
		if err != nil && !errors.Is(err, ErrArchive) {
			t.Errorf("an error of the format that is not ErrArchive: %v", err)
		}
	})
}

func FuzzRestore(f *testing.F)      { fuzzRestore(f, false) }
func FuzzRestoreItems(f *testing.F) { fuzzRestore(f, true) }
