package client

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// next seals or returns the batch that is to leave.
func (u *user) nextBatch() (b *state.SyncBatch) {
	u.w.t.Helper()
	u.lookUp()
	u.do(func(k *work) (err error) { b, err = k.nextBatch(); return err })
	return b
}

// deliver is the provider that takes a batch: once for each id.
func (u *user) deliver(b *state.SyncBatch) {
	put := &wire.SyncPut{Day: b.Day, Class: b.Class, Salt: b.Salt, Payload: b.Payload}
	if id := put.EnvelopeID(); !u.box.batches[id] {
		if u.box.batches == nil {
			u.box.batches = make(map[ids.EnvelopeID]bool)
		}
		u.box.batches[id] = true
		u.box.push(wire.MustMarshal(put.Delivery(uint64(u.w.now.UnixMilli()))))
	}
}

// tick is what a device does when a batch is due. It reports whether there was one.
func (u *user) tick() bool {
	u.w.t.Helper()
	b := u.nextBatch()
	if b == nil {
		return false
	}
	u.deliver(b)
	u.do(func(k *work) error { return k.batchDone(b, true) })
	return true
}

// talk is tick, if there is something to tell.
func (u *user) talk() bool { return u.queued() > 0 && u.tick() }

func (u *user) queued() (n int) {
	u.do(func(k *work) error { n = state.SyncQueue.Count(k.tx); return nil })
	return n
}

func (u *user) lost() (n uint64) {
	u.do(func(k *work) error { n = k.n.SyncLost; return nil })
	return n
}

// agree has the devices of all accounts tell each other everything.
func (w *world) agree() {
	w.t.Helper()
	for range 200 {
		moved := false
		for _, u := range w.users {
			moved = u.talk() || moved
		}
		for _, u := range w.users {
			moved = moved || len(u.queue) > 0
			u.pull()
		}
		if !moved {
			return
		}
	}
	w.t.Fatal("devices tell each other things for ever")
}

// history is what a device shows of a conversation: whose message, text, status.
func (u *user) history(with *user) (out []string) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		for row, err := range state.Conversations.Scan(k.tx, state.U32(k.find(with.address).id), nil) {
			if err != nil {
				return err
			}
			e, err := k.entry(MessageID(state.ParseU64(state.Rest(row.Key))))
			if err != nil {
				return err
			}
			out = append(out, fmt.Sprintf("%.30s (%v)", e.Text, e.Status))
		}
		return nil
	})
	return out
}

// siblings makes alice with one device and bob with two that share nothing but
// what they tell each other.
func siblings(t testing.TB) (w *world, alice, bob, bob2 *user) {
	w = newWorld(t)
	alice, bob = w.friends()
	bob2 = bob.link()
	w.synced = true
	w.settle()
	bob.send(alice, "two")
	w.settle()
	bob2.send(alice, "phones")
	w.settle()
	return w, alice, bob, bob2
}

func TestSentMessagesAreOnTheOtherDevice(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	bob.send(alice, "from the old")
	bob2.send(alice, "from the new")
	w.settle()
	alice.send(bob, "seen")
	w.settle()
	w.agree()
	for _, u := range []*user{bob, bob2} {
		got := u.history(alice)
		for _, text := range []string{"two (delivered)", "phones (delivered)", "from the old (delivered)", "from the new (delivered)", "seen (received)"} {
			n := 0
			for _, g := range got {
				if g == text {
					n++
				}
			}
			if n != 1 {
				t.Errorf("bob %d shows %q %d times: %q", u.device, text, n, got)
			}
		}
		if u.lost() != 0 {
			t.Errorf("bob %d lost %d records", u.device, u.lost())
		}
	}
	w.nothingDropped(dropEntry)
	// A message of the other device is in no queue of this one.
	bob2.do(func(k *work) error {
		for _, n := range []int{state.Waiting.Count(k.tx), state.Digests.Count(k.tx), state.Unconfirmed.Count(k.tx)} {
			if n != 0 {
				t.Errorf("%d rows wait for something", n)
			}
		}
		return nil
	})
}

// What is put, of which class and when it is due does not depend on what is sent;
// and sending makes no batch.
func TestScheduleIsBlind(t *testing.T) {
	type put struct {
		at    time.Time
		class wire.Class
		size  int
	}
	var runs [2][]put
	for traffic := range 2 {
		w, alice, bob, _ := siblings(t)
		w.agree()
		start, next := w.now, w.now
		random := uint32(7)
		for range 60 {
			w.advance(5 * time.Second)
			if traffic == 1 {
				for i := range 3 {
					bob.send(alice, strings.Repeat("text ", 1+200*i))
				}
				bob.push(true)
				bob.do(func(k *work) error {
					if state.SyncBatches.Count(k.tx) != 0 {
						t.Fatal("a batch was made by a send")
					}
					return nil
				})
			}
			if !devicesync.Due(w.now, next, time.Minute) {
				continue
			}
			b := bob.nextBatch()
			runs[traffic] = append(runs[traffic], put{time.Unix(0, int64(w.now.Sub(start))), b.Class, len(b.Payload)})
			bob.deliver(b)
			bob.do(func(k *work) error { return k.batchDone(b, true) })
			random = random*1664525 + 1013904223
			next = devicesync.Next(w.now, time.Minute, random)
		}
	}
	if !slices.Equal(runs[0], runs[1]) || len(runs[0]) < 4 {
		t.Errorf("idle:    %v\ntraffic: %v", runs[0], runs[1])
	}
}

