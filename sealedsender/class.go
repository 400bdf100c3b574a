package sealedsender

import (
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Needs is what a message has to find room for.
type Needs struct {
	First     bool // sealed to the mailbox key: costs SealOverhead
	Sessions  int  // entries under existing sessions
	Prekeys   int  // entries that begin a session
	Confirmed bool // the recipient has confirmed the certificate: its hash is enough
	Bundle    bool // a whole token bundle goes along
	Frame     int  // length of F
	Control   int  // length of the control part
}

// ClassFor returns the smallest size class that a message fits into, ErrClass
// if it fits into none. First contacts use Class16K and Class64K only, and
// introductions have a class of their own (FitsIntroduction).
//
// A certificate and a bundle count with their largest size, whatever they have, and
// a reference's place is kept free: the class must not depend on how long an address is.
func ClassFor(n Needs) (wire.Class, error) {
	for c := wire.Class1K; c <= wire.Class64K; c++ {
		if n.fit(c) {
			return c, nil
		}
	}
	return 0, ErrClass
}

func (n Needs) fit(c wire.Class) bool {
	entries := n.Sessions + n.Prekeys
	switch {
	case n.Sessions < 0, n.Prekeys < 0, n.Frame < 0, n.Control < 0:
		return false
	case entries < 1, entries > min(MaxEntries, c.Devices()), n.Prekeys > MaxPrekeyEntries:
		return false
	case n.First && !roomForFirst(c):
		return false
	}
	sessions := n.Sessions
	if n.Prekeys == 0 {
		sessions = bucket(n.Sessions)
	}
	return headSize(n.Confirmed, n.Bundle, sessions, n.Prekeys) <= headPlain(c, overhead(n.First)) &&
		n.Frame <= Room(c) && n.Control <= Room(c)-n.Frame
}

// FitsIntroduction reports whether a message fits into an introduction, which is
// sealed as a first contact is, whatever went before it.
func (n Needs) FitsIntroduction() bool { return n.First && n.fit(wire.ClassIntroduction) }

// Room returns how many bytes frame and control part have together in a class.
func Room(c wire.Class) int { return c.BodySize() - gcmTag - bodyFixed }

// roomForFirst reports whether the seal of a first contact fits into the class.
func roomForFirst(c wire.Class) bool { return c >= wire.Class16K }

func overhead(first bool) int {
	if first {
		return keys.SealOverhead
	}
	return gcmTag
}

// headSize returns the most that a head's plaintext may need.
func headSize(confirmed, bundle bool, sessions, prekeys int) int {
	cert := MaxCertificateSize
	if confirmed {
		cert = HashSize
	}
	token := bundleRef
	if bundle {
		token = 4 + MaxBundle
	}
	return headFixed + cert + token + sessions*sessionEntry + prekeys*prekeyEntry
}

// bucket returns how many entries a list of n is filled up to with entries for
// no device, so that it tells less about the recipient to whoever opens
// the head later.
func bucket(n int) int {
	for _, b := range [...]int{2, 4} {
		if n <= b {
			return b
		}
	}
	return MaxEntries
}
