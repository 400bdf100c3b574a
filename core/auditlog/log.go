package auditlog

import (
	"bytes"
	"errors"
)

// What callers branch on, with errors.Is.
var (
	// ErrRange: there is no such entry.
	ErrRange = errors.New("auditlog: out of range")
	// ErrProof: a proof does not show what it is for.
	ErrProof = errors.New("auditlog: proof does not verify")
	// ErrRecord: a stored record is malformed or not the next of the chain.
	ErrRecord = errors.New("auditlog: bad record")
	// ErrStale: a Pending entry was committed already, or another in its place.
	ErrStale = errors.New("auditlog: entry is out of date")
	// ErrEntry: an entry is longer than MaxEntry, or not the link of its segment.
	ErrEntry = errors.New("auditlog: entry cannot be added")
)

const (
	// MaxEntry is the longest entry, in bytes: a verdict's hashes and names
	// take some 300, an auditor's note as much again.
	MaxEntry = 4096
	// MaxProof is the longest proof: a consistency proof of a log of 2^63.
	MaxProof = 65
)

// Log is the state of a log in memory: 32 bytes for each entry, which is
// nothing beside what an opening costs a reviewer. It is not safe for
// concurrent use.
type Log struct {
	segment uint32 // from 0
	base    uint64 // entries before this segment
	link    []byte // its first entry; nil for any

	leaves  []Hash
	last    Hash // SHA-256 of the last record
	pending *Pending
}

// Load returns the log of its stored records, in order, after checking the
// chain through them. The error is ErrRecord.
func Load(records ...[]byte) (*Log, error) {
	l := new(Log)
	for _, b := range records {
		if err := l.Extend(b); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Extend takes a stored record that follows those that the log has: one whose
// outcome was unknown when it was appended. A pending entry is void then. The
// error is ErrRecord: it is not the next of the chain.
func (l *Log) Extend(raw []byte) error {
	r, err := parseRecord(raw)
	if err != nil || r.index != l.Size() || r.previous != l.last || l.misplaced(r.entry) {
		return ErrRecord
	}
	l.pending = nil
	l.add(&r, raw)
	return nil
}

func (l *Log) add(r *record, raw []byte) {
	l.leaves = append(l.leaves, LeafHash(r.entry))
	l.last = recordHash(raw)
}

// Pending is an entry that waits for its record to be stored.
type Pending struct {
	Record []byte // to be appended durably to the stored records
	r      record
}

// Prepare returns the next record. Nothing changes before Commit, and a further
// Prepare makes an earlier uncommitted one void. The error is ErrEntry.
func (l *Log) Prepare(entry []byte) (*Pending, error) {
	if len(entry) > MaxEntry || l.misplaced(entry) {
		return nil, ErrEntry
	}
	p := &Pending{r: record{index: l.Size(), previous: l.last, entry: bytes.Clone(entry)}}
	p.Record = p.r.marshal()
	l.pending = p
	return p, nil
}

// Commit tells the log that the record is durable. A crash before leaves a
// record without its action, which Load finds; never an action without a
// record. The error is ErrStale.
func (l *Log) Commit(p *Pending) (*Receipt, error) {
	if p == nil || p != l.pending {
		return nil, ErrStale
	}
	l.pending = nil
	l.add(&p.r, p.r.marshal())
	return &Receipt{index: l.base + p.r.index, leaf: LeafHash(p.r.entry), root: l.Root()}, nil
}

// Size returns the number of entries.
func (l *Log) Size() uint64 { return uint64(len(l.leaves)) }

// Root returns the root over all entries.
func (l *Log) Root() Hash { return Root(l.leaves) }

// Leaves returns the hashes of all entries, for proofs. The caller does not
// change them.
func (l *Log) Leaves() []Hash { return l.leaves }

// Receipt returns the receipt of the index-th entry of the segment. Errors are ErrRange,
// and ErrProof for another entry.
func (l *Log) Receipt(index uint64, entry []byte) (*Receipt, error) {
	if index >= l.Size() {
		return nil, ErrRange
	}
	if l.leaves[index] != LeafHash(entry) {
		return nil, ErrProof
	}
	return &Receipt{index: l.base + index, leaf: l.leaves[index], root: Root(l.leaves[:index+1])}, nil
}

// Receipt says that an entry was stored in a log. Only the log makes one.
type Receipt struct {
	index uint64
	leaf  Hash
	root  Hash
}

// Of reports whether the receipt is for this entry.
func (r *Receipt) Of(entry []byte) bool { return r != nil && r.leaf == LeafHash(entry) }

// Index returns the entry's number among those of all segments, from 0.
func (r *Receipt) Index() uint64 { return r.index }

// Root returns the root of the log with the entry as its last.
func (r *Receipt) Root() Hash { return r.root }
