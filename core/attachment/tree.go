package attachment

import "math/bits"

// split is the largest power of two below n, for n > 1.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// root returns the root over leaves, of which there is at least one.
func root(leaves []Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	return nodeHash(root(leaves[:k]), root(leaves[k:]))
}

// path returns what is beside leaf i on the way to the root, from below (RFC 6962,
// 2.1.1).
func path(leaves []Hash, i int) []Hash {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(path(leaves[:k], i), root(leaves[k:]))
	}
	return append(path(leaves[k:], i-k), root(leaves[:k]))
}

// climb returns the root that leaf i of n has by its path. ok is false for a path
// that is shorter or longer than that leaf's.
func climb(leaf Hash, i, n int, path []Hash) (h Hash, ok bool) {
	if n == 1 {
		return leaf, len(path) == 0
	}
	if len(path) == 0 {
		return h, false
	}
	below, beside := path[:len(path)-1], path[len(path)-1]
	k := split(n)
	if i < k {
		h, ok = climb(leaf, i, k, below)
		return nodeHash(h, beside), ok
	}
	h, ok = climb(leaf, i-k, n-k, below)
	return nodeHash(beside, h), ok
}
