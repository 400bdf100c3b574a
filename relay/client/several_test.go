package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/content"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// Each message is shown once on each device, whoever of the other side wrote it.
func TestTwoDevicesEach(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	bob2 := bob.link()
	bob.send(alice, "i have another phone")
	w.settle()
	alice.send(bob, "both of you")
	w.settle()
	bob.shows(alice, "hello", "both of you")
	bob2.shows(alice, "both of you")
	bob2.send(alice, "from the new one")
	w.settle()
	bob.send(alice, "from the old one")
	w.settle()
	alice.shows(bob, "hello back", "i have another phone", "from the new one", "from the old one")

	alice2 := alice.link()
	alice.send(bob, "me too")
	w.settle()
	alice2.send(bob, "this is it")
	w.settle()
	for _, u := range []*user{bob, bob2} {
		got := u.inbox(alice)
		if !slices.Equal(got[len(got)-3:], []string{"both of you", "me too", "this is it"}) {
			t.Errorf("bob %d: %q", u.device, got)
		}
	}
	bob2.send(alice, "hello to two")
	w.settle()
	for _, u := range []*user{alice, alice2} {
		if got := u.inbox(bob); got[len(got)-1] != "hello to two" {
			t.Errorf("alice %d: %q", u.device, got)
		}
	}
	w.nothingDropped(dropEntry)
	for _, u := range w.users {
		u.reopen()
	}
	bob.send(alice, "and after that")
	alice2.send(bob, "as before")
	w.settle()
	for _, u := range []*user{alice, alice2} {
		if got := u.inbox(bob); got[len(got)-1] != "and after that" {
			t.Errorf("alice %d: %q", u.device, got)
		}
	}
	if len(bob2.inbox(alice)) != 4 {
		t.Errorf("bob 2: %q", bob2.inbox(alice))
	}
}

// A message that was sealed before its sender knew of the second device comes to
// it afterwards, as the same message, and is shown once on the first.
func TestMissedIsRepaired(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	bob2 := bob.link()
	id := alice.send(bob, "written before")
	alice.push(true)
	w.settle()
	bob.shows(alice, "hello", "written before")
	bob2.shows(alice, "written before")
	if bob2.dropped(dropEntry) == 0 {
		t.Error("the first copy was sealed to the second device")
	}
	if s := alice.status(id); s != state.StatusDelivered {
		t.Errorf("status %v", s)
	}
	digest := func(u *user) (d [32]byte) {
		u.do(func(k *work) error {
			for row, err := range state.Log.Backward(k.tx, nil) {
				d = row.Record.D
				return err
			}
			return nil
		})
		return d
	}
	if digest(bob) != digest(bob2) {
		t.Error("another d")
	}
	alice.do(func(k *work) error {
		m, err := state.Log.Get(k.tx, state.U64(id))
		if err == nil && (m.Key != [32]byte{} || m.Tries != 2 || state.Repairs.Count(k.tx) != 0) {
			t.Errorf("sealed %d times, or kept", m.Tries)
		}
		return err
	})
	w.settle()
	w.nothingDropped(dropEntry)
	// Sealed for the newest version, so asking again changes nothing.
	alice.do(func(k *work) error {
		c := k.find(bob.address)
		d := digest(bob)
		if err := k.missed(c, d); err != nil || state.Repairs.Count(k.tx) != 0 {
			t.Error("sealed again for the same version")
		}
		return nil
	})
}

// A device that has no prekeys yet keeps nobody, and is looked up again later.
func TestDeviceWithoutPrekeys(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	bob2 := bob.link()
	hidden := bob.box.prekeys[bob2.device]
	delete(bob.box.prekeys, bob2.device)
	alice.send(bob, "early")
	alice.push(true)
	bob.pull()
	bob.push(true)
	alice.pull()
	alice.send(bob, "later")
	alice.push(true)
	bob.pull()
	bob.shows(alice, "hello", "early", "later")
	var due []ids.Address
	look := func() { alice.do(func(k *work) error { due = k.lookups(); return nil }) }
	if look(); len(due) != 0 {
		t.Error("looked up again at once")
	}
	bob.box.prekeys[bob2.device] = hidden
	w.advance(lookupRetry)
	if look(); !slices.Equal(due, []ids.Address{bob.address}) {
		t.Errorf("not looked up again: %d", len(due))
	}
	w.settle()
	bob.shows(alice, "hello", "early", "later")
	if got := bob2.inbox(alice); len(got) == 0 || got[0] != "early" {
		t.Errorf("the second device was shown %q", got)
	}
}

