package merkle

import (
	"crypto/sha256"
	"math/bits"
)

// Size is the size of a hash, in bytes.
const Size = sha256.Size

// Hash is a leaf, a node or a root.
type Hash [Size]byte

// What comes first into the hash of a leaf and of a node.
const (
	LeafPrefix = 0
	nodePrefix = 1
)

// Node returns the node above two others.
func Node(l, r Hash) Hash {
	var b [1 + 2*Size]byte
	b[0] = nodePrefix
	copy(b[1:], l[:])
	copy(b[1+Size:], r[:])
	return sha256.Sum256(b[:])
}

// Split returns how many of n leaves, two or more, are under the root's left node:
// the largest power of two below n.
func Split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// Root returns the root over leaf hashes; over none, the hash of nothing.
func Root(leaves []Hash) Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := Split(n)
		return Node(Root(leaves[:k]), Root(leaves[k:]))
	}
}

// Path returns what is beside leaf i on the way to the root, from below (RFC 6962,
// 2.1.1). There has to be a leaf i.
func Path(leaves []Hash, i int) []Hash {
	if len(leaves) == 1 {
		return nil
	}
	k := Split(len(leaves))
	if i < k {
		return append(Path(leaves[:k], i), Root(leaves[k:]))
	}
	return append(Path(leaves[k:], i-k), Root(leaves[:k]))
}

// Climb returns the root over size leaves of which leaf is the one with this index,
// by its path (RFC 9162, 2.1.3.2). It reports false for an index that there is not,
// and for a path that is shorter or longer than that leaf's.
func Climb(leaf Hash, index, size uint64, path []Hash) (root Hash, ok bool) {
	if index >= size {
		return root, false
	}
	fn, sn, r := index, size-1, leaf
	for _, p := range path {
		if sn == 0 {
			return root, false
		}
		if fn&1 == 1 || fn == sn {
			r = Node(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = Node(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return r, sn == 0
}
