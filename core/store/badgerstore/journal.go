package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// The journal is where the rows of mailboxes become durable: one write and one
// sync for a commit, in place of Badger's two. It has two segments, files of a
// fixed size. While one is written, the rows of the other go to Badger (drain.go),
// after which it is written anew, from its first page. Heads that changed lately do not
// go there but into the first records of the next segment (carry.go). So what is
// acknowledged is in Badger, or in a segment, or in both.
//
//	segment: page 0: "wxjl" | generation 8 | salt 8 | CRC-32C of these 4 | zeros
//	         then records, each beginning on a page, the rest of its last page zeros
//	record:  CRC-32C of all that follows 4 | length of rows 4 | salt 8 | number 4 | rows
//	row:     length of key 1 | length of value 4, 0: deleted | key | value
//
// Pages of what is acknowledged are never written again before they are drained,
// so that a write that is torn takes nothing with it. Only one write is under way
// at a time: a record that is not whole ends the segment, and a whole one after it
// is damage. The salt is drawn for each generation: it tells its records from those
// that stood in the segment before, and nobody can put something into a message that
// looks like one.
const (
	journalPage    = 4096
	journalMagic   = "wxjl"
	journalHeader  = 4 + 8 + 8 + 4
	journalRecord  = 4 + 4 + saltBytes + 4
	journalRow     = 1 + 4
	saltBytes      = 8
	journalSegment = 32 << 20
	// journalRows is the number of rows that change after which a segment is full:
	// they are in memory, at some 150 bytes each where they are small.
	journalRows = 1 << 16
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// row is one change of a row; a nil value deletes it.
type row struct {
	key   string
	value []byte
	// fresh: Badger has no row with the key, or one that means nothing any more.
	// If it is deleted before it is drained it never gets there.
	fresh bool
}

// journal is owned by the committer's goroutine once Open has returned.
type journal struct {
	files      [2]*os.File // fixed
	at         int         // the segment that is written
	salt       [saltBytes]byte
	generation uint64
	number     uint32
	offset     int64
	buf        []byte // only its memory is kept
}

// openJournal opens the segments, and makes them if they are not there.
func openJournal(dir string) (j *journal, err error) {
	j = new(journal)
	defer func() {
		if err != nil {
			_ = j.close()
			err = newFault("open the journal", err)
		}
	}()
	for i := range j.files {
		name := filepath.Join(dir, fmt.Sprintf("%d.journal", i))
		if j.files[i], err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			return j, err
		}
		st, err := j.files[i].Stat()
		if err != nil {
			return j, err
		}
		// Of the whole length from the beginning, so that no commit changes it; the
		// file system gives room to what is written for the first time. A crash in
		// here leaves a shorter file of zeros.
		if st.Size() < journalSegment {
			if err := errors.Join(j.files[i].Truncate(journalSegment), j.files[i].Sync()); err != nil {
				return j, err
			}
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return j, err
	}
	return j, errors.Join(d.Sync(), d.Close())
}

// close closes the files; a journal that is nil has none.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	var errs []error
	for _, f := range j.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// replay hands out the rows of all whole records, in the order in which they were
// written. Some of the first may be in Badger already: doing all of them again ends
// in the same state. Afterwards the journal goes on with another generation in the
// older segment; what is replayed has to be in Badger before.
func (j *journal) replay(apply func(row)) error {
	var generations [2]uint64
	b := make([]byte, 2*journalPage)
	for i := range j.files {
		if err := j.read(i, b); err != nil {
			return err
		}
		s, err := parseSegment(b)
		if err != nil {
			return newFault("read the journal", err)
		}
		generations[i] = s.generation
	}
	older := 0
	if generations[1] < generations[0] {
		older = 1
	}
	first, last := generations[older], generations[1-older]
	// Beside the first generation there is a segment that was never used; later a
	// segment that looks like that has lost what was in it.
	if last != 0 && first+1 != last {
		return newFault("read the journal", errCorrupt)
	}
	for _, i := range []int{older, 1 - older} {
		if generations[i] == 0 {
			continue
		}
		if len(b) < journalSegment {
			b = make([]byte, journalSegment) // for both, one after the other
		}
		if err := j.replaySegment(i, b, apply); err != nil {
			return err
		}
	}
	j.at, j.generation, j.offset = 1-older, last, journalSegment
	return nil
}

func (j *journal) replaySegment(i int, b []byte, apply func(row)) error {
	if err := j.read(i, b); err != nil {
		return err
	}
	s, err := parseSegment(b)
	for n := 0; err == nil && n < len(s.records); n++ {
		err = eachRow(s.records[n], apply)
	}
	if err != nil {
		return newFault("read the journal", err)
	}
	return nil
}

func (j *journal) read(i int, b []byte) error {
	if _, err := j.files[i].ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return newFault("read the journal", err)
	}
	return nil
}

