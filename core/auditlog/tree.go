package auditlog

import (
	"crypto/sha256"

	"waxwing/core/merkle"
)

// HashSize is the size of a hash, in bytes.
const HashSize = merkle.Size

// Hash is a node of the tree.
type Hash = merkle.Hash

// LeafHash returns the hash of an entry.
func LeafHash(entry []byte) Hash {
	h := sha256.New()
	h.Write([]byte{merkle.LeafPrefix})
	h.Write(entry)
	return Hash(h.Sum(nil))
}

// Root returns the root over leaf hashes; over none, the hash of nothing.
func Root(leaves []Hash) Hash { return merkle.Root(leaves) }

// Inclusion returns the path from a leaf to the root (RFC 6962, 2.1.1), or
// ErrRange.
func Inclusion(leaves []Hash, index uint64) ([]Hash, error) {
	if index >= uint64(len(leaves)) {
		return nil, ErrRange
	}
	return merkle.Path(leaves, int(index)), nil
}

// VerifyInclusion returns nil if the path shows that leaf is the one with this
// index among size under the root (RFC 9162, 2.1.3.2), else ErrProof.
func VerifyInclusion(leaf Hash, index, size uint64, proof []Hash, root Hash) error {
	if len(proof) > MaxProof {
		return ErrProof
	}
	if got, ok := merkle.Climb(leaf, index, size, proof); !ok || got != root {
		return ErrProof
	}
	return nil
}

// Consistency returns the proof that the first old leaves are the beginning of
// all (RFC 6962, 2.1.2), or ErrRange. It is empty if old is all of them or 0.
func Consistency(leaves []Hash, old uint64) ([]Hash, error) {
	if old > uint64(len(leaves)) {
		return nil, ErrRange
	}
	if old == 0 || old == uint64(len(leaves)) {
		return nil, nil
	}
	return subproof(int(old), leaves, true), nil
}

func subproof(m int, leaves []Hash, whole bool) []Hash {
	n := len(leaves)
	if m == n {
		if whole {
			return nil
		}
		return []Hash{Root(leaves)}
	}
	k := merkle.Split(n)
	if m <= k {
		return append(subproof(m, leaves[:k], whole), Root(leaves[k:]))
	}
	return append(subproof(m-k, leaves[k:], false), Root(leaves[:k]))
}

// VerifyConsistency returns nil if the proof shows that the log of size old
// under oldRoot is the beginning of the one of size under root (RFC 9162,
// 2.1.4.2), else ErrProof.
func VerifyConsistency(old, size uint64, oldRoot, root Hash, proof []Hash) error {
	switch {
	case old > size || len(proof) > MaxProof:
		return ErrProof
	case old == size:
		if len(proof) != 0 || oldRoot != root {
			return ErrProof
		}
		return nil
	case old == 0:
		if len(proof) != 0 || oldRoot != Root(nil) {
			return ErrProof
		}
		return nil
	}
	if old&(old-1) == 0 { // the old tree is one whole subtree: its root is known
		proof = append([]Hash{oldRoot}, proof...)
	}
	if len(proof) == 0 {
		return ErrProof
	}
	fn, sn := old-1, size-1
	for fn&1 == 1 {
		fn, sn = fn>>1, sn>>1
	}
	fr, sr := proof[0], proof[0]
	for _, c := range proof[1:] {
		if sn == 0 {
			return ErrProof
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = merkle.Node(c, fr), merkle.Node(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = merkle.Node(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 || fr != oldRoot || sr != root {
		return ErrProof
	}
	return nil
}
