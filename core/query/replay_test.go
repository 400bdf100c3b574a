package query

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
)

// cheap returns a question that was not sealed: the cache looks at the id alone.
func cheap(n uint64) *Question {
	q := &Question{kind: KindLookup, enc: make([]byte, 4), secret: make([]byte, 32)}
	binary.BigEndian.PutUint64(q.id[:], n)
	return q
}

func finds(payload []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return payload, nil }
}

// neverFinds fails the test if a repeat is answered anew.
func neverFinds(t testing.TB) func() ([]byte, error) {
	return func() ([]byte, error) {
		t.Error("a repeat was answered anew")
		return nil, nil
	}
}

func TestRepeatGetsTheSameBytes(t *testing.T) {
	r, c := newRing(), NewReplayCache()
	sealed, p := r.ask(t, []byte("carol"), noon)
	first, err := c.Answer(noon, alpha, r.open(t, sealed, noon), finds([]byte("keys")))
	if err != nil {
		t.Fatal(err)
	}
	// Also when another provider sends it, and until it is stale.
	for _, later := range []time.Duration{0, time.Second, MaxAge} {
		for _, from := range []ids.Domain{alpha, gamma} {
			now := noon.Add(later)
			again, err := c.Answer(now, from, r.open(t, sealed, now), neverFinds(t))
			if err != nil || !bytes.Equal(again, first) {
				t.Errorf("%v later: %v", later, err)
			}
		}
	}
	if got, err := p.Open(first); err != nil || string(got) != "keys" {
		t.Error(err)
	}
	if c.Len() != 1 {
		t.Error(c.Len(), "remembered")
	}
}

