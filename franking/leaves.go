package franking

import (
	"waxwing/core/attachment"
)

// Leaf is one chunk of a message's attachment that its recipient reveals, with what
// proves it: nothing of the file but that chunk.
type Leaf struct {
	Attachment uint8 // its place in the frame
	attachment.Leaf
}

// cloneLeaves returns copies that share no memory with them.
func cloneLeaves(leaves []Leaf) (out []Leaf) {
	for i := range leaves {
		out = append(out, Leaf{leaves[i].Attachment, leaves[i].Clone()})
	}
	return out
}

// order is a leaf's place among the others of its evidence.
func (l *Leaf) order() uint64 { return uint64(l.Attachment)<<32 | uint64(l.Index) }

// checkLeaves checks the leaves that there are. That there are none, or not all of
// them, is nobody's fault: the recipient chooses what to show.
func (v *Verified) checkLeaves() error {
	files := v.position.Attachments
	for i := range v.e.Leaves {
		l := &v.e.Leaves[i]
		if int(l.Attachment) >= len(files) || l.Check(&files[l.Attachment]) != nil {
			return FaultLeaf
		}
	}
	return nil
}

// Leaves returns the chunks of attachments that were revealed, each proven to be
// what the author committed to. The caller does not change them.
func (v *Verified) Leaves() []Leaf { return v.e.Leaves }
