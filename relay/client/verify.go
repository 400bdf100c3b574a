package client

import (
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"waxwing/core/ids"
	"waxwing/relay/client/state"
)

const (
	// labelDigits separates the hash that the digits are made of.
	labelDigits = "waxwing safety digits v1"
	// labelVerified separates the hash by which a comparison is remembered.
	labelVerified = "waxwing verified v1"
	// scanPrefix and scanVersion begin what a code for scanning says.
	scanPrefix  = "waxwing-verify:"
	scanVersion = 1

	// digitGroups groups of five digits are 199 bits. Who would stand between two
	// people needs two pairs of keys under which both see the same number: a
	// search for a collision, 2^99 key generations.
	digitGroups = 12
	groupBytes  = 5
)

// String returns the number as people read it to each other: 60 digits in groups
// of five, the same on both sides. Group i is the big-endian number in bytes
// 5i..5i+4 of
//
//	SHA-512("waxwing safety digits v1" | Bytes)
//
// modulo 100000. 40 bits are so much more than 17 that the remainder's bias is
// below 2^-23.
func (n SafetyNumber) String() string {
	b := n.Bytes()
	sum := sha512.Sum512(append([]byte(labelDigits), b[:]...))
	groups := make([]string, digitGroups)
	for i := range groups {
		var v uint64
		for _, x := range sum[groupBytes*i : groupBytes*(i+1)] {
			v = v<<8 | uint64(x)
		}
		groups[i] = fmt.Sprintf("%05d", v%100_000)
	}
	return strings.Join(groups, " ")
}

// Code returns the number as a code to be scanned: "waxwing-verify:" and the
// base64url of
//
//	version 1 | Bytes 64
func (n SafetyNumber) Code() string {
	b := n.Bytes()
	return scanPrefix + base64.RawURLEncoding.EncodeToString(append([]byte{scanVersion}, b[:]...))
}

// Compare compares with what was scanned from the other side's device, or with
// the digits that were read out, in constant time. White space does not count.
// Errors are ErrBadScan (it is neither) and ErrMismatch.
func (n SafetyNumber) Compare(scanned string) error {
	scanned = strings.Join(strings.Fields(scanned), "")
	own := strings.ReplaceAll(n.String(), " ", "")
	if rest, ok := strings.CutPrefix(scanned, scanPrefix); ok {
		b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
		if err != nil || len(b) != 1+len(n.Bytes()) || b[0] != scanVersion {
			return ErrBadScan
		}
		own = n.Code()
	} else if len(scanned) != len(own) || strings.Trim(scanned, "0123456789") != "" {
		return ErrBadScan
	}
	if subtle.ConstantTimeCompare([]byte(scanned), []byte(own)) != 1 {
		return ErrMismatch
	}
	return nil
}

// digest names the keys that were compared.
func (n SafetyNumber) digest() (d state.Digest) {
	b := n.Bytes()
	d.D = sha512.Sum512_256(append([]byte(labelVerified), b[:]...))
	return d
}

// Confirm notes that the user compared a safety number with a contact. It holds
// as long as the pinned keys are those of n, and ends when something comes from
// the contact under another identity. The error is ErrIdentityChanged if n is
// not, or no longer, the number of the pinned keys, or one of SafetyNumber's.
func (c *Client) Confirm(a ids.Address, n SafetyNumber) error {
	return c.update(func(w *work) error {
		now, err := w.safetyNumber(a)
		if err != nil {
			return err
		}
		k := w.find(a)
		if now != n || k.Changed {
			return ErrIdentityChanged
		}
		w.dirty(k) // the other devices are told
		k.Rekeyed = 0
		d := n.digest()
		return state.Verified.Put(w.tx, state.U32(k.id), &d)
	})
}

// verified reports whether the pinned keys are those that were compared.
func (w *work) verified(c *contact) bool {
	d, err := state.Verified.Get(w.tx, state.U32(c.id))
	if err != nil || c.Changed {
		return false
	}
	n, err := w.safetyNumber(c.Address)
	return err == nil && *d == n.digest()
}

// unverify forgets that a contact was verified.
func (w *work) unverify(c *contact) error {
	return state.Verified.Delete(w.tx, state.U32(c.id))
}
