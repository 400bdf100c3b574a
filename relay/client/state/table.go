package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"iter"

	"go.etcd.io/bbolt"

	"waxwing/core/wire"
)

// Record is a pointer to a stored structure.
type Record[T any] interface {
	*T
	wire.Schema
}

// Table is one kind of record under keys of one shape (keys.go). Tables are
// declared in tables.go and nowhere else.
type Table[T any, P Record[T]] struct{ *tableInfo }

// tableInfo is what a table is apart from its records.
type tableInfo struct {
	name  string
	index int
	limit int
	named bool // the keys are names of somebody: hidden under a passphrase
}

// tables lists all tables in the order of their declaration.
var tables []*tableInfo

func newTable[T any, P Record[T]](name string, limit int) *Table[T, P] {
	t := &Table[T, P]{&tableInfo{name: name, index: len(tables), limit: limit}}
	tables = append(tables, t.tableInfo)
	return t
}

// newNamed is newTable for one whose keys are names. Under a passphrase its rows
// are in no order, and Scan finds them with an empty prefix only.
func newNamed[T any, P Record[T]](name string, limit int) *Table[T, P] {
	t := newTable[T, P](name, limit)
	t.named = true
	return t
}

const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of a record: over the table's name and the key too, so
// that a record that ended up in another place does not pass.
func (t *Table[T, P]) sum(key, record []byte) uint32 {
	s := crc32.Checksum([]byte(t.name), castagnoli)
	s = crc32.Update(s, castagnoli, key)
	return crc32.Update(s, castagnoli, record)
}

func (t *Table[T, P]) corrupt() error { return &CorruptError{t.name} }

func (t *Table[T, P]) bucket(tx *Tx) *bbolt.Bucket { return tx.buckets[t.index] }

// decode reads what is stored under a key; it also returns the key that was
// meant, which differs from it in a named table under a passphrase.
func (t *Table[T, P]) decode(tx *Tx, key, value []byte) ([]byte, P, error) {
	key, value, err := tx.lock.open(t.tableInfo, key, value)
	if err != nil {
		return nil, nil, err
	}
	p, err := t.parse(key, value)
	return key, p, err
}

func (t *Table[T, P]) parse(key, value []byte) (P, error) {
	if len(value) < sumSize || t.sum(key, value[sumSize:]) != binary.BigEndian.Uint32(value) {
		return nil, t.corrupt()
	}
	p := P(new(T))
	if wire.Unmarshal(value[sumSize:], p) != nil {
		return nil, t.corrupt()
	}
	return p, nil
}

// Get returns the record of a key. Errors are ErrNotFound and ErrCorrupt.
func (t *Table[T, P]) Get(tx *Tx, key []byte) (P, error) {
	stored := tx.lock.name(t.tableInfo, key)
	value := t.bucket(tx).Get(stored)
	if value == nil {
		return nil, ErrNotFound
	}
	_, p, err := t.decode(tx, stored, value)
	return p, err
}

// Has reports whether there is a record of a key.
func (t *Table[T, P]) Has(tx *Tx, key []byte) bool {
	return t.bucket(tx).Get(tx.lock.name(t.tableInfo, key)) != nil
}

// Count returns the number of records.
func (t *Table[T, P]) Count(tx *Tx) int { return tx.count(t.index) }

// Put stores the record of a key. Errors are ErrFull, for a key that is new,
// wire.ErrMalformed for a record that breaks a limit, and ErrIO.
func (t *Table[T, P]) Put(tx *Tx, key []byte, p P) error {
	b := t.bucket(tx)
	stored := tx.lock.name(t.tableInfo, key)
	if b.Get(stored) == nil {
		if tx.count(t.index) >= t.limit {
			return ErrFull
		}
		tx.delta[t.index]++
	}
	value, err := wire.Append(make([]byte, sumSize, 256), p)
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(value, t.sum(key, value[sumSize:]))
	tx.changed = true
	if err := b.Put(stored, tx.lock.seal(t.tableInfo, key, value)); err != nil {
		return wrapIO(err)
	}
	return nil
}

// Delete removes the record of a key, if there is one.
func (t *Table[T, P]) Delete(tx *Tx, key []byte) error {
	b := t.bucket(tx)
	stored := tx.lock.name(t.tableInfo, key)
	if b.Get(stored) == nil {
		return nil
	}
	tx.delta[t.index]--
	tx.changed = true
	if err := b.Delete(stored); err != nil {
		return wrapIO(err)
	}
	return nil
}

// Row is a record with its key.
type Row[P any] struct {
	Key    []byte
	Record P
}

// Scan returns the rows whose keys begin with prefix and are not below from,
// in the order of their keys. The table must not be changed meanwhile: use
// Rows where it is. After an error there are no more.
func (t *Table[T, P]) Scan(tx *Tx, prefix, from []byte) iter.Seq2[Row[P], error] {
	return func(yield func(Row[P], error) bool) {
		start := prefix
		if bytes.Compare(from, start) > 0 {
			start = from
		}
		c := t.bucket(tx).Cursor()
		for k, v := c.Seek(start); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			key, p, err := t.decode(tx, k, v)
			if err != nil {
				yield(Row[P]{}, err)
				return
			}
			if !yield(Row[P]{bytes.Clone(key), p}, nil) {
				return
			}
		}
	}
}

// Rows returns at most limit rows of Scan; zero for all.
func (t *Table[T, P]) Rows(tx *Tx, prefix, from []byte, limit int) ([]Row[P], error) {
	var rows []Row[P]
	for row, err := range t.Scan(tx, prefix, from) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
		if len(rows) == limit {
			break
		}
	}
	return rows, nil
}

// Last returns the row with the highest key that begins with prefix. The error
// is ErrNotFound or ErrCorrupt.
func (t *Table[T, P]) Last(tx *Tx, prefix []byte) (Row[P], error) {
	for row, err := range t.Backward(tx, prefix) {
		return row, err
	}
	return Row[P]{}, ErrNotFound
}

// Backward is Scan from the highest key down.
func (t *Table[T, P]) Backward(tx *Tx, prefix []byte) iter.Seq2[Row[P], error] {
	return func(yield func(Row[P], error) bool) {
		c := t.bucket(tx).Cursor()
		k, v := c.Last()
		if end := after(prefix); end != nil {
			if above, _ := c.Seek(end); above != nil {
				k, v = c.Prev()
			} else {
				k, v = c.Last()
			}
		}
		for ; k != nil && bytes.HasPrefix(k, prefix); k, v = c.Prev() {
			key, p, err := t.decode(tx, k, v)
			if err != nil {
				yield(Row[P]{}, err)
				return
			}
			if !yield(Row[P]{bytes.Clone(key), p}, nil) {
				return
			}
		}
	}
}

// after returns the first key above all that begin with prefix, or nil.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// wrapIO makes an error of the engine ErrIO, without its text, which may name
// the file.
func wrapIO(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(ErrIO, err)
}
