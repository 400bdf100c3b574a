package badgerstore

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/store"
)

func randomHash(r *rand.Rand) hashed {
	var key [tokenSize]byte
	binary.LittleEndian.PutUint64(key[:], r.Uint64())
	binary.LittleEndian.PutUint32(key[8:], r.Uint32())
	return hashOf(key[:], 0)
}

// What was added passes, however large the sieve has grown; of the rest few do.
func TestSieve(t *testing.T) {
	const keys, maxChance = 300_000, 0.005
	in, out := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
	var s sieve
	for range keys {
		if !s.add(randomHash(in), 1<<30) {
			t.Fatal("no room")
		}
	}
	in = rand.New(rand.NewPCG(1, 2))
	for i := range keys {
		if !s.has(randomHash(in)) {
			t.Fatalf("key %d is gone", i)
		}
	}
	passed := 0
	for range keys {
		if s.has(randomHash(out)) {
			passed++
		}
	}
	if passed > maxChance*keys {
		t.Errorf("%d of %d others pass", passed, keys)
	}
	if perKey := float64(s.bytes) / keys; perKey > 2*bitsPerKey/8*layerGrowth {
		t.Errorf("%.1f bytes per key", perKey)
	}
}

// A day for which there is no more room, and a day beyond the limit, are never
// said to be absent; dropping others does not change that.
func TestSpentSieveLimits(t *testing.T) {
	row := func(day ids.Day, n uint64) []byte {
		var f [tokenSize]byte
		binary.BigEndian.PutUint64(f[:], n*0x9e3779b97f4a7c15)
		return spentKey(day, 0, f)
	}
	s := newSpentSieve()
	for d := range ids.Day(sieveDays) {
		s.add(row(d+1, 1))
	}
	if !s.absent(row(sieveDays+1, 2)) {
		t.Error("a day without rows is looked up")
	}
	s.add(row(sieveDays+1, 1))
	if s.absent(row(sieveDays+1, 1)) || s.absent(row(sieveDays+2, 1)) {
		t.Error("a day beyond the limit is said to be absent")
	}
	s.drop(1)
	s.add(row(sieveDays+1, 2)) // there would be room now, but the first row is not known
	if s.absent(row(sieveDays+1, 1)) {
		t.Error("a row of an incomplete day is said to be absent")
	}

	s = newSpentSieve()
	s.add(row(1, 0))
	s.bytes = sieveBytes / 2 // as if other days had taken the rest
	for n := range uint64(firstLayer + 1) {
		s.add(row(2, n))
		if s.absent(row(2, n)) {
			t.Fatalf("row %d is said to be absent", n)
		}
	}
	if s.absent(row(2, 1<<40)) {
		t.Error("of a day that did not fit anything is said to be absent")
	}
	if !s.absent(row(1, 1<<40)) {
		t.Error("one day without room makes the others useless")
	}
}

// Rows from before a restart are found after it, while their keys are being
// read and after that.
func TestSieveAfterRestart(t *testing.T) {
	dir := t.TempDir()
	ctx, day := context.Background(), ids.DayOf(time.Now())
	with := func(mailbox byte, id int, serial uint64) store.AppendReq {
		r := testReq(mailbox, id)
		r.Serial, r.HasSerial = store.Serial{Day: day, N: serial}, true
		return r
	}
	e := openTest(t, dir, time.Now)
	appendOne(e, with(1, 1, 1))
	appendOne(e, testReq(2, 1))
	set := store.SetID{1}
	if err := e.OpenSet(ctx, set, time.Now().Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	claim := func(by byte) bool {
		t.Helper()
		r := e.Spend(ctx, set, []store.Claim{{Token: [32]byte{1}, Claimant: store.Claimant{by}}})[0]
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r.Won
	}
	if !claim(1) {
		t.Fatal("the first claimant lost")
	}
	if n, err := e.Strike(ctx, ids.MailboxID{1}, []store.Serial{{Day: day, N: 3}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for round := range 3 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = openTest(t, dir, time.Now)
		if round > 0 {
			eventually(t, "the keys are read", func() bool {
				return onCommitter(t, e, func() bool { return e.committer.found != nil })
			})
		}
		for _, tt := range []struct {
			req  store.AppendReq
			want store.AppendOutcome
		}{
			{with(1, 1, 1), store.Duplicate},
			{with(1, 9, 1), store.Spent},
			{with(1, 9, 3), store.Struck},
			{testReq(2, 1), store.Duplicate},
			{with(1, 100+round, uint64(100+round)), store.Appended},
			{with(1, 100+round, uint64(100+round)), store.Duplicate},
			{testReq(2, 100+round), store.Appended},
			{testReq(2, 100+round), store.Duplicate},
		} {
			if res := appendOne(e, tt.req); res.Outcome != tt.want {
				t.Errorf("round %d: %+v, want %v", round, res, tt.want)
			}
		}
		if claim(2) || !claim(1) {
			t.Errorf("round %d: a token has another winner", round)
		}
	}
}

// onCommitter asks something of the committer's goroutine.
func onCommitter(t *testing.T, e *Engine, ask func() bool) (yes bool) {
	t.Helper()
	if err := e.submit(context.Background(), &funcOp{call: newCall(), f: func(*group) { yes = ask() }}); err != nil {
		t.Fatal(err)
	}
	return yes
}

type funcOp struct {
	call
	f func(*group)
}

func (o *funcOp) run(g *group) bool {
	o.f(g)
	return true
}

// An id that is kept always passes, in whatever order messages come and go.
func TestIDSieve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hash := func(c store.Cursor) hashed {
			return hashed{uint64(c) * 0x9e3779b97f4a7c15, uint64(c) * 0xbf58476d1ce4e5b9}
		}
		oldest, next := store.Cursor(1), store.Cursor(rapid.Uint64Range(1, 1000).Draw(t, "first"))
		s := &idSieve{after: next - 1}
		first := next
		oldest = first
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			for range rapid.IntRange(0, 3*firstLayer).Draw(t, "appended") {
				s.add(oldest, next, hash(next))
				next++
			}
			oldest += store.Cursor(rapid.Uint64Range(0, uint64(next-oldest)).Draw(t, "acked"))
			for c := oldest; c < next; c++ {
				if s.absent(oldest, hash(c)) {
					t.Fatalf("message %d of %d to %d is said to be absent", c, oldest, next-1)
				}
			}
			if len(s.layers) > maxIDLayers {
				t.Fatalf("%d layers", len(s.layers))
			}
		}
		if first > 1 && s.absent(first-1, hash(next)) {
			t.Error("messages from before it are said to be absent")
		}
	})
}

func BenchmarkSieve(b *testing.B) {
	var s sieve
	r := rand.New(rand.NewPCG(1, 2))
	for range 1 << 20 {
		s.add(randomHash(r), 1<<30)
	}
	h := make([]hashed, 1<<12)
	for i := range h {
		h[i] = randomHash(r)
	}
	for i := 0; b.Loop(); i++ {
		s.has(h[i&(len(h)-1)])
	}
}
