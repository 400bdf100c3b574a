package attachment

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/merkle"
)

// Sizes, in bytes.
const (
	HashSize   = merkle.Size
	SaltSize   = sha256.Size
	SecretSize = 32

	nonceSize = 12
	tagSize   = 16
	// SealedChunk is the length of a whole chunk's ciphertext.
	SealedChunk = ChunkSize + tagSize
)

// The labels under which keys are derived. They enter as one byte of length and
// their text, are never changed and never used again.
const (
	labelKey        = "waxwing attachment key v1"
	labelSalts      = "waxwing attachment salts v1"
	labelCommitment = "waxwing attachment commitment v1"
)

// Integers are big-endian.
//
//	key        = HMAC(secret, "waxwing attachment key v1")
//	fsalt      = HMAC(secret, "waxwing attachment salts v1")
//	commitment = HMAC(secret, "waxwing attachment commitment v1")
//	sealed     = for each chunk i: AES-256-GCM(key; nonce = zero 7 | i 4 | last 1; chunk), tag 16 behind it
//	salt[i]    = HMAC(fsalt, i 4)
//	leaf[i]    = SHA-256(0x00 | i 4 | length 4 | salt[i] 32 | chunk without padding)
//	node       = SHA-256(0x01 | left 32 | right 32)
//
// What is sealed is the file and zeros up to Padded of its size; chunks of padding
// alone have no leaf. A file without a byte has one leaf, of no byte.

// derive returns HMAC-SHA256 of a label.
func derive(secret *[SecretSize]byte, label string) [HashSize]byte {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte{byte(len(label))})
	h.Write([]byte(label))
	return [HashSize]byte(h.Sum(nil))
}

func nonce(index uint32, last bool) (n [nonceSize]byte) {
	binary.BigEndian.PutUint32(n[7:], index)
	if last {
		n[11] = 1
	}
	return n
}

func saltOf(fsalt *[HashSize]byte, index uint32) (s [SaltSize]byte) {
	h := hmac.New(sha256.New, fsalt[:])
	h.Write(binary.BigEndian.AppendUint32(nil, index))
	return [SaltSize]byte(h.Sum(nil))
}

// leafHash has the chunk's index and length as well, so that a leaf is of one place
// only.
func leafHash(index uint32, salt *[SaltSize]byte, chunk []byte) Hash {
	var head [1 + 4 + 4 + SaltSize]byte
	head[0] = merkle.LeafPrefix
	binary.BigEndian.PutUint32(head[1:], index)
	binary.BigEndian.PutUint32(head[5:], uint32(len(chunk)))
	copy(head[9:], salt[:])
	h := sha256.New()
	h.Write(head[:])
	h.Write(chunk)
	return Hash(h.Sum(nil))
}
