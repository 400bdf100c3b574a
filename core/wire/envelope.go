package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"waxwing/core/ids"
)

// Version is the version of envelopes, deliveries and frames.
const Version = 1

// Class is the size class of an envelope. All envelopes of a class have the
// same length on the wire, whatever they carry.
type Class uint8

// The size classes.
const (
	Class1K  Class = 1
	Class2K  Class = 2
	Class4K  Class = 3
	Class16K Class = 4
	Class64K Class = 5
	// ClassIntroduction is that of introductions, and of nothing else: as long as
	// Class16K, with less room for the body.
	ClassIntroduction Class = 6
)

// classes holds, by class, the length of the whole envelope, of the sealed
// head, and how many device headers the head has room for. The head's length
// is a function of the class alone, not of the number of devices: a relay has
// to know where the body begins in order to hash head and body apart, and
// nothing on the wire may tell how many devices a recipient has.
//
// Of what comes before the head, introductions have more than the others.
var classes = [...]struct{ envelope, fixed, head, devices int }{
	Class1K:           {1 << 10, envelopeFixed, 567, 2},
	Class2K:           {2 << 10, envelopeFixed, 1168, 4},
	Class4K:           {4 << 10, envelopeFixed, 2112, 8},
	Class16K:          {16 << 10, envelopeFixed, 11776, 8},
	Class64K:          {64 << 10, envelopeFixed, 11776, 8},
	ClassIntroduction: {16 << 10, introductionFixed, 11776, 8},
}

// Valid reports whether c is one of the classes.
func (c Class) Valid() bool { return c >= Class1K && c <= ClassIntroduction }

// Kind returns how envelopes of class c name their mailbox.
func (c Class) Kind() AddressKind {
	if c == ClassIntroduction {
		return ByIntroduction
	}
	return ByTicket
}

// Size returns the length of an envelope of class c, in bytes.
func (c Class) Size() int { return classes[c].envelope }

// HeadSize returns the length of the sealed head in class c, in bytes.
func (c Class) HeadSize() int { return classes[c].head }

// BodySize returns the length of the sealed body in class c, in bytes.
func (c Class) BodySize() int { return c.PayloadSize() - classes[c].head }

// Devices returns how many device headers the head of class c has room for
// in the steady state.
func (c Class) Devices() int { return classes[c].devices }

// PayloadSize returns head and body together, in bytes.
func (c Class) PayloadSize() int { return classes[c].envelope - classes[c].fixed }

// MaxEnvelope is the largest envelope, in bytes.
const MaxEnvelope = 64 << 10

// MaxPayload is the largest payload, in bytes.
const MaxPayload = MaxEnvelope - envelopeFixed

// ClassOf returns the class of a ticket's envelope of n bytes.
func ClassOf(n int) (Class, bool) {
	for c := Class1K; c <= Class64K; c++ {
		if classes[c].envelope == n {
			return c, true
		}
	}
	return 0, false
}

// AddressKind says how an envelope names its mailbox.
type AddressKind uint8

const (
	// ByTicket is a sealed-address ticket with its binder.
	ByTicket AddressKind = 1
	// ByIntroduction is an HPKE to the relay with the mailbox and a credential's
	// presentation (package ratelimit/introduction). Class ClassIntroduction only.
	ByIntroduction AddressKind = 2
	// BySync is of deliveries only: a device of the mailbox's own account put it
	// there, over its authenticated connection (SyncPut). No envelope has it.
	BySync AddressKind = 3
)

const (
	// TicketSize is the size of a ticket, in bytes (package ratelimit/ticket).
	TicketSize = 58
	// BinderSize is the size of a ticket's binder, in bytes.
	BinderSize = 16
	// ComSize is the size of a franking commitment, in bytes.
	ComSize = 32
	// IntroductionSize is the size of an introduction's address, in bytes
	// (introduction.AddressSize).
	IntroductionSize = 2839

	offVersion = 0
	offKind    = offVersion + 1
	offTicket  = offKind + 1
	offBinder  = offTicket + TicketSize
	offCom     = offBinder + BinderSize
	offDay     = offCom + ComSize
	offClass   = offDay + 4
	offTTL     = offClass + 1
	offPayload = offTTL + 4

	// envelopeFixed is everything before the payload: 117 bytes.
	envelopeFixed = offPayload
	// introductionMore is what an introduction's address has more than ticket and
	// binder, and introductionFixed everything before its payload.
	introductionMore  = IntroductionSize - TicketSize - BinderSize
	introductionFixed = envelopeFixed + introductionMore
)

// MaxTTL is how long a relay keeps an undelivered envelope at most, in
// seconds. It ends well within the 30 days in which a message can be reported.
const MaxTTL = 14 * 86400

// Envelope is a parsed envelope, of the address kind of its class: with ticket
// and binder, or with an introduction. Its slices point into the bytes that it
// was parsed from.
type Envelope struct {
	Ticket       *[TicketSize]byte
	Binder       *[BinderSize]byte
	Introduction *[IntroductionSize]byte
	Com          *[ComSize]byte
	Day          ids.Day // the sender's UTC day
	Class        Class
	TTL          uint32 // seconds, 1..MaxTTL
	Head         []byte // sealed, Class.HeadSize() bytes
	Body         []byte // sealed, Class.BodySize() bytes
}

