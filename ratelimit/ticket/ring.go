package ticket

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What callers of a Ring branch on, with errors.Is.
var (
	// ErrNotReady: nothing may be minted before the next Change is stored and
	// committed. Prepare makes it.
	ErrNotReady = errors.New("ticket: minting key has to be renewed first")
	// ErrMint: count, serial or expiry of what was asked for is out of range.
	ErrMint = errors.New("ticket: cannot mint that")
	// ErrStale: a Change was committed after a later one was prepared.
	ErrStale = errors.New("ticket: change is out of date")
	// ErrNoKeyID: all key ids are in use. It takes a clock that jumps about,
	// or more than twelve rotations a day.
	ErrNoKeyID = errors.New("ticket: no free key id")
	// ErrRecord: a stored minting key cannot be read, or two have one id.
	ErrRecord = errors.New("ticket: bad record of a minting key")
)

// mintingKey is one key of a Ring. kTicket and kBind are drawn independently.
type mintingKey struct {
	record               // Reserved as it is stored
	minted uint32        // at least as many as were minted
	aead   cipher.AEAD   // under record.Seal
	mac    [KeySize]byte // record.Bind
	keys.Redacted
}

func newMintingKey(r record) *mintingKey {
	block, err := aes.NewCipher(r.Seal[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return &mintingKey{record: r, aead: aead, mac: r.Bind}
}

func (k *mintingKey) id() byte { return byte(k.Generation) }

// over reports whether every ticket of the key is past its use.
func (k *mintingKey) over(today ids.Day) bool { return int64(today) > int64(k.Day)+KeyDays }

func (k *mintingKey) name() string { return fmt.Sprintf("ticket-key-%016x", k.Generation) }

func (k *mintingKey) erase() {
	clear(k.Seal[:])
	clear(k.Bind[:])
	clear(k.mac[:])
	k.aead = nil
}

// Ring holds a relay's minting keys. It is safe for concurrent use; Prepare,
// the storing of what it returned, Commit and Expire belong to one goroutine.
//
// A ring mints only what is covered by a record that the caller said is
// durable: after a crash the number of tickets minted under a key is taken to
// be what was reserved, and no ticket is out whose key was not stored.
type Ring struct {
	mu      sync.RWMutex // guards all; held for one ticket or one batch of tickets
	byID    [MaxKeys]*mintingKey
	active  *mintingKey // of the highest generation; nil if there is none
	pending *mintingKey // prepared, not committed
	keys.Redacted
}

// NewRing returns the ring of the stored records, which may be none. Errors
// wrap ErrRecord.
func NewRing(records ...[]byte) (*Ring, error) {
	r := new(Ring)
	for _, b := range records {
		var rec record
		if err := wire.Unmarshal(b, &rec); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRecord, err)
		}
		k := newMintingKey(rec)
		if r.byID[k.id()] != nil {
			return nil, fmt.Errorf("%w: two of one id", ErrRecord)
		}
		// Tickets may be out up to the reservation, whatever was minted when
		// the process ended.
		k.minted = k.Reserved
		r.byID[k.id()] = k
		if r.active == nil || r.active.Generation < k.Generation {
			r.active = k
		}
	}
	return r, nil
}

// Change is a minting key to be stored under Name, in place of what is stored
// there, and then committed. The record is secret.
type Change struct {
	Name   string // file name: letters, digits and hyphens
	Record []byte
	key    *mintingKey
	keys.Redacted
}

// Prepare returns the next Change, or nil if none is due: a new key on a new
// day or when the present one is used up, otherwise a further reservation when
// half of the last is used. Nothing changes in the ring before Commit, and a
// further Prepare makes an earlier uncommitted Change void. Call it at start,
// at the beginning of each day, every few minutes, and on ErrNotReady. The
// error is ErrNoKeyID.
func (r *Ring) Prepare(today ids.Day) (*Change, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = nil
	if !r.due(today) {
		return nil, nil
	}
	if a := r.active; a != nil && !rotationDue(a.Day, today) && a.Reserved < MaxPerKey {
		rec := a.record
		rec.Reserved += ReserveStep
		r.pending = &mintingKey{record: rec}
		return change(r.pending), nil
	}
	return r.draw(today)
}

// Due reports whether Prepare has a Change. It is for after each Mint: at a
// provider that mints half of ReserveStep between two looks at the clock, nobody
// would get any until the second.
func (r *Ring) Due(today ids.Day) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.due(today)
}

// due is Due; the caller holds mu.
func (r *Ring) due(today ids.Day) bool {
	a := r.active
	return a == nil || rotationDue(a.Day, today) || a.Reserved-a.minted < ReserveStep/2
}

// PrepareNew is Prepare for a new key that is not due, because the operator
// wants one. Tickets under the old ones stay good. At most half of the key ids
// are used up in this way, so that the days' own keys find one. The error is
// ErrNoKeyID.
func (r *Ring) PrepareNew(today ids.Day) (*Change, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = nil
	if r.count() >= MaxKeys/2 {
		return nil, ErrNoKeyID
	}
	return r.draw(today)
}

// draw makes a new key pending. The caller holds mu.
func (r *Ring) draw(today ids.Day) (*Change, error) {
	a := r.active
	next := record{Day: today, Reserved: ReserveStep}
	if a != nil {
		next.Generation = a.Generation + 1
	}
	if r.byID[byte(next.Generation)] != nil {
		return nil, ErrNoKeyID
	}
	rand.Read(next.Seal[:])
	rand.Read(next.Bind[:])
	r.pending = newMintingKey(next)
	clear(next.Seal[:])
	clear(next.Bind[:])
	return change(r.pending), nil
}

