package auditlog

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// grown is a log that goes on in another segment after each few entries, with all
// heads that it had.
type grown struct {
	logs  []*Log
	heads []Head
}

func (g *grown) add(t testing.TB, entry []byte, limit uint64) {
	l := g.logs[len(g.logs)-1]
	if l.Size() >= limit {
		l = l.Next()
		g.logs = append(g.logs, l)
		g.append(t, l, l.Link())
	}
	g.append(t, l, entry)
}

func (g *grown) append(t testing.TB, l *Log, entry []byte) {
	p, err := l.Prepare(entry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Commit(p); err != nil {
		t.Fatal(err)
	}
	g.heads = append(g.heads, l.Head())
}

func (g *grown) leaves(segment uint32) ([]Hash, error) { return g.logs[segment-1].Leaves(), nil }

func grow(t testing.TB, entries int, limit uint64) *grown {
	g := &grown{logs: []*Log{new(Log)}}
	for i := range entries {
		g.add(t, []byte{byte(i)}, limit)
	}
	return g
}

// Every head continues all before it, through any number of segments, and no proof
// holds for another head or with another byte.
func TestSegmentsAreOneLog(t *testing.T) {
	g := grow(t, 22, 4)
	if len(g.logs) != 7 || g.logs[6].Base() != 24 {
		t.Fatalf("%d segments, the last after %d", len(g.logs), g.logs[6].Base())
	}
	for i, old := range g.heads {
		for j, h := range g.heads {
			p, err := Prove(old, h, g.leaves)
			if j < i {
				if err == nil && h.Continues(&old, p) == nil {
					t.Fatalf("%v is shown to continue %v", h, old)
				}
				continue
			}
			if err != nil || h.Continues(&old, p) != nil {
				t.Fatalf("from %v to %v: %v", old, h, err)
			}
			if i == j {
				continue
			}
			for _, forged := range []func(h, old *Head, p *Proof){
				func(h, _ *Head, _ *Proof) { h.Root[3] ^= 1 },
				func(_, old *Head, _ *Proof) { old.Root[3] ^= 1 },
				func(h, _ *Head, _ *Proof) { h.Segment++ },
				func(_, old *Head, _ *Proof) { old.Segment++ },
				func(_, _ *Head, p *Proof) { p.Links = append(p.Links, LinkProof{}) },
				func(_, _ *Head, p *Proof) { p.Consistency = append(p.Consistency, Hash{}) },
				func(_, _ *Head, p *Proof) {
					if len(p.Links) == 0 {
						p.Links = []LinkProof{{}}
						return
					}
					p.Links[len(p.Links)-1].Size++
				},
				func(_, _ *Head, p *Proof) {
					if len(p.Links) == 0 {
						p.Consistency = append(p.Consistency, Hash{})
						return
					}
					p.Links[0].Root[0] ^= 1
				},
			} {
				h2, old2, p2 := h, old, *p
				p2.Links = append([]LinkProof(nil), p.Links...)
				forged(&h2, &old2, &p2)
				if h2.Continues(&old2, &p2) == nil {
					t.Fatalf("from %v to %v: a forged proof holds", old2, h2)
				}
			}
		}
	}
	if _, err := Prove(Head{Segment: 1}, Head{Segment: 2 + MaxLinks}, g.leaves); !errors.Is(err, ErrRange) {
		t.Error("a proof without end")
	}
	if _, err := Prove(Head{Segment: 1}, Head{Segment: 7, Size: 9}, g.leaves); !errors.Is(err, ErrRange) {
		t.Error("a proof to what is not there")
	}
}

// Two logs that are not one have no common later head, wherever they part.
func TestSegmentsDoNotFork(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := uint64(rapid.IntRange(2, 5).Draw(rt, "limit"))
		n, at := rapid.IntRange(2, 20).Draw(rt, "entries"), 0
		at = rapid.IntRange(0, n-1).Draw(rt, "parted at")
		a, b := grow(t, n, limit), &grown{logs: []*Log{new(Log)}}
		for i := range n {
			e := []byte{byte(i)}
			if i == at {
				e = []byte("another")
			}
			b.add(t, e, limit)
		}
		last := len(a.heads) - 1
		for i := range a.heads {
			if a.heads[i] == b.heads[i] {
				continue // before they parted
			}
			for _, g := range []*grown{a, b} {
				if p, err := Prove(a.heads[i], a.heads[last], g.leaves); err == nil && b.heads[last].Continues(&a.heads[i], p) == nil {
					rt.Fatalf("head %d of one continues in the other", i)
				}
			}
		}
	})
}

// A later segment begins with the link to the one before, and with nothing else.
func TestSegmentBeginsWithItsLink(t *testing.T) {
	l := grow(t, 3, 9).logs[0]
	next := l.Next()
	if _, err := next.Prepare([]byte("entry")); !errors.Is(err, ErrEntry) {
		t.Errorf("another first entry: %v", err)
	}
	other := grow(t, 4, 9).logs[0].Next()
	p, err := other.Prepare(other.Link())
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Extend(p.Record); !errors.Is(err, ErrRecord) {
		t.Errorf("the link to another segment: %v", err)
	}
	if p, err = next.Prepare(next.Link()); err != nil {
		t.Fatal(err)
	}
	again := l.Next()
	if err := again.Extend(p.Record); err != nil {
		t.Error(err)
	}
}
