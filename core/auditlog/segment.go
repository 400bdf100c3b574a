package auditlog

import "encoding/binary"

// A log that has grown long goes on in another segment: a tree of its own, whose
// entry 0 is the link, which says what the segment before had grown to. So memory
// and proofs are of one segment, and the whole is still one log: whoever knows the
// head of a segment is shown that later heads continue it through the links.

// labelLink begins a link. No other entry stands at index 0 of a later segment.
const labelLink = "waxwing log segment v1"

// MaxLinks bounds a proof over several segments; from further back one goes in
// steps.
const MaxLinks = 8

// Head is a state of a log.
type Head struct {
	Segment uint32 // from 1
	Size    uint64 // entries of the segment, its link included
	Root    Hash   // over them
}

// linkEntry is the entry 0 of the segment after a head: label | segment 4 | size 8 |
// root 32.
func linkEntry(h *Head) []byte {
	b := append(make([]byte, 0, len(labelLink)+4+8+HashSize), labelLink...)
	b = binary.BigEndian.AppendUint32(b, h.Segment)
	b = binary.BigEndian.AppendUint64(b, h.Size)
	return append(b, h.Root[:]...)
}

// IsLink reports whether an entry is the link of a segment.
func IsLink(entry []byte) bool {
	return len(entry) == len(labelLink)+4+8+HashSize && string(entry[:len(labelLink)]) == labelLink
}

// Head returns the state of the log.
func (l *Log) Head() Head { return Head{Segment: l.segment + 1, Size: l.Size(), Root: l.Root()} }

// Link returns what the segment's first entry has to be, nil for the first segment,
// where it is any.
func (l *Log) Link() []byte { return l.link }

// Base returns how many entries the segments before have.
func (l *Log) Base() uint64 { return l.base }

// Next returns the segment after this one, empty. Its first entry is Link.
func (l *Log) Next() *Log {
	h := l.Head()
	return &Log{segment: h.Segment, base: l.base + h.Size, link: linkEntry(&h)}
}

// misplaced reports whether an entry may not be the next one.
func (l *Log) misplaced(entry []byte) bool {
	return l.Size() == 0 && l.link != nil && string(entry) != string(l.link)
}

// Proof shows that one head continues another.
type Proof struct {
	// Consistency is within the older head's segment: to the newer head, or to the
	// segment's end.
	Consistency []Hash
	Links       []LinkProof // one for each segment that ended in between, in order
}

// LinkProof is how a segment ended, and the path of the link that says so in the
// next.
type LinkProof struct {
	Size      uint64
	Root      Hash
	Inclusion []Hash
}

// Prove makes the proof from one head to another. leaves returns the leaves of a
// segment, at least to its size in the newer head. Errors are ErrRange (they are
// not heads of this log, or more than MaxLinks apart) and those of leaves.
func Prove(old, head Head, leaves func(segment uint32) ([]Hash, error)) (*Proof, error) {
	if head.Segment < old.Segment || head.Segment-old.Segment > MaxLinks {
		return nil, ErrRange
	}
	of := func(segment uint32) ([]Hash, error) {
		all, err := leaves(segment)
		if err != nil || segment != head.Segment {
			return all, err
		}
		if head.Size > uint64(len(all)) {
			return nil, ErrRange
		}
		return all[:head.Size], nil
	}
	now, err := of(old.Segment)
	if err != nil {
		return nil, err
	}
	p := new(Proof)
	if p.Consistency, err = Consistency(now, old.Size); err != nil {
		return nil, err
	}
	for s := old.Segment; s < head.Segment; s++ {
		next, err := of(s + 1)
		if err != nil {
			return nil, err
		}
		l := LinkProof{Size: uint64(len(now)), Root: Root(now)}
		if l.Inclusion, err = Inclusion(next, 0); err != nil {
			return nil, err
		}
		p.Links, now = append(p.Links, l), next
	}
	return p, nil
}

// Continues returns nil if the proof shows that the log of an older head is the
// beginning of this one's, else ErrProof.
func (h *Head) Continues(old *Head, p *Proof) error {
	if h.Segment < old.Segment || uint64(len(p.Links)) != uint64(h.Segment-old.Segment) || len(p.Links) > MaxLinks {
		return ErrProof
	}
	if len(p.Links) == 0 {
		return VerifyConsistency(old.Size, h.Size, old.Root, h.Root, p.Consistency)
	}
	first := &p.Links[0]
	if err := VerifyConsistency(old.Size, first.Size, old.Root, first.Root, p.Consistency); err != nil {
		return err
	}
	for i := range p.Links {
		end := Head{Segment: old.Segment + uint32(i), Size: p.Links[i].Size, Root: p.Links[i].Root}
		next := *h
		if i+1 < len(p.Links) {
			next = Head{Size: p.Links[i+1].Size, Root: p.Links[i+1].Root}
		}
		if err := VerifyInclusion(LeafHash(linkEntry(&end)), 0, next.Size, p.Links[i].Inclusion, next.Root); err != nil {
			return err
		}
	}
	return nil
}
