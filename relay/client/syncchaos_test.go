package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/devicesync"
	"waxwing/core/keys"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// putSomehow puts the next batch, and crashes before the provider has it, before
// its answer is here, or not.
func (u *user) putSomehow() {
	b := u.nextBatch()
	if b == nil {
		return
	}
	fate := u.w.r.IntN(4)
	if fate == 0 {
		u.reopen()
		return
	}
	u.deliver(b)
	if fate == 1 {
		u.reopen()
		return
	}
	if fate == 2 { // the transaction of the answer fails
		if err := u.try(func(k *work) error { return errors.Join(k.batchDone(b, true), errUndo) }); !errors.Is(err, errUndo) {
			u.w.t.Fatal(err)
		}
		return
	}
	u.do(func(k *work) error { return k.batchDone(b, true) })
}

// pullSomehow takes some of what waits, in transactions that fail, are lost with
// the process, or come twice.
func (u *user) pullSomehow() {
	n := u.w.r.IntN(len(u.queue) + 1)
	if n == 0 {
		return
	}
	switch u.w.r.IntN(3) {
	case 0:
		if err := u.try(func(k *work) error { return errors.Join(k.receive(u.queue[:n]), errUndo) }); !errors.Is(err, errUndo) {
			u.w.t.Fatal(err)
		}
		u.reopen()
	case 1:
		u.take(u.queue[:n]) // the ack is lost
	default:
		u.take(u.queue[:n])
		u.queue = u.queue[n:]
	}
}

// Whatever is lost with a process on either side, each message is in the history
// of each device exactly once, and each ticket is known on both.
func TestChaosSync(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	var sent []string
	for i := range 60 {
		u := []*user{bob, bob2}[w.r.IntN(2)]
		if w.r.IntN(2) == 0 {
			text := fmt.Sprintf("%03d", i)
			if w.r.IntN(8) == 0 {
				text += strings.Repeat(" and so on", 900)
			}
			u.send(alice, text)
			sent = append(sent, text[:3])
		}
		if w.r.IntN(4) == 0 {
			u.push(true)
		}
		if w.r.IntN(6) == 0 {
			u.code()
		}
		for _, u := range []*user{bob, bob2} {
			u.putSomehow()
			u.pullSomehow()
		}
	}
	w.settle()
	w.agree()
	given := make(map[*user][]uint64)
	for _, u := range []*user{bob, bob2} {
		var got []string
		for _, h := range u.history(alice) {
			if h[0] >= '0' && h[0] <= '9' {
				got = append(got, h[:3])
			}
			if strings.Contains(h, "waiting") || strings.Contains(h, "sealed") {
				t.Errorf("bob %d: %q", u.device, h)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, sent) {
			t.Errorf("bob %d has %d of %d messages, or one twice", u.device, len(got), len(sent))
		}
		u.do(func(k *work) error {
			for row, err := range state.Given.Scan(k.tx, nil, nil) {
				if err != nil {
					return err
				}
				given[u] = append(given[u], row.Record.Serial)
			}
			return nil
		})
		if u.lost() != 0 || u.queued() != 0 {
			t.Errorf("bob %d: %d lost, %d wait", u.device, u.lost(), u.queued())
		}
	}
	if !slices.Equal(given[bob], given[bob2]) || len(given[bob]) == 0 {
		t.Errorf("%d and %d tickets are known", len(given[bob]), len(given[bob2]))
	}
}

// Items applied twice and in any order end in the same state.
func TestApplyInAnyOrder(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	var items []devicesync.Item
	bob.do(func(k *work) error {
		c := k.find(alice.address)
		for i := range uint64(3) {
			k.now = k.now.Add(time.Second)
			c.Blocked, c.Entry = i%2 == 0, [16]byte{byte(1 - i%2)}
			item, _, err := k.contactItem(c)
			if err != nil {
				return err
			}
			item.Changed = uint64(k.now.UnixMilli()) + i
			items = append(items, item)
		}
		return errUndoQuietly(k, c)
	})
	text := bob.send(alice, "in any order")
	bob.do(func(k *work) error {
		m, err := state.Log.Get(k.tx, state.U64(text))
		if err != nil {
			return err
		}
		items = append(items, &devicesync.Sent{
			Contact: alice.address, Time: m.Time, Status: devicesync.StatusWaiting, D: m.D, Key: m.Key, Frame: m.Frame,
		})
		for _, s := range []devicesync.Status{devicesync.StatusAccepted, devicesync.StatusRead, devicesync.StatusDelivered} {
			items = append(items, &devicesync.StatusOf{Contact: alice.address, D: m.D, Status: s})
		}
		return nil
	})
	items = append(items, givenItem([]ticket.Given{{Serial: 9e9, Expiry: 1 << 20, Account: alice.address, Batch: 1, Giver: bob.device, Device: 1}}))
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.Permutation(append(slices.Clone(items), items...)).Draw(rt, "order")
		err := bob2.try(func(k *work) error {
			before := state.Log.Count(k.tx)
			for _, i := range order {
				if err := k.apply(i); err != nil {
					return err
				}
			}
			c := k.find(alice.address)
			last, err := state.Log.Last(k.tx, nil)
			if err != nil {
				return err
			}
			_, known := k.pool.Owner(9e9)
			if !c.Blocked || state.Log.Count(k.tx) != before+1 || last.Record.Status != state.StatusRead || !known {
				rt.Errorf("blocked %v, %d more messages, %v, ticket known %v",
					c.Blocked, state.Log.Count(k.tx)-before, last.Record.Status, known)
			}
			return errUndo
		})
		if !errors.Is(err, errUndo) {
			rt.Fatal(err)
		}
	})
}

