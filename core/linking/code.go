package linking

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"waxwing/core/wire"
)

// What callers branch on, with errors.Is. Malformed messages are
// wire.ErrMalformed.
var (
	// ErrCode: the text is not a linking code, or was mistyped.
	ErrCode = errors.New("linking: not a linking code, or mistyped")
	// ErrCommitment: the answer is not of the device that showed the code.
	ErrCommitment = errors.New("linking: answer does not open the code's commitment")
	// ErrOrder: the step is not next; an offer or a joining is good for one run.
	ErrOrder = errors.New("linking: not the next step")
	// ErrSealed: the secrets are not of this run, or were changed.
	ErrSealed = errors.New("linking: secrets do not open")
)

func hash(label string, parts ...[]byte) [32]byte {
	return sha256.Sum256(append([]byte(label), bytes.Join(parts, nil)...))
}

// commit binds a nonce and the place of meeting.
func (k *Code) commit(nonce *[nonceSize]byte) [32]byte {
	return hash(labelCommitment, wire.MustMarshal(place{k}), nonce[:])
}

// Text returns the code as it is shown.
func (k *Code) Text() string {
	b := wire.MustMarshal(k)
	sum := hash(labelCheck, b)
	return codePrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:checkSize]...))
}

// ParseCode parses what Text made. White space is taken out. The error is
// ErrCode.
func ParseCode(text string) (*Code, error) {
	rest, ok := strings.CutPrefix(strings.Join(strings.Fields(text), ""), codePrefix)
	if !ok || base64.RawURLEncoding.DecodedLen(len(rest)) > maxCode {
		return nil, ErrCode
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil || len(b) < checkSize {
		return nil, ErrCode
	}
	b, check := b[:len(b)-checkSize], b[len(b)-checkSize:]
	sum := hash(labelCheck, b)
	var k Code
	if subtle.ConstantTimeCompare(check, sum[:checkSize]) != 1 || wire.Unmarshal(b, &k) != nil {
		return nil, ErrCode
	}
	return &k, nil
}

// transcript is everything that both sides have seen of a run.
func transcript(k *Code, join, opening []byte) [32]byte {
	code, j := sha256.Sum256(wire.MustMarshal(k)), sha256.Sum256(join)
	return hash(labelTranscript, code[:], j[:], opening)
}

// digits are what the users compare.
func digits(transcript *[32]byte) string {
	h := hash(labelDigits, transcript[:])
	n := uint64(0)
	for _, b := range h[:8] {
		n = n<<8 | uint64(b)
	}
	return fmt.Sprintf("%06d", n%1_000_000)
}

func info(label string, h *[32]byte) []byte { return append([]byte(label), h[:]...) }

// tag shows who sealed the secrets, or who confirmed: only the two devices know
// the nonce.
func tag(label string, nonce *[nonceSize]byte, transcript *[32]byte, sealed []byte) []byte {
	m := hmac.New(sha256.New, nonce[:])
	m.Write(info(label, transcript))
	m.Write(sealed)
	return m.Sum(nil)
}
