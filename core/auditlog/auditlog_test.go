package auditlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The answers that implementations of RFC 6962 share for eight given leaves.
func TestKnownRoots(t *testing.T) {
	inputs := []string{
		"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
		"606162636465666768696a6b6c6d6e6f",
	}
	roots := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var leaves []Hash
	for n := range roots {
		root := Root(leaves)
		if got := hex.EncodeToString(root[:]); got != roots[n] {
			t.Errorf("root of %d: %s", n, got)
		}
		if n < len(inputs) {
			leaves = append(leaves, LeafHash(unhex(t, inputs[n])))
		}
	}
}

func someLeaves(n int) []Hash {
	leaves := make([]Hash, n)
	for i := range leaves {
		leaves[i] = LeafHash([]byte{byte(i)})
	}
	return leaves
}

func TestProofs(t *testing.T) {
	const most = 20
	for n := 1; n <= most; n++ {
		leaves := someLeaves(n)
		root := Root(leaves)
		for i := range n {
			p, err := Inclusion(leaves, uint64(i))
			if err != nil || VerifyInclusion(leaves[i], uint64(i), uint64(n), p, root) != nil {
				t.Fatalf("%d of %d: %v", i, n, err)
			}
			for j := range n + 1 {
				if j != i && VerifyInclusion(leaves[i], uint64(j), uint64(n), p, root) == nil {
					t.Errorf("%d of %d shown as %d", i, n, j)
				}
			}
			for j := range p {
				bad := slices.Clone(p)
				bad[j][0] ^= 1
				if VerifyInclusion(leaves[i], uint64(i), uint64(n), bad, root) == nil ||
					VerifyInclusion(leaves[i], uint64(i), uint64(n), p[:j], root) == nil {
					t.Errorf("%d of %d: changed path", i, n)
				}
			}
			if VerifyInclusion(leaves[i], uint64(i), uint64(n), append(slices.Clone(p), Hash{}), root) == nil {
				t.Error("longer path")
			}
		}
		for old := range n + 1 {
			p, err := Consistency(leaves, uint64(old))
			oldRoot := Root(leaves[:old])
			if err != nil || VerifyConsistency(uint64(old), uint64(n), oldRoot, root, p) != nil {
				t.Fatalf("%d to %d: %v", old, n, err)
			}
			if VerifyConsistency(uint64(old), uint64(n), Hash{1}, root, p) == nil ||
				old > 0 && VerifyConsistency(uint64(old), uint64(n), oldRoot, Hash{1}, p) == nil ||
				VerifyConsistency(uint64(old), uint64(n), oldRoot, root, append(slices.Clone(p), Hash{})) == nil {
				t.Errorf("%d to %d: wrong proof passes", old, n)
			}
			for j := range p {
				bad := slices.Clone(p)
				bad[j][0] ^= 1
				if VerifyConsistency(uint64(old), uint64(n), oldRoot, root, bad) == nil {
					t.Errorf("%d to %d: changed proof", old, n)
				}
			}
		}
	}
	if _, err := Inclusion(someLeaves(3), 3); !errors.Is(err, ErrRange) {
		t.Error(err)
	}
	if _, err := Consistency(someLeaves(3), 4); !errors.Is(err, ErrRange) {
		t.Error(err)
	}
}

// A leaf that looks like a node's input is not a node.
func TestLeafIsNoNode(t *testing.T) {
	l := someLeaves(2)
	inner := append(slices.Clone(l[0][:]), l[1][:]...)
	if LeafHash(inner) == Root(l) || LeafHash(append([]byte{1}, inner...)) == Root(l) {
		t.Error("leaf and node are alike")
	}
}

func TestLogIsAChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 40), 1, 12).Draw(t, "entries")
		l, records := new(Log), [][]byte(nil)
		for i, e := range entries {
			void, _ := l.Prepare([]byte("void"))
			p, err := l.Prepare(e)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Commit(void); !errors.Is(err, ErrStale) {
				t.Fatal("a void entry was committed")
			}
			r, err := l.Commit(p)
			if err != nil || !r.Of(e) || r.Index() != uint64(i) || r.Root() != l.Root() || r.Of(append(bytes.Clone(e), 1)) {
				t.Fatal("bad receipt", err)
			}
			if _, err := l.Commit(p); !errors.Is(err, ErrStale) {
				t.Fatal("twice")
			}
			if got, err := Entry(p.Record); err != nil || !bytes.Equal(got, e) {
				t.Fatal(err)
			}
			records = append(records, p.Record)
		}
		again, err := Load(records...)
		if err != nil || again.Root() != l.Root() || again.Size() != uint64(len(entries)) {
			t.Fatal("not the same after loading", err)
		}
		i := rapid.IntRange(0, len(records)-1).Draw(t, "changed")
		if len(records) > 1 && i < len(records)-1 {
			if _, err := Load(slices.Delete(slices.Clone(records), i, i+1)...); !errors.Is(err, ErrRecord) {
				t.Error("a record can be taken out")
			}
			bad := slices.Clone(records)
			bad[i] = bytes.Clone(bad[i])
			bad[i][len(bad[i])-1] ^= 1
			if _, err := Load(bad...); !errors.Is(err, ErrRecord) {
				t.Error("a record can be changed")
			}
		}
	})
}

func TestNoReceiptWithoutCommit(t *testing.T) {
	var none *Receipt
	if none.Of(nil) || (&Receipt{}).Of(nil) {
		t.Error("an empty receipt is for an entry")
	}
	l := new(Log)
	if _, err := l.Commit(nil); !errors.Is(err, ErrStale) {
		t.Error(err)
	}
	if _, err := l.Commit(&Pending{}); !errors.Is(err, ErrStale) {
		t.Error(err)
	}
	if _, err := l.Prepare(make([]byte, MaxEntry+1)); !errors.Is(err, ErrEntry) {
		t.Error(err)
	}
	if _, err := Load([]byte("x")); !errors.Is(err, ErrRecord) {
		t.Error(err)
	}
}

func FuzzRecord(f *testing.F) {
	p, _ := new(Log).Prepare([]byte("entry"))
	f.Add(p.Record)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRecord(b); err == nil && !bytes.Equal(r.marshal(), b) {
			t.Error("not canonical")
		}
	})
}

// What is loaded is a chain that this log wrote: it goes on from it.
func FuzzLoad(f *testing.F) {
	l := new(Log)
	var records [][]byte
	for _, entry := range []string{"one", "two"} {
		p, err := l.Prepare([]byte(entry))
		if err != nil {
			f.Fatal(err)
		}
		if _, err := l.Commit(p); err != nil {
			f.Fatal(err)
		}
		records = append(records, p.Record)
	}
	f.Add(records[0], records[1])
	f.Add(records[1], records[0])
	f.Add(records[0], records[0])
	f.Fuzz(func(t *testing.T, a, b []byte) {
		l, err := Load(a, b)
		if err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		p, err := l.Prepare([]byte("next"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(a, b, p.Record); err != nil {
			t.Errorf("its next record does not follow: %v", err)
		}
	})
}

// A log takes records that were found in the store, and only the next of its
// chain; and gives receipts of what it has, and of nothing else.
func TestExtend(t *testing.T) {
	var a, b Log
	for i := range 4 {
		p, err := a.Prepare([]byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		pending, err := b.Prepare([]byte("lost"))
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(p.Record)
		bad[0] ^= 1
		if b.Extend(bad) == nil || b.Extend(pending.Record[:1]) == nil {
			t.Fatal("took another record")
		}
		if err := b.Extend(p.Record); err != nil {
			t.Fatal(err)
		}
		if b.Extend(p.Record) == nil {
			t.Fatal("took a record twice")
		}
		if _, err := b.Commit(pending); !errors.Is(err, ErrStale) {
			t.Fatalf("committed what another record took the place of: %v", err)
		}
		receipt, err := a.Commit(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.Receipt(uint64(i), []byte{byte(i)})
		if err != nil || *again != *receipt {
			t.Fatalf("receipt %d: %v", i, err)
		}
	}
	if _, err := b.Receipt(4, []byte{4}); !errors.Is(err, ErrRange) {
		t.Error(err)
	}
	if _, err := b.Receipt(1, []byte{2}); !errors.Is(err, ErrProof) {
		t.Error(err)
	}
}
