package blocklist

import (
	"bytes"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// EntrySize is the size of an entry's id, in bytes.
const EntrySize = 16

const (
	version = 1

	// MaxRequestSize is the length of the longest request, in bytes.
	MaxRequestSize = 1 + EntrySize + 2 + pseudonymSize + 2 + MaxDays*(4+2) + MaxSerials*8
	// MaxListSize is the length of the longest list, in bytes.
	MaxListSize = 1 + 2 + MaxEntries*(EntrySize+2+MaxGenerations*pseudonymSize)

	pseudonymSize = 4 + 32
)

// Fields lists the layout.
func (p *Pseudonym) Fields(c *wire.Codec) {
	wire.U32(c, "generation", &p.Generation)
	c.Check(p.Generation > 0, "generation", "zero")
	c.Fixed("N_R", p.NR[:])
	c.Check(p.NR != [32]byte{}, "N_R", "zero") // the identity, which is nobody's
}

// Fields lists the layout. Serials are grouped by day, days and serials of a
// day ascending, so that one set of serials has one encoding.
func (r *Request) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Fixed("entry", r.Entry[:])
	c.Check(r.Entry != EntryID{}, "entry", "zero")
	var one []Pseudonym
	if r.Pseudonym != (Pseudonym{}) {
		one = []Pseudonym{r.Pseudonym}
	}
	wire.List(c, "pseudonyms", &one, 1, func(c *wire.Codec, p *Pseudonym) { p.Fields(c) })
	days := group(r.Serials)
	wire.List(c, "days", &days, MaxDays, func(c *wire.Codec, d *dayOf) { d.Fields(c) })
	c.Check(ascending(days, func(a, b dayOf) bool { return a.Day < b.Day }), "days", "not ascending")
	serials := ungroup(days)
	c.Check(len(serials) <= MaxSerials, "days", "too many serials")
	if c.Parsing() {
		r.Serials, r.Pseudonym = serials, Pseudonym{}
		if len(one) > 0 {
			r.Pseudonym = one[0]
		}
	}
}

// dayOf is the serials of the tickets that expire on one day.
type dayOf struct {
	Day ids.Day
	N   []uint64
}

// Fields lists the layout.
func (d *dayOf) Fields(c *wire.Codec) {
	wire.U32(c, "day", &d.Day)
	wire.List(c, "serials", &d.N, MaxSerials, func(c *wire.Codec, n *uint64) { wire.U64(c, "serial", n) })
	c.Check(len(d.N) > 0, "serials", "none")
	c.Check(ascending(d.N, func(a, b uint64) bool { return a < b }), "serials", "not ascending")
}

func group(serials []Serial) (days []dayOf) {
	for _, s := range serials {
		if len(days) == 0 || days[len(days)-1].Day != s.Day {
			days = append(days, dayOf{Day: s.Day})
		}
		last := &days[len(days)-1]
		last.N = append(last.N, s.N)
	}
	return days
}

func ungroup(days []dayOf) (serials []Serial) {
	for _, d := range days {
		for _, n := range d.N {
			serials = append(serials, Serial{d.Day, n})
		}
	}
	return serials
}

// Fields lists the layout.
func (l *List) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.List(c, "entries", &l.entries, MaxEntries, func(c *wire.Codec, e *entryOf) { e.Fields(c) })
	c.Check(ascending(l.entries, func(a, b entryOf) bool { return bytes.Compare(a.id[:], b.id[:]) < 0 }), "entries", "not ascending")
}

// Fields lists the layout.
func (e *entryOf) Fields(c *wire.Codec) {
	c.Fixed("entry", e.id[:])
	c.Check(e.id != EntryID{}, "entry", "zero")
	wire.List(c, "pseudonyms", &e.pseudonyms, MaxGenerations, func(c *wire.Codec, p *Pseudonym) { p.Fields(c) })
	c.Check(ascending(e.pseudonyms, func(a, b Pseudonym) bool { return a.Generation < b.Generation }), "pseudonyms", "not ascending")
}

// ascending reports whether each element is less than the next: sorted and
// without duplicates.
func ascending[T any](s []T, less func(a, b T) bool) bool {
	for i := 1; i < len(s); i++ {
		if !less(s[i-1], s[i]) {
			return false
		}
	}
	return true
}
