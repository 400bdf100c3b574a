package badgerstore

import (
	"context"
	"errors"
	"sync"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// A head that was put together of rows from before and after a commit, which deletes a
// chunk or takes messages out of one, is neither used nor cached, and is no damage. The
// same rows without a commit between are.
func TestTornHead(t *testing.T) {
	id := ids.MailboxID{1}
	var plain, removed []byte
	for _, flags := range []byte{flagPlain, flagPlain | flagRemoved} {
		body := []byte("body")
		if flags&flagRemoved != 0 {
			body = nil
		}
		r := testReq(1, 1)
		plain, removed = removed, appendRecord(nil, flags, &r.ID, 1, body)
	}
	empty, after := newHead(), newHead()
	after.last, after.messages, after.oldest = firstCursor(1), 1, firstCursor(1)
	for name, tt := range map[string]struct {
		chunk         []byte
		later         head
		err           error
		used, whole   bool
		messagesFound int
	}{
		"no commit":                   {plain, empty, nil, true, true, 1},
		"chunk deleted meanwhile":     {nil, after, nil, false, false, 0},
		"chunk rewritten meanwhile":   {removed, after, nil, false, false, 0},
		"damage, and nothing changed": {removed, empty, errCorrupt, false, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			heads := 0
			h, used, whole, err := wholeHead(func(key []byte) ([]byte, error) {
				switch {
				case key[0] == tagChunk && beUint64(key[headKeySize:]) == 0:
					return tt.chunk, nil
				case key[0] == tagChunk:
					return nil, nil
				}
				if heads++; heads < 3 {
					return empty.appendTo(nil), nil
				}
				return tt.later.appendTo(nil), nil
			}, &id)
			if !errors.Is(err, tt.err) || used != tt.used || whole != tt.whole || whole && err == nil && h.messages != tt.messagesFound {
				t.Fatalf("%+v, used %v, whole %v, %v", h, used, whole, err)
			}
		})
	}
	broken := errors.New("broken")
	if _, _, _, err := wholeHead(func([]byte) ([]byte, error) { return nil, broken }, &id); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// Messages are taken out of chunks that the head's row does not know of while others read
// a head that is not in memory. What stays is found each time: an outbox takes what it
// does not find for expired.
func TestRemoveBesideReaders(t *testing.T) {
	e, err := Open(Config{Dir: t.TempDir(), MinFree: 1, CacheMailboxes: 1, hooks: hooks{journalRows: 64}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	stays := appendOne(e, testReq(1, 1000)).Cursor
	appendOne(e, testReq(2, 0))
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for ctx.Err() == nil {
				// Each drives the other out of memory.
				_, err := e.Stat(context.Background(), ids.MailboxID{2})
				m, failed := e.Fetch(context.Background(), ids.MailboxID{1}, stays-1, 1, 0)
				if err = errors.Join(err, failed); err != nil || len(m) != 1 || m[0].Cursor != stays {
					t.Errorf("%d messages, %v", len(m), err)
					return
				}
			}
		})
	}
	for n := range 150 {
		reqs := []store.AppendReq{testReq(1, 3*n), testReq(1, 3*n+1), testReq(1, 3*n+2)}
		res := e.Append(t.Context(), reqs)
		first := e.Remove(t.Context(), ids.MailboxID{1}, []store.Cursor{res[1].Cursor})
		rest := e.Remove(t.Context(), ids.MailboxID{1}, []store.Cursor{res[0].Cursor, res[2].Cursor})
		if err := errors.Join(res[0].Err, first, rest); err != nil {
			t.Error(err)
			break
		}
	}
	cancel()
	readers.Wait()
}