// A question that was sealed ahead of the clock is fresh for longer; it is
// remembered as long. There is no time at which it is fresh and forgotten.
func TestForgottenOnlyWhenStale(t *testing.T) {
	r := newRing()
	for _, ahead := range []time.Duration{-MaxAge, -time.Minute, 0, time.Minute, MaxAhead} {
		for _, fraction := range []time.Duration{0, 300 * time.Microsecond, 999 * time.Microsecond} {
			c, seen := NewReplayCache(), noon.Add(fraction)
			sealed, _ := r.ask(t, nil, noon.Add(ahead))
			first, err := c.Answer(seen, alpha, r.open(t, sealed, seen), finds(nil))
			if err != nil {
				t.Fatal(err)
			}
			last := noon.Add(ahead + MaxAge).Truncate(time.Millisecond).Add(999 * time.Microsecond)
			if _, err := Open(r, KindLookup, sealed, last.Add(time.Microsecond)); !errors.Is(err, ErrStale) {
				t.Fatalf("ahead %v: not yet stale: %v", ahead, err)
			}
			again, err := c.Answer(last, alpha, r.open(t, sealed, last), neverFinds(t))
			if err != nil || !bytes.Equal(first, again) {
				t.Errorf("ahead %v: %v", ahead, err)
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	c := NewReplayCache()
	for i := range uint64(5) {
		if _, err := c.Answer(noon.Add(time.Duration(i)*time.Minute), alpha, cheap(i), finds(nil)); err != nil {
			t.Fatal(err)
		}
	}
	// At noon + keep + 2 minutes the first two have expired, the third not.
	if _, err := c.Answer(noon.Add(keep+2*time.Minute), gamma, cheap(9), finds(nil)); err != nil {
		t.Fatal(err)
	}
	if n := c.Len(); n != 4 {
		t.Errorf("%d remembered, not 4", n)
	}
	if _, err := c.Answer(noon.Add(48*time.Hour), gamma, cheap(10), finds(nil)); err != nil {
		t.Fatal(err)
	}
	if c.Len() != 1 || len(c.of) != 1 || c.order.Len() != 1 || c.bytes != c.of[gamma] {
		t.Errorf("%d remembered, %d providers, %d bytes", c.Len(), len(c.of), c.bytes)
	}
}

// A flood does not push out what could be repeated, and does not starve others.
func TestFloodIsRefused(t *testing.T) {
	c := NewReplayCache()
	large := make([]byte, MaxLookupAnswer)
	victim, err := c.Answer(noon, gamma, cheap(0), finds([]byte("victim")))
	if err != nil {
		t.Fatal(err)
	}
	var busy, n int
	for n = 1; busy == 0; n++ {
		switch _, err := c.Answer(noon, alpha, cheap(uint64(n)), finds(large)); {
		case errors.Is(err, ErrBusy):
			busy++
		case err != nil:
			t.Fatal(err)
		case n > maxOfOne/len(large):
			t.Fatal("no limit for one provider")
		}
	}
	if n < maxOfOne/(len(large)+entryCost)-2 {
		t.Errorf("refused after %d", n)
	}
	// What was asked before is still answered, to everybody.
	again, err := c.Answer(noon, alpha, cheap(0), neverFinds(t))
	if err != nil || !bytes.Equal(again, victim) {
		t.Error(err)
	}
	// Other providers still have their share; in all it is bounded.
	total := 0
	for _, s := range []string{"b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"} {
		from := ids.MustParseDomain(s + ".example")
		for ; ; n++ {
			if _, err := c.Answer(noon, from, cheap(uint64(n)), finds(large)); errors.Is(err, ErrBusy) {
				break
			}
			total++
		}
		if c.bytes > maxRemembered {
			t.Fatalf("%d bytes remembered", c.bytes)
		}
	}
	if total < 6*maxOfOne/(len(large)+entryCost) {
		t.Errorf("others got %d in all", total)
	}
	// And when it has expired there is room again.
	if _, err := c.Answer(noon.Add(keep+time.Millisecond), alpha, cheap(1<<40), finds(large)); err != nil || c.Len() != 1 {
		t.Error(err, c.Len())
	}
}

// Short answers, which most are, cost little: the padding is not kept.
func TestShortAnswersCostLittle(t *testing.T) {
	c := NewReplayCache()
	for i := range uint64(maxOfOne/entryCost/2 - 20) {
		if _, err := c.Answer(noon, alpha, cheap(i), finds(make([]byte, entryCost))); err != nil {
			t.Fatalf("question %d: %v", i, err)
		}
	}
}

func TestFailureIsNotRemembered(t *testing.T) {
	c, fail := NewReplayCache(), errors.New("store is down")
	if _, err := c.Answer(noon, alpha, cheap(1), func() ([]byte, error) { return nil, fail }); !errors.Is(err, fail) {
		t.Error(err)
	}
	if _, err := c.Answer(noon, alpha, cheap(1), finds(make([]byte, MaxLookupAnswer+1))); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if c.Len() != 0 || c.bytes != 0 || len(c.of) != 0 {
		t.Errorf("%d remembered, %d bytes", c.Len(), c.bytes)
	}
	if _, err := c.Answer(noon, alpha, cheap(1), finds(nil)); err != nil || c.Len() != 1 {
		t.Error(err)
	}
}

// Copies of one question at the same time are answered once, also when the
// first attempt fails.
func TestConcurrentCopies(t *testing.T) {
	c := NewReplayCache()
	var found atomic.Int32
	var failed sync.Once
	answers := make([][]byte, 32)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			for answers[i] == nil {
				var first bool
				answers[i], _ = c.Answer(noon, alpha, cheap(1), func() ([]byte, error) {
					failed.Do(func() { first = true })
					if first {
						return nil, errors.New("once")
					}
					found.Add(1)
					return []byte("keys"), nil
				})
			}
		})
	}
	wg.Wait()
	for _, a := range answers {
		if !bytes.Equal(a, answers[0]) {
			t.Error("two answers")
		}
	}
	if n := found.Load(); n != 1 {
		t.Errorf("answered %d times", n)
	}
}

// The cache against a plain model: for any order of questions, repeats and
// moments, an id is answered anew only after its time, and the accounts add up.
func TestReplayCacheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, now := NewReplayCache(), noon
		type known struct {
			answer []byte
			since  time.Time
		}
		model := map[uint64]known{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(4*time.Minute)).Draw(t, "pause")))
			id := rapid.Uint64Range(0, 9).Draw(t, "id")
			from := rapid.SampledFrom([]ids.Domain{alpha, gamma}).Draw(t, "from")
			anew := false
			a, err := c.Answer(now, from, cheap(id), func() ([]byte, error) {
				anew = true
				return make([]byte, rapid.IntRange(0, 99).Draw(t, "length")), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			m, ok := model[id]
			remembered := ok && now.UnixMilli() <= m.since.Add(keep).UnixMilli()
			if anew == remembered || remembered && !bytes.Equal(a, m.answer) {
				t.Fatalf("answered anew: %v, remembered: %v", anew, remembered)
			}
			if anew {
				model[id] = known{a, now}
			}
			sum := 0
			for el := c.order.Front(); el != nil; el = el.Next() {
				sum += el.Value.(*entry).cost
			}
			if sum != c.bytes || c.of[alpha]+c.of[gamma] != sum || c.order.Len() != len(c.entries) {
				t.Fatalf("%d bytes counted, %d there", c.bytes, sum)
			}
		}
	})
}
