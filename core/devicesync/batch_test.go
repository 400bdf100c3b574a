package devicesync

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/wire"
)

func drawQueue(t *rapid.T) []Record {
	var q []Record
	for i := range rapid.IntRange(0, 12).Draw(t, "records") {
		n := rapid.SampledFrom([]int{1, 5, 64, 65, 900, 1800, 5000, MaxRecord}).Draw(t, "size")
		b := bytes.Repeat([]byte{byte(i + 1)}, n)
		b[n-1] = 0xff
		q = append(q, Record{Number: uint64(i + 1), Bytes: b})
	}
	return q
}

// batches cuts a queue into batches of room bytes.
func batches(t interface{ Fatal(args ...any) }, queue []Record, room int) []*Batch {
	var out []*Batch
	var at Cursor
	for len(queue) > 0 {
		b, next, done := Split(queue, at, room)
		if len(b.Parts) == 0 {
			t.Fatal("a batch without parts while there are records")
		}
		at, queue = next, queue[done:]
		out = append(out, b)
	}
	if at != (Cursor{}) {
		t.Fatal("a cursor in no record")
	}
	return out
}

func TestSplitAndTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		queue := drawQueue(t)
		room := rapid.IntRange(MinRoom, 4000).Draw(t, "room")
		var a Assembly
		var got [][]byte
		for _, b := range batches(t, queue, room) {
			raw, err := b.Marshal()
			if err != nil || len(raw) > room {
				t.Fatalf("%d bytes in %d: %v", len(raw), room, err)
			}
			parsed, err := ParseBatch(raw)
			if err != nil {
				t.Fatal(err)
			}
			// The assembly survives its store.
			stored := wire.MustMarshal(&a)
			a = Assembly{}
			if err := wire.Unmarshal(stored, &a); err != nil {
				t.Fatal(err)
			}
			whole, dropped := a.Take(parsed)
			if dropped != 0 {
				t.Fatal("dropped")
			}
			got = append(got, whole...)
		}
		if len(got) != len(queue) || a.Next != 0 {
			t.Fatalf("%d of %d records", len(got), len(queue))
		}
		for i := range got {
			if !bytes.Equal(got[i], queue[i].Bytes) {
				t.Fatalf("record %d differs", i)
			}
		}
	})
}

// Lost, repeated and reordered batches: what comes whole is a record that was
// sent, unchanged; and a record of which all parts came in order is there.
func TestTakeFromHostileProvider(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		queue := drawQueue(t)
		room := rapid.IntRange(MinRoom+500, 4000).Draw(t, "room")
		all := batches(t, queue, room)
		seed := rapid.Uint64().Draw(t, "seed")
		rng := rand.New(rand.NewPCG(seed, 1))
		var stream []*Batch
		for _, b := range all {
			for range rng.IntN(3) {
				stream = append(stream, b)
			}
		}
		if rapid.Bool().Draw(t, "shuffle") {
			rng.Shuffle(len(stream), func(i, j int) { stream[i], stream[j] = stream[j], stream[i] })
		}
		var a Assembly
		for _, b := range stream {
			whole, _ := a.Take(b)
			for _, w := range whole {
				found := false
				for _, r := range queue {
					found = found || bytes.Equal(r.Bytes, w)
				}
				if !found {
					t.Fatal("a record that nobody sent")
				}
			}
			if len(a.Bytes) > MaxRecord {
				t.Fatal("unbounded")
			}
		}
		// In order once more: nothing that came before spoils it.
		n := 0
		for _, b := range all {
			whole, _ := a.Take(b)
			n += len(whole)
		}
		if n != len(queue) {
			t.Fatalf("%d of %d records after it", n, len(queue))
		}
	})
}

func TestLostBatchDropsPartialRecordOnly(t *testing.T) {
	queue := []Record{{Number: 1, Bytes: make([]byte, 100)}, {Number: 2, Bytes: make([]byte, 3000)}, {Number: 3, Bytes: make([]byte, 100)}}
	all := batches(t, queue, 1200)
	if len(all) != 3 {
		t.Fatalf("%d batches", len(all))
	}
	for lost, want := range [][2]int{{1, 1}, {2, 1}, {1, 0}} { // whole; dropped
		var a Assembly
		whole, dropped := 0, 0
		for i, b := range all {
			if i != lost {
				w, d := a.Take(b)
				whole, dropped = whole+len(w), dropped+d
			}
		}
		if whole != want[0] || dropped != want[1] {
			t.Errorf("batch %d lost: %d whole, %d dropped", lost, whole, dropped)
		}
	}
}

