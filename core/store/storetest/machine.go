package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// machine drives an engine and the model with the same operations.
type machine struct {
	model *model
	s     store.Store
	clock *Clock
}

func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := NewClock(epoch)
		s, reopen := open(t, clock.Now)
		x := &machine{model: newModel(), s: s, clock: clock}
		defer func() { _ = x.s.Close() }()
		actions := map[string]func(*rapid.T){
			"append": x.append, "append2": x.append, "fetch": x.fetch, "ack": x.ack, "ack2": x.ack, "remove": x.remove,
			"reader": x.reader, "strike": x.strike, "stat": x.stat, "drop": x.drop, "set": x.set,
			"spend": x.spend, "put": x.put, "take": x.take, "dropPool": x.dropPool, "cas": x.cas,
			"list": x.list, "log": x.log, "time": x.time,
		}
		if reopen != nil {
			actions["reopen"] = func(*rapid.T) { x.s = reopen() }
		}
		rt.Repeat(actions)
	})
}

func (x *machine) now() time.Time { return x.clock.Now() }

func (x *machine) time(t *rapid.T) {
	x.clock.Advance(rapid.SampledFrom([]time.Duration{
		time.Second, 5 * time.Minute, store.ClaimMemory, 3 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
	}).Draw(t, "advance"))
}

func drawBox(t *rapid.T) ids.MailboxID { return box(rapid.ByteRange(1, 3).Draw(t, "mailbox")) }

func (x *machine) append(t *rapid.T) {
	reqs := rapid.SliceOfN(rapid.Custom(x.drawAppend), 1, 6).Draw(t, "requests")
	res := x.s.Append(context.Background(), reqs)
	for i, r := range reqs {
		allowed, mayBeFull := x.model.outcomes(&r, x.now())
		got := res[i]
		switch {
		case mayBeFull && errors.Is(got.Err, store.ErrFull):
			continue
		case got.Err != nil || !slices.Contains(allowed, got.Outcome):
			t.Fatalf("Append: %v, %v; want one of %v, full %v", got.Outcome, got.Err, allowed, mayBeFull)
		}
		if got.Outcome == store.Appended {
			if got.Cursor <= x.model.last[r.Mailbox] {
				t.Fatalf("cursor %d after %d", got.Cursor, x.model.last[r.Mailbox])
			}
			x.model.appended(r, got.Cursor)
		}
	}
}

// drawAppend draws ids and serials from few, so that they meet again. An id
// comes always with the same serial, or always without.
func (x *machine) drawAppend(t *rapid.T) store.AppendReq {
	n := rapid.IntRange(0, 15).Draw(t, "id")
	r := store.AppendReq{
		Mailbox: drawBox(t), ID: id(n), Body: bytes.Repeat([]byte{byte(n)}, rapid.SampledFrom([]int{1, 100, 1000, 20000}).Draw(t, "size")),
		Expires: x.now().Truncate(time.Second).Add(rapid.SampledFrom([]time.Duration{0, time.Hour, 30 * time.Hour, 1000 * time.Hour}).Draw(t, "life")),
		Discard: rapid.IntRange(0, 9).Draw(t, "discard") == 0,
		Quota:   rapid.SampledFrom([]store.Quota{{}, {}, {}, {Messages: 4}, {Bytes: 3000}}).Draw(t, "quota"),
	}
	if r.HasSerial = n%2 == 0; r.HasSerial {
		r.Serial = store.Serial{Day: ids.DayOf(epoch) + ids.Day(n%3)*4, N: uint64(n / 4)}
	}
	return r
}

