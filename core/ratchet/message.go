package ratchet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/wire"
)

// headerAEAD is AES-256-GCM under a header key. Nonces are random, because the
// key serves a whole chain and the number inside must not show.
func headerAEAD(key *secret) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// sealHeader appends the sealed header to dst.
//
// GCM does not commit to its key, and a commitment made from the key alone
// would be the same in all messages of a chain and link them for both relays.
// It is not needed: header keys are 256-bit secrets of the two devices, so
// nobody can make a header that opens under several keys of somebody else and
// learn from the answer which of them is held (a partitioning oracle); at most
// MaxHeaderTrials keys are tried; and whatever a header says only selects the
// key of the tag behind the body, which commits to session, header and body.
func sealHeader(dst []byte, key *secret, transcript *[sha256.Size]byte, nonce *[nonceSize]byte, h *header) []byte {
	plain, err := wire.MarshalPadded(h, headerPlain)
	if err != nil {
		panic(err) // the fields fit by construction
	}
	dst = append(dst, nonce[:]...)
	return headerAEAD(key).Seal(dst, nonce[:], plain, transcript[:])
}

// openHeader returns the header's plaintext, or nil if it is not sealed with
// this key.
func openHeader(key *secret, transcript *[sha256.Size]byte, sealed []byte) []byte {
	plain, err := headerAEAD(key).Open(nil, sealed[:nonceSize], sealed[nonceSize:], transcript[:])
	if err != nil {
		return nil
	}
	return plain
}

// crypt encrypts or decrypts a body. The key serves one message, so the IV
// could be constant; the header's random nonce in it means that even a client
// that was restored to an old state and uses a key again leaks no difference
// of two plaintexts.
func crypt(dst []byte, key *secret, sealedHeader, src []byte) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	var iv [aes.BlockSize]byte
	copy(iv[:nonceSize], sealedHeader)
	cipher.NewCTR(block, iv[:]).XORKeyStream(dst, src)
}

// bodyTag is the committing tag: encrypt, then HMAC-SHA256 with the whole
// output. Encryption and MAC key are derived together from the seed of one
// message, so two messages with one tag are a collision of SHA-256: a
// ciphertext has one key, plaintext, header and associated data. AEADs with a
// polynomial tag do not give that, and a tag cut to 8 bytes (as Signal's) does
// not either.
func bodyTag(key *secret, transcript *[sha256.Size]byte, ad, sealed []byte) []byte {
	m := hmac.New(sha256.New, key[:])
	m.Write(transcript[:])
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(ad)))
	m.Write(n[:])
	m.Write(ad)
	m.Write(sealed)
	return m.Sum(nil)
}

// sealBody appends ciphertext and tag to message, which holds the sealed
// header.
func sealBody(message []byte, seed *secret, pq []byte, transcript *[sha256.Size]byte, ad, plaintext []byte) []byte {
	encrypt, mac := messageKeys(seed, pq)
	at := len(message)
	message = append(message, plaintext...)
	crypt(message[at:], &encrypt, message[:HeaderSize], plaintext)
	message = append(message, bodyTag(&mac, transcript, ad, message)...)
	clear(encrypt[:])
	clear(mac[:])
	return message
}

// openBody returns the plaintext of a message, or ErrDecrypt.
func openBody(message []byte, seed *secret, pq []byte, transcript *[sha256.Size]byte, ad []byte) ([]byte, error) {
	encrypt, mac := messageKeys(seed, pq)
	defer clear(encrypt[:])
	defer clear(mac[:])
	end := len(message) - TagSize
	if !hmac.Equal(bodyTag(&mac, transcript, ad, message[:end]), message[end:]) {
		return nil, ErrDecrypt
	}
	plaintext := make([]byte, end-HeaderSize)
	crypt(plaintext, &encrypt, message[:HeaderSize], message[HeaderSize:end])
	return plaintext, nil
}
