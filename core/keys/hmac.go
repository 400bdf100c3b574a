package keys

import (
	"crypto/sha256"
	"encoding/binary"
)

const (
	// MACKeySize is the size of a key of MAC, in bytes. It is fixed: HMAC takes
	// keys of any length but pads short ones with zeros, so that two keys of
	// different lengths could give one tag.
	MACKeySize = 32
	// MACSize is the size of a tag, in bytes.
	MACSize = sha256.Size
	// MaxMAC is the longest message that a MAC takes, in bytes. The longest one
	// in use is a ticket's binder, 148 bytes; longer messages are for crypto/hmac.
	MaxMAC = 256
)

// MAC computes HMAC-SHA256 (RFC 2104, FIPS 198-1) of short messages without
// allocating, for the path that every message takes: the message is collected
// behind the key's block in one buffer that the caller keeps on its stack.
//
//	var m keys.MAC
//	m.Start(&key)
//	m.WriteString("label")
//	m.Write(field)
//	tag := m.Sum()
//
// The zero value has no key yet; Start comes first. It is not safe for
// concurrent use.
type MAC struct {
	_   NotComparable
	n   int // bytes used of buf; 0 before Start
	buf [sha256.BlockSize + MaxMAC]byte
	Redacted
}

// Start begins a message under key.
func (m *MAC) Start(key *[MACKeySize]byte) {
	for i, b := range key {
		m.buf[i] = b ^ 0x36
	}
	for i := MACKeySize; i < sha256.BlockSize; i++ {
		m.buf[i] = 0x36
	}
	m.n = sha256.BlockSize
}

// room returns the next n bytes of the buffer. Only the code decides how much
// is written, never a peer, so too much is a fault of the program.
func (m *MAC) room(n int) []byte {
	if m.n == 0 {
		panic("keys: MAC without a key")
	}
	b := m.buf[m.n : m.n+n] // panics beyond MaxMAC
	m.n += n
	return b
}

// Write appends b.
func (m *MAC) Write(b []byte) { copy(m.room(len(b)), b) }

// WriteString appends the bytes of s.
func (m *MAC) WriteString(s string) { copy(m.room(len(s)), s) }

// Byte appends one byte.
func (m *MAC) Byte(v byte) { m.room(1)[0] = v }

// Uint32 appends v, big-endian.
func (m *MAC) Uint32(v uint32) { binary.BigEndian.PutUint32(m.room(4), v) }

// Uint64 appends v, big-endian.
func (m *MAC) Uint64(v uint64) { binary.BigEndian.PutUint64(m.room(8), v) }

// Sum returns the tag and forgets key and message.
func (m *MAC) Sum() [MACSize]byte {
	if m.n == 0 {
		panic("keys: MAC without a key")
	}
	inner := sha256.Sum256(m.buf[:m.n])
	var outer [sha256.BlockSize + sha256.Size]byte
	for i := range sha256.BlockSize {
		outer[i] = m.buf[i] ^ 0x36 ^ 0x5c
	}
	copy(outer[sha256.BlockSize:], inner[:])
	clear(m.buf[:m.n])
	m.n = 0
	return sha256.Sum256(outer[:])
}
