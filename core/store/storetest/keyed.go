package storetest

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"waxwing/core/store"
)

func set(n byte) store.SetID { return store.SetID{31: n} }

func (s *suite) spend(id store.SetID, token [32]byte, by store.Claimant) bool {
	s.t.Helper()
	res := s.Spend(context.Background(), id, []store.Claim{{Token: token, Claimant: by}})
	s.ok(res[0].Err)
	return res[0].Won
}

func (s *suite) spendErr(id store.SetID) error {
	return s.Spend(context.Background(), id, []store.Claim{{Token: token(1), Claimant: claimant(1)}})[0].Err
}

func testSets(t *testing.T, s *suite) {
	ctx := context.Background()
	s.is(s.spendErr(set(1)), store.ErrUnavailable)
	s.ok(s.OpenSet(ctx, set(1), s.clock.Now().Add(30*time.Hour)))
	s.ok(s.OpenSet(ctx, set(2), s.clock.Now().Add(60*time.Hour)))
	if !s.spend(set(1), token(1), claimant(1)) {
		t.Fatal("the first claimant lost")
	}
	s.twice(func() {
		s.ok(s.OpenSet(ctx, set(1), s.clock.Now().Add(90*time.Hour))) // changes nothing
		if !s.spend(set(1), token(1), claimant(1)) || s.spend(set(1), token(1), claimant(2)) {
			t.Fatal("the winner changed")
		}
	})
	if !s.spend(set(2), token(1), claimant(2)) {
		t.Fatal("sets share tokens")
	}
	// So do not sets of before and after a restart.
	s.restart()
	s.ok(s.OpenSet(ctx, set(3), s.clock.Now().Add(30*time.Hour)))
	if !s.spend(set(3), token(1), claimant(3)) || s.spend(set(1), token(1), claimant(3)) {
		t.Fatal("sets share tokens")
	}
	res := s.Spend(ctx, set(1), []store.Claim{
		{Token: token(5), Claimant: claimant(1)},
		{Token: token(1), Claimant: claimant(7)},
		{Token: token(5), Claimant: claimant(2)},
		{Token: token(5), Claimant: claimant(1)},
	})
	for i, want := range []bool{true, false, false, true} {
		if res[i].Err != nil || res[i].Won != want {
			t.Fatalf("element %d: %+v", i, res[i])
		}
	}
	// Tokens that differ in one byte anywhere, and claimants that do.
	for i := range 32 {
		tok, by := token(100), claimant(100)
		tok[i] ^= 1
		if !s.spend(set(2), tok, by) {
			t.Fatalf("byte %d of the token does not count", i)
		}
		by[i] ^= 1
		if s.spend(set(2), tok, by) {
			t.Fatalf("byte %d of the claimant does not count", i)
		}
	}
	s.clock.Advance(30 * time.Hour)
	s.twice(func() {
		s.is(s.spendErr(set(1)), store.ErrUnavailable)
		if s.spend(set(2), token(1), claimant(1)) {
			t.Fatal("the winner changed")
		}
	})
	s.clock.Advance(72 * time.Hour)
	s.twice(func() { s.is(s.spendErr(set(2)), store.ErrUnavailable) })
}

func testSetLimits(t *testing.T, s *suite) {
	ctx := context.Background()
	s.is(s.OpenSet(ctx, set(1), s.clock.Now()), store.ErrInvalid)
	s.is(s.OpenSet(ctx, set(1), time.Time{}), store.ErrInvalid)
	end := s.clock.Now().Add(time.Hour)
	opened := contest(store.MaxSets, func(i int) bool {
		return s.OpenSet(ctx, store.SetID{byte(i), byte(i >> 8)}, end) == nil
	})
	if opened != store.MaxSets {
		t.Fatalf("%d sets opened, want %d", opened, store.MaxSets)
	}
	s.is(s.OpenSet(ctx, set(1), end), store.ErrFull)
	s.ok(s.OpenSet(ctx, store.SetID{1}, end))
	s.clock.Advance(time.Hour)
	s.ok(s.OpenSet(ctx, set(1), end.Add(time.Hour)))
	for _, r := range s.Spend(ctx, set(1), make([]store.Claim, store.MaxBatch+1)) {
		s.is(r.Err, store.ErrInvalid)
	}
	claims := make([]store.Claim, store.MaxBatch)
	for i := range claims {
		claims[i] = store.Claim{Token: token(i), Claimant: claimant(i)}
	}
	for i := range 2 {
		for _, r := range s.Spend(ctx, set(1), claims) {
			if r.Err != nil || !r.Won {
				t.Fatalf("round %d: %+v", i, r)
			}
		}
	}
}

func item(n int) store.Item { return store.Item{ID: uint64(n), Body: body(n)} }

