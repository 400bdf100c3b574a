package ratchet

import (
	"bytes"
	"crypto/sha256"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Session is an established session with one device of a contact. It is not
// safe for concurrent use.
type Session struct {
	_ keys.NotComparable
	keys.Redacted

	// Fixed.
	cfg       Config
	initiator bool
	id        [sha256.Size]byte // hash of the transcript
	remote    keys.DHPublic     // the peer's identity key
	pqSeed    secret            // for the post-quantum ratchet, which suite 1 does not have

	// Changed by Encrypt and Decrypt, all of it or nothing.
	c       chains
	skipped skippedKeys
	prekey  []byte // PrekeyMessage of an initiator that has received nothing

	// The private ratchet key in a form ready for use; nil until it is needed,
	// because making it costs a scalar multiplication.
	ratchet *keys.DHKey
}

// chains is the part of a session that every message changes. It is copied,
// advanced and put back, so that a message that fails changes nothing.
//
// A new session of an initiator has neither chain, one of a responder only the
// receiving one: sending begins with a ratchet step whenever sending is false.
type chains struct {
	root   secret
	remote keys.DHPublic // the peer's ratchet key, at first its signed prekey

	// The sending chain, if sending. After a message with a new ratchet key
	// arrived there is none, and the private key is already gone; only sent
	// stays, to be told in the next header.
	sending    bool
	private    secret
	public     keys.DHPublic
	sendChain  secret
	sendHeader secret
	sendNext   secret // header key of the next sending chain
	sent       uint32 // messages sent in this chain
	prevSent   uint32 // and in the one before

	// The receiving chain, if receiving.
	receiving  bool
	recvChain  secret
	recvHeader secret
	recvNext   secret // header key of the next receiving chain
	received   uint32 // messages received or skipped in this chain
}

func (c *chains) erase() { *c = chains{} }

// ID names the session, alike on both sides: the hash of everything that was
// agreed on. It is no secret between the two and not for others.
func (s *Session) ID() [sha256.Size]byte { return s.id }

// RemoteIdentity returns the identity key of the peer's device.
func (s *Session) RemoteIdentity() keys.DHPublic { return s.remote }

// PrekeyHeader returns what has to travel with each message until the first
// reply arrived; after that, and on the responder's side, false.
func (s *Session) PrekeyHeader() (PrekeyMessage, bool) {
	var m PrekeyMessage
	if len(s.prekey) == 0 {
		return m, false
	}
	if err := wire.Unmarshal(s.prekey, &m); err != nil {
		panic(err) // checked when it was made or parsed
	}
	return m, true
}

// Crossed returns which of two sessions to send on, when our own one was still
// unacknowledged as the peer's was accepted: both sides initiated at once, and
// both answer alike. Afterwards the session that last received something is
// the one to send on. A session that is not unacknowledged has no say: the peer
// began a new one because it lost the old.
func Crossed(own, accepted *Session) *Session {
	if _, waiting := own.PrekeyHeader(); waiting && bytes.Compare(own.id[:], accepted.id[:]) < 0 {
		return own
	}
	return accepted
}

// Marshal returns the session for storing, at most MaxSessionSize bytes: 436,
// and 36 for every missing message, 34 for each chain that has some, 1619
// until the first reply. It holds private keys.
func (s *Session) Marshal() []byte {
	size := minSessionSize + len(s.prekey)
	for i := range s.skipped.sets {
		size += 34 + 36*len(s.skipped.sets[i].keys)
	}
	b, err := wire.Append(make([]byte, 0, size), (*storedSession)(s))
	if err != nil {
		panic(err) // a session keeps its limits
	}
	return b
}

// inconsistent says what a parsed session has that none written here has.
func (s *storedSession) inconsistent() string {
	c := &s.c
	switch {
	case !c.sending && !(c.private.isZero() && c.public == keys.DHPublic{} && c.sendChain.isZero() && c.sendHeader.isZero()):
		return "a sending chain that is not there"
	case !c.receiving && !(c.recvChain.isZero() && c.recvHeader.isZero() && c.received == 0):
		return "a receiving chain that is not there"
	case c.sent > maxChain || c.prevSent > maxChain || c.received > maxChain:
		return "a number beyond a chain"
	case !c.receiving && !s.initiator:
		return "a responder without a receiving chain"
	case c.receiving != (len(s.prekey) == 0):
		return "a prekey message that does not fit"
	}
	if !c.receiving {
		var m PrekeyMessage
		if wire.Unmarshal(s.prekey, &m) != nil {
			return "a broken prekey message"
		}
	}
	return s.skipped.inconsistent()
}

// UnmarshalSession returns a session written by Marshal. Errors are ErrState
// and ErrConfig.
func UnmarshalSession(cfg Config, b []byte) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if len(b) > MaxSessionSize {
		return nil, ErrState
	}
	s := &Session{cfg: cfg}
	if wire.Unmarshal(b, (*storedSession)(s)) != nil {
		s.Erase()
		return nil, ErrState
	}
	return s, nil
}

// Erase overwrites all keys. The session is unusable afterwards.
func (s *Session) Erase() {
	s.c.erase()
	s.skipped.erase()
	clear(s.pqSeed[:])
	s.prekey, s.ratchet = nil, nil
}
