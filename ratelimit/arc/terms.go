package arc

import (
	"math/bits"
	"slices"

	"waxwing/core/group"
)

// Terms are what the presentations of one context have in common: the base of
// their tags and the limit. They are made once per context (an epoch), never
// change and are safe for concurrent use.
type Terms struct {
	s     *Suite
	limit uint32
	bases []uint32
	tag   group.Element // T
}

// NewTerms returns the terms of a presentation context, of at most MaxContext
// bytes, else ErrLimit. The caller puts the limit into the context: a tag does
// not depend on it, and under two limits one nonce would be one tag.
func (s *Suite) NewTerms(presentationContext []byte, limit uint32) (*Terms, error) {
	if limit < MinLimit || limit > MaxLimit || len(presentationContext) > MaxContext {
		return nil, ErrLimit
	}
	t := s.hashToGroup(presentationContext, "Tag")
	tag, err := s.g.DecodeElement(t.Bytes())
	if err != nil {
		return nil, ErrLimit // the identity, for one context in 2^252
	}
	return &Terms{s: s, limit: limit, bases: bases(limit), tag: tag}, nil
}

// Limit returns the number of presentations that the terms allow.
func (t *Terms) Limit() uint32 { return t.limit }

// bases are numbers of which every number below limit is a sum, and none above
// is: the powers of two below half of it and what is missing, descending. The
// last is always 1.
func bases(limit uint32) []uint32 {
	k := bits.Len32(limit - 1) // ceil(log2(limit))
	b := make([]uint32, 0, k)
	for i := range k - 1 {
		b = append(b, 1<<i)
	}
	b = append(b, limit-1<<(k-1))
	slices.Sort(b)
	slices.Reverse(b)
	return b
}

// sum returns the sum of bases[j]*d[j], bit by bit of the bases.
func (t *Terms) sum(d []group.Element) group.Element {
	acc := t.s.g.Identity()
	for bit := bits.Len32(slices.Max(t.bases)) - 1; bit >= 0; bit-- {
		acc = acc.Add(acc)
		for j, base := range t.bases {
			if base>>bit&1 == 1 {
				acc = acc.Add(d[j])
			}
		}
	}
	return acc
}
