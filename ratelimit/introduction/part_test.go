package introduction

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/wire"
)

// hand is a device of the model: its part, and its shares at the providers where it
// has begun.
type hand struct {
	part   Part
	shares map[int]Share
}

// give is what a device does that lets in another one: durable, then handed over.
func (h *hand) give(n func(left uint32) uint32) *hand {
	other := &hand{shares: map[int]Share{}}
	h.part, other.part = h.part.Give()
	for p, s := range h.shares {
		h.shares[p], other.shares[p] = s.Give(n(s.Left()))
	}
	return other
}

// Whatever devices of one account do, in whatever order they begin at providers, let
// others in and lose what they gave, no nonce is ever in two hands.
func TestGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, MaxShares).Draw(t, "devices")
		limits := rapid.SliceOfN(rapid.Uint32Range(0, StandingLimit), 1, 3).Draw(t, "limits")
		var hands []*hand
		for i := range n {
			p, err := PartOf(7, i, n)
			if err != nil {
				t.Fatal(err)
			}
			hands = append(hands, &hand{p, map[int]Share{}})
		}
		used := map[[2]uint32]bool{}
		lost := false
		use := func(h *hand, p int) {
			s, ok := h.shares[p]
			if !ok {
				var err error
				if s, err = h.part.Share(limits[p]); err != nil || s.Period != 7 {
					t.Fatalf("%+v: %v", s, err)
				}
			}
			nonce, after, err := s.Reserve()
			h.shares[p] = stored(t, after)
			if errors.Is(err, ErrSpent) {
				return
			}
			key := [2]uint32{uint32(p), nonce}
			if used[key] || nonce >= limits[p] {
				t.Fatalf("nonce %d at %d, of %d", nonce, p, limits[p])
			}
			used[key] = true
		}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			h := rapid.SampledFrom(hands).Draw(t, "device")
			if !rapid.Bool().Draw(t, "links") {
				use(h, rapid.IntRange(0, len(limits)-1).Draw(t, "provider"))
				continue
			}
			other := h.give(func(left uint32) uint32 { return rapid.Uint32Range(0, left+1).Draw(t, "n") })
			if rapid.Bool().Draw(t, "arrives") {
				hands = append(hands, other)
			} else {
				lost = true
			}
		}
		for p, limit := range limits {
			for _, h := range hands {
				for range limit + 1 {
					use(h, p)
				}
			}
			for nonce := range limit {
				if !lost && !used[[2]uint32{uint32(p), nonce}] {
					t.Fatalf("nonce %d at %d is nobody's, and nothing was lost", nonce, p)
				}
			}
		}
	})
}

// stored is a share as it comes back from the disk.
func stored(t *rapid.T, s Share) (out Share) {
	if err := wire.Unmarshal(wire.MustMarshal(&s), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGiveEnds(t *testing.T) {
	for _, c := range []struct {
		share        Share
		n            uint32
		mine, theirs Share
	}{
		{Share{1, 1, 4}, 1, Share{1, 1, 3}, Share{1, 3, 4}},
		{Share{1, 3, 4}, 0, Share{1, 3, 4}, Share{1, 4, 4}},
		{Share{1, 4, 4}, 2, Share{1, 4, 4}, Share{1, 4, 4}},
		{Share{1, 1, 4}, 9, Share{1, 1, 1}, Share{1, 1, 4}},
	} {
		if mine, theirs := c.share.Give(c.n); mine != c.mine || theirs != c.theirs {
			t.Errorf("%d of %+v: %+v and %+v", c.n, c.share, mine, theirs)
		}
	}
	whole, err := PartOf(1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := whole.Give()
	a, _ := mine.Share(4)
	b, _ := theirs.Share(4)
	if a != (Share{1, 0, 2}) || b != (Share{1, 2, 4}) {
		t.Errorf("halves of 4: %+v, %+v", a, b)
	}
	// What two manifests leave a device is in what either gives it.
	second, _ := PartOf(1, 1, 2)
	third, _ := PartOf(1, 1, 3)
	if s, _ := second.Within(third).Share(30); s != (Share{1, 15, 20}) {
		t.Errorf("15 to 30 and 10 to 20: %+v", s)
	}
	if p := mine.Within(theirs); p != (Part{Period: 1}) {
		t.Errorf("of halves: %+v", p)
	}
	if p := whole.Within(Part{2, 0, partScale}); p != (Part{Period: 1}) {
		t.Errorf("of two days: %+v", p)
	}
}

func TestPartTerms(t *testing.T) {
	for _, place := range [][2]int{{0, 0}, {-1, 1}, {1, 1}, {0, MaxShares + 1}} {
		if _, err := PartOf(1, place[0], place[1]); !errors.Is(err, ErrTerms) {
			t.Errorf("place %d of %d: %v", place[0], place[1], err)
		}
	}
	for _, p := range []Part{{1, 2, 1}, {1, 0, partScale + 1}} {
		if _, err := p.Share(4); !errors.Is(err, ErrTerms) {
			t.Errorf("%+v: %v", p, err)
		}
		if _, err := wire.Marshal(&p); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := (Part{1, 0, partScale}).Share(StandingLimit + 1); !errors.Is(err, ErrTerms) {
		t.Errorf("a limit that does not exist: %v", err)
	}
}