// rotationDue: one key a day. A clock that steps back over midnight and forth
// again does not use up key ids; one that was days ahead does not keep its key.
func rotationDue(made, today ids.Day) bool {
	return today > made || int64(made)-int64(today) > 1
}

func change(k *mintingKey) *Change {
	return &Change{Name: k.name(), Record: wire.MustMarshal(&k.record), key: k}
}

// Commit tells the ring that the Change is durable, so that it may be used. A
// crash before it leaves a stored key that nothing was minted under, or a
// reservation that is used up without tickets: both harmless. The error is
// ErrStale.
func (r *Ring) Commit(c *Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.key == nil || c.key != r.pending {
		return ErrStale
	}
	r.pending = nil
	if a := r.active; a != nil && a.Generation == c.key.Generation {
		a.Reserved = c.key.Reserved
		c.key.erase()
	} else {
		r.byID[c.key.id()] = c.key
		r.active = c.key
	}
	clear(c.Record)
	return nil
}

// Expire forgets the keys that nothing can be opened under any more and
// returns the names that they are stored under, for the caller to remove. A
// crash before the removal is healed by the next call after the start. A clock
// that is weeks ahead ends all tickets: the caller checks it before it expires
// anything.
func (r *Ring) Expire(today ids.Day) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for i, k := range r.byID {
		// The key in use stays, as the generations count on from it.
		if k == nil || k == r.active || !k.over(today) {
			continue
		}
		names = append(names, k.name())
		k.erase()
		r.byID[i] = nil
	}
	return names
}

// Len returns the number of keys.
func (r *Ring) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.count()
}

func (r *Ring) count() int {
	n := 0
	for _, k := range r.byID {
		if k != nil {
			n++
		}
	}
	return n
}

// Mint makes count tickets (1 to wire.MaxMint) of a mailbox with consecutive
// serials from first, which may be spent up to and including the day expiry
// (today to today + ids.MaxTicketDays). The caller never uses a serial of a
// mailbox twice. Errors are ErrMint and ErrNotReady.
func (r *Ring) Mint(today ids.Day, mailbox *ids.MailboxID, first uint64, count int, expiry ids.Day) ([]Minted, error) {
	if count < 1 || count > wire.MaxMint || first+uint64(count) < first ||
		expiry < today || uint64(expiry) > uint64(today)+ids.MaxTicketDays {
		return nil, ErrMint
	}
	nonces := make([]byte, count*nonceSize)
	rand.Read(nonces)
	k, err := r.take(today, uint32(count))
	if err != nil {
		return nil, err
	}
	// Sealing must not keep others from opening tickets: only readers' locks.
	r.mu.RLock()
	defer r.mu.RUnlock()
	if k.aead == nil { // expired since: the clock has jumped by weeks
		return nil, ErrNotReady
	}
	out := make([]Minted, count)
	var plain [plainSize]byte
	copy(plain[offMailbox:], mailbox[:])
	binary.BigEndian.PutUint32(plain[offExpiry:], uint32(expiry))
	var mac keys.MAC
	for i := range out {
		binary.BigEndian.PutUint64(plain[offSerial:], first+uint64(i))
		t := &out[i].Ticket
		t[offVersion], t[offKeyID] = version, k.id()
		copy(t[offNonce:], nonces[i*nonceSize:(i+1)*nonceSize])
		k.aead.Seal(t[offSealed:offSealed], t[offNonce:offSealed], plain[:], t[:offNonce])
		out[i].Key = k.ticketKey(&mac, t)
	}
	return out, nil
}

// Answer brings minted tickets into the form of the relay's answer.
func Answer(minted []Minted) []wire.MintedTicket {
	out := make([]wire.MintedTicket, len(minted))
	for i := range out {
		out[i] = wire.MintedTicket{Ticket: minted[i].Ticket, Key: *minted[i].Key.Bytes()}
	}
	return out
}

// take counts tickets as minted before they are.
func (r *Ring) take(today ids.Day, count uint32) (*mintingKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.active
	if k == nil || rotationDue(k.Day, today) || count > k.Reserved-k.minted {
		return nil, ErrNotReady
	}
	k.minted += count
	return k, nil
}

func (k *mintingKey) ticketKey(m *keys.MAC, t *Ticket) Key {
	m.Start(&k.mac)
	m.Write(t[:])
	return Key{b: m.Sum()}
}

// Scratch is the working memory of Open, so that it does not allocate. It
// belongs to one goroutine at a time; its zero value is ready.
type Scratch struct {
	_      keys.NotComparable
	ticket Ticket
	plain  [plainSize]byte
	mac    keys.MAC
	keys.Redacted
}

// Open opens a ticket. Errors are ErrVersion, ErrUnknownKey and ErrForged.
func (r *Ring) Open(t *Ticket, s *Scratch) (o Opened, err error) {
	if t[offVersion] != version {
		return o, ErrVersion
	}
	s.ticket = *t // what reaches an interface escapes; the caller's ticket need not
	r.mu.RLock()
	defer r.mu.RUnlock()
	k := r.byID[t[offKeyID]]
	if k == nil {
		return o, ErrUnknownKey
	}
	st := &s.ticket
	if _, err := k.aead.Open(s.plain[:0], st[offNonce:offSealed], st[offSealed:], st[:offNonce]); err != nil {
		return o, ErrForged
	}
	o.Mailbox = ids.MailboxID(s.plain[offMailbox:])
	o.Serial = binary.BigEndian.Uint64(s.plain[offSerial:])
	o.Expiry = ids.Day(binary.BigEndian.Uint32(s.plain[offExpiry:]))
	o.ticket = s.ticket
	o.key = k.ticketKey(&s.mac, st)
	return o, nil
}
