package ratchet

import (
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// source says which header key opened a header: the index of a skipped set, or
// one of these.
type source int

const (
	fromCurrent source = -1
	fromNext    source = -2
	fromNone    source = -3
)

// tryHeader tries the header keys of the session: the current chain's first,
// because most messages are of it. At most MaxHeaderTrials.
func (s *Session) tryHeader(sealed []byte) ([]byte, source) {
	if s.c.receiving {
		if plain := openHeader(&s.c.recvHeader, &s.id, sealed); plain != nil {
			return plain, fromCurrent
		}
	}
	if plain := openHeader(&s.c.recvNext, &s.id, sealed); plain != nil {
		return plain, fromNext
	}
	for i := range s.skipped.sets {
		set := &s.skipped.sets[i]
		if s.c.receiving && set.header.equal(&s.c.recvHeader) {
			continue // tried
		}
		if plain := openHeader(&set.header, &s.id, sealed); plain != nil {
			return plain, source(i)
		}
	}
	return nil, fromNone
}

// CanOpenHeader reports whether a message is of this session. It costs about a
// microsecond for each header key and changes nothing. A message that it
// accepts may still be refused by Decrypt.
func (s *Session) CanOpenHeader(message []byte) bool {
	if !validLength(message) {
		return false
	}
	plain, from := s.tryHeader(message[:HeaderSize])
	clear(plain)
	return from != fromNone
}

func validLength(message []byte) bool {
	return len(message) >= Overhead && len(message) <= Overhead+MaxPlaintext
}

// Decrypt returns the plaintext of a message. The session has then advanced,
// and the message's key is gone: store Marshal in one batch with the plaintext,
// before the message is acknowledged. A crash before that batch leaves the old
// state, under which the message, delivered again, opens again.
//
// On any error the session is as it was. Errors are ErrWrongSession, ErrReplay,
// ErrTooFarAhead and ErrDecrypt, and ErrState for a session that was damaged in
// store.
func (s *Session) Decrypt(message, ad []byte) ([]byte, error) {
	if !validLength(message) {
		return nil, ErrDecrypt
	}
	plain, from := s.tryHeader(message[:HeaderSize])
	if from == fromNone {
		return nil, ErrWrongSession
	}
	var h header
	err := wire.Unmarshal(plain, &h)
	clear(plain)
	if err != nil || len(h.pq) != 0 {
		return nil, ErrDecrypt // only the peer itself can have made it
	}
	if h.n >= maxChain || h.prev > maxChain {
		return nil, ErrTooFarAhead
	}
	if from == fromCurrent && h.n < s.c.received {
		if from = source(s.skipped.of(&s.c.recvHeader)); from < 0 {
			return nil, ErrReplay
		}
	}
	if from >= 0 {
		return s.decryptSkipped(int(from), &h, message, ad)
	}
	return s.decryptAhead(from == fromNext, &h, message, ad)
}

// decryptSkipped opens a message that was stepped over before.
func (s *Session) decryptSkipped(set int, h *header, message, ad []byte) ([]byte, error) {
	at, ok := s.skipped.find(set, h.n)
	if !ok {
		return nil, ErrReplay
	}
	plaintext, err := openBody(message, &s.skipped.sets[set].keys[at].seed, nil, &s.id, ad)
	if err != nil {
		return nil, err
	}
	s.skipped.remove(set, at)
	return plaintext, nil
}

// advance is a receiving step in progress, made on a copy of the chains.
type advance struct {
	chains
	limits Config
	before []skippedKey // missing in the chain that the step leaves
	ahead  []skippedKey // missing in the chain of the message
}

func (a *advance) erase() {
	a.chains.erase()
	clear(a.before)
	clear(a.ahead)
}

// decryptAhead opens a message beyond all that were received, of the current
// or the next chain.
func (s *Session) decryptAhead(ratchet bool, h *header, message, ad []byte) ([]byte, error) {
	a := advance{chains: s.c, limits: s.cfg}
	defer a.erase()
	if ratchet {
		if err := a.ratchetStep(s, h); err != nil {
			return nil, err
		}
	} else if h.ratchet != a.remote {
		return nil, ErrDecrypt
	}
	var err error
	if a.ahead, err = a.skipTo(h.n); err != nil {
		return nil, err
	}
	seed := chainStep(&a.recvChain)
	defer clear(seed[:])
	a.received++
	plaintext, err := openBody(message, &seed, nil, &s.id, ad)
	if err != nil {
		return nil, err
	}
	s.commit(&a, ratchet)
	return plaintext, nil
}

// commit makes a step whose message was authentic the session's state. The
// assignment overwrites the old chain keys, and with them every way back to
// the keys of messages that were opened.
func (s *Session) commit(a *advance, ratchet bool) {
	if s.c.receiving {
		s.skipped.add(&s.c.recvHeader, a.before, s.cfg.MaxSkipped)
	}
	s.skipped.add(&a.recvHeader, a.ahead, s.cfg.MaxSkipped)
	s.c = a.chains
	s.prekey = nil // the peer has answered
	if ratchet {
		s.ratchet = nil
	}
}

// ratchetStep is the first half of DHRatchetHE: the peer answered our ratchet
// key with a new one. Ours has then served and is erased; the next one is drawn
// when something is sent.
func (a *advance) ratchetStep(s *Session, h *header) (err error) {
	if !a.sending {
		return ErrDecrypt // an answer to a key that we have not sent
	}
	if a.receiving {
		// Of the chain that is left, what is missing beyond the limit is given
		// up, not refused: those messages would be refused anyway, and the new
		// chain, in which the two sides understand each other again, would with
		// them be lost for good.
		if a.before, err = a.skipTo(min(h.prev, a.received+uint32(a.limits.MaxJump))); err != nil {
			return err
		}
	}
	ours := s.ratchet
	if ours == nil {
		if ours, err = keys.DHKeyFrom(a.private[:]); err != nil || ours.Public() != a.public {
			return ErrState
		}
		s.ratchet = ours // saves the multiplication if this message fails
	}
	// A key of small order is refused here. One that is not reduced is not:
	// ratchet keys are never compared with anything that the peer does not
	// choose as well.
	shared, err := ours.DH(h.ratchet)
	if err != nil {
		return ErrDecrypt
	}
	a.remote = h.ratchet
	a.recvHeader = a.recvNext
	rootStep(&a.root, shared, &a.recvChain, &a.recvNext)
	a.receiving, a.received = true, 0
	a.sending = false
	clear(a.private[:])
	clear(a.public[:])
	clear(a.sendChain[:])
	clear(a.sendHeader[:])
	return nil
}

// skipTo steps the receiving chain to message n and returns the seeds of those
// in between, only as many as can be kept.
func (a *advance) skipTo(n uint32) ([]skippedKey, error) {
	if n <= a.received {
		return nil, nil
	}
	missing := n - a.received
	if missing > uint32(a.limits.MaxJump) {
		return nil, ErrTooFarAhead
	}
	kept := make([]skippedKey, 0, min(missing, uint32(a.limits.MaxSkipped)))
	for ; a.received < n; a.received++ {
		seed := chainStep(&a.recvChain)
		if n-a.received <= uint32(a.limits.MaxSkipped) {
			kept = append(kept, skippedKey{a.received, seed})
		}
		clear(seed[:])
	}
	return kept, nil
}