func (x *machine) fetch(t *rapid.T) {
	mailbox := drawBox(t)
	live, _ := x.model.live(mailbox, x.now())
	var after store.Cursor
	if rapid.Bool().Draw(t, "after") {
		after = store.Cursor(rapid.Uint64Range(0, uint64(x.model.last[mailbox])+1).Draw(t, "cursor"))
	}
	maxMsgs := rapid.IntRange(0, 5).Draw(t, "messages")
	maxBytes := rapid.SampledFrom([]int{0, 1, 2000, 50000}).Draw(t, "bytes")
	got, err := x.s.Fetch(context.Background(), mailbox, after, maxMsgs, maxBytes)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	i, size := 0, 0
	for _, want := range live {
		if want.cursor <= after {
			continue
		}
		size += len(want.req.Body)
		if i == store.Limit(maxMsgs, store.MaxFetch) || i > 0 && size > store.Limit(maxBytes, store.MaxFetchBytes) {
			break
		}
		if i == len(got) || got[i].Cursor != want.cursor || got[i].ID != want.req.ID ||
			!bytes.Equal(got[i].Body, want.req.Body) || !got[i].Expires.Equal(want.req.Expires) {
			t.Fatalf("Fetch: element %d of %d is not as appended", i, len(got))
		}
		i++
	}
	if i != len(got) {
		t.Fatalf("Fetch: %d messages, want %d", len(got), i)
	}
}

func (x *machine) ack(t *rapid.T) {
	mailbox, r := drawBox(t), store.ReaderID(rapid.IntRange(0, 2).Draw(t, "reader"))
	upTo := store.Cursor(rapid.Uint64Range(0, uint64(x.model.last[mailbox])+2).Draw(t, "cursor"))
	err := x.s.Ack(context.Background(), []store.AckReq{{Mailbox: mailbox, Reader: r, UpTo: upTo}})[0]
	acked, open := x.model.readers[mailbox][r]
	if !open {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Ack of a closed reader: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("Ack: %v", err)
	}
	x.model.readers[mailbox][r] = max(acked, min(upTo, x.model.last[mailbox]))
	x.model.removeAcked(mailbox)
}

func (x *machine) remove(t *rapid.T) {
	mailbox := drawBox(t)
	gone := make(map[store.Cursor]bool)
	for _, m := range x.model.messages {
		if m.mailbox == mailbox && rapid.IntRange(0, 2).Draw(t, "this one") == 0 {
			gone[m.cursor] = true
			m.removed = true
		}
	}
	for _, c := range rapid.SliceOfN(rapid.Uint64Range(x.last(mailbox)+1, 1<<63), 0, 2).Draw(t, "nothing there") {
		gone[store.Cursor(c)] = true
	}
	cursors := rapid.Permutation(slices.Sorted(maps.Keys(gone))).Draw(t, "order")
	if err := x.s.Remove(context.Background(), mailbox, cursors); err != nil {
		t.Fatalf("Remove: %v", err)
	}
}

func (x *machine) last(mailbox ids.MailboxID) uint64 { return uint64(x.model.last[mailbox]) }

func (x *machine) reader(t *rapid.T) {
	mailbox, r := drawBox(t), store.ReaderID(rapid.IntRange(0, 2).Draw(t, "reader"))
	readers := x.model.readers[mailbox]
	if rapid.IntRange(0, 2).Draw(t, "close") == 0 {
		if err := x.s.CloseReader(context.Background(), mailbox, r); err != nil {
			t.Fatalf("CloseReader: %v", err)
		}
		delete(readers, r)
		x.model.removeAcked(mailbox)
		return
	}
	c, err := x.s.OpenReader(context.Background(), mailbox, r)
	if err != nil {
		t.Fatalf("OpenReader: %v", err)
	}
	acked, open := readers[r]
	if open {
		if c != acked {
			t.Fatalf("OpenReader: %d, want %d", c, acked)
		}
		return
	}
	// Before all that is kept, and not before what all have acked.
	live, expired := x.model.live(mailbox, x.now())
	high := x.model.last[mailbox]
	if len(live) > 0 {
		high = live[0].cursor - 1
	}
	if c > high || len(live)+len(expired) == 0 && c != high {
		t.Fatalf("OpenReader: %d, want at most %d", c, high)
	}
	if readers == nil {
		readers = make(map[store.ReaderID]store.Cursor)
		x.model.readers[mailbox] = readers
	}
	readers[r] = c
}

func (x *machine) strike(t *rapid.T) {
	mailbox := drawBox(t)
	k := modelSerial{mailbox, store.Serial{
		Day: ids.DayOf(epoch) + ids.Day(rapid.IntRange(0, 2).Draw(t, "day"))*4, N: rapid.Uint64Range(0, 3).Draw(t, "number"),
	}}
	n, err := x.s.Strike(context.Background(), mailbox, []store.Serial{k.serial, k.serial})
	want := 0
	if _, known := x.model.fates[k]; !known && k.serial.Alive(ids.DayOf(x.now())) {
		want = 1
		x.model.fates[k] = modelFate{struck: true}
	}
	if err != nil || n != want {
		t.Fatalf("Strike: %d, %v; want %d", n, err, want)
	}
}