func (s *suite) put(pool store.Key, numbers ...int) {
	s.t.Helper()
	var items []store.Item
	for _, n := range numbers {
		items = append(items, item(n))
	}
	s.ok(s.Put(context.Background(), pool, items))
}

func (s *suite) take(pool store.Key, by, want, remaining int) {
	s.t.Helper()
	it, n, err := s.Take(context.Background(), pool, claimant(by))
	if err != nil || it.ID != uint64(want) || !bytes.Equal(it.Body, body(want)) || n != remaining {
		s.t.Fatalf("Take: item %d, %d remain, %v; want item %d, %d remain", it.ID, n, err, want, remaining)
	}
}

func (s *suite) empty(pool store.Key, by int) {
	s.t.Helper()
	_, _, err := s.Take(context.Background(), pool, claimant(by))
	s.is(err, store.ErrEmpty)
}

func (s *suite) poolSize(pool store.Key, want int) {
	s.t.Helper()
	if n, err := s.PoolSize(context.Background(), pool); err != nil || n != want {
		s.t.Fatalf("PoolSize: %d, %v; want %d", n, err, want)
	}
}

func testPools(t *testing.T, s *suite) {
	s.empty("p", 1)
	s.poolSize("p", 0)
	s.put("p", 5, 3, 9, 3)
	s.put("p", 5)
	s.put("pp", 1) // a key that begins with another
	s.twice(func() { s.poolSize("p", 3) })
	s.take("p", 1, 3, 2)
	s.twice(func() {
		s.take("p", 1, 3, 2) // the same claimant again
		s.poolSize("p", 2)
	})
	s.put("p", 2, 3) // not above what was taken: never again
	s.poolSize("p", 2)
	s.put("p", 4)
	s.take("p", 2, 4, 2)
	s.take("p", 3, 5, 1)
	s.take("p", 4, 9, 0)
	s.empty("p", 5)
	s.twice(func() { s.take("p", 2, 4, 0) })
	s.put("p", 3, 4, 5, 9)
	s.empty("p", 5)
	s.put("p", 10)
	s.take("p", 5, 10, 0)
	s.poolSize("pp", 1)
	// Items with the same id and another body are the same item.
	s.put("q", 1)
	s.ok(s.Put(context.Background(), "q", []store.Item{{ID: 1, Body: []byte("other")}}))
	s.take("q", 1, 1, 0)
	s.ok(s.DropPool(context.Background(), "p"))
	s.ok(s.DropPool(context.Background(), "none"))
	s.twice(func() {
		s.poolSize("p", 0)
		s.empty("p", 1)
	})
	s.put("p", 3)
	s.take("p", 1, 3, 0)
	s.poolSize("pp", 1)
}

func testPoolClaims(t *testing.T, s *suite) {
	s.put("p", 1, 2, 3)
	s.take("p", 1, 1, 2)
	s.clock.Advance(store.ClaimMemory)
	s.twice(func() { s.take("p", 1, 1, 2) })
	s.clock.Advance(time.Second)
	s.take("p", 1, 2, 1) // forgotten: a new take
	s.put("p", 1)
	s.poolSize("p", 1)
	var numbers []int
	for i := range store.MaxPoolClaims {
		numbers = append(numbers, 10+i)
	}
	s.put("p", numbers...)
	for i := range store.MaxPoolClaims - 1 {
		_, _, err := s.Take(context.Background(), "p", claimant(1000+i))
		s.ok(err)
	}
	s.empty("p", 5000) // too many within ClaimMemory
	s.poolSize("p", 2)
	s.twice(func() { s.take("p", 1000, 3, 2) })
	s.clock.Advance(store.ClaimMemory + time.Second)
	s.take("p", 5000, 10+store.MaxPoolClaims-2, 1)
}

func testPoolLimits(t *testing.T, s *suite) {
	ctx := context.Background()
	for _, it := range []store.Item{{Body: []byte{1}}, {ID: 1}, {ID: 1, Body: make([]byte, store.MaxItem+1)}} {
		s.is(s.Put(ctx, "p", []store.Item{item(7), it}), store.ErrInvalid)
	}
	s.is(s.Put(ctx, "p", make([]store.Item, store.MaxBatch+1)), store.ErrInvalid)
	s.poolSize("p", 0)
	s.badKeys(func(k store.Key) error { return s.Put(ctx, k, []store.Item{item(1)}) })
	s.badKeys(func(k store.Key) error { _, _, err := s.Take(ctx, k, claimant(1)); return err })
	s.badKeys(func(k store.Key) error { _, err := s.PoolSize(ctx, k); return err })
	s.badKeys(func(k store.Key) error { return s.DropPool(ctx, k) })
	var items []store.Item
	for i := range store.MaxPool {
		items = append(items, store.Item{ID: uint64(i + 1), Body: bytes.Repeat([]byte{1}, 1+i*4)})
	}
	s.is(s.Put(ctx, "p", append(items, item(store.MaxPool+1))), store.ErrFull)
	s.poolSize("p", 0)
	s.ok(s.Put(ctx, "p", items))
	s.is(s.Put(ctx, "p", []store.Item{item(store.MaxPool + 1)}), store.ErrFull)
	s.ok(s.Put(ctx, "p", items))
	s.twice(func() { s.poolSize("p", store.MaxPool) })
	key := store.Key(strings.Repeat("k", store.MaxKey))
	s.put(key, 1)
	s.take(key, 1, 1, 0)
	s.ok(s.DropPool(ctx, "p"))
	s.twice(func() { s.poolSize("p", 0) })
}

