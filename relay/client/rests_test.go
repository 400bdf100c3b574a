package client

import (
	"fmt"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

func TestLaneOf(t *testing.T) {
	beta := ids.MustParseDomain("beta.example")
	for code := wire.CodeMalformed; code.Valid(); code++ {
		l, apart := laneOf(code, 7, beta)
		switch code {
		case wire.CodeMailbox:
			if !apart || l != (lane{contact: 7}) {
				t.Errorf("%v: %v, %v", code, l, apart)
			}
		case wire.CodeUnreachable:
			if !apart || l != (lane{dest: beta}) {
				t.Errorf("%v: %v, %v", code, l, apart)
			}
		default:
			if apart {
				t.Errorf("%v is about all that is sent", code)
			}
		}
	}
}

// What waits for one contact neither goes out nor is added to, and the envelopes
// and messages to another go on; then all of it goes, in order.
func TestRests(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	carol := w.user("carol@beta.example")
	alice.add(carol.code())
	const n = 4
	for i := range n {
		alice.send(bob, fmt.Sprint(i))
	}
	rows := alice.seal(false)
	if len(rows) != n {
		t.Fatalf("%d sealed", len(rows))
	}
	r := &alice.e.rests
	r.refused(lane{contact: rows[1].contact}, rows[1].number, time.Now().Add(time.Hour))
	alice.send(bob, "later")
	alice.send(carol, "hello")
	out := alice.seal(false)
	if len(out) != 1 || out[0].dest != carol.address.Domain() || out[0].contact == rows[0].contact {
		t.Fatalf("%d go out beside what rests", len(out))
	}
	if got := r.waiting(); got != n {
		t.Errorf("%d wait, want %d", got, n)
	}
	if at := r.next(time.Now()); time.Until(at) < time.Minute {
		t.Errorf("rests until %v", at)
	}
	nothing := func(uint64) bool { return false }
	wake := func(after time.Duration, flies func(uint64) bool) (turn uint64) {
		alice.do(func(k *work) error {
			turn = r.wake(time.Now().Add(after), flies, func(n uint64) bool { return state.Outbox.Has(k.tx, state.U64(n)) })
			return nil
		})
		return turn
	}
	if wake(0, nothing) != 0 || wake(2*time.Hour, func(k uint64) bool { return k == rows[1].number }) != 0 {
		t.Error("woke too early, or with an answer to come")
	}
	if wake(2*time.Hour, nothing) != 1 {
		t.Error("did not wake")
	}
	out = alice.seal(false) // and nothing new of it before this is settled
	if len(out) != n+1 {
		t.Fatalf("%d go out when it has rested", len(out))
	}
	for i, row := range rows {
		if out[i].number != row.number {
			t.Errorf("place %d: %d, want %d", i, out[i].number, row.number)
		}
		alice.do(func(k *work) error { return k.accepted([]uint64{row.number}) })
		r.settled(row.number)
	}
	if !r.idle(1) || r.waiting() != 0 || r.holds(rows[0].contact, rows[0].dest) {
		t.Error("something rests on")
	}
	if out = alice.seal(false); len(out) != 2 {
		t.Errorf("%d go out at the end", len(out))
	}
}

// Of a lane to a provider all contacts there wait, and rows that are gone from
// the outbox do not keep it.
func TestRestOfAProvider(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	alice.send(bob, "1")
	row := alice.seal(false)[0]
	r := &alice.e.rests
	r.refused(lane{dest: row.dest}, row.number, time.Now())
	if !r.holds(12345, row.dest) || r.holds(12345, ids.MustParseDomain("delta.example")) || len(alice.seal(false)) != 0 {
		t.Error("the lane is not the provider's")
	}
	alice.do(func(k *work) error { return state.Outbox.Delete(k.tx, state.U64(row.number)) })
	alice.do(func(k *work) error { k.wakeRests(func(uint64) bool { return false }); return nil })
	if r.holds(12345, row.dest) || r.waiting() != 0 {
		t.Error("it rests for what is gone")
	}
}
