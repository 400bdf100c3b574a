package node

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

const (
	// A load is offered by loadConns accounts on loadStreams streams each, for
	// loadTime; the best of loadRounds is what counts. If more is settled at three
	// times the peak than at the peak, it was none: loadTries is how often that
	// is taken for the peak, and three times as much offered.
	loadConns   = 4
	loadStreams = 4
	loadTime    = 500 * time.Millisecond
	loadRounds  = 3
	loadTries   = 3
	// diskRate is what the slow disk writes, envelopes a second: so few that the
	// processor is idle and an overload is of the disk alone.
	diskRate = 5000
)

// paced is a store whose disk writes one envelope after another, diskRate of them
// a second, and keeps none.
type paced struct {
	store.Store
	mu   sync.Mutex // guards free
	free time.Time  // when all writes so far are done
}

func (p *paced) Append(_ context.Context, reqs []store.AppendReq) []store.AppendRes {
	p.mu.Lock()
	if now := time.Now(); p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(len(reqs)) * time.Second / diskRate)
	done := p.free
	p.mu.Unlock()
	time.Sleep(time.Until(done))
	out := make([]store.AppendRes, len(reqs))
	for i := range out {
		out[i].Outcome = store.Appended
	}
	return out
}

// BenchmarkOverload finds how many envelopes of 1 KiB a second one server settles
// at most, offers three times as many, and reports the goodput of both and their
// ratio. Offered means that the senders write as much if the connection takes it;
// server and senders share the processors.
func BenchmarkOverload(b *testing.B) {
	b.Run("slow disk", func(b *testing.B) {
		benchOverload(b, &paced{Store: store.NewMemory(store.MemoryConfig{})})
	})
	b.Run("badger", func(b *testing.B) { benchOverload(b, nil) })
}

func benchOverload(b *testing.B, engine store.Store) {
	beta := newServer(b, "beta.example")
	beta.conf.Store, beta.conf.Limits = engine, unlimited()
	beta.start()
	l := &loader{b: b, beta: beta}
	for i := range loadConns {
		l.devices = append(l.devices, newDevice(b, beta, string(rune('a'+i))+"@beta.example"))
	}
	for b.Loop() {
		peak := 0.0
		for rate, worse := 2000.0, 0; worse < 2; rate *= 1.5 {
			got, _ := l.offer(rate)
			if worse++; got > 1.05*peak {
				peak, worse = got, 0
			}
		}
		before := heapInUse()
		var over, refused float64
		for range loadTries {
			one, _ := l.best(peak)
			peak = max(peak, one)
			if over, refused = l.best(3 * peak); over <= 1.1*peak {
				break
			}
			peak = over // the peak was not the peak
		}
		b.ReportMetric(peak, "peak/s")
		b.ReportMetric(over/peak, "goodput-at-3x/peak")
		b.ReportMetric(refused, "refused/s")
		b.ReportMetric(float64(heapInUse())/float64(before), "heap-after/before")
	}
}

type loader struct {
	b       *testing.B
	beta    *server
	devices []*device
}

// best offers so many envelopes a second in several windows, and returns what was
// settled and refused in the best of them.
func (l *loader) best(rate float64) (settled, refused float64) {
	for range loadRounds {
		if got, ref := l.offer(rate); got > settled {
			settled, refused = got, ref
		}
	}
	return settled, refused
}

// offer offers so many fresh envelopes a second, and returns how many were settled
// and refused a second.
func (l *loader) offer(rate float64) (settled, refused float64) {
	l.b.StopTimer()
	defer l.b.StartTimer()
	each := int(rate*loadTime.Seconds())/(loadConns*loadStreams) + 1
	fresh := make([][][]byte, loadConns*loadStreams)
	for i := range fresh {
		d := l.devices[i/loadStreams]
		for len(fresh[i]) < each {
			minted := d.mint(min(wire.MaxMint, each-len(fresh[i])))
			for k := range minted.Tickets {
				fresh[i] = append(fresh[i], envelope(&minted.Tickets[k], wire.Class1K))
			}
		}
	}
	var streams []*quicnet.Stream
	for i := range fresh {
		streams = append(streams, l.devices[i/loadStreams].stream(wire.StreamSubmit))
	}
	count := func(r relay.Reason) float64 { return l.beta.count(r, "client") }
	had, had2 := count(relay.Delivered)+count(relay.DisposedFull), count(relay.RefusedBusy)
	var all sync.WaitGroup
	began := time.Now()
	for i, s := range streams {
		all.Go(func() {
			for _, _, err := s.ReadFrame(); err == nil; _, _, err = s.ReadFrame() {
			}
		})
		all.Go(func() { write(s, l.beta, fresh[i], began) })
	}
	time.Sleep(time.Until(began.Add(loadTime)))
	took := time.Since(began).Seconds()
	settled, refused = (count(relay.Delivered)+count(relay.DisposedFull)-had)/took, (count(relay.RefusedBusy)-had2)/took
	for _, s := range streams {
		s.Cancel(quicnet.CodeNone)
	}
	all.Wait()
	until(l.b, "nothing is held", func() bool { return l.beta.node.fromClients.load() == 0 })
	return settled, refused
}

