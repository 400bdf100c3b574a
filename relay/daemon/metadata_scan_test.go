package daemon_test

import (
	"cmp"
	"maps"
	"slices"

	"waxwing/core/wire"
)

// finding is something that is where the document does not allow it.
type finding struct {
	place, field string
	kind         kind
}

// scanner holds what one provider has against docs/metadata.md.
type scanner struct {
	allow   allowList
	needles *needles

	found map[finding]int
	seen  map[string]map[string]map[kind]int // what was there, by place and field; "" for no kind
}

func newScanner(a allowList, n *needles) *scanner {
	return &scanner{allow: a, needles: n, found: map[finding]int{}, seen: map[string]map[string]map[kind]int{}}
}

// findings returns what was found, in order.
func (s *scanner) findings() []finding {
	return slices.SortedFunc(maps.Keys(s.found), finding.compare)
}

func (f finding) compare(g finding) int {
	return cmp.Or(cmp.Compare(f.place, g.place), cmp.Compare(f.field, g.field), cmp.Compare(f.kind, g.kind))
}

// scan looks at an item: its place and fields are listed, no field holds more
// than its row allows, and nothing in it joins an account of this provider to
// another provider.
func (s *scanner) scan(i item) {
	kinds := map[kind]bool{}
	s.parts(i, kinds)
	if kinds[otherDomain] && (kinds[ownAddress] || kinds[ownMailbox] || kinds[ownKey]) {
		s.found[finding{i.place, "", aPair}]++
	}
}

func (s *scanner) parts(i item, kinds map[kind]bool) {
	rules, as := s.allow.place(i.place)
	switch {
	case i.broken:
		s.found[finding{i.place, "", malformed}]++
	case rules == nil:
		s.found[finding{i.place, "", unknownPlace}]++
	}
	for _, f := range i.fields {
		r := rules[f.name]
		switch {
		case r != nil && r.into != "":
			s.inside(i.place, f, r.into, kinds)
			s.note(as, f.name, "")
			continue
		case r == nil && rules != nil && !i.broken:
			s.found[finding{i.place, f.name, unknownField}]++
		}
		if r != nil {
			s.note(as, f.name, "")
		}
		for _, k := range s.needles.kinds(f.bytes) {
			kinds[k] = true
			if r == nil || !r.may[k] {
				s.found[finding{i.place, f.name, k}]++
			} else {
				s.note(as, f.name, k)
			}
		}
	}
}

// inside looks at a field that is a structure with rows of its own.
func (s *scanner) inside(place string, f field, name string, kinds map[kind]bool) {
	if len(f.bytes) == 0 {
		return // left out
	}
	in := item{place: "in " + name}
	var err error
	if in.fields, err = cut(structures[name](), f.bytes); err == nil && name == "envelope" {
		err = wire.ParseEnvelope(f.bytes, new(wire.Envelope)) // its layout leaves the length open
	}
	if err == nil {
		s.parts(in, kinds)
		return
	}
	s.found[finding{place, f.name, malformed}]++
	for _, k := range s.needles.kinds(f.bytes) {
		kinds[k] = true
		s.found[finding{place, f.name, k}]++
	}
}

func (s *scanner) note(place, field string, k kind) {
	if s.seen[place] == nil {
		s.seen[place] = map[string]map[kind]int{}
	}
	if s.seen[place][field] == nil {
		s.seen[place][field] = map[kind]int{}
	}
	s.seen[place][field][k]++
}

// whole looks at bytes without structure: a file, or memory.
func (s *scanner) whole(place string, b []byte) {
	s.parts(item{place: place, fields: []field{{"content", b}}}, map[kind]bool{})
}
