package merkle

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func leaves(n int) []Hash {
	out := make([]Hash, n)
	for i := range out {
		binary.BigEndian.PutUint64(out[i][:], uint64(i)+1)
	}
	return out
}

// Every leaf of every small tree climbs to the root by its path, by no other path,
// and from no other place. The roots of the standard are in package auditlog.
func TestPaths(t *testing.T) {
	const most = 33
	for n := 1; n <= most; n++ {
		all := leaves(n)
		root := Root(all)
		for i, leaf := range all {
			p := Path(all, i)
			if got, ok := Climb(leaf, uint64(i), uint64(n), p); !ok || got != root {
				t.Fatalf("leaf %d of %d does not climb to the root", i, n)
			}
			for j := range n + 1 {
				if got, ok := Climb(leaf, uint64(j), uint64(n), p); j != i && ok && got == root {
					t.Errorf("leaf %d of %d is shown as leaf %d", i, n, j)
				}
			}
			if _, ok := Climb(leaf, uint64(i), uint64(n), append(p[:len(p):len(p)], Hash{})); ok {
				t.Errorf("leaf %d of %d: a longer path", i, n)
			}
			if len(p) > 0 {
				if _, ok := Climb(leaf, uint64(i), uint64(n), p[:len(p)-1]); ok {
					t.Errorf("leaf %d of %d: a shorter path", i, n)
				}
			}
		}
	}
	if Split(2) != 1 || Split(4) != 2 || Split(5) != 4 {
		t.Error("split")
	}
}

// No bit of a path or leaf can be another.
func TestPathIsTheLeafs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := leaves(rapid.IntRange(2, 200).Draw(t, "leaves"))
		i := rapid.IntRange(0, len(all)-1).Draw(t, "leaf")
		p, leaf := Path(all, i), all[i]
		at, bit := rapid.IntRange(0, len(p)).Draw(t, "hash"), rapid.IntRange(0, 8*Size-1).Draw(t, "bit")
		if at == len(p) {
			leaf[bit/8] ^= 1 << (bit % 8)
		} else {
			p[at][bit/8] ^= 1 << (bit % 8)
		}
		if got, ok := Climb(leaf, uint64(i), uint64(len(all)), p); ok && got == Root(all) {
			t.Fatalf("another path of leaf %d of %d", i, len(all))
		}
	})
}
