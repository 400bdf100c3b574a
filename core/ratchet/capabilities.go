package ratchet

import (
	"crypto/sha256"

	"waxwing/core/wire"
)

// Suite numbers a profile of handshake and ratchet; a higher one is preferred.
// Numbers are never reused.
type Suite uint8

// SuiteNative is PQXDH with X25519 and ML-KEM-1024, and the double ratchet
// with header encryption, without a post-quantum ratchet.
const SuiteNative Suite = 1

// Capabilities lists the suites that a device offers, in ascending order. It
// stands in the device's signed manifest, so that nobody can shorten it. Nil
// means the suites of this package.
type Capabilities []Suite

func (c Capabilities) orDefault() Capabilities {
	if c == nil {
		return Capabilities{SuiteNative}
	}
	return c
}

func (c Capabilities) valid() bool {
	for i, s := range c {
		if s == 0 || i > 0 && s <= c[i-1] {
			return false
		}
	}
	return len(c) > 0 && len(c) <= MaxCapabilities
}

func (c Capabilities) bytes() []byte {
	b := make([]byte, len(c))
	for i, s := range c {
		b[i] = byte(s)
	}
	return b
}

// choose returns the highest suite of both lists. Both sides compute it, and
// both lists enter the transcript: whoever shortens one of them on the way
// gets no session instead of a weaker one.
func choose(initiator, responder Capabilities) (Suite, error) {
	if !initiator.valid() || !responder.valid() {
		return 0, ErrSuite
	}
	var best Suite
	for i, j := 0, 0; i < len(initiator) && j < len(responder); {
		switch a, b := initiator[i], responder[j]; {
		case a < b:
			i++
		case a > b:
			j++
		default:
			best = a
			i, j = i+1, j+1
		}
	}
	if best != SuiteNative {
		return 0, ErrSuite // none in common, or one that a caller offered but that is not built
	}
	return best, nil
}

func capabilitiesHash(initiator, responder Capabilities, chosen Suite) [sha256.Size]byte {
	b := wire.AppendPrefixed(nil, []byte(labelCapabilities))
	b = wire.AppendPrefixed(b, initiator.bytes())
	b = wire.AppendPrefixed(b, responder.bytes())
	return sha256.Sum256(append(b, byte(chosen)))
}
