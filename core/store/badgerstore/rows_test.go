package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/store"
)

func drawHead(t *rapid.T) head {
	h := head{
		last:     store.Cursor(rapid.Uint64Range(0, 1<<60).Draw(t, "last")),
		messages: rapid.IntRange(0, 1<<30).Draw(t, "messages"),
		bytes:    rapid.Int64Range(0, 1<<60).Draw(t, "bytes"),
		soonest:  rapid.Int64Range(0, never).Draw(t, "soonest"),
		mark:     ids.Hour(rapid.Uint32().Draw(t, "mark")),
	}
	h.oldest = store.Cursor(rapid.Uint64Range(1, uint64(h.last)+1).Draw(t, "oldest"))
	id := store.ReaderID(0)
	for range rapid.IntRange(0, store.MaxReaders).Draw(t, "readers") {
		id += store.ReaderID(rapid.Uint32Range(1, 1<<27).Draw(t, "reader"))
		h.readers = append(h.readers, reader{id, store.Cursor(rapid.Uint64().Draw(t, "acked"))})
	}
	h.written = h.nextChunk()
	return h
}

func TestHeadRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHead(t)
		b := h.appendTo(nil)
		got, err := parseHead(b)
		if err != nil || !reflect.DeepEqual(got, h) {
			t.Fatalf("%+v, %v; want %+v", got, err, h)
		}
	})
}

func TestHeadRefused(t *testing.T) {
	h := head{oldest: 3, last: 9, messages: 2, bytes: 5, soonest: 7, mark: 8, readers: []reader{{1, 2}, {5, 3}}}
	good := h.appendTo(nil)
	for name, change := range map[string]func([]byte) []byte{
		"empty":          func([]byte) []byte { return nil },
		"short":          func(b []byte) []byte { return b[:len(b)-1] },
		"long":           func(b []byte) []byte { return append(b, 0) },
		"oldest 0":       func(b []byte) []byte { b[7] = 0; return b },
		"oldest > last":  func(b []byte) []byte { b[7] = 11; return b },
		"negative bytes": func(b []byte) []byte { b[20] = 0x80; return b },
		"negative time":  func(b []byte) []byte { b[28] = 0x80; return b },
		"reader count":   func(b []byte) []byte { b[40] = 1; return b },
		"many readers":   func(b []byte) []byte { b[40] = store.MaxReaders + 1; return b },
		"twice":          func(b []byte) []byte { b[headSize+readerSize+3] = 1; return b },
		"order":          func(b []byte) []byte { b[headSize+readerSize+3] = 0; return b },
	} {
		if _, err := parseHead(change(bytes.Clone(good))); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseHead(good); err != nil {
		t.Fatal(err)
	}
}

func FuzzHead(f *testing.F) {
	h := newHead()
	f.Add(h.appendTo(nil))
	h = head{oldest: 3, last: 9, readers: []reader{{1, 2}, {5, 3}}}
	f.Add(h.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(b)
		if err == nil && !bytes.Equal(h.appendTo(nil), b) {
			t.Fatalf("%x is read as %+v", b, h)
		}
	})
}

// records parses a whole chunk.
func records(b []byte) (out []record, err error) {
	for len(b) > 0 {
		var r record
		if r, b, err = nextRecord(b); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func encode(rs []record) (b []byte) {
	for _, r := range rs {
		b = appendRecord(b, r.flags, r.id, r.expires, r.body)
	}
	return b
}

func TestChunkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []record
		for i := range rapid.IntRange(0, chunkMessages).Draw(t, "messages") {
			id := benchID(i)
			r := record{
				flags: rapid.ByteRange(0, 3).Draw(t, "flags"), id: &id,
				expires: rapid.Int64Range(0, never).Draw(t, "expires"), body: []byte{},
			}
			if r.flags&flagRemoved == 0 {
				r.body = rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "body")
			}
			in = append(in, r)
		}
		out, err := records(encode(in))
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%v", err)
		}
	})
}

func TestRecordRefused(t *testing.T) {
	id := benchID(1)
	good := appendRecord(nil, flagPlain, &id, 7, []byte("body"))
	removed := appendRecord(nil, flagRemoved, &id, 7, nil)
	for name, b := range map[string][]byte{
		"short header":   good[:recordHeader-1],
		"short body":     good[:len(good)-1],
		"trailing bytes": append(bytes.Clone(good), 1),
		"no body":        appendRecord(nil, 0, &id, 7, nil),
		"removed, body":  appendRecord(nil, flagRemoved, &id, 7, []byte{1}),
		"flags":          append([]byte{4}, good[1:]...),
		"length":         binary.BigEndian.AppendUint32([]byte{1}, 1<<31),
		"too long":       appendRecord(nil, 0, &id, 7, make([]byte, store.MaxBody+1)),
		"negative time":  appendRecord(nil, 0, &id, -1, []byte{1}),
	} {
		if _, err := records(b); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, b := range [][]byte{good, removed} {
		if _, err := records(b); err != nil {
			t.Error(err)
		}
	}
}

func FuzzChunk(f *testing.F) {
	id := benchID(1)
	f.Add(appendRecord(appendRecord(nil, 1, &id, 5, []byte("a")), 2, &id, 6, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if rs, err := records(b); err == nil && !bytes.Equal(encode(rs), b) {
			t.Fatalf("%x is read as %+v", b, rs)
		}
	})
}

func TestPoolRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := pool{taken: rapid.Uint64().Draw(t, "taken"), size: rapid.IntRange(0, store.MaxPool).Draw(t, "size")}
		for range rapid.IntRange(0, 20).Draw(t, "claims") {
			p.claims = append(p.claims, poolClaim{
				store.Claimant(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "by")), rapid.Int64().Draw(t, "at"), rapid.Uint64().Draw(t, "id"),
			})
		}
		got, err := parsePool(p.append(nil))
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("%+v, %v; want %+v", got, err, p)
		}
	})
}