func (x *machine) stat(t *rapid.T) {
	mailbox := drawBox(t)
	st, err := x.s.Stat(context.Background(), mailbox)
	live, expired := x.model.live(mailbox, x.now())
	if err != nil || st.Messages < len(live) || st.Messages > len(live)+len(expired) ||
		st.Bytes < bytesOf(live) || st.Bytes > bytesOf(live)+bytesOf(expired) || st.Last != x.model.last[mailbox] {
		t.Fatalf("Stat: %+v, %v; want %d to %d messages, last %d", st, err, len(live), len(live)+len(expired), x.model.last[mailbox])
	}
}

func (x *machine) drop(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		return
	}
	mailbox := drawBox(t)
	if err := x.s.Drop(context.Background(), mailbox); err != nil {
		t.Fatalf("Drop: %v", err)
	}
	delete(x.model.readers, mailbox)
	for _, m := range x.model.messages {
		m.removed = m.removed || m.mailbox == mailbox
	}
}

func (x *machine) set(t *rapid.T) {
	// Each id stands for one end: a set's id is not used again for another.
	day := rapid.IntRange(0, 5).Draw(t, "set")
	end := epoch.Add(time.Duration(day) * 36 * time.Hour)
	err := x.s.OpenSet(context.Background(), set(byte(day)), end)
	if !x.now().Before(end) {
		if !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("OpenSet of the past: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("OpenSet: %v", err)
	}
	x.model.sets[set(byte(day))] = end
}

func (x *machine) spend(t *rapid.T) {
	k := modelToken{set(rapid.ByteRange(0, 5).Draw(t, "set")), token(rapid.IntRange(0, 5).Draw(t, "token"))}
	by := claimant(rapid.IntRange(0, 3).Draw(t, "claimant"))
	res := x.s.Spend(context.Background(), k.set, []store.Claim{{Token: k.token, Claimant: by}})[0]
	if end, open := x.model.sets[k.set]; !open || !x.now().Before(end) {
		if !errors.Is(res.Err, store.ErrUnavailable) {
			t.Fatalf("Spend in a closed set: %+v", res)
		}
		return
	}
	winner, ok := x.model.winners[k]
	if !ok {
		winner = by
		x.model.winners[k] = by
	}
	if res.Err != nil || res.Won != (winner == by) {
		t.Fatalf("Spend: %+v, want won %v", res, winner == by)
	}
}

func drawPool(t *rapid.T) store.Key {
	return rapid.SampledFrom([]store.Key{"p", "pp", "q"}).Draw(t, "pool")
}

func (x *machine) put(t *rapid.T) {
	key := drawPool(t)
	p := x.model.pool(key, x.now())
	from := max(1, int(p.taken)-2) // some that were taken, some new
	var items []store.Item
	for _, n := range rapid.SliceOfN(rapid.IntRange(from, from+8), 0, 4).Draw(t, "items") {
		items = append(items, item(n))
		if i, found := slices.BinarySearch(p.items, uint64(n)); !found && uint64(n) > p.taken {
			p.items = slices.Insert(p.items, i, uint64(n))
		}
	}
	if err := x.s.Put(context.Background(), key, items); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func (x *machine) take(t *rapid.T) {
	key, by := drawPool(t), claimant(rapid.IntRange(0, 5).Draw(t, "claimant"))
	p := x.model.pool(key, x.now())
	it, n, err := x.s.Take(context.Background(), key, by)
	i := slices.IndexFunc(p.claims, func(c modelClaim) bool { return c.by == by })
	if i < 0 {
		if len(p.items) == 0 {
			if !errors.Is(err, store.ErrEmpty) {
				t.Fatalf("Take: %v, want empty", err)
			}
			return
		}
		p.taken = p.items[0]
		p.items = p.items[1:]
		i = len(p.claims)
		p.claims = append(p.claims, modelClaim{by, x.now(), p.taken})
	}
	want := p.claims[i].id
	if err != nil || it.ID != want || !bytes.Equal(it.Body, body(int(want))) || n != len(p.items) {
		t.Fatalf("Take: item %d, %d remain, %v; want item %d, %d remain", it.ID, n, err, want, len(p.items))
	}
	if size, err := x.s.PoolSize(context.Background(), key); err != nil || size != n {
		t.Fatalf("PoolSize: %d, %v; want %d", size, err, n)
	}
}

func (x *machine) dropPool(t *rapid.T) {
	key := drawPool(t)
	if err := x.s.DropPool(context.Background(), key); err != nil {
		t.Fatalf("DropPool: %v", err)
	}
	delete(x.model.pools, key)
}

func drawDoc(t *rapid.T) store.Key {
	return rapid.SampledFrom([]store.Key{"a", "a/b", "a/c", "b"}).Draw(t, "key")
}

func (x *machine) cas(t *rapid.T) {
	key := drawDoc(t)
	d := x.model.docs[key]
	version := d.Version
	if rapid.IntRange(0, 3).Draw(t, "other version") == 0 {
		version += rapid.SampledFrom([]uint64{1, ^uint64(0)}).Draw(t, "difference")
	}
	var value []byte
	if rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
		value = bytes.Repeat([]byte{byte(len(x.model.versions))}, rapid.SampledFrom([]int{0, 10, 300}).Draw(t, "size"))
	}
	v, err := x.s.CAS(context.Background(), key, version, value)
	switch {
	case version != d.Version:
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("CAS: %v, want conflict", err)
		}
	case err != nil:
		t.Fatalf("CAS: %v", err)
	case value == nil:
		if v != 0 {
			t.Fatalf("CAS: version %d of a deletion", v)
		}
		delete(x.model.docs, key)
	default:
		if v == 0 || x.model.versions[v] {
			t.Fatalf("CAS: version %d is not new", v)
		}
		x.model.versions[v] = true
		x.model.docs[key] = store.Doc{Value: value, Version: v}
	}
}