// A removed device is written to no more, and what it writes is refused. New
// secrets are in use, and the old ones go when the last ticket is over.
func TestRemovedDeviceIsRefused(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	bob2 := bob.link()
	bob.send(alice, "a second one")
	w.settle()
	bob2.send(alice, "me")
	alice.send(bob, "to both")
	w.settle()
	if alice.tickets(bob) == 0 || bob2.tickets(alice) == 0 {
		t.Fatal("nothing to write with")
	}
	bob2.send(alice, "still allowed, and late")
	late := bob2.seal(true)
	bob.remove(bob2)
	bob.send(alice, "without it")
	w.settle()
	alice.do(func(k *work) error {
		c := k.find(bob.address)
		to, err := k.recipients(c)
		if len(to) != 1 || to[0].p.device != 1 || c.peers[bob2.device] != nil {
			t.Error("still a recipient")
		}
		for _, s := range c.sessions {
			if s.row.Device == bob2.device {
				t.Error("a session is left")
			}
		}
		return err
	})
	before := len(alice.inbox(bob))
	for _, o := range late {
		alice.p.take(bob.address.Domain(), o.bytes)
	}
	alice.pull()
	if n := alice.dropped(dropDevice); n != uint64(len(late)) || len(alice.inbox(bob)) != before {
		t.Errorf("%d of %d refused", n, len(late))
	}
	alice.reopen()
	alice.send(bob, "to one")
	w.settle()
	if got := bob.inbox(alice); got[len(got)-1] != "to one" {
		t.Errorf("bob: %q", got)
	}
	roots := func() (n int, number uint16) {
		bob.do(func(k *work) error { n, number = len(k.self.roots), k.self.Root; return nil })
		return n, number
	}
	if n, number := roots(); n != 2 || number != 1 {
		t.Errorf("%d roots, number %d in use", n, number)
	}
	bob.reopen()
	for range rootDays + 1 {
		w.day(bob2)
	}
	if n, number := roots(); n != 1 || number != 1 {
		t.Errorf("%d roots, number %d in use", n, number)
	}
	if bob.tickets(alice) == 0 || alice.tickets(bob) == 0 {
		t.Error("no tickets under the new root")
	}
	// Its certificate is refused with any manifest that has it.
	is(t, bob.learn(bob2.manifest()), ErrServer)
	is(t, bob2.learn(bob.manifest()), ErrRemoved)
}

// No ticket is in two wallets, and the giver knows which device has it.
func TestGrantsPerDevice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	bob2 := bob.link()
	bob.send(alice, "two of us")
	w.settle()
	alice.send(bob, "here you are")
	w.settle()
	seen := make(map[ticket.Ticket]bool)
	for _, u := range []*user{bob, bob2} {
		n := 0
		u.do(func(k *work) error {
			for row, err := range state.Wallets.Scan(k.tx, nil, nil) {
				if err != nil || seen[row.Record.Ticket] {
					t.Fatal("one ticket for two devices", err)
				}
				seen[row.Record.Ticket] = true
				n++
			}
			return nil
		})
		alice.do(func(k *work) error {
			if have := k.pool.Outstanding(bob.address, u.device, k.today); have != n || n == 0 {
				t.Errorf("device %d has %d, alice counts %d", u.device, n, have)
			}
			return nil
		})
	}
}

// A removal whose answer was lost draws new secrets when it shows.
func TestRemovalAnswerLost(t *testing.T) {
	w := newWorld(t)
	bob := w.user("bob@beta.example")
	bob2 := bob.link()
	m, err := bob.without(bob2.device)
	is(t, err, nil)
	bob.do(func(k *work) error { k.ownProfile().Removing = bob2.device; return nil })
	bob.reopen()
	is(t, bob.learn(m), nil)
	bob.reopen()
	bob.do(func(k *work) error {
		if k.self.Root != 1 || k.self.Removing != 0 || len(k.own.peers) != 0 {
			t.Error("the old secrets are in use")
		}
		return nil
	})
}

// Devices that run at different times derive the same seal keys; each erases what
// is over.
func TestSealChain(t *testing.T) {
	w := newWorld(t)
	bob := w.user("bob@beta.example")
	bob2 := bob.link()
	rows := func(u *user) map[string]string {
		out := make(map[string]string)
		u.do(func(k *work) error {
			all, err := state.SealKeys.Rows(k.tx, nil, nil, 0)
			for _, r := range all {
				out[string(r.Key)] = string(r.Record.Key)
			}
			return err
		})
		return out
	}
	for week := range 9 {
		w.advance(7 * 24 * time.Hour)
		bob.supply() // the harness compares what is published
		if week%4 == 3 {
			bob2.supply()
			one, two := rows(bob), rows(bob2)
			same := 0
			for k, v := range two {
				if one[k] == v {
					same++
				} else if one[k] != "" { // who was away keeps some for a few days more
					t.Errorf("week %d: another key", week)
				}
			}
			if same < 2 {
				t.Errorf("week %d: %d keys of both", week, same)
			}
			if len(one) < 2 || len(one) > 4 || len(two) < 2 {
				t.Errorf("week %d: %d and %d keys", week, len(one), len(two))
			}
		}
	}
	var before, after [32]byte
	bob.do(func(k *work) error { before = k.self.Chain; return k.rotateRoots() })
	bob.do(func(k *work) error {
		after = k.self.Chain
		if k.self.ChainWeek != directory.WeekOf(k.today)+1 {
			t.Error("this week's key is drawn twice")
		}
		return nil
	})
	if before == after {
		t.Error("the old chain is in use")
	}
	is(t, bob.try(func(k *work) error { return k.followChain(k.self.ChainWeek + maxChainWeeks + 1) }), errClock)
}