// segment is what is in one.
type segment struct {
	generation uint64 // 0: it was never used
	records    [][]byte
}

func parseSegment(b []byte) (s segment, err error) {
	header := b[:journalPage]
	if !slices.ContainsFunc(b[:2*journalPage], func(c byte) bool { return c != 0 }) {
		return s, nil
	}
	sum := journalHeader - 4
	if string(header[:4]) != journalMagic || crc32.Checksum(header[:sum], crcTable) != beUint32(header[sum:]) {
		return s, errCorrupt
	}
	s.generation = beUint64(header[4:])
	salt := [saltBytes]byte(header[12:])
	at := journalPage
	for at < len(b) {
		rows, n, ok := parseRecord(b[at:], salt)
		if !ok || n != uint32(len(s.records)) {
			break
		}
		s.records = append(s.records, rows)
		at += pages(journalRecord + len(rows))
	}
	for at += journalPage; at < len(b); at += journalPage {
		if _, n, ok := parseRecord(b[at:], salt); ok && n > uint32(len(s.records)) {
			return s, errCorrupt
		}
	}
	return s, nil
}

// parseRecord returns the rows and the number of the record that b begins with.
func parseRecord(b []byte, salt [saltBytes]byte) (rows []byte, number uint32, ok bool) {
	if len(b) < journalRecord || [saltBytes]byte(b[8:]) != salt {
		return nil, 0, false
	}
	n := beUint32(b[4:])
	if n == 0 || int64(n) > int64(len(b)-journalRecord) {
		return nil, 0, false
	}
	end := journalRecord + int(n)
	if crc32.Checksum(b[4:end], crcTable) != beUint32(b) {
		return nil, 0, false
	}
	return b[journalRecord:end], beUint32(b[16:]), true
}

func eachRow(b []byte, apply func(row)) error {
	for len(b) > 0 {
		if len(b) < journalRow {
			return errCorrupt
		}
		key, value := int(b[0]), int(min(beUint32(b[1:]), journalSegment))
		b = b[journalRow:]
		if key == 0 || key+value > len(b) || !journalled(b[0]) {
			return errCorrupt
		}
		r := row{key: string(b[:key])}
		if value > 0 {
			r.value = slices.Clone(b[key : key+value])
		}
		apply(r)
		b = b[key+value:]
	}
	return nil
}

func pages(n int) int { return (n + journalPage - 1) &^ (journalPage - 1) }

// fits reports whether the segment has room for rows.
func (j *journal) fits(rows []row) bool {
	n := journalRecord
	for i := range rows {
		n += journalRow + len(rows[i].key) + len(rows[i].value)
	}
	return j.offset+int64(pages(n)) <= journalSegment
}

// begin starts the next generation in the other segment, all of which is in Badger.
// A crash after it finds a segment without records.
func (j *journal) begin(salt [saltBytes]byte) error {
	j.at, j.salt, j.number = 1-j.at, salt, 0
	j.generation++
	b := make([]byte, journalPage)
	header := binary.BigEndian.AppendUint64(append(b[:0], journalMagic...), j.generation)
	header = append(header, j.salt[:]...)
	binary.BigEndian.AppendUint32(header, crc32.Checksum(header, crcTable))
	if err := j.sync(b, 0); err != nil {
		return err
	}
	j.offset = journalPage
	return nil
}

// write makes rows durable, all or none. They have to fit.
func (j *journal) write(rows []row) error {
	b := append(j.buf[:0], make([]byte, journalRecord)...)
	for i := range rows {
		r := &rows[i]
		b = append(b, byte(len(r.key)))
		b = binary.BigEndian.AppendUint32(b, uint32(len(r.value)))
		b = append(append(b, r.key...), r.value...)
	}
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-journalRecord))
	copy(b[8:], j.salt[:])
	binary.BigEndian.PutUint32(b[16:], j.number)
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], crcTable))
	b = append(b, make([]byte, pages(len(b))-len(b))...)
	j.buf = b
	if j.offset+int64(len(b)) > journalSegment {
		return newFault("write the journal", syscall.EFBIG) // nobody would read it again
	}
	if err := j.sync(b, j.offset); err != nil {
		return err
	}
	j.number++
	j.offset += int64(len(b))
	return nil
}

func (j *journal) sync(b []byte, at int64) error {
	f := j.files[j.at]
	if _, err := f.WriteAt(b, at); err != nil {
		return newFault("write the journal", err)
	}
	if err := datasync(f); err != nil {
		return newFault("sync the journal", err)
	}
	return nil
}
