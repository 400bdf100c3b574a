package client

import (
	"fmt"
	"slices"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// TestContactsFull: with as many contacts as there may be, a stranger's first
// message is dropped and makes none, and those that are contacts do not notice.
func TestContactsFull(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	carol := w.user("carol@alpha.example")
	carol.add(bob.code())
	carol.send(bob, "hello from carol")
	carol.lookUp()
	carol.push(true)
	bob.do(func(k *work) error {
		of := k.find(alice.address)
		for i := len(k.contacts); i < state.MaxContacts; i++ {
			_, err := k.newContact(&state.Contact{
				Address: ids.MustParseAddress(fmt.Sprintf("u%d@alpha.example", i)), Status: state.ContactKnown,
				Fingerprint: of.Fingerprint, XS: of.XS,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	bob.pull()
	if n := bob.dropped(dropContacts); n != 1 || len(bob.inbox(carol)) != 0 {
		t.Errorf("%d dropped, %q shown", n, bob.inbox(carol))
	}
	bob.do(func(k *work) error {
		if len(k.contacts) != state.MaxContacts || k.find(carol.address) != nil {
			t.Errorf("%d contacts", len(k.contacts))
		}
		return nil
	})
	alice.send(bob, "still here")
	alice.push(true)
	bob.pull()
	if got := bob.inbox(alice); !slices.Equal(got, []string{"hello", "still here"}) {
		t.Errorf("%q", got)
	}
}

// TestHeldFull: what would be held is dropped where there is no room, its serial
// stays unused, and the same delivery is shown once it can be judged.
func TestHeldFull(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	d := alice.one(bob, "from before a restore")
	key := state.U64(d.Serial)
	given := func() (g []byte) {
		bob.do(func(k *work) error {
			row, err := state.Given.Get(k.tx, key)
			if err != nil {
				return err
			}
			g = wire.MustMarshal(row)
			return state.Given.Delete(k.tx, key)
		})
		return g
	}()
	bob.do(func(k *work) error {
		for i := range uint64(state.MaxHeld) {
			err := state.Held.Put(k.tx, state.U64(1<<32+i), &state.HeldDelivery{
				Reason: state.HeldSerial, Hidden: true, Delivery: wire.MustMarshal(d), Until: k.today + 1,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	bob.reopen()
	bob.inject(d)
	if n := bob.dropped(dropHeldFull); n != 1 || bob.heldCount() != state.MaxHeld || bob.strike() != 0 {
		t.Errorf("%d dropped, %d held", n, bob.heldCount())
	}
	bob.do(func(k *work) error {
		for i := range uint64(state.MaxHeld) {
			if err := state.Held.Delete(k.tx, state.U64(1<<32+i)); err != nil {
				return err
			}
		}
		g, err := state.Given.Get(k.tx, key)
		if err == nil {
			t.Errorf("the serial counts as used: %v", g)
		}
		row := new(ticket.Given)
		if err := wire.Unmarshal(given, row); err != nil {
			return err
		}
		return state.Given.Put(k.tx, key, row)
	})
	bob.reopen()
	bob.inject(d)
	if got := bob.inbox(alice); !slices.Equal(got, []string{"hello", "from before a restore"}) {
		t.Errorf("%q", got)
	}
}

// TestHeldForProvider: a delivery whose sender's provider is not known is held,
// asks for that provider's keys, and is shown when they have come.
func TestHeldForProvider(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	d := alice.one(bob, "from an unknown provider")
	domain := alice.address.Domain()
	bob.do(func(k *work) error { return state.Descriptors.Delete(k.tx, []byte(domain.String())) })
	bob.reopen()
	bob.box.push(wire.MustMarshal(d))
	batch := bob.queue
	bob.queue = nil
	for i := range 2 { // its ack was lost: it comes again
		bob.do(func(k *work) error {
			err := k.receive(batch)
			if first := i == 0; k.fetch[domain] != first {
				t.Errorf("time %d: the provider's keys are asked for: %v", i, !first)
			}
			return err
		})
	}
	if got := bob.inbox(alice); len(got) != 1 || bob.heldCount() != 1 {
		t.Errorf("%q shown, %d held", got, bob.heldCount())
	}
	bob.reopen() // it is held durably
	bob.do(func(k *work) error {
		if err := k.described(domain, alice.p.descriptor()); err != nil {
			return err
		}
		return k.release(false)
	})
	if got := bob.inbox(alice); !slices.Equal(got, []string{"hello", "from an unknown provider"}) || bob.heldCount() != 0 {
		t.Errorf("%q shown, %d held", got, bob.heldCount())
	}
}
