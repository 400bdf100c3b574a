package badgerstoretest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/store/badgerstore"
	"waxwing/core/store/badgerstore/badgerstoretest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill has an engine write every kind of row that it has.
func fill(t *testing.T, dir string) {
	t.Helper()
	e, err := badgerstore.Open(badgerstore.Config{Dir: dir, MinFree: 1})
	must(t, err)
	ctx, now := context.Background(), time.Now()
	today := ids.DayOf(now)
	for i := range byte(20) {
		reqs := []store.AppendReq{
			{ID: ids.EnvelopeID{1, i}, Body: bytes.Repeat([]byte{i}, 900), Expires: now.Add(time.Hour), Serial: store.Serial{Day: today + 1, N: uint64(i)}, HasSerial: true},
			{ID: ids.EnvelopeID{2, i}, Body: []byte("no serial"), Expires: now.Add(time.Hour), Mailbox: ids.MailboxID{1}},
			{ID: ids.EnvelopeID{3, i}, Body: []byte("discarded"), Expires: now.Add(time.Hour), Mailbox: ids.MailboxID{2}, Discard: true},
		}
		for _, r := range e.Append(ctx, reqs) {
			must(t, r.Err)
		}
	}
	_, err = e.OpenReader(ctx, ids.MailboxID{}, 1)
	must(t, err)
	_, err = e.Strike(ctx, ids.MailboxID{}, []store.Serial{{Day: today + 1, N: 999}})
	must(t, err)
	must(t, e.OpenSet(ctx, store.SetID{1}, now.Add(time.Hour)))
	must(t, e.Spend(ctx, store.SetID{1}, []store.Claim{{Token: [32]byte{1}}})[0].Err)
	must(t, e.Put(ctx, "pool", []store.Item{{ID: 1, Body: []byte("one")}, {ID: 2, Body: []byte("two")}}))
	_, _, err = e.Take(ctx, "pool", store.Claimant{7})
	must(t, err)
	v, err := e.CAS(ctx, "document", 0, []byte("value"))
	must(t, err)
	_, err = e.CAS(ctx, "document", v, nil)
	must(t, err)
	_, err = e.CAS(ctx, "other", 0, []byte("value"))
	must(t, err)
	must(t, e.LogAppend(ctx, "log", 0, [][]byte{[]byte("entry")}))
	must(t, e.Close())
}

// Every kind of row is read, and a byte more or less in any of them is noticed.
func TestRows(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	raw, err := badgerstoretest.Dump(dir)
	must(t, err)
	var kinds []string
	gone := 0
	for _, r := range raw {
		row, err := badgerstoretest.Parse(r)
		if err != nil {
			t.Fatalf("%q: %v", r.Key, err)
		}
		if !slices.Contains(kinds, row.Kind) {
			kinds = append(kinds, row.Kind)
		}
		if r.Gone {
			gone++
			continue
		}
		total := 0
		for _, f := range row.Fields {
			total += len(f.Bytes)
		}
		if row.Kind == "chunk" && (total <= len(r.Value) || row.Get("records[].body") == nil) {
			t.Errorf("chunk: %d bytes in fields", total)
		}
		switch row.Kind { // the others take all that there is
		case "item", "document", "entry", "scratch":
			continue
		}
		long := r
		long.Value = append(bytes.Clone(r.Value), 0)
		if _, err := badgerstoretest.Parse(long); !errors.Is(err, badgerstoretest.ErrLayout) {
			t.Errorf("%s: a byte more is not noticed", row.Kind)
		}
		long.Value = r.Value[:len(r.Value)-1]
		if _, err := badgerstoretest.Parse(long); !errors.Is(err, badgerstoretest.ErrLayout) {
			t.Errorf("%s: a byte less is not noticed", row.Kind)
		}
	}
	slices.Sort(kinds)
	want := []string{
		"chunk", "document", "engine f", "engine s", "engine v", "entry", "head", "id", "item", "log", "mark", "pool",
		"scratch", "set", "spent",
	}
	if !slices.Equal(kinds, want) || gone == 0 {
		t.Errorf("found %q and %d deleted rows", kinds, gone)
	}
	if _, err := badgerstoretest.Parse(badgerstoretest.Raw{Key: []byte("?x")}); !errors.Is(err, badgerstoretest.ErrLayout) {
		t.Error("a row of an unknown kind is read")
	}
}

func TestChange(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	must(t, badgerstoretest.Change(dir, []byte("dother"), func(key, value []byte) ([]byte, []byte) {
		return key, append(value, "more"...)
	}))
	raw, err := badgerstoretest.Dump(dir)
	must(t, err)
	i := slices.IndexFunc(raw, func(r badgerstoretest.Raw) bool { return string(r.Key) == "dother" })
	if i < 0 || !bytes.HasSuffix(raw[i].Value, []byte("valuemore")) {
		t.Error("not changed")
	}
}
