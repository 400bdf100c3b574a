package ratchet

import (
	"crypto/mlkem"
	"crypto/rand"

	"waxwing/core/keys"
)

// entropy is where fresh secrets come from. Everything outside known-answer
// tests uses system.
type entropy struct {
	dh          func() *keys.DHKey
	encapsulate func(*mlkem.EncapsulationKey1024) (shared, ciphertext []byte)
	nonce       func(*[nonceSize]byte)
}

var system = entropy{
	dh:          keys.NewDHKey,
	encapsulate: (*mlkem.EncapsulationKey1024).Encapsulate,
	nonce:       func(n *[nonceSize]byte) { rand.Read(n[:]) },
}

// Encrypt returns the message for plaintext, Overhead bytes longer. ad is not
// sent; Decrypt needs the same bytes.
//
// The session has advanced when Encrypt returns. It must be stored before the
// message leaves: a crash between the two then loses a message that nobody
// has, while a message sent under a state that is lost would let its key be
// used again.
//
// Errors are ErrTooLong and ErrExhausted; they change nothing.
func (s *Session) Encrypt(plaintext, ad []byte) ([]byte, error) {
	return s.encrypt(plaintext, ad, &system)
}

func (s *Session) encrypt(plaintext, ad []byte, e *entropy) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, ErrTooLong
	}
	next := s.c
	defer next.erase()
	fresh := s.ratchet
	if !next.sending {
		fresh = e.dh()
		if err := next.startSending(fresh); err != nil {
			return nil, err
		}
	}
	if next.sent >= maxChain {
		return nil, ErrExhausted
	}
	seed := chainStep(&next.sendChain)
	h := header{ratchet: next.public, prev: next.prevSent, n: next.sent}
	next.sent++
	var nonce [nonceSize]byte
	e.nonce(&nonce)
	message := make([]byte, 0, Overhead+len(plaintext))
	message = sealHeader(message, &next.sendHeader, &s.id, &nonce, &h)
	message = sealBody(message, &seed, nil, &s.id, ad, plaintext)
	clear(seed[:])
	s.c, s.ratchet = next, fresh // the chain key that gave seed is overwritten
	return message, nil
}

// startSending is the second half of DHRatchetHE: it answers the peer's
// ratchet key with a new one of ours.
func (c *chains) startSending(fresh *keys.DHKey) error {
	shared, err := fresh.DH(c.remote)
	if err != nil {
		return ErrDecrypt // the peer's key was used before, so this cannot happen
	}
	private := fresh.Bytes()
	c.private = secret(private)
	clear(private)
	c.public = fresh.Public()
	c.prevSent, c.sent = c.sent, 0
	c.sendHeader = c.sendNext
	rootStep(&c.root, shared, &c.sendChain, &c.sendNext)
	c.sending = true
	return nil
}
