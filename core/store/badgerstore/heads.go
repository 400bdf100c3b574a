package badgerstore

import (
	"encoding/binary"
	"math"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// head is all that the engine knows of a mailbox without reading messages. It
// is a value: once published in the cache, or handed to a reader, it is not
// changed any more.
//
// Its row is written with every change but an append. What was appended since
// follows from the chunks, which are numbered without gaps: whoever loads a head
// goes on from its row chunk by chunk (rollForward), at most headEvery of them.
// That saves a row per append, a third of what it costs.
//
//	oldest 8 | last 8 | messages 4 | bytes 8 | soonest 8 | mark 4 | readers 1 | (reader 4 | acked 8)...
type head struct {
	oldest   store.Cursor // no message kept is below it; at least 1
	last     store.Cursor // the last cursor given
	messages int
	bytes    int64
	soonest  int64    // no message kept expires before this Unix second
	mark     ids.Hour // the hour of the mailbox's 'e' row, 0 for none
	readers  []reader // in the order of ids

	written uint64 // chunks that the row on the disk knows of; not in the row
}

type reader struct {
	id    store.ReaderID
	acked store.Cursor
}

const (
	headSize   = 8 + 8 + 4 + 8 + 8 + 4 + 1
	readerSize = 4 + 8
	never      = math.MaxInt64
	// headEvery is the number of chunks after which the row is written anyway,
	// so that loading a head stays cheap.
	headEvery = 16
)

// newHead is the head of a mailbox that was never used.
func newHead() head { return head{oldest: 1, soonest: never} }

func (h *head) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(h.oldest))
	b = binary.BigEndian.AppendUint64(b, uint64(h.last))
	b = binary.BigEndian.AppendUint32(b, uint32(h.messages))
	b = binary.BigEndian.AppendUint64(b, uint64(h.bytes))
	b = binary.BigEndian.AppendUint64(b, uint64(h.soonest))
	b = binary.BigEndian.AppendUint32(b, uint32(h.mark))
	b = append(b, byte(len(h.readers)))
	for _, r := range h.readers {
		b = binary.BigEndian.AppendUint32(b, uint32(r.id))
		b = binary.BigEndian.AppendUint64(b, uint64(r.acked))
	}
	return b
}

func parseHead(b []byte) (head, error) {
	if len(b) < headSize || b[headSize-1] > store.MaxReaders ||
		len(b) != headSize+int(b[headSize-1])*readerSize {
		return head{}, errCorrupt
	}
	h := head{
		oldest:   store.Cursor(binary.BigEndian.Uint64(b)),
		last:     store.Cursor(binary.BigEndian.Uint64(b[8:])),
		messages: int(binary.BigEndian.Uint32(b[16:])),
		bytes:    int64(binary.BigEndian.Uint64(b[20:])),
		soonest:  int64(binary.BigEndian.Uint64(b[28:])),
		mark:     ids.Hour(binary.BigEndian.Uint32(b[36:])),
	}
	for b = b[headSize:]; len(b) > 0; b = b[readerSize:] {
		h.readers = append(h.readers, reader{
			store.ReaderID(binary.BigEndian.Uint32(b)), store.Cursor(binary.BigEndian.Uint64(b[4:])),
		})
	}
	for i := 1; i < len(h.readers); i++ {
		if h.readers[i-1].id >= h.readers[i].id {
			return head{}, errCorrupt
		}
	}
	if h.oldest == 0 || h.oldest > h.last+1 || h.bytes < 0 || h.soonest < 0 {
		return head{}, errCorrupt
	}
	h.written = h.nextChunk()
	return h, nil
}

// rollForward takes a chunk into account that the head's row does not know of.
func (h *head) rollForward(chunk []byte) error {
	c := firstCursor(h.nextChunk())
	for ; len(chunk) > 0; c++ {
		r, rest, err := nextRecord(chunk)
		if err != nil || r.flags&flagRemoved != 0 {
			return errCorrupt
		}
		chunk = rest
		h.add(c, r.expires, len(r.body))
	}
	return nil
}

// add counts a message that was appended.
func (h *head) add(c store.Cursor, expires int64, size int) {
	if h.messages == 0 {
		h.oldest = c
	}
	h.last = c
	h.messages++
	h.bytes += int64(size)
	h.soonest = min(h.soonest, expires)
}

// find returns the index of a reader, or where it would be.
func (h *head) find(id store.ReaderID) (int, bool) {
	return slices.BinarySearchFunc(h.readers, id, func(r reader, id store.ReaderID) int {
		return int(int64(r.id) - int64(id))
	})
}

// acked returns the cursor that all open readers have acked, 0 without readers.
func (h *head) acked() store.Cursor {
	if len(h.readers) == 0 {
		return 0
	}
	low := h.readers[0].acked
	for _, r := range h.readers[1:] {
		low = min(low, r.acked)
	}
	return low
}

// emptied brings the fields into the state of a mailbox without messages.
func (h *head) emptied() {
	h.oldest, h.soonest = h.last+1, never
}

// nextChunk is the number of the chunk after the last one.
func (h *head) nextChunk() uint64 {
	if h.last == 0 {
		return 0
	}
	return chunkOf(h.last) + 1
}

// sweepHour is the first hour in which something of the mailbox has expired.
func sweepHour(soonest int64) ids.Hour {
	return ids.Hour(min(soonest/3600+1, math.MaxUint32))
}