func (x *machine) list(t *rapid.T) {
	prefix := rapid.SampledFrom([]store.Key{"", "a", "a/", "c"}).Draw(t, "prefix")
	after := rapid.SampledFrom([]store.Key{"", "a", "a/b"}).Draw(t, "after")
	got, err := x.s.List(context.Background(), prefix, after, 0)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	want := ""
	for _, k := range []store.Key{"a", "a/b", "a/c", "b"} {
		if d, ok := x.model.docs[k]; ok && k > after && strings.HasPrefix(string(k), string(prefix)) {
			want += fmt.Sprintln(k, d.Version, d.Value)
		}
	}
	have := ""
	for _, d := range got {
		have += fmt.Sprintln(d.Key, d.Version, d.Value)
	}
	if have != want {
		t.Fatalf("List:\n%swant:\n%s", have, want)
	}
	key := drawDoc(t)
	d, err := x.s.Get(context.Background(), key)
	if w, ok := x.model.docs[key]; ok != (err == nil) || d.Version != w.Version || !bytes.Equal(d.Value, w.Value) {
		t.Fatalf("Get: %+v, %v; want %+v", d, err, w)
	}
}

func (x *machine) log(t *rapid.T) {
	key := drawPool(t)
	log := x.model.logs[key]
	size := uint64(len(log)) + rapid.SampledFrom([]uint64{0, 0, 1}).Draw(t, "difference")
	entries := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 3).Draw(t, "entries")
	err := x.s.LogAppend(context.Background(), key, size, entries)
	switch {
	case size != uint64(len(log)):
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("LogAppend: %v, want conflict", err)
		}
	case err != nil:
		t.Fatalf("LogAppend: %v", err)
	default:
		log = append(log, entries...)
		x.model.logs[key] = log
	}
	from := rapid.IntRange(0, len(log)).Draw(t, "from")
	got, err := x.s.LogRead(context.Background(), key, uint64(from), 0)
	if err != nil || !slices.EqualFunc(got, log[from:], bytes.Equal) {
		t.Fatalf("LogRead: %d entries, %v; want %d", len(got), err, len(log)-from)
	}
}
