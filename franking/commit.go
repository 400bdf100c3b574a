package franking

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

// What callers branch on, with errors.Is.
var (
	// ErrKeySize: a franking key does not have exactly KeySize bytes.
	ErrKeySize = errors.New("franking: key of wrong size")
	// ErrCommitment: the commitment is not of this key, frame and place. The
	// message must not be shown: it could not be reported.
	ErrCommitment = errors.New("franking: commitment does not open")
)

// Key is kf: drawn by the sender for one frame, sent inside the encryption.
type Key struct {
	_ keys.NotComparable
	b [KeySize]byte
	keys.Redacted
}

// NewKey draws a key.
func NewKey() *Key {
	k := new(Key)
	rand.Read(k.b[:])
	return k
}

// KeyFrom copies a key from its bytes. The error is ErrKeySize: HMAC would take
// other lengths too, and two of them would open one commitment.
func KeyFrom(b []byte) (*Key, error) {
	if len(b) != KeySize {
		return nil, ErrKeySize
	}
	return &Key{b: [KeySize]byte(b)}, nil
}

// Bytes returns the key itself, not a copy.
func (k *Key) Bytes() *[KeySize]byte { return &k.b }

// Equal compares in constant time.
func (k *Key) Equal(o *Key) bool { return subtle.ConstantTimeCompare(k.b[:], o.b[:]) == 1 }

// Erase overwrites the key.
func (k *Key) Erase() { clear(k.b[:]) }

// Digest is d: it names a frame to whoever has the frame, and commits to it.
type Digest [DigestSize]byte

// Commitment is com: the only thing about a frame that relays see. It is
// random to whoever lacks kf, and differs for each mailbox and day.
type Commitment [CommitmentSize]byte

// Place is where and when a frame is sent to, as the recipient knows it of
// its own: its provider, the mailbox that it fetched from, and the delivery's
// day (the sender's UTC day).
type Place struct {
	Provider ids.Domain
	Mailbox  ids.MailboxID
	Day      ids.Day
}

// frameKey returns kd, which opens d without opening com.
func (k *Key) frameKey() [32]byte {
	var m keys.MAC
	m.Start(&k.b)
	label(&m, labelFrame)
	return m.Sum()
}

// Digest returns d of a frame, the canonical bytes F.
func (k *Key) Digest(frame []byte) Digest {
	kd := k.frameKey()
	defer clear(kd[:])
	h := hmac.New(sha256.New, kd[:])
	h.Write(frame)
	return Digest(h.Sum(nil))
}

// Commit returns the commitment to a frame's digest for one place. A message
// to several mailboxes has one key and one digest; a message sent again on
// another day keeps both and gets a new commitment.
func (k *Key) Commit(d *Digest, p *Place) Commitment {
	var m keys.MAC
	m.Start(&k.b)
	label(&m, labelRcpt)
	m.Write(p.Mailbox[:])
	kr := m.Sum()
	m.Start(&kr)
	clear(kr[:])
	commitmentInput(&m, d, p)
	return m.Sum()
}

// Franked is a frame whose commitment was opened: the sender committed to
// exactly these bytes for this place. Only Open makes one, and whatever shows
// or stores a message as received takes one.
type Franked struct {
	key   Key
	frame []byte
	d     Digest
	com   Commitment
	place Place
	keys.Redacted
}

// Open checks com against key, frame and place. The caller takes place and com
// from the delivery and its own knowledge, never from what was sealed, or a
// sender could make a message that shows and cannot be reported. The error is
// ErrCommitment.
func Open(k *Key, frame []byte, p *Place, com *Commitment) (*Franked, error) {
	d := k.Digest(frame)
	want := k.Commit(&d, p)
	if subtle.ConstantTimeCompare(want[:], com[:]) != 1 {
		return nil, ErrCommitment
	}
	return &Franked{key: *k, frame: bytes.Clone(frame), d: d, com: *com, place: *p}, nil
}

// Frame returns F. The caller does not change it.
func (f *Franked) Frame() []byte { return f.frame }

// Digest returns d, by which other messages refer to this one.
func (f *Franked) Digest() Digest { return f.d }

// Commitment returns com.
func (f *Franked) Commitment() Commitment { return f.com }

// Place returns where and when it was sent to.
func (f *Franked) Place() Place { return f.place }

// Key returns kf, which is kept, encrypted at rest, for as long as the message
// can be reported.
func (f *Franked) Key() *Key { return &f.key }
