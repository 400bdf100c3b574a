//go:build unix

package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/store/badgerstore"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// BenchmarkHopAmong takes 1 KiB envelopes from a client into so many mailboxes, 256 at a
// time, by the processor time of the client and the server in one process: flat if it
// does not depend on their number. Their owners are away, or there: then messages are
// fetched and acked at once, though not over a connection of the owner's. One fetch and
// one ack are for all messages of a mailbox that have come; or, where it is to be the same
// work for each message however many mailboxes there are, for one by one. Machines have
// faster and slower minutes, so b.N rounds are made in which each number of mailboxes has
// its turn; what is reported is the time, and its ratio to that of one mailbox.
// Without a disk it is what all but the engine costs.
func BenchmarkHopAmong(b *testing.B) {
	for name, own := range map[string]*owners{"away": nil, "there": {64, ownAll}, "onebyone": {1, ownEach}} {
		b.Run(name+"/badger", func(b *testing.B) { benchHopAmong(b, own, true) })
		b.Run(name+"/memory", func(b *testing.B) { benchHopAmong(b, own, false) })
	}
}

func benchHopAmong(b *testing.B, own *owners, disk bool) {
	numbers := []int{1, 10, 100, 1000, 10_000, 100_000}
	var hops []*hop
	for _, n := range numbers {
		hops = append(hops, newHop(b, n, own, disk))
	}
	for range (numbers[len(numbers)-1] + hopRound - 1) / hopRound { // the relay learns which mailboxes there are
		for _, h := range hops {
			h.round(b)
		}
	}
	b.ResetTimer()
	used := make([]time.Duration, len(hops))
	for range b.N {
		for i, h := range hops {
			used[i] += h.round(b)
		}
	}
	b.StopTimer()
	for i, n := range numbers {
		hops[i].check(b)
		b.ReportMetric(float64(used[i].Nanoseconds())/1e3/hopRound/float64(b.N), fmt.Sprintf("us/op-%d", n))
		b.ReportMetric(float64(used[i])/float64(used[0]), fmt.Sprintf("x-%d", n))
	}
}

const (
	hopWindow = 256
	// hopRound is more than a segment of the store's journal takes, so that a round
	// has what it costs to drain one, and rest is long enough for that.
	hopRound = 40_000
	hopRest  = 500 * time.Millisecond
)

// owners are so many goroutines that fetch and ack what comes; each is told the index of
// its mailbox for each message, and waits for its acks. Nil is for owners who are away.
type owners struct {
	goroutines int
	run        func(h *hop, b *testing.B, boxes <-chan int)
}

// hop is a server, and a client that sends into mailboxes there.
type hop struct {
	server *server
	stream *quicnet.Stream
	boxes  []ids.MailboxID
	acked  chan struct{} // one for each envelope that is under way
	sent   uint64
	store  store.Store
	owners []chan int // nil if they are away; the index of a mailbox that has got something
	taken  atomic.Int64
}

func newHop(b *testing.B, mailboxes int, own *owners, disk bool) *hop {
	h := &hop{server: newServer(b, "beta.example"), acked: make(chan struct{}, hopWindow)}
	for range mailboxes {
		h.boxes = append(h.boxes, ids.NewMailboxID())
	}
	h.store = roomy{usedStore(b, h.boxes, own != nil, disk)}
	h.server.conf.Limits, h.server.conf.Store = unlimited(), h.store
	h.server.start()
	h.stream = newDevice(b, h.server, "alice@beta.example").stream(wire.StreamSubmit)
	var running sync.WaitGroup
	if own != nil {
		for range own.goroutines {
			c := make(chan int, hopRound)
			h.owners = append(h.owners, c)
			running.Go(func() { own.run(h, b, c) })
		}
	}
	b.Cleanup(func() {
		h.stream.Cancel(quicnet.CodeNone)
		running.Wait()
	})
	running.Go(func() {
		for _, c := range h.owners {
			defer close(c)
		}
		for done := uint64(0); ; {
			typ, body, err := h.stream.ReadFrame()
			if err != nil {
				return
			}
			var m wire.Ack
			if typ != wire.TypeAck || wire.Unmarshal(body, &m) != nil {
				b.Errorf("a frame of type %d", typ)
				return
			}
			for ; done < m.UpTo; done++ {
				if box := h.boxOf(done); own != nil {
					h.owners[box%own.goroutines] <- box
				}
				<-h.acked
			}
		}
	})
	return h
}

// boxOf returns the index of the mailbox that the n-th envelope goes to. The factor is a
// prime: neighbours in time are not neighbours on the disk.
func (h *hop) boxOf(n uint64) int { return int(n * 7919 % uint64(len(h.boxes))) }

// ownAll takes all that there is at once.
func ownAll(h *hop, b *testing.B, boxes <-chan int) {
	after := make(map[int]store.Cursor)
	for i := range boxes {
		got, err := h.store.Fetch(context.Background(), h.boxes[i], after[i], hopWindow, 0)
		if err != nil {
			b.Error(err)
			return
		}
		if len(got) == 0 {
			continue // acked with the one before
		}
		after[i] = got[len(got)-1].Cursor
		h.taken.Add(int64(len(got)))
		h.ack(b, []store.AckReq{{Mailbox: h.boxes[i], Reader: 1, UpTo: after[i]}})
	}
}