// Batches of one class look alike, full or empty: every bit is set in about half
// of them. With 7 standard deviations a fair bit fails once in 10^11.
func TestBatchesLookAlike(t *testing.T) {
	const samples = 300
	w, alice, bob, _ := siblings(t)
	w.agree()
	var ones []int
	for i := range samples {
		if i%2 == 0 {
			bob.send(alice, "full")
		}
		b := bob.nextBatch()
		if b.Class != wire.Class4K {
			t.Fatalf("class %d", b.Class)
		}
		bob.do(func(k *work) error { return k.batchDone(b, true) })
		all := append(bytes.Clone(b.Salt[:]), b.Payload...)
		if ones == nil {
			ones = make([]int, 8*len(all))
		}
		for j := range ones {
			ones[j] += int(all[j/8] >> (j % 8) & 1)
		}
	}
	for j, n := range ones {
		if off := max(n-samples/2, samples/2-n); off > 61 {
			t.Fatalf("bit %d is set in %d of %d", j, n, samples)
		}
	}
}

// A provider without room gets the same bytes again; what happens meanwhile waits,
// and goes when there is room.
func TestFullQuotaPausesAndRecovers(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	bob.send(alice, "one")
	first := bob.nextBatch()
	for i := range 5 {
		bob.send(alice, fmt.Sprint("more ", i))
		bob.reopen()
		if again := bob.nextBatch(); !bytes.Equal(again.Payload, first.Payload) || again.Salt != first.Salt {
			t.Fatal("another batch while one waits")
		}
	}
	if bob.queued() < 6 {
		t.Fatalf("%d records wait", bob.queued())
	}
	w.settle()
	w.agree()
	if got := bob2.history(alice); len(got) != len(bob.history(alice))-2 { // two are from before it was linked
		t.Errorf("bob 2: %q", got)
	}
	if bob.queued() != 0 || bob2.lost() != 0 {
		t.Errorf("%d wait, %d lost", bob.queued(), bob2.lost())
	}
}

// A batch that is too old for the provider is sealed anew with what was in it.
func TestBatchTooOld(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	bob.send(alice, "kept")
	old := bob.nextBatch()
	bob.do(func(k *work) error { return k.batchDone(old, false) })
	w.advance(24 * time.Hour)
	if b := bob.nextBatch(); b.Day == old.Day || bytes.Equal(b.Payload, old.Payload) {
		t.Fatal("the same batch")
	}
	w.settle()
	w.agree()
	if got := bob2.history(alice); !strings.HasPrefix(got[len(got)-1], "kept") {
		t.Errorf("bob 2: %q", got)
	}
}

func TestBigRecordAndLostBatch(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	big := strings.Repeat("a long story. ", 3000)
	bob.send(alice, big)
	bob.send(alice, "short")
	n := 0
	for ; bob.queued() > 0; n++ {
		b := bob.nextBatch()
		bob.deliver(b)
		bob.do(func(k *work) error { return k.batchDone(b, true) })
		bob2.reopen() // parts survive
		bob2.pull()
	}
	if n < 20 {
		t.Errorf("%d batches", n)
	}
	count := func() (c int) {
		for _, g := range bob2.history(alice) {
			if strings.HasPrefix(g, "a long story") {
				c++
			}
		}
		return c
	}
	if count() != 1 || bob2.lost() != 0 {
		t.Fatalf("%d long stories, %d lost", count(), bob2.lost())
	}
	// Once more, and the provider loses one batch of the middle.
	bob.send(alice, big+"!")
	bob.send(alice, "after it")
	for i := 0; bob.queued() > 0; i++ {
		b := bob.nextBatch()
		if i != 7 {
			bob.deliver(b)
		}
		bob.do(func(k *work) error { return k.batchDone(b, true) })
	}
	bob2.pull()
	got := bob2.history(alice)
	if count() != 1 || bob2.lost() != 1 || !strings.HasPrefix(got[len(got)-1], "after it") {
		t.Errorf("%d long stories, %d lost, then %q", count(), bob2.lost(), got[len(got)-1])
	}
}