// The own account is nobody's contact.
func TestOwnAccountIsHidden(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	bob2 := bob.link()
	w.settle()
	for _, u := range []*user{bob, bob2} {
		u.reopen()
		u.do(func(k *work) error {
			if k.find(bob.address) != nil || len(k.contacts) != 1 || k.find(alice.address) == nil {
				t.Error("listed")
			}
			if len(k.own.peers) != 1 || !k.own.reachable() || len(k.siblings()) != 1 {
				t.Errorf("device %d has no session with the other", u.device)
			}
			return nil
		})
		is(t, u.try(func(k *work) error { _, err := k.enqueue(bob.address, "to myself"); return err }), ErrUnknownContact)
	}
}

// Whatever manifests come in whatever order: the peers are the devices of the
// newest that follows, and no id comes back.
func TestManifestNews(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	base := bob.manifest()
	var identity *keys.SigningKey
	bob.do(func(k *work) error { identity = k.self.identity; return nil })
	rapid.Check(t, func(t *rapid.T) {
		chain := []*directory.Manifest{base}
		for range rapid.IntRange(1, 8).Draw(t, "versions") {
			f := chain[len(chain)-1].Next()
			if n := len(f.Devices); n < directory.MaxDevices && (n == 1 || rapid.Bool().Draw(t, "add")) {
				addDevice(&f)
			} else {
				f.RemoveDevice(f.Devices[rapid.IntRange(1, n-1).Draw(t, "removed")].ID)
			}
			m, err := directory.SignManifest(f, identity)
			if err != nil {
				t.Fatal(err)
			}
			chain = append(chain, m)
		}
		err := alice.try(func(k *work) error {
			c := k.find(bob.address)
			for range 12 {
				m := chain[rapid.IntRange(0, len(chain)-1).Draw(t, "shown")]
				newer, err := k.newer(c, m)
				if err != nil || newer != (uint32(m.Version()) > c.Version) {
					t.Fatalf("version %d over %d: %v, %v", m.Version(), c.Version, newer, err)
				}
				if newer {
					if err := k.learnManifest(c, m); err != nil {
						t.Fatal(err)
					}
				}
				known := chain[c.Version-1]
				if len(c.peers) != len(known.Devices()) {
					t.Fatal("other peers than devices")
				}
				for _, d := range known.Devices() {
					if p := c.peers[d.ID]; p == nil || p.DH != d.DH {
						t.Fatal("a device is missing")
					}
				}
			}
			// Another one of the same version, and one that brings an id back.
			fork := chain[c.Version-1].Next()
			fork.Version--
			fork.Previous[0] ^= 1
			if fork.Version > 1 {
				m, err := directory.SignManifest(fork, identity)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := k.newer(c, m); err == nil {
					t.Fatal("two of one version")
				}
			}
			back := chain[c.Version-1].Next()
			back.Version += 5
			for id := ids.DeviceID(2); id <= back.LastDevice; id++ {
				if c.peers[id] == nil && len(back.Devices) < directory.MaxDevices {
					back.Devices = append(back.Devices, directory.Device{
						ID: id, Sign: keys.NewSigningKey().Public(), DH: keys.NewDHKey().Public(), Suites: back.Devices[0].Suites,
					})
					slices.SortFunc(back.Devices, func(a, b directory.Device) int { return int(a.ID) - int(b.ID) })
					m, err := directory.SignManifest(back, identity)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := k.newer(c, m); err == nil {
						t.Fatal("a removed id came back")
					}
					break
				}
			}
			return errUndo
		})
		if !errors.Is(err, errUndo) {
			t.Fatal(err)
		}
	})
}

// The longest text fits beside everything that a control part may have to say.
func TestLongestTextWithEverything(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	m := alice.next(nil, func(f *directory.ManifestFields) {
		for len(f.Devices) < directory.MaxDevices {
			addDevice(f)
		}
	})
	w.must(alice.learn(m))
	alice.do(func(k *work) error {
		c := k.find(bob.address)
		k.dirty(c)
		for i := range byte(state.MaxMissed) {
			c.Missed = append(c.Missed, [32]byte{1, i + 1})
		}
		for i := range byte(state.MaxConfirms) {
			c.Confirm = append(c.Confirm, [32]byte{2, i + 1})
		}
		var err error
		for i := range byte(2 * content.MaxReceipts) {
			err = errors.Join(err, k.owe(c, [32]byte{3, i + 1}))
		}
		return err
	})
	text := strings.Repeat("x", content.MaxText)
	alice.send(bob, text)
	alice.do(func(k *work) error {
		n, err := k.pump(1, false)
		if c := k.find(bob.address); n != 1 || len(c.Missed) != state.MaxMissed-missedBeside {
			t.Errorf("%d sealed, %d left to tell", n, len(c.Missed))
		}
		return err
	})
	w.settle()
	bob.shows(alice, "hello", text)
	alice.do(func(k *work) error {
		if c := k.find(bob.address); len(c.Missed) != 0 || len(c.Confirm) != 0 || c.Announced != uint32(m.Version()) {
			t.Error("something was not told")
		}
		return nil
	})
}
