package ticket

import (
	"crypto/subtle"
	"errors"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What callers branch on, with errors.Is.
var (
	// ErrVersion: the ticket is of a version that this program does not know.
	ErrVersion = errors.New("ticket: unknown version")
	// ErrUnknownKey: the minting key is not or no longer known.
	ErrUnknownKey = errors.New("ticket: unknown minting key")
	// ErrForged: the ticket was not minted under the key that it names.
	ErrForged = errors.New("ticket: not minted here")
	// ErrExpired: the envelope's day is after the ticket's last day.
	ErrExpired = errors.New("ticket: expired")
	// ErrBinder: the envelope was not bound by a holder of the ticket's key.
	ErrBinder = errors.New("ticket: binder does not fit")
)

// Ticket is a sealed address: opaque to everyone but the relay that minted it.
type Ticket [Size]byte

// Binder ties an envelope to its ticket.
type Binder [BinderSize]byte

// Key is the secret that comes with a ticket. The relay, the mailbox's owner
// and whoever got the ticket from it know it.
type Key struct {
	_ keys.NotComparable
	b [KeySize]byte
	keys.Redacted
}

// KeyFrom copies a key from its bytes.
func KeyFrom(b *[KeySize]byte) Key { return Key{b: *b} }

// Bytes returns the key itself, not a copy.
func (k *Key) Bytes() *[KeySize]byte { return &k.b }

// Equal compares in constant time.
func (k *Key) Equal(o *Key) bool { return subtle.ConstantTimeCompare(k.b[:], o.b[:]) == 1 }

// Erase overwrites the key.
func (k *Key) Erase() { clear(k.b[:]) }

// Bound is what a binder covers of an envelope, beside the ticket: every field
// but the binder itself. If it covered com alone, the first hop could put
// another payload under it.
type Bound struct {
	Com     [wire.ComSize]byte
	Day     ids.Day
	Class   wire.Class
	TTL     uint32   // seconds
	Payload [32]byte // wire.PayloadHash of head and body
}

// BoundOf returns what the binder of a parsed envelope covers. payload is the
// hash of its payload, which the envelope's id needs too.
func BoundOf(e *wire.Envelope, payload *[32]byte) Bound {
	return Bound{Com: *e.Com, Day: e.Day, Class: e.Class, TTL: e.TTL, Payload: *payload}
}

// Binder binds an envelope to the ticket t that k belongs to.
func (k *Key) Binder(t *Ticket, b *Bound) Binder {
	var m keys.MAC
	return bind(&m, k, t, b)
}

func bind(m *keys.MAC, k *Key, t *Ticket, b *Bound) Binder {
	m.Start(&k.b)
	m.WriteString(labelBinder)
	m.Write(t[:])
	m.Write(b.Com[:])
	m.Uint32(uint32(b.Day))
	m.Byte(byte(b.Class))
	m.Uint32(b.TTL)
	m.Write(b.Payload[:])
	tag := m.Sum()
	return Binder(tag[:BinderSize])
}

// Minted is a ticket with its key.
type Minted struct {
	Ticket Ticket
	Key    Key
	keys.Redacted
}

// Opened is a ticket that the relay minted and has opened. Only Ring.Open
// makes one.
type Opened struct {
	Mailbox ids.MailboxID
	Serial  uint64
	Expiry  ids.Day // the last day that an envelope under it may name
	ticket  Ticket
	key     Key
	keys.Redacted
}

// Check reports whether the envelope may use the ticket: ErrExpired if the
// envelope's day is after the ticket's last, ErrBinder if the binder does not
// cover the envelope under the ticket's key. That the envelope's day is near
// today (ids.InTime) and the serial unspent is for the caller to check.
func (o *Opened) Check(b *Bound, binder *Binder) error {
	if b.Day > o.Expiry {
		return ErrExpired
	}
	var m keys.MAC
	want := bind(&m, &o.key, &o.ticket, b)
	if subtle.ConstantTimeCompare(want[:], binder[:]) != 1 {
		return ErrBinder
	}
	return nil
}

// Key returns the ticket's key.
func (o *Opened) Key() *Key { return &o.key }
