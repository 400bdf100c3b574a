package client

import (
	"testing"

	"waxwing/relay/client/state"
)

// A message counts as read if both sides allow read receipts, and in no other
// case; without them nothing is even sent.
func TestReadReceipts(t *testing.T) {
	for _, row := range []struct {
		sender, reader bool
		want           state.Status
	}{
		{false, false, state.StatusDelivered},
		{true, false, state.StatusDelivered},
		{false, true, state.StatusDelivered},
		{true, true, state.StatusRead},
	} {
		w := newWorld(t)
		alice, bob := w.friends()
		alice.do(func(k *work) error { return k.setReadReceipts(row.sender) })
		bob.do(func(k *work) error { return k.setReadReceipts(row.reader) })
		id := alice.send(bob, "look")
		w.settle()
		if got := alice.status(id); got != state.StatusDelivered {
			t.Fatalf("before it was shown: %v", got)
		}
		var last MessageID
		bob.do(func(k *work) error {
			r, err := state.Log.Last(k.tx, nil)
			last = MessageID(state.ParseU64(r.Key))
			return err
		})
		bob.do(func(k *work) error { return k.markRead(last) })
		bob.do(func(k *work) error { return k.markRead(last + 100) }) // not there
		alice.reopen()
		w.settle()
		if got := alice.status(id); got != row.want {
			t.Errorf("sender %v, reader %v: %v", row.sender, row.reader, got)
		}
		for _, u := range []*user{alice, bob} {
			u.do(func(k *work) error {
				if state.Reads.Count(k.tx) != 0 {
					t.Error("a read receipt is left")
				}
				return nil
			})
		}
	}
}

// Turning them off takes back what was to be sent; a blocked contact gets none.
func TestReadReceiptsTakenBack(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	mark := func() {
		bob.do(func(k *work) error { return k.setReadReceipts(true) })
		bob.do(func(k *work) error { return k.markRead(1) })
	}
	pending := func() (n int) {
		bob.do(func(k *work) error { n = state.Reads.Count(k.tx); return nil })
		return n
	}
	mark()
	if pending() != 1 {
		t.Fatal("nothing to be sent")
	}
	bob.do(func(k *work) error { return k.setReadReceipts(false) })
	if pending() != 0 {
		t.Error("turned off, and still to be sent")
	}
	mark()
	bob.do(func(k *work) error { return k.block(alice.address) })
	if pending() != 0 {
		t.Error("blocked, and still to be sent")
	}
	bob.do(func(k *work) error { return k.markRead(1) })
	if pending() != 0 {
		t.Error("a blocked contact is told")
	}
}
