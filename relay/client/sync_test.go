package client

import (
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

// A Sync is not over while a delivery that came is not stored, and once it is
// stored the loop looks again.
func TestSyncWaitsForWhatIsBeingStored(t *testing.T) {
	x := &exchange{again: make(chan struct{}, 1), caughtUp: true}
	if !x.finished() {
		t.Fatal("not finished with nothing to do")
	}
	x.storing = true
	if x.finished() {
		t.Error("finished while a delivery is being stored")
	}
	x.storing, x.received = false, true
	if x.finished() {
		t.Error("finished without a look at what was stored")
	}
	if len(x.again) != 1 || !x.finished() {
		t.Error("did not look again")
	}
}

// What a registration that failed has noted does not bind the next attempt;
// what a registered account has pinned does.
func TestAttemptDoesNotStick(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	right := u.p.pin()
	address := ids.MustParseAddress("carol@beta.example")
	u.w.must(u.e.store.Close())
	u.path += "2"
	u.open()
	u.do(func(k *work) error { return k.prepare(address, "127.0.0.1:1", keys.Pin{1}, nil) })
	u.do(func(k *work) error { return k.prepare(address, "127.0.0.1:2", keys.Pin{2}, nil) })
	u.do(func(k *work) error { return k.prepare(u.address, "127.0.0.1:3", keys.Pin{1}, nil) })
	u.do(func(k *work) error { return k.prepare(u.address, "127.0.0.1:3", right, nil) })
	u.do(func(k *work) error { return k.registered(u.box.id) })
	if k := u.try(func(k *work) error { return k.prepare(u.address, "127.0.0.1:3", keys.Pin{1}, nil) }); k == nil {
		t.Error("another pin was taken for a registered account")
	}
}