// ownEach takes one message at a time, and acks it by itself; those that came together
// are acked together, whose mailboxes they are or not.
func ownEach(h *hop, b *testing.B, boxes <-chan int) {
	after := make(map[int]store.Cursor)
	var acks []store.AckReq
	for i := range boxes {
		got, err := h.store.Fetch(context.Background(), h.boxes[i], after[i], 1, 0)
		if err != nil || len(got) != 1 {
			b.Errorf("%d messages, %v", len(got), err)
			return
		}
		after[i] = got[0].Cursor
		h.taken.Add(1)
		acks = append(acks, store.AckReq{Mailbox: h.boxes[i], Reader: 1, UpTo: after[i]})
		if len(acks) == hopWindow || len(boxes) == 0 {
			h.ack(b, acks)
			acks = acks[:0]
		}
	}
}

func (h *hop) ack(b *testing.B, acks []store.AckReq) {
	for _, err := range h.store.Ack(context.Background(), acks) {
		if err != nil {
			b.Error(err)
		}
	}
}

// round sends hopRound envelopes and returns the processor time that it took.
func (h *hop) round(b *testing.B) time.Duration {
	envelopes := make([][]byte, hopRound)
	for i := range envelopes {
		n := h.sent + uint64(i)
		t := strangersTicket(b, h.server, &h.boxes[h.boxOf(n)], n+1)
		envelopes[i] = envelope(&t, wire.Class1K)
	}
	began := cpuTime(b)
	for i, e := range envelopes {
		h.acked <- struct{}{}
		h.sent++
		must(b, h.stream.WriteFrame(wire.TypeSubmit, &wire.Submit{Number: h.sent, Dest: h.server.domain, Auth: wire.AuthConnection, Envelope: e}))
		if len(h.acked) == hopWindow || i%64 == 63 {
			must(b, h.stream.Flush())
		}
	}
	must(b, h.stream.Flush())
	for range hopWindow { // until all are acked
		h.acked <- struct{}{}
	}
	for range hopWindow {
		<-h.acked
	}
	time.Sleep(hopRest)
	return cpuTime(b) - began
}

// check sees that all messages were stored, and taken if there is somebody to take them.
func (h *hop) check(b *testing.B) {
	stored := int64(0)
	for i := range h.boxes {
		st, err := h.store.Stat(b.Context(), h.boxes[i])
		must(b, err)
		stored += int64(st.Messages)
	}
	want, taken := int64(h.sent)+usedBefore, int64(0)
	if h.owners != nil {
		want, taken = 0, int64(h.sent)
	}
	if stored != want || h.taken.Load() != taken {
		b.Errorf("%d mailboxes: %d messages are stored and %d taken, of %d; want %d and %d", len(h.boxes), stored, h.taken.Load(), h.sent, want, taken)
	}
}

// roomy has mailboxes that are never full: few take all that many do.
type roomy struct{ store.Store }

var noQuota = store.Quota{Messages: 1 << 30, Bytes: 1 << 50}

func (r roomy) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	for i := range reqs {
		reqs[i].Quota = noQuota
	}
	return r.Store.Append(ctx, reqs)
}

// usedBefore is how many messages the mailboxes of a store have had together.
const usedBefore = 100_000

// usedStore has messages in each mailbox, as the first one costs more, once. All of
// it is drained, so that it costs nothing afterwards, and what the store knows of the
// mailboxes is in memory.
func usedStore(b *testing.B, boxes []ids.MailboxID, there, disk bool) store.Store {
	if !disk {
		e := store.NewMemory(store.MemoryConfig{})
		b.Cleanup(func() { must(b, e.Close()) })
		use(b, e, boxes, there)
		know(b, e, boxes)
		return e
	}
	config := badgerstore.Config{Dir: b.TempDir()}
	e, err := badgerstore.Open(config)
	must(b, err)
	use(b, e, boxes, there)
	must(b, e.Close())
	e, err = badgerstore.Open(config)
	must(b, err)
	b.Cleanup(func() { must(b, e.Close()) })
	know(b, e, boxes)
	return e
}

// use has usedBefore messages come, which are acked if there is somebody to do it.
func use(b *testing.B, e store.Store, boxes []ids.MailboxID, there bool) {
	var reqs []store.AppendReq
	for i := range usedBefore {
		reqs = append(reqs, store.AppendReq{
			Mailbox: boxes[i%len(boxes)], ID: sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i))),
			Body: make([]byte, 1024), Expires: time.Now().Add(24 * time.Hour), Quota: noQuota,
		})
	}
	for part := range slices.Chunk(reqs, store.MaxBatch) {
		for _, res := range e.Append(b.Context(), part) {
			must(b, res.Err)
		}
	}
	if !there {
		return
	}
	for i := range boxes {
		_, err := e.OpenReader(b.Context(), boxes[i], 1)
		must(b, err)
		must(b, e.Ack(b.Context(), []store.AckReq{{Mailbox: boxes[i], Reader: 1, UpTo: 1 << 60}})[0])
	}
}

// know makes the mailboxes known to the server, and to the store's memory.
func know(b *testing.B, e store.Store, boxes []ids.MailboxID) {
	var running sync.WaitGroup
	for w := range hopWindow {
		running.Go(func() {
			for i := w; i < len(boxes); i += hopWindow {
				if _, err := mailbox.New(e).ReserveSerials(b.Context(), boxes[i], 1); err != nil {
					b.Error(err)
				}
				if _, err := e.Stat(b.Context(), boxes[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	running.Wait()
}
