package sealedsender

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// field is an element of GF(2^128) in GCM's bit order (NIST SP 800-38D 6.3).
type field struct{ hi, lo uint64 }

func load(b []byte) field {
	return field{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x field) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, x.hi), x.lo)
}

func (x field) add(y field) field { return field{x.hi ^ y.hi, x.lo ^ y.lo} }

func (x field) mul(y field) field {
	var z field
	v := y
	for i := range 128 {
		word := x.hi
		if i >= 64 {
			word = x.lo
		}
		if word>>(63-i%64)&1 == 1 {
			z = z.add(v)
		}
		odd := v.lo & 1
		v = field{v.hi>>1 ^ odd*(0xe1<<56), v.lo>>1 | v.hi<<63}
	}
	return z
}

// inverse is x^(2^128-2).
func (x field) inverse() field {
	z, p := field{hi: 1 << 63}, x
	for range 127 {
		p = p.mul(p)
		z = z.mul(p)
	}
	return z
}

// ghash is GHASH over whole blocks (SP 800-38D 6.4).
func ghash(h field, blocks []byte) (y field) {
	for ; len(blocks) > 0; blocks = blocks[16:] {
		y = y.add(load(blocks)).mul(h)
	}
	return y
}

// padded fills b with zeros to whole blocks.
func padded(b []byte) []byte { return append(bytes.Clone(b), make([]byte, (16-len(b)%16)%16)...) }

// salamander changes one block of a ciphertext c (without tag) so that it opens
// under both keys with the zero nonce, and returns it with the tag: the last
// whole block X enters each GHASH as X*H^k, so that one linear equation over
// GF(2^128) gives it.
func salamander(k1, k2, c, aad []byte) []byte {
	subkeys := func(k []byte) (h, mask field) {
		block, _ := aes.NewCipher(k)
		var in, e [16]byte
		block.Encrypt(e[:], in[:])
		h = load(e[:])
		in[15] = 1
		block.Encrypt(e[:], in[:])
		return h, load(e[:])
	}
	h1, m1 := subkeys(k1)
	h2, m2 := subkeys(k2)
	lengths := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(8*len(aad))), uint64(8*len(c)))
	tag := func(h, mask field) field {
		return ghash(h, append(append(padded(aad), padded(c)...), lengths...)).add(mask)
	}
	at, k := len(c)/16*16-16, 2
	if len(c)%16 != 0 {
		k = 3
	}
	power := func(h field) field {
		p := h
		for range k - 1 {
			p = p.mul(h)
		}
		return p
	}
	c = bytes.Clone(c)
	clear(c[at : at+16])
	diff := tag(h1, m1).add(tag(h2, m2))
	copy(c[at:], diff.mul(power(h1).add(power(h2)).inverse()).bytes())
	return append(c, tag(h1, m1).bytes()...)
}

// Adversarial tests 28 and 39: AES-GCM commits to no key. One ciphertext opens
// under two keys, as a body and as a head; neither is of use to anybody.
func TestSalamander(t *testing.T) {
	w := newWorld(t, alice)
	l := newLetter(wire.Class16K)
	l.content.Frame, l.content.Control = make([]byte, Room(wire.Class16K)), nil
	k1, k2 := keys.NewSecret().Bytes(), keys.NewSecret().Bytes()
	aad := l.outer.Com[:]
	plain, err := wire.MarshalPadded(&l.content, l.outer.Class.BodySize()-gcmTag)
	if err != nil {
		t.Fatal(err)
	}
	body := salamander(k1, k2, gcm(k1).Seal(nil, zeroNonce[:], plain, aad)[:len(plain)], aad)
	p1, err1 := gcm(k1).Open(nil, zeroNonce[:], body, aad)
	p2, err2 := gcm(k2).Open(nil, zeroNonce[:], body, aad)
	if err1 != nil || err2 != nil {
		t.Fatal("not a salamander:", err1, err2)
	}
	if err := wire.Unmarshal(p1, new(Content)); err != nil {
		t.Fatal("first plaintext:", err)
	}
	// Both plaintexts cannot hold the kf that com was made with, whatever the
	// sender does with the free blocks: the key streams differ there. So one of
	// the two devices finds another com.
	com := func(p []byte) []byte { // stands for package franking: a MAC under kf
		m := hmac.New(sha256.New, p[:32])
		m.Write(p[bodyFixed:])
		return m.Sum(nil)
	}
	if bytes.Equal(p1[:32], p2[:32]) || hmac.Equal(com(p1), com(p2)) {
		t.Error("one kf, or one com, for two contents")
	}

	// A head for two secrets opens under each, were it tried, into what is no
	// head; under one of the two a hostile sender can have a good one.
	s2, n := keys.NewSecret(), headPlain(l.outer.Class, gcmTag)
	h1, h2 := steadyKey(w.s, &w.ticket), steadyKey(s2, &w.ticket)
	h := salamander(h1, h2, make([]byte, n), l.outer.aad())
	for _, s := range []*keys.Secret{w.s, s2} {
		if _, err := OpenHeadWithSecret(l.outer, h, s, &w.ticket); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("head for two secrets: %v", err)
		}
	}
	if _, err := OpenHeadWithSecret(l.outer, h, keys.NewSecret(), &w.ticket); !errors.Is(err, ErrSeal) {
		t.Errorf("a third secret: %v", err)
	}
}
