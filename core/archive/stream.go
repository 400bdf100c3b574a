package archive

import (
	"encoding/binary"
	"errors"
	"io"

	"waxwing/core/devicesync"
	"waxwing/core/wire"
)

// What callers branch on, with errors.Is. Archives that break the format are
// wire.ErrMalformed, those that end before their end ErrTruncated.
var (
	// ErrTruncated: the archive ends before its end.
	ErrTruncated = errors.New("archive: cut short")
	// ErrOrder: a record is of a kind that no archive has, or comes behind one
	// of a higher rank.
	ErrOrder = errors.New("archive: record out of place")
	// ErrFull: more than MaxItems records.
	ErrFull = errors.New("archive: too many records")
)

// Writer writes one archive.
type Writer struct {
	w     io.Writer
	rank  int
	items uint32
}

// NewWriter begins an archive. Errors are wire.ErrMalformed and w's.
func NewWriter(w io.Writer, a *Account) (*Writer, error) {
	b, err := wire.Marshal(a)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	if len(b) > maxAccount {
		return nil, &wire.FieldError{Field: "account", Reason: "too long"}
	}
	return &Writer{w: w}, writePart(w, b)
}

func writePart(w io.Writer, b []byte) error {
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b)))); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// Add writes a record. Errors are ErrOrder, ErrFull, wire.ErrMalformed and the
// writer's; after one the archive is of no use.
func (w *Writer) Add(i devicesync.Item) error {
	r := rank(i.Kind())
	if r == 0 || r < w.rank {
		return ErrOrder
	}
	if w.items >= MaxItems {
		return ErrFull
	}
	b, err := devicesync.Marshal(i)
	if err != nil {
		return err
	}
	w.rank, w.items = r, w.items+1
	return writePart(w.w, b)
}

// Close writes the end. The error is the writer's, which Close does not close.
func (w *Writer) Close() error {
	_, err := w.w.Write(binary.BigEndian.AppendUint32(make([]byte, lengthSize, 2*lengthSize), w.items))
	return err
}

// Reader reads one archive. What it has returned is the archive's only once Next
// has returned io.EOF: keep nothing before.
type Reader struct {
	r     io.Reader
	rank  int
	items uint32
	done  bool
}

// NewReader reads the account's part. Errors are wire.ErrMalformed, ErrTruncated
// and r's.
func NewReader(r io.Reader) (*Reader, *Account, error) {
	b, err := readPart(r, maxAccount)
	if err != nil {
		return nil, nil, err
	}
	defer clear(b)
	a := new(Account)
	if err := wire.Unmarshal(b, a); err != nil {
		return nil, nil, err
	}
	return &Reader{r: r}, a, nil
}

// readPart reads what stands behind its length; nil for a length of zero.
func readPart(r io.Reader, limit uint32) ([]byte, error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, truncated(err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > limit {
		return nil, &wire.FieldError{Field: "record", Reason: "too long"}
	}
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, truncated(err)
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}

// Next returns the next record, or io.EOF behind the last if the archive is
// whole. Errors are wire.ErrMalformed, ErrOrder, ErrFull, ErrTruncated and the
// reader's.
func (r *Reader) Next() (devicesync.Item, error) {
	if r.done {
		return nil, io.EOF
	}
	b, err := readPart(r.r, devicesync.MaxRecord)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, r.end()
	}
	defer clear(b)
	i, err := devicesync.Parse(b)
	if err != nil {
		return nil, err
	}
	k := rank(i.Kind())
	if k == 0 || k < r.rank {
		return nil, ErrOrder
	}
	if r.items >= MaxItems {
		return nil, ErrFull
	}
	r.rank, r.items = k, r.items+1
	return i, nil
}

// end reads what follows the last record; io.EOF says that all is well.
func (r *Reader) end() error {
	var count [lengthSize]byte
	if _, err := io.ReadFull(r.r, count[:]); err != nil {
		return truncated(err)
	}
	if binary.BigEndian.Uint32(count[:]) != r.items {
		return &wire.FieldError{Field: "number of records", Reason: "another than there are"}
	}
	var one [1]byte
	switch n, err := io.ReadFull(r.r, one[:]); {
	case n > 0:
		return &wire.FieldError{Field: "archive", Reason: "trailing bytes"}
	case !errors.Is(err, io.EOF):
		return err
	}
	r.done = true
	return io.EOF
}
