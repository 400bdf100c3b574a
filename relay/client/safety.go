package client

import (
	"bytes"
	"crypto/sha256"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/relay/client/state"
)

// labelSafety separates the hash below from every other.
const labelSafety = "waxwing safety number v1"

// SafetyNumber is what two people compare, over a channel on which they know each
// other, to be sure that no provider stands between them. Each half is
//
//	SHA-256("waxwing safety number v1" | length 1 | address | identity key 32 | X_S 32)
//
// of one account, so it changes exactly when what is pinned does.
type SafetyNumber struct {
	Own, Theirs [sha256.Size]byte
}

// Bytes returns both halves, the lower first: the same 64 bytes on both sides.
func (n SafetyNumber) Bytes() (b [2 * sha256.Size]byte) {
	first, second := n.Own, n.Theirs
	if bytes.Compare(first[:], second[:]) > 0 {
		first, second = second, first
	}
	copy(b[:], first[:])
	copy(b[sha256.Size:], second[:])
	return b
}

// SafetyNumber returns what to compare with a contact, of the keys that are
// pinned now. Errors are ErrNotRegistered, ErrUnknownContact, ErrKeysUnknown
// (nothing came from the contact yet and it was not looked up), and the store's.
func (c *Client) SafetyNumber(a ids.Address) (n SafetyNumber, err error) {
	err = c.view(func(w *work) error {
		n, err = w.safetyNumber(a)
		return err
	})
	return n, err
}

func (w *work) safetyNumber(a ids.Address) (n SafetyNumber, err error) {
	if w.self == nil || !w.self.Registered {
		return n, ErrNotRegistered
	}
	c := w.find(a)
	if c == nil {
		return n, ErrUnknownContact
	}
	if c.Status != state.ContactKnown || c.XS == [32]byte{} {
		return n, ErrKeysUnknown
	}
	n.Own = safetyHash(w.self.Address, w.self.manifest.Identity(), w.self.manifest.XS())
	n.Theirs = safetyHash(c.Address, c.Identity, c.XS)
	return n, nil
}

func safetyHash(a ids.Address, identity keys.VerifyKey, xs [32]byte) [sha256.Size]byte {
	text := a.String()
	b := append([]byte(labelSafety), byte(len(text)))
	b = append(b, text...)
	b = append(b, identity[:]...)
	return sha256.Sum256(append(b, xs[:]...))
}