func TestPoolRefused(t *testing.T) {
	p := pool{taken: 1, size: 2, claims: []poolClaim{{at: 1, id: 1}}}
	good := p.append(nil)
	big := pool{size: store.MaxPool + 1}
	for name, b := range map[string][]byte{
		"empty": {}, "short": good[:len(good)-1], "long": append(bytes.Clone(good), 0), "size": big.append(nil),
		"claims": append(make([]byte, 10), 0x7f, 0xff),
	} {
		if _, err := parsePool(b); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPool(f *testing.F) {
	p := pool{taken: 1, size: 2, claims: []poolClaim{{at: 1, id: 1}}}
	f.Add(p.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePool(b); err == nil && b != nil && !bytes.Equal(p.append(nil), b) {
			t.Fatalf("%x is read as %+v", b, p)
		}
	})
}

// Keys of different things differ, and those that are iterated sort as meant.
func TestKeys(t *testing.T) {
	s := salts{token: [saltSize]byte{1}, claimant: [saltSize]byte{2}}
	a, b := ids.MailboxID{1}, ids.MailboxID{2}
	id := benchID(1)
	seen := make(map[string]string)
	for name, k := range map[string][]byte{
		"serial":         s.serialKey(&a, store.Serial{Day: 1, N: 1}),
		"serial, number": s.serialKey(&a, store.Serial{Day: 1, N: 2}),
		"serial, day":    s.serialKey(&a, store.Serial{Day: 2, N: 1}),
		"serial, box":    s.serialKey(&b, store.Serial{Day: 1, N: 1}),
		"set":            spentKey(1, 1, s.tokenOf(tagSpent, make([]byte, 32), nil)),
		"id":             s.idKey(&a, &id),
		"id, box":        s.idKey(&b, &id),
		"head":           headKey(&a),
		"chunk":          chunkKey(&a, 1),
		"mark":           markKey(1, &a),
		"doc":            plainKey(tagDoc, "k"),
		"pool":           plainKey(tagPool, "k"),
		"item":           numberedKey(tagItem, "k", 1),
		"entry":          numberedKey(tagEntry, "k", 1),
	} {
		if other, ok := seen[string(k)]; ok {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[string(k)] = name
	}
	if bytes.Compare(chunkKey(&a, 255), chunkKey(&a, 256)) >= 0 || bytes.Compare(markKey(255, &b), markKey(256, &a)) >= 0 {
		t.Error("keys do not sort as numbers")
	}
	// Another engine's salt gives other fingerprints.
	other := salts{token: [saltSize]byte{3}, claimant: [saltSize]byte{4}}
	c := [32]byte{1}
	if bytes.Equal(s.idKey(&a, &id), other.idKey(&a, &id)) || s.claimantOf(&c) == other.claimantOf(&c) {
		t.Error("the salt does not count")
	}
	if lastDay(store.Serial{Day: 1<<32 - 1}) != 1<<32-1 {
		t.Error("a far day wraps around")
	}
	if sweepHour(never) == 0 || sweepHour(3599) != 1 || sweepHour(3600) != 2 {
		t.Error("sweepHour")
	}
}

// What is malformed on the disk stops the engine; it is not taken for absent.
func TestMalformedRowsStopTheEngine(t *testing.T) {
	for name, key := range map[string]func(e *Engine) []byte{
		"head":  func(*Engine) []byte { return headKey(&ids.MailboxID{1}) },
		"chunk": func(*Engine) []byte { return chunkKey(&ids.MailboxID{1}, 0) },
		"fate": func(e *Engine) []byte {
			return e.salts.serialKey(&ids.MailboxID{1}, store.Serial{Day: ids.DayOf(time.Now()), N: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e := openTest(t, dir, time.Now)
			r := testReq(1, 1)
			r.Serial, r.HasSerial = store.Serial{Day: ids.DayOf(time.Now()), N: 1}, true
			if res := appendOne(e, r); res.Err != nil {
				t.Fatal(res.Err)
			}
			if err := e.submit(t.Context(), &rawOp{newCall(), key(e), []byte("malformed")}); err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			e = openTest(t, dir, time.Now)
			err := appendOne(e, r).Err
			if name == "chunk" {
				_, err = e.Fetch(t.Context(), r.Mailbox, 0, 0, 0)
			}
			if !errors.Is(err, store.ErrUnavailable) {
				t.Fatal(err)
			}
			if err := e.Health(t.Context()); !errors.Is(err, errCorrupt) {
				t.Fatalf("Health: %v", err)
			}
		})
	}
}