// badKeys checks that an operation refuses keys that are empty or too long.
func (s *suite) badKeys(op func(store.Key) error) {
	s.t.Helper()
	s.is(op(""), store.ErrInvalid)
	s.is(op(store.Key(strings.Repeat("k", store.MaxKey+1))), store.ErrInvalid)
}

func testLogs(t *testing.T, s *suite) {
	ctx := context.Background()
	size := func(log store.Key, want uint64) {
		t.Helper()
		if n, err := s.LogSize(ctx, log); err != nil || n != want {
			t.Fatalf("LogSize: %d, %v; want %d", n, err, want)
		}
	}
	size("l", 0)
	s.is(s.LogAppend(ctx, "l", 1, [][]byte{{1}}), store.ErrConflict)
	s.ok(s.LogAppend(ctx, "l", 0, [][]byte{{1}, {}, {3, 3}}))
	s.ok(s.LogAppend(ctx, "ll", 0, [][]byte{{9}}))
	s.twice(func() {
		size("l", 3)
		s.is(s.LogAppend(ctx, "l", 0, [][]byte{{1}}), store.ErrConflict)
		s.is(s.LogAppend(ctx, "l", 4, nil), store.ErrConflict)
		s.ok(s.LogAppend(ctx, "l", 3, nil))
		got, err := s.LogRead(ctx, "l", 0, 0)
		if err != nil || len(got) != 3 || !bytes.Equal(got[0], []byte{1}) || len(got[1]) != 0 || !bytes.Equal(got[2], []byte{3, 3}) {
			t.Fatalf("LogRead: %v, %v", got, err)
		}
		if got, err = s.LogRead(ctx, "l", 1, 1); err != nil || len(got) != 1 || len(got[0]) != 0 {
			t.Fatalf("LogRead of one: %v, %v", got, err)
		}
		if got, err = s.LogRead(ctx, "l", 3, 5); err != nil || len(got) != 0 {
			t.Fatalf("LogRead behind the end: %v, %v", got, err)
		}
	})
	s.badKeys(func(k store.Key) error { return s.LogAppend(ctx, k, 0, nil) })
	s.badKeys(func(k store.Key) error { _, err := s.LogRead(ctx, k, 0, 0); return err })
	s.badKeys(func(k store.Key) error { _, err := s.LogSize(ctx, k); return err })
	s.is(s.LogAppend(ctx, "m", 0, make([][]byte, store.MaxLogBatch+1)), store.ErrInvalid)
	s.is(s.LogAppend(ctx, "m", 0, [][]byte{make([]byte, store.MaxValue+1)}), store.ErrInvalid)
	big := make([][]byte, store.MaxLogBytes/store.MaxValue)
	for i := range big {
		big[i] = make([]byte, store.MaxValue)
	}
	s.is(s.LogAppend(ctx, "m", 0, append(big, make([]byte, store.MaxValue))), store.ErrInvalid)
	size("m", 0)
	many := make([][]byte, store.MaxLogBatch)
	for i := range many {
		many[i] = body(i)
	}
	s.ok(s.LogAppend(ctx, "m", 0, many))
	s.ok(s.LogAppend(ctx, "m", store.MaxLogBatch, big))
	s.ok(s.LogAppend(ctx, "m", store.MaxLogBatch+uint64(len(big)), big))
	s.twice(func() {
		got, err := s.LogRead(ctx, "m", 0, 1<<20)
		if err != nil || len(got) != store.MaxFetch {
			t.Fatalf("LogRead: %d entries, %v", len(got), err)
		}
		for i := range many {
			if !bytes.Equal(got[i], many[i]) {
				t.Fatalf("entry %d differs", i)
			}
		}
		got, err = s.LogRead(ctx, "m", store.MaxLogBatch, 0)
		if err != nil || len(got) != store.MaxFetchBytes/store.MaxValue {
			t.Fatalf("LogRead of long ones: %d entries, %v", len(got), err)
		}
	})
}