// ParseEnvelope parses b without copying and without allocating. Errors wrap
// ErrMalformed.
func ParseEnvelope(b []byte, e *Envelope) error {
	class, ok := ClassOf(len(b))
	switch {
	case !ok:
		return errEnvelopeSize
	case b[offVersion] != Version:
		return errEnvelopeVersion
	}
	more := 0
	switch AddressKind(b[offKind]) {
	case ByTicket:
	case ByIntroduction:
		if class != Class16K {
			return errEnvelopeSize
		}
		class, more = ClassIntroduction, introductionMore
	default:
		return errEnvelopeKind
	}
	if Class(b[more+offClass]) != class {
		return errEnvelopeClass
	}
	ttl := binary.BigEndian.Uint32(b[more+offTTL:])
	if ttl == 0 || ttl > MaxTTL {
		return errEnvelopeTTL
	}
	head := more + offPayload
	body := head + class.HeadSize()
	*e = Envelope{
		Com:   (*[ComSize]byte)(b[more+offCom:]),
		Day:   ids.Day(binary.BigEndian.Uint32(b[more+offDay:])),
		Class: class,
		TTL:   ttl,
		Head:  b[head:body:body],
		Body:  b[body:len(b):len(b)],
	}
	if more == 0 {
		e.Ticket, e.Binder = (*[TicketSize]byte)(b[offTicket:]), (*[BinderSize]byte)(b[offBinder:])
	} else {
		e.Introduction = (*[IntroductionSize]byte)(b[offTicket:])
	}
	return nil
}

// The parse failures of an envelope, made once so that refusing a flood of
// malformed envelopes does not allocate.
var (
	errEnvelopeSize    = &FieldError{"envelope", "length of no class"}
	errEnvelopeVersion = &FieldError{"envelope.version", "unknown value"}
	errEnvelopeKind    = &FieldError{"envelope.kind", "unknown value"}
	errEnvelopeClass   = &FieldError{"envelope.class", "does not fit the length"}
	errEnvelopeTTL     = &FieldError{"envelope.ttl", "out of range"}
)

// Append builds the envelope behind dst. The caller guarantees the lengths of
// head and body.
func (e *Envelope) Append(dst []byte) []byte {
	if !e.Class.Valid() || len(e.Head) != e.Class.HeadSize() || len(e.Body) != e.Class.BodySize() {
		panic("wire: head or body has not the length of the class")
	}
	dst = e.appendFixed(dst)
	dst = append(dst, e.Head...)
	return append(dst, e.Body...)
}

// appendFixed builds everything before the payload.
func (e *Envelope) appendFixed(dst []byte) []byte {
	dst = append(dst, Version, byte(e.Class.Kind()))
	if e.Class == ClassIntroduction {
		dst = append(dst, e.Introduction[:]...)
	} else {
		dst = append(dst, e.Ticket[:]...)
		dst = append(dst, e.Binder[:]...)
	}
	dst = append(dst, e.Com[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.Day))
	dst = append(dst, byte(e.Class))
	return binary.BigEndian.AppendUint32(dst, e.TTL)
}

// PayloadHash is SHA-256(SHA-256(head) | SHA-256(body)): head and body are
// hashed apart so that a body which several recipients share is hashed once.
func PayloadHash(head, body []byte) [32]byte {
	var both [64]byte
	h, b := sha256.Sum256(head), sha256.Sum256(body)
	copy(both[:], h[:])
	copy(both[32:], b[:])
	return sha256.Sum256(both[:])
}

// ID is the envelope's id, SHA-256(everything before the payload | payload
// hash). It covers every byte of the envelope, binder included, and is
// computed by whoever receives it, never taken from a sender or forwarder: a
// chosen id would let one ticket pay for two envelopes.
func (e *Envelope) ID(payloadHash *[32]byte) ids.EnvelopeID {
	var buf [introductionFixed + 32]byte
	return sha256.Sum256(append(e.appendFixed(buf[:0]), payloadHash[:]...))
}

// Fields describes the layout for the documentation; envelopes are parsed and
// built by ParseEnvelope and Append, which do not copy.
func (e *Envelope) Fields(c *Codec) {
	c.Const("version", Version)
	U8(c, "kind", new(AddressKind(1)))
	c.row("ticket", fmt.Sprintf("0 or %d", TicketSize), "if kind is 1")
	c.row("binder", fmt.Sprintf("0 or %d", BinderSize), "if kind is 1")
	c.row("introduction", fmt.Sprintf("0 or %d", IntroductionSize), "if kind is 2")
	c.Fixed("com", make([]byte, ComSize))
	U32(c, "day", &e.Day)
	U8(c, "class", &e.Class)
	U32(c, "ttl", &e.TTL)
	c.Rest("payload", new([]byte), MaxPayload)
}