// errUndoQuietly leaves a contact as it was stored.
func errUndoQuietly(k *work, c *contact) error {
	rec, err := state.Contacts.Get(k.tx, state.U32(c.id))
	if err == nil {
		c.Contact = rec
	}
	return err
}

// Another device cannot replace what is pinned, nor speak for the own account.
func TestApplyKeepsPins(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	mallory := w.user("mallory@alpha.example")
	bob2.add(mallory.code())
	bob2.send(mallory, "hello")
	w.settle()
	w.agree()
	var theirs *devicesync.Contact
	bob2.do(func(k *work) (err error) {
		theirs, _, err = k.contactItem(k.find(mallory.address))
		return err
	})
	for name, change := range map[string]func(i *devicesync.Contact){
		"the keys of another": func(i *devicesync.Contact) { i.Address = alice.address },
		"own address":         func(i *devicesync.Contact) { i.Address = bob.address },
		"identity":            func(i *devicesync.Contact) { i.Identity = bob2.box.manifest.Identity() },
		"fingerprint":         func(i *devicesync.Contact) { i.Fingerprint[0]++ },
		"X_S":                 func(i *devicesync.Contact) { i.XS[0]++ },
		"manifest":            func(i *devicesync.Contact) { i.Manifest = []byte("no") },
		"provider":            func(i *devicesync.Contact) { i.Pinned, i.Pin = true, keys.Pin{1} },
	} {
		i := *theirs
		i.Changed, i.Blocked, i.Entry = uint64(w.now.UnixMilli())+1e6, true, [16]byte{1}
		change(&i)
		bob2.do(func(k *work) error {
			if err := k.apply(&i); err != nil {
				return err
			}
			for _, u := range []*user{alice, mallory} {
				c := k.find(u.address)
				if c.Blocked || c.Fingerprint != u.box.manifest.IdentityFingerprint() || c.XS != u.box.manifest.XS() {
					t.Errorf("%s: was taken", name)
				}
			}
			if k.find(bob.address) != nil {
				t.Errorf("%s: the own account is a contact", name)
			}
			return nil
		})
	}
}