// What the provider can do to batches: repeat, reorder and change them.
func TestHostileProviderOfBatches(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	var rows [][]byte
	for i := range 6 {
		bob.send(alice, fmt.Sprint("number ", i))
		b := bob.nextBatch()
		put := &wire.SyncPut{Day: b.Day, Class: b.Class, Salt: b.Salt, Payload: b.Payload}
		rows = append(rows, wire.MustMarshal(put.Delivery(uint64(w.now.UnixMilli()))))
		bob.do(func(k *work) error { return k.batchDone(b, true) })
	}
	seq := bob2.box.next
	push := func(b []byte) {
		seq++
		bob2.box.next = seq
		bob2.take([]delivery{{seq, b}})
	}
	before := len(bob2.history(alice))
	for i := 0; i < len(rows[0]); i += 97 {
		bad := bytes.Clone(rows[0])
		bad[i] ^= 0x10
		push(bad)
	}
	if n := len(bob2.history(alice)); n != before {
		t.Fatalf("%d messages by changed batches", n-before)
	}
	for _, i := range []int{3, 0, 5, 1, 4, 2} {
		push(rows[i])
	}
	replays := bob2.dropped(dropSession)
	for _, r := range rows {
		push(r)
	}
	if n := bob2.dropped(dropSession) - replays; n != uint64(len(rows)) {
		t.Errorf("%d of %d replays dropped", n, len(rows))
	}
	got := bob2.history(alice)[before:]
	slices.Sort(got)
	for i := range 6 {
		if len(got) != 6 || !strings.HasPrefix(got[i], fmt.Sprint("number ", i)) {
			t.Fatalf("after reordering: %q", got)
		}
	}
}

// Nobody but a device of the account can make a batch: not a contact, whatever it
// seals and however the provider labels it, nor a device that was removed.
func TestNobodyElseMakesBatches(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	seq := bob2.box.next
	push := func(d *wire.Delivery) {
		seq++
		bob2.box.next = seq
		bob2.take([]delivery{{seq, wire.MustMarshal(d)}})
	}
	// A message of alice's, labelled as a batch.
	alice.send(bob, strings.Repeat("obey me ", 150))
	var e wire.Envelope
	w.must(wire.ParseEnvelope(alice.seal(true)[0].bytes, &e))
	payload := append(slices.Clone(e.Head), e.Body...)
	push(&wire.Delivery{Received: uint64(w.now.UnixMilli()), Day: e.Day, Class: e.Class, Origin: wire.BySync, Ticket: *e.Ticket, Payload: payload})
	if bob2.dropped(dropSeal) != 1 {
		t.Error("a message of a contact, as a batch")
	}
	// A batch of bob's, labelled as a message under a ticket that alice has.
	bob.send(alice, "to be relabelled")
	b := bob.nextBatch()
	serial := uint64(0)
	bob2.do(func(k *work) error {
		rows := k.pool.Unspent(alice.address, k.today)
		serial = rows[0].Serial
		return nil
	})
	push(&wire.Delivery{Received: uint64(w.now.UnixMilli()), Day: b.Day, Class: b.Class, Origin: wire.ByTicket, Ticket: b.Salt, Serial: serial, Payload: b.Payload})
	if bob2.dropped(dropSeal) != 2 {
		t.Error("a batch, as a message")
	}
	// Alice knows the root, as a removed device does, and makes a batch under her
	// own certificate.
	var root *keys.Secret
	bob.do(func(k *work) (err error) { root, err = keys.SecretFrom(k.self.root.Bytes()); return err })
	var forged state.SyncBatch
	alice.do(func(k *work) error {
		c := k.find(bob.address)
		to, err := k.recipients(c)
		if err != nil {
			return err
		}
		k.self.roots[0], k.self.Root = root, 0
		own := k.memory.own
		defer func() { k.memory.own = own }()
		k.memory.own = c
		forged = state.SyncBatch{Day: k.today, Class: wire.Class4K}
		return k.sealBatch(&forged, new(devicesync.Batch), to)
	})
	push(&wire.Delivery{Received: uint64(w.now.UnixMilli()), Day: forged.Day, Class: forged.Class, Origin: wire.BySync, Ticket: forged.Salt, Payload: forged.Payload})
	if bob2.dropped(dropSender) != 1 {
		t.Error("a batch of another account")
	}
	// Of a device that is removed before it arrives.
	late := bob2.nextBatch()
	bob.remove(bob2)
	put := &wire.SyncPut{Day: late.Day, Class: late.Class, Salt: late.Salt, Payload: late.Payload}
	bob.take([]delivery{{seq + 1, wire.MustMarshal(put.Delivery(uint64(w.now.UnixMilli())))}})
	if bob.dropped(dropDevice) != 1 {
		t.Error("a batch of a removed device")
	}
	if bob.nextBatch() != nil || bob.queued() != 0 {
		t.Error("something is kept for no device")
	}
}
