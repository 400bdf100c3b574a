package reports

import (
	"slices"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/franking"
)

// TestRecentKeepsTheOneInForce: however many snapshots are signed before the first
// of them is in force, the one that is stays, or deliveries would name none.
func TestRecentKeepsTheOneInForce(t *testing.T) {
	root, domain := keys.NewSigningKey(), ids.MustParseDomain("beta.example")
	sign := func(number, from uint64) *franking.Snapshot {
		s, err := franking.SignSnapshot(franking.SnapshotFields{
			Provider: domain, Issuer: domain, Number: number, From: from,
		}, root)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const now = 1000
	for _, c := range []struct {
		why  string
		from []uint64 // in the order in which they were signed
		want []uint64
	}{
		{"the first", []uint64{1000}, []uint64{1000}},
		{"one to come", []uint64{500, 1010}, []uint64{1010, 500}},
		{"two to come", []uint64{500, 1010, 1011}, []uint64{1011, 1010, 500}},
		{"none but those in force", []uint64{500, 600}, []uint64{600}},
		{"many to come", []uint64{500, 1, 2, 3, 4, 5, 6, 7, 8}, nil},
	} {
		var last []*franking.Snapshot
		var got []uint64
		for i, from := range c.from {
			if c.want == nil && i > 0 {
				from += now
			}
			last = recent(sign(uint64(i+1), from), last, now)
		}
		for _, s := range last {
			got = append(got, s.From())
		}
		if len(got) > maxRecent || got[len(got)-1] > now {
			t.Errorf("%s: %v has none in force, or too many", c.why, got)
		}
		if c.want != nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
}