func TestTakeBoundsRecord(t *testing.T) {
	var a Assembly
	piece := make([]byte, MaxPart)
	dropped := 0
	for i := range uint16(10) {
		_, d := a.Take(&Batch{Parts: []Part{{Record: 1, Index: i, Bytes: piece}}})
		dropped += d
		if len(a.Bytes) > MaxRecord {
			t.Fatal("unbounded")
		}
	}
	if dropped != 1 || a.Next != 0 {
		t.Errorf("dropped %d times", dropped)
	}
}

// An empty queue makes an empty batch, which is a batch like others.
func TestEmptyBatch(t *testing.T) {
	b, at, done := Split(nil, Cursor{}, MinRoom)
	raw, err := b.Marshal()
	must(t, err)
	if len(b.Parts) != 0 || at != (Cursor{}) || done != 0 {
		t.Error("not empty")
	}
	if _, err := ParseBatch(raw); err != nil {
		t.Error(err)
	}
	if b, _, done := Split([]Record{{Number: 1, Bytes: make([]byte, 500)}}, Cursor{}, MinRoom-1); len(b.Parts) != 0 || done != 0 {
		t.Error("a crumb")
	}
}

func batchSeeds() [][]byte {
	one, _, _ := Split([]Record{{Number: 1, Bytes: []byte("abc")}, {Number: 2, Bytes: make([]byte, 500)}}, Cursor{}, 400)
	raw, _ := one.Marshal()
	empty, _ := new(Batch).Marshal()
	return [][]byte{raw, empty}
}

func TestBatchMutations(t *testing.T) {
	raw := batchSeeds()[0]
	for i := range raw {
		b := bytes.Clone(raw)
		b[i] ^= 0xff
		if out, err := ParseBatch(b); err == nil {
			if again, _ := out.Marshal(); !bytes.Equal(again, b) {
				t.Errorf("byte %d: not canonical", i)
			}
		} else if !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := ParseBatch(raw[:i]); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%d bytes parse", i)
		}
	}
	for name, b := range map[string]*Batch{
		"record zero": {Parts: []Part{{Bytes: []byte{1}}}},
		"no bytes":    {Parts: []Part{{Record: 1}}},
		"long part":   {Parts: []Part{{Record: 1, Bytes: make([]byte, MaxPart+1)}}},
		"index":       {Parts: []Part{{Record: 1, Index: MaxPieces, Bytes: []byte{1}}}},
		"many parts":  {Parts: make([]Part, MaxParts+1)},
	} {
		if _, err := b.Marshal(); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzBatch(f *testing.F) {
	for _, b := range batchSeeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := ParseBatch(raw)
		if err != nil {
			return
		}
		if again, err := b.Marshal(); err != nil || !bytes.Equal(again, raw) {
			t.Error("not canonical")
		}
		var a Assembly
		a.Take(b)
		if _, err := wire.Marshal(&a); err != nil {
			t.Errorf("an assembly that cannot be stored: %v", err)
		}
	})
}

func TestNext(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.Int64Range(int64(MinEvery), int64(MaxEvery)).Draw(t, "every"))
		r := rapid.Uint32().Draw(t, "random")
		wait := Next(now, every, r).Sub(now)
		if wait < every*3/4 || wait > every*5/4 {
			t.Fatalf("%v of %v", wait, every)
		}
		if more := Next(now, every, r|1<<31).Sub(now); more < wait {
			t.Fatal("not monotone in random")
		}
		if Due(now, now.Add(wait), every) || !Due(now.Add(wait), now.Add(wait), every) || !Due(now, now.Add(10*every), every) {
			t.Fatal("due at another time")
		}
	})
	if w := Next(now, 0, 0).Sub(now); w != MinEvery*3/4 {
		t.Errorf("no setting: %v", w)
	}
	if w := Next(now, 100*MaxEvery, 0).Sub(now); w != MaxEvery*3/4 {
		t.Errorf("a huge setting: %v", w)
	}
}

func FuzzAssembly(f *testing.F) {
	f.Add(wire.MustMarshal(&Assembly{Record: 1, Next: 2, Bytes: []byte{3}}))
	f.Add(wire.MustMarshal(&Assembly{Record: 7}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a Assembly
		if wire.Unmarshal(raw, &a) != nil {
			return
		}
		if !bytes.Equal(wire.MustMarshal(&a), raw) || len(a.Bytes) > MaxRecord {
			t.Error("not canonical, or beyond its limit")
		}
		a.Take(&Batch{Parts: []Part{{Record: a.Record, Index: a.Next, Last: true, Bytes: []byte{1}}, {Record: a.Record + 1, Bytes: []byte{1}}}})
		if _, err := wire.Marshal(&a); err != nil {
			t.Errorf("an assembly that cannot be stored: %v", err)
		}
	})
}
