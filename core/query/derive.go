package query

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The labels of this package. The info differs from those of seals and
// introductions to the same keys.
const (
	labelQuestion = "waxwing query"
	labelAnswer   = "waxwing query answer"
	labelID       = "waxwing query id v1"
)

func info(k Kind) []byte { return append([]byte(labelQuestion), byte(k)) }

func aad(keyID uint8) []byte { return []byte{wire.Version, keyID} }

// idOf returns the id of a sealed question.
func idOf(kind Kind, sealed []byte) [IDSize]byte {
	h := sha256.New()
	h.Write([]byte(labelID))
	h.Write([]byte{byte(kind)})
	h.Write(sealed)
	return [IDSize]byte(h.Sum(nil))
}

// answerKey is the key and nonce of one answer.
type answerKey struct{ key, nonce []byte }

// deriveAnswer is RFC 9458 section 4.4 with HKDF-SHA256 and AES-256-GCM.
func deriveAnswer(enc, responseNonce, secret []byte) answerKey {
	salt := append(append(make([]byte, 0, len(enc)+len(responseNonce)), enc...), responseNonce...)
	prk, err := hkdf.Extract(sha256.New, secret, salt)
	if err != nil {
		panic(err) // fails for hashes that are not allowed only
	}
	return answerKey{expand(prk, "key", keys.SecretSize), expand(prk, "nonce", 12)}
}

func expand(prk []byte, label string, n int) []byte {
	b, err := hkdf.Expand(sha256.New, prk, label, n)
	if err != nil {
		panic(err) // n is never too long for HKDF
	}
	return b
}

func (k answerKey) aead() cipher.AEAD {
	block, err := aes.NewCipher(k.key)
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}
