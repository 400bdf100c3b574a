package client

import (
	"errors"
	"testing"

	"waxwing/relay/client/state"
)

// borrow puts tickets that somebody else was given among a user's own for a contact.
func (u *user) borrow(to *user, loan []state.Row[*heldRow]) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		c := k.find(to.address)
		k.dirty(c)
		k.unconfirm(c) // or nobody could tell who it is
		for _, r := range loan {
			if err := state.Wallets.Put(k.tx, state.OfContact(c.id, r.Record.Ticket[:]), r.Record); err != nil {
				return err
			}
		}
		return nil
	})
	u.reopen()
}

// TestBorrowedTicket: mallory, a contact too, sends under a ticket of alice's.
func TestBorrowedTicket(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	mallory := w.user("mallory@alpha.example")
	w.befriend(mallory, bob)
	before := alice.tickets(bob)

	mallory.do(func(k *work) error {
		return expire(k, state.Wallets, func(*heldRow) bool { return true })
	})
	// Alice hands tickets of hers over, with keys and S.
	var loan []state.Row[*heldRow]
	alice.do(func(k *work) (err error) {
		loan, err = state.Wallets.Rows(k.tx, nil, nil, 5)
		return err
	})
	mallory.borrow(bob, loan)
	mallory.send(bob, "i am mallory")
	mallory.push(true)
	bob.pull()
	if got := bob.inbox(mallory); len(got) != 1 {
		t.Errorf("shown: %q", got)
	}
	if bob.dropped(dropBorrowed) != 1 {
		t.Error("not dropped as borrowed")
	}
	if n := bob.strike(); n != before-1 {
		t.Errorf("%d of alice's %d tickets were voided", n, before-1)
	}
	if len(bob.box.entries) != 0 {
		t.Error("voiding left a block")
	}
}

// TestBorrowedUnproven: a stranger under alice's ticket voids nothing.
func TestBorrowedUnproven(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	mallory := w.user("mallory@alpha.example")
	mallory.add(bob.code()) // looked up, never wrote
	mallory.send(bob, "hi")
	mallory.lookUp()
	var loan []state.Row[*heldRow]
	alice.do(func(k *work) (err error) {
		loan, err = state.Wallets.Rows(k.tx, nil, nil, 5)
		for _, r := range loan { // she does not use what she gave away
			err = errors.Join(err, state.Wallets.Delete(k.tx, r.Key))
		}
		return err
	})
	alice.reopen()
	mallory.borrow(bob, loan)
	mallory.push(true)
	bob.pull()
	if bob.dropped(dropBorrowed) != 1 || bob.strike() != 0 || len(bob.inbox(mallory)) != 0 {
		t.Errorf("dropped %d", bob.dropped(dropBorrowed))
	}
	alice.send(bob, "still here")
	w.settle()
	if got := bob.inbox(alice); len(got) != 2 {
		t.Errorf("alice: %q", got)
	}
}
