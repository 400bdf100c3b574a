package franking

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What callers of a StampRing branch on, with errors.Is.
var (
	// ErrNoStampKey: there is no key for the day of receipt. When stamping,
	// Prepare has to make one first; when checking, it was erased.
	ErrNoStampKey = errors.New("franking: no stamp key for that day")
	// ErrStamp: the stamp is not this relay's for this receipt.
	ErrStamp = errors.New("franking: stamp does not fit")
	// ErrStale: a Change was committed twice, or after a later Prepare.
	ErrStale = errors.New("franking: change is out of date")
	// ErrStampKeys: MaxStampKeys reached, by a clock that jumps about.
	ErrStampKeys = errors.New("franking: too many stamp keys")
	// ErrRecord: a stored stamp key cannot be read, or two are of one day.
	ErrRecord = errors.New("franking: bad record of a stamp key")
)

// Stamp is a relay's statement to itself that it delivered a commitment to a
// mailbox at a time. It proves nothing to anyone else.
type Stamp [StampSize]byte

// Receipt is what a stamp covers.
type Receipt struct {
	Mailbox  ids.MailboxID
	Com      Commitment
	Day      ids.Day // the sender's day, from the envelope
	Received uint64  // Unix time by the relay's clock, milliseconds; selects the key
}

const msPerDay = 86400 * 1000

// day returns the UTC day of receipt.
func (r *Receipt) day() (ids.Day, bool) {
	d := r.Received / msPerDay
	return ids.Day(d), d <= math.MaxUint32
}

// StampRing holds a relay's stamp keys, one for each day of receipt, drawn
// independently: a key that is stolen or given to trust-and-safety tells
// nothing about another day. It is safe for concurrent use; Prepare, the
// storing of what it returned, Commit and Expire belong to one goroutine.
type StampRing struct {
	mu      sync.RWMutex // guards all; held for one stamp
	keys    map[ids.Day]*[keys.SecretSize]byte
	pending map[ids.Day]*[keys.SecretSize]byte // prepared, not committed
	last    atomic.Uint32                      // the latest day that was stamped under; not guarded
	keys.Redacted
}

// NewStampRing returns the ring of the stored records, which may be none.
// Errors are ErrStampKeys, or wrap ErrRecord.
func NewStampRing(records ...[]byte) (*StampRing, error) {
	r := &StampRing{keys: make(map[ids.Day]*[keys.SecretSize]byte)}
	if len(records) > MaxStampKeys {
		return nil, ErrStampKeys
	}
	for _, b := range records {
		var rec record
		if err := wire.Unmarshal(b, &rec); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRecord, err)
		}
		if r.keys[rec.Day] != nil {
			return nil, fmt.Errorf("%w: two of one day", ErrRecord)
		}
		k := rec.Key
		r.keys[rec.Day] = &k
	}
	return r, nil
}

// Change is a new stamp key to be stored under Name and then committed. The
// record is secret.
type Change struct {
	Name   string // file name: letters, digits and hyphens
	Record []byte
	day    ids.Day
	key    *[keys.SecretSize]byte
	keys.Redacted
}

func name(day ids.Day) string { return fmt.Sprintf("stamp-key-%010d", day) }

// Prepare returns the keys that are missing for today and tomorrow: tomorrow's
// too, so that midnight does not wait for a disk. Nothing changes in the ring
// before Commit, and a further Prepare makes earlier uncommitted Changes void,
// as their records are overwritten. Call it at start, every hour, and on ErrNoStampKey, which also
// heals a day that nobody prepared. The error is ErrStampKeys.
func (r *StampRing) Prepare(today ids.Day) ([]*Change, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = make(map[ids.Day]*[keys.SecretSize]byte)
	var out []*Change
	for _, day := range []ids.Day{today, today + 1} {
		if r.keys[day] != nil {
			continue
		}
		if len(r.keys)+len(out) >= MaxStampKeys {
			return nil, ErrStampKeys
		}
		out = append(out, r.draw(day))
	}
	return out, nil
}

// PrepareNext returns another key for tomorrow, in place of the one that is
// there, because the operator wants one. Today's cannot be replaced: its stamps
// are out. It is nil if tomorrow's was used already, which takes a clock that
// stepped back.
func (r *StampRing) PrepareNext(today ids.Day) *Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = make(map[ids.Day]*[keys.SecretSize]byte)
	if r.last.Load() > uint32(today) {
		return nil
	}
	return r.draw(today + 1)
}

// draw makes a new key pending. The caller holds mu.
func (r *StampRing) draw(day ids.Day) *Change {
	k := new([keys.SecretSize]byte)
	rand.Read(k[:])
	r.pending[day] = k
	return &Change{Name: name(day), Record: wire.MustMarshal(&record{Day: day, Key: *k}), day: day, key: k}
}

// Commit tells the ring that the Change is durable, so that it may be used: a
// stamp under a key that a crash loses could never be checked. A crash before
// Commit leaves a stored key that nothing was stamped under. The error is
// ErrStale.
func (r *StampRing) Commit(c *Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.key == nil || c.key != r.pending[c.day] {
		return ErrStale
	}
	if old := r.keys[c.day]; old != nil {
		clear(old[:])
	}
	r.keys[c.day] = c.key
	delete(r.pending, c.day)
	clear(c.Record)
	return nil
}

// Expire erases the keys of days that can no longer be reported and returns
// the names that they are stored under, for the caller to remove. A crash
// before the removal is healed by the next call after the start. A clock that
// is weeks ahead ends all reports: the caller checks it before it expires
// anything.
func (r *StampRing) Expire(today ids.Day) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for day, k := range r.keys {
		if int64(today) > int64(day)+StampDays {
			clear(k[:])
			delete(r.keys, day)
			names = append(names, name(day))
		}
	}
	slices.Sort(names)
	return names
}

// Len returns the number of keys.
func (r *StampRing) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.keys)
}

// Stamp stamps a receipt under the key of its day, without allocating. The
// error is ErrNoStampKey.
func (r *StampRing) Stamp(rc *Receipt) (s Stamp, err error) {
	day, ok := rc.day()
	if !ok {
		return s, ErrNoStampKey
	}
	var m keys.MAC
	r.mu.RLock()
	defer r.mu.RUnlock()
	k := r.keys[day]
	if k == nil {
		return s, ErrNoStampKey
	}
	for last := r.last.Load(); uint32(day) > last && !r.last.CompareAndSwap(last, uint32(day)); last = r.last.Load() {
	}
	m.Start(k)
	stampInput(&m, rc)
	return m.Sum(), nil
}

// Check checks a stamp. Errors are ErrNoStampKey and ErrStamp. The age of the
// receipt is for the caller to check.
func (r *StampRing) Check(rc *Receipt, s *Stamp) error {
	want, err := r.Stamp(rc)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(want[:], s[:]) != 1 {
		return ErrStamp
	}
	return nil
}
