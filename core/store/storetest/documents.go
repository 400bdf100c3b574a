package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"waxwing/core/store"
)

func testDocuments(t *testing.T, s *suite) {
	ctx := context.Background()
	cas := func(key store.Key, version uint64, value string) uint64 {
		t.Helper()
		v, err := s.CAS(ctx, key, version, []byte(value))
		if err != nil || v == 0 {
			t.Fatalf("CAS: %d, %v", v, err)
		}
		return v
	}
	conflict := func(key store.Key, version uint64, value []byte) {
		t.Helper()
		_, err := s.CAS(ctx, key, version, value)
		s.is(err, store.ErrConflict)
	}
	_, err := s.Get(ctx, "d")
	s.is(err, store.ErrNotFound)
	conflict("d", 1, []byte{1})
	conflict("d", 1, nil)
	if v, err := s.CAS(ctx, "d", 0, nil); v != 0 || err != nil {
		t.Fatalf("deleting nothing: %d, %v", v, err)
	}
	seen := map[uint64]bool{}
	version := func(v uint64) uint64 {
		t.Helper()
		if seen[v] {
			t.Fatalf("version %d came twice", v)
		}
		seen[v] = true
		return v
	}
	v1 := version(cas("d", 0, "one"))
	conflict("d", 0, []byte{})
	v2 := version(cas("d", v1, ""))
	s.twice(func() {
		conflict("d", v1, []byte("x"))
		if d, err := s.Get(ctx, "d"); err != nil || d.Version != v2 || len(d.Value) != 0 {
			t.Fatalf("Get: %+v, %v", d, err)
		}
	})
	v3 := version(cas("d", v2, strings.Repeat("x", store.MaxValue)))
	conflict("d", v2, nil)
	if v, err := s.CAS(ctx, "d", v3, nil); v != 0 || err != nil {
		t.Fatalf("deleting: %d, %v", v, err)
	}
	s.twice(func() {
		_, err = s.Get(ctx, "d")
		s.is(err, store.ErrNotFound)
		conflict("d", v3, []byte("x"))
	})
	version(cas("d", 0, "new"))
	for i := range 20 {
		version(cas(store.Key(fmt.Sprint("e", i)), 0, "x"))
		if i%7 == 0 {
			s.restart()
		}
	}
	s.badKeys(func(k store.Key) error { _, err := s.Get(ctx, k); return err })
	s.badKeys(func(k store.Key) error { _, err := s.CAS(ctx, k, 0, nil); return err })
	_, err = s.CAS(ctx, "f", 0, make([]byte, store.MaxValue+1))
	s.is(err, store.ErrInvalid)
}

func testList(t *testing.T, s *suite) {
	ctx := context.Background()
	keys := []store.Key{"a", "a/", "a/\x00", "a/1", "a/10", "a/2", "a/\xff\xff", "a0", "b", "\xff"}
	for _, i := range []int{3, 1, 9, 0, 7, 5, 8, 2, 6, 4} {
		_, err := s.CAS(ctx, keys[i], 0, []byte(keys[i]))
		s.ok(err)
	}
	list := func(prefix, after store.Key, limit int, want ...store.Key) {
		t.Helper()
		got, err := s.List(ctx, prefix, after, limit)
		s.ok(err)
		if len(got) != len(want) {
			t.Fatalf("List(%q, %q): %d documents, want %d", prefix, after, len(got), len(want))
		}
		for i, d := range got {
			if d.Key != want[i] || string(d.Value) != string(want[i]) || d.Version == 0 {
				t.Fatalf("List(%q, %q): document %d is %q, want %q", prefix, after, i, d.Key, want[i])
			}
		}
	}
	s.twice(func() {
		list("", "", 0, keys...)
		list("a/", "", 0, keys[1:7]...)
		list("a/", "a/1", 0, keys[4:7]...)
		list("a/", "a", 2, keys[1:3]...)
		list("a/", "z", 0)
		list("", "a/11", 3, keys[5:8]...)
		list("c", "", 0)
		list("\xff", "", -1, "\xff")
	})
	_, err := s.List(ctx, store.Key(strings.Repeat("k", store.MaxKey+1)), "", 0)
	s.is(err, store.ErrInvalid)
	n := store.MaxListBytes/store.MaxValue + 3
	for i := range n {
		_, err := s.CAS(ctx, store.Key(fmt.Sprintf("big/%03d", i)), 0, make([]byte, store.MaxValue))
		s.ok(err)
	}
	got, err := s.List(ctx, "big/", "", 0)
	if err != nil || len(got) != store.MaxListBytes/store.MaxValue {
		t.Fatalf("%d long documents, %v", len(got), err)
	}
}

func testWatch(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := s.Watch(ctx, "w/")
	s.ok(err)
	all, err := s.Watch(context.Background(), "")
	s.ok(err)
	v, err := s.CAS(ctx, "w/1", 0, []byte("x"))
	s.ok(err)
	_, err = s.CAS(ctx, "v", 0, []byte("x"))
	s.ok(err)
	_, err = s.CAS(ctx, "v", 0, []byte("y")) // a conflict is no change
	s.is(err, store.ErrConflict)
	_, err = s.CAS(ctx, "w/1", v, nil)
	s.ok(err)
	next := func(c <-chan store.Event, want store.Event) {
		t.Helper()
		select {
		case e, open := <-c:
			if !open || e != want {
				t.Fatalf("event %+v, open %v; want %+v", e, open, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no event")
		}
	}
	next(events, store.Event{Key: "w/1", Version: v})
	next(events, store.Event{Key: "w/1"})
	cancel()
	s.closes(events)
	next(all, store.Event{Key: "w/1", Version: v})
	if e := <-all; e.Key != "v" {
		t.Fatalf("event %+v", e)
	}
	next(all, store.Event{Key: "w/1"})
	_, err = s.Watch(ctx, "")
	s.is(err, context.Canceled)
	_, err = s.Watch(context.Background(), store.Key(strings.Repeat("k", store.MaxKey+1)))
	s.is(err, store.ErrInvalid)
	s.ok(s.Close())
	s.closes(all)
}

// closes waits for a channel to be closed.
func (s *suite) closes(c <-chan store.Event) {
	s.t.Helper()
	for {
		select {
		case _, open := <-c:
			if !open {
				return
			}
		case <-time.After(10 * time.Second):
			s.t.Fatal("the channel stays open")
		}
	}
}

func testWatchSlow(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := s.Watch(ctx, "")
	s.ok(err)
	change := func(n int) {
		for i := range n {
			_, err := s.CAS(ctx, store.Key(fmt.Sprint(n, ".", i)), 0, []byte("x"))
			s.ok(err)
		}
	}
	change(3 * store.WatchBuffer)
	seen := 0
	for e := range events {
		if e.Resync {
			break
		}
		if seen++; seen > store.WatchBuffer {
			t.Fatal("the buffer is longer than the contract says")
		}
	}
	change(1)
	if e := <-events; e.Resync || e.Key != "1.0" {
		t.Fatalf("after the resync: %+v", e)
	}
	for range store.MaxWatchers - 1 {
		_, err := s.Watch(ctx, "")
		s.ok(err)
	}
	_, err = s.Watch(ctx, "")
	s.is(err, store.ErrFull)
}