// write sends envelopes evenly over loadTime, later if the stream does not take
// them, until it ends.
func write(s *quicnet.Stream, to *server, envelopes [][]byte, began time.Time) {
	for sent := 0; sent < len(envelopes); {
		due := min(len(envelopes), 1+int(float64(len(envelopes))*float64(time.Since(began))/float64(loadTime)))
		for ; sent < due; sent++ {
			m := wire.Submit{Number: uint64(sent + 1), Dest: to.domain, Auth: wire.AuthConnection, Envelope: envelopes[sent]}
			if s.WriteFrame(wire.TypeSubmit, &m) != nil {
				return
			}
		}
		if s.Flush() != nil {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// BenchmarkPeerFlood has one peer send an envelope of 1 KiB at a time and wait for
// its ack, alone and while another peer sends as many as it can on several streams
// and connections. It reports the median and the slowest tenth of both, and their
// ratios.
func BenchmarkPeerFlood(b *testing.B) {
	b.Run("badger", func(b *testing.B) { benchPeerFlood(b, nil) })
	// One write after another, in the order in which they came: what is before
	// the quiet peer's envelope is what the budget lets the other one have.
	b.Run("slow disk", func(b *testing.B) {
		benchPeerFlood(b, &paced{Store: store.NewMemory(store.MemoryConfig{})})
	})
}

func benchPeerFlood(b *testing.B, engine store.Store) {
	alpha, beta, gamma := threeProviders(b, func(beta *server) { beta.conf.Store, beta.conf.Limits = engine, unlimited() })
	bob := newDevice(b, beta, "bob@beta.example")
	minted := bob.mint(2)
	flood, e := envelope(&minted.Tickets[0], wire.Class16K), envelope(&minted.Tickets[1], wire.Class1K)
	s, err := gamma.asPeerTo(beta).OpenStream(testContext(b), wire.StreamForward)
	must(b, err)
	// Which of the two it is for an engine costs the same.
	settled := func() uint64 {
		return beta.fromPeer(alpha.domain, relay.Delivered) + beta.fromPeer(alpha.domain, relay.Duplicate)
	}
	number := uint64(0)
	measure := func(n int) (median, slow time.Duration) {
		var took []time.Duration
		for range n {
			number++
			began := time.Now()
			must(b, s.WriteFrame(wire.TypeForward, &wire.Forward{Number: number, Envelope: e}))
			must(b, s.Flush())
			for typ := wire.FrameType(0); typ != wire.TypeAck; {
				typ, _, err = s.ReadFrame()
				must(b, err)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took[n/2], took[n*9/10]
	}
	const samples = 200
	for b.Loop() {
		quiet, quietSlow := measure(samples)
		before := settled()
		stop := floodFrom(b, alpha, beta, flood)
		until(b, "the flood arrives", func() bool { return settled() > before+500 })
		loud, loudSlow := measure(samples)
		stop()
		b.ReportMetric(float64(quiet.Microseconds()), "alone-us")
		b.ReportMetric(float64(loud.Microseconds()), "flooded-us")
		b.ReportMetric(float64(loud)/float64(quiet), "ratio")
		b.ReportMetric(float64(loudSlow)/float64(quietSlow), "ratio-p90")
	}
}

// floodFrom sends as much as is taken on two connections until it is stopped.
func floodFrom(b *testing.B, from, to *server, e []byte) (stop func()) {
	var all sync.WaitGroup
	var conns []*quicnet.Conn
	for range 2 {
		c := from.asPeerTo(to)
		conns = append(conns, c)
		for range loadStreams {
			s, err := c.OpenStream(testContext(b), wire.StreamForward)
			must(b, err)
			all.Go(func() {
				for i := uint64(1); s.WriteFrame(wire.TypeForward, &wire.Forward{Number: i, Envelope: e}) == nil; i++ {
				}
			})
			all.Go(func() {
				for _, _, err := s.ReadFrame(); err == nil; _, _, err = s.ReadFrame() {
				}
			})
		}
	}
	return func() {
		for _, c := range conns {
			c.Close(quicnet.CodeNone)
		}
		all.Wait()
	}
}
