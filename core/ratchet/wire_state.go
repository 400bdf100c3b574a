package ratchet

import (
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The layouts of what a client stores. They hold private keys in clear; the
// store encrypts them. Parts that a state does not have are zero.
//
//	SignedPrekey   version 1 | id 4 | X25519 private key 32 | signature 64                              = 101
//	OneTimePair    version 1 | id 4 | last resort 1 | X25519 private key 32 | ML-KEM seed 64 |
//	               signature 64 | count 2 | EKs of sessions begun, 32 each (last resort only)           = 168 + 32 each
//	Session        version 1 | flags 1 (1 initiator, 2 sending, 4 receiving) | transcript 32 |
//	               remote identity 32 | post-quantum seed 32 | root 32 | remote ratchet key 32 |
//	               sending:   private 32 | public 32 | chain 32 | header key 32 | next header key 32 | n 4 | pn 4
//	               receiving: chain 32 | header key 32 | next header key 32 | n 4
//	               skipped chains: count 2 | each: header key 32 | count 2 | each: n 4 | seed 32
//	               length 4 | PrekeyMessage, if no reply has arrived                                    = 436 at least
const (
	stateVersion   = 1
	flagInitiator  = 1
	flagSending    = 2
	flagReceiving  = 4
	flagsAll       = 7
	kemSeedSize    = 64
	minSessionSize = 436
)

func (c *chains) fields(w *wire.Codec) {
	w.Fixed("root", c.root[:])
	w.Fixed("remote ratchet key", c.remote[:])
	w.Fixed("private ratchet key", c.private[:])
	w.Fixed("public ratchet key", c.public[:])
	w.Fixed("sending chain", c.sendChain[:])
	w.Fixed("sending header key", c.sendHeader[:])
	w.Fixed("next sending header key", c.sendNext[:])
	wire.U32(w, "sent", &c.sent)
	wire.U32(w, "sent before", &c.prevSent)
	w.Fixed("receiving chain", c.recvChain[:])
	w.Fixed("receiving header key", c.recvHeader[:])
	w.Fixed("next receiving header key", c.recvNext[:])
	wire.U32(w, "received", &c.received)
}

// storedSession lays a Session out.
type storedSession Session

// Fields lists the layout.
func (s *storedSession) Fields(c *wire.Codec) {
	c.Const("version", stateVersion)
	flags := s.flags()
	wire.U8(c, "flags", &flags)
	c.Check(flags&^flagsAll == 0, "flags", "unknown")
	if c.Parsing() {
		s.initiator = flags&flagInitiator != 0
		s.c.sending = flags&flagSending != 0
		s.c.receiving = flags&flagReceiving != 0
	}
	c.Fixed("transcript", s.id[:])
	c.Fixed("remote identity", s.remote[:])
	c.Fixed("post-quantum seed", s.pqSeed[:])
	s.c.fields(c)
	wire.List(c, "skipped", &s.skipped.sets, MaxSkippedSets, func(c *wire.Codec, set *skippedSet) {
		c.Fixed("header key", set.header[:])
		wire.List(c, "keys", &set.keys, MaxSkippedKeys, func(c *wire.Codec, k *skippedKey) {
			wire.U32(c, "n", &k.n)
			c.Fixed("seed", k.seed[:])
		})
	})
	c.Bytes("prekey message", &s.prekey, PrekeySize)
	if c.Parsing() {
		reason := s.inconsistent()
		c.Check(reason == "", "session", reason)
	}
}

func (s *storedSession) flags() (f uint8) {
	if s.initiator {
		f |= flagInitiator
	}
	if s.c.sending {
		f |= flagSending
	}
	if s.c.receiving {
		f |= flagReceiving
	}
	return f
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

// storedSigned lays a SignedPrekey out, storedPair a OneTimePair.
type storedSigned struct {
	id        PrekeyID
	private   secret
	signature [keys.SignatureSize]byte
}

// Fields lists the layout.
func (s *storedSigned) Fields(c *wire.Codec) {
	c.Const("version", stateVersion)
	wire.U32(c, "id", &s.id)
	c.Fixed("private key", s.private[:])
	c.Fixed("signature", s.signature[:])
}

type storedPair struct {
	id         PrekeyID
	lastResort bool
	private    secret
	seed       [kemSeedSize]byte
	signature  [keys.SignatureSize]byte
	begun      []keys.DHPublic
}

// Fields lists the layout.
func (s *storedPair) Fields(c *wire.Codec) {
	c.Const("version", stateVersion)
	wire.U32(c, "id", &s.id)
	c.Bool("last resort", &s.lastResort)
	c.Fixed("private key", s.private[:])
	c.Fixed("seed", s.seed[:])
	c.Fixed("signature", s.signature[:])
	wire.List(c, "begun", &s.begun, MaxInitiations, func(c *wire.Codec, ek *keys.DHPublic) { c.Fixed("EK", ek[:]) })
	c.Check(s.lastResort || len(s.begun) == 0, "begun", "of a pair used once")
}
