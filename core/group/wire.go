package group

import (
	"crypto/sha3"
	"encoding/binary"
)

// All bytes of this package. n* = n repetitions; sizes in bytes.
//
//	element      32 (ristretto255) or 33 (P256)    the identity: zeros
//	scalar       32, little-endian (ristretto255) or big-endian (P256)
//
//	proof        challenge scalar | response scalar, one per secret in order of allocation
//	or proof     challenge scalar, one per branch | responses of branch 0 | of branch 1 | ...
//	committed    commitment element, one per equation | response scalar, one per secret
//
// Only a committed proof carries its commitments. Otherwise the verifier
// computes them again from challenge and responses (of equation i: sum_j
// response_s(i,j)*G_i,j - challenge*P_i) and derives the challenge from them; an
// or proof's challenges must add up to what is derived. So a proof has no field
// that is not covered.
//
//	session      label length 1 | label | n*(part length 4 | part)    lengths big-endian
//	             or the bytes that another specification prescribes (RawSession)
//	label        equations 4 | n*equation | n*element, in order of allocation
//	equation     index of P_i 4 | terms 4 | n*(index of the scalar 4 | index of the base 4)
//	or label     branches 4 | n*(label length 4 | label)
//
// Numbers in the label are little-endian. The label holds the whole statement:
// shape, generators, public keys; also elements that occur in no equation.
// Number and order of the commitments follow from it.
//
//	challenge    SHAKE128(id, zeros to 168 | session length 4 | session | label length 4 | label | n*commitment)
//	             first 48 bytes, big-endian, modulo the order
//	id           "sigma-proofs_Shake128_" | group name, or "waxwing-or-proofs_Shake128_" | group name,
//	             or "waxwing-committed-proofs_Shake128_" | group name
//
// Lengths here are big-endian. For P256 and a single statement these are the
// bytes of the sigma and Fiat-Shamir code that ARC's published vectors were
// made with (ietf-wg-privacypass/draft-arc at 3268903e); later drafts hash the
// session first and are not compatible. The id is one block of SHAKE128, so
// that what follows starts at a block's border in a state of its own.
//
//	nonces       SHAKE256(nonce id, zeros to 136 | seed 32 | session length 4 | session |
//	             label length 4 | label | branch 4 | n*witness scalar)
//	             64 bytes each, big-endian, modulo the order
//	nonce id     "waxwing-proof-nonces_Shake256_" | group name
//
// branch is 0 and the witness that of the statement; for an or proof branch is
// the true one's number and the witness is padded with zeros to the largest
// branch's. For a committed proof branch is 2^32 - 1. Drawn in order: plain proof, one nonce per secret; or proof, per
// branch its challenge (used unless the branch is the true one) and then one
// value per secret.
const (
	proofID   = "sigma-proofs_Shake128_"
	orProofID = "waxwing-or-proofs_Shake128_"
	// committedID is that of committed proofs.
	committedID = "waxwing-committed-proofs_Shake128_"
	nonceID     = "waxwing-proof-nonces_Shake256_"

	// secondGeneratorLabel, with the hash-to-curve suite behind it, is the DST
	// of H (RFC 9380, 3.1).
	secondGeneratorLabel = "waxwing second generator, "

	shake128Rate = 168
	shake256Rate = 136

	// challengeSize is how many bytes become a challenge: 128 bits more than
	// the order has, so that the reduction's bias is 2^-128.
	challengeSize = 48
)

// Session says what a proof is for: a proof verifies under its own session
// only. The zero value is none and is refused.
type Session struct {
	b []byte
	redacted
}

// NewSession returns the session of a use, named by label (a constant of the
// program, 1 to 255 bytes, else panic), and of its context: every value that
// the proof must not outlive or be carried away from. Each part is preceded by
// its length, so that no two lists of parts are alike.
func NewSession(label string, parts ...[]byte) Session {
	if len(label) == 0 || len(label) > maxLabel {
		panic("group: session label of 0 or more than 255 bytes")
	}
	b := append([]byte{byte(len(label))}, label...)
	for _, p := range parts {
		b = appendPrefixed(b, p)
	}
	return Session{b: b}
}

// RawSession returns the session that another specification prescribes.
func RawSession(b []byte) Session { return Session{b: append([]byte(nil), b...)} }

// check returns ErrStatement for no session and for one over MaxSession.
func (s Session) check() error {
	if len(s.b) == 0 || len(s.b) > MaxSession {
		return ErrStatement
	}
	return nil
}

// appendPrefixed appends the length of p in 4 bytes, big-endian, and p.
func appendPrefixed(b, p []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
}

// block returns id padded with zeros to rate bytes.
func block(id string, rate int) []byte {
	b := make([]byte, rate)
	if copy(b, id) != len(id) || len(id) >= rate {
		panic("group: transcript id longer than a block")
	}
	return b
}

// appendLabel appends the statement's label.
func (st *Statement) appendLabel(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(st.equations)))
	for _, eq := range st.equations {
		b = le.AppendUint32(b, uint32(eq.lhs))
		b = le.AppendUint32(b, uint32(len(eq.terms)))
		for _, t := range eq.terms {
			b = le.AppendUint32(b, uint32(t.scalar))
			b = le.AppendUint32(b, uint32(t.base))
		}
	}
	for _, e := range st.elements {
		b = e.Append(b)
	}
	return b
}

// appendLabel appends the or label.
func (d *Disjunction) appendLabel(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(d.branches)))
	for _, st := range d.branches {
		b = append(le.AppendUint32(b, uint32(len(st.label))), st.label...)
	}
	return b
}

// challenge derives the challenge of a proof.
func challenge(s *suite, id string, session Session, label []byte, commitments []Element) Scalar {
	b := block(id+s.name, shake128Rate)
	b = appendPrefixed(b, session.b)
	b = appendPrefixed(b, label)
	for _, a := range commitments {
		b = a.Append(b)
	}
	return s.reduce(sha3.SumSHAKE128(b, challengeSize))
}

// transcript is a challenge with its responses: a proof, or one branch of one.
type transcript struct {
	challenge Scalar
	responses []Scalar
}

// appendProof appends one transcript or the transcripts of all branches.
func appendProof(b []byte, branches ...transcript) []byte {
	for _, t := range branches {
		b = t.challenge.Append(b)
	}
	for _, t := range branches {
		for _, z := range t.responses {
			b = z.Append(b)
		}
	}
	return b
}

// decodeProof reads the transcripts of branches with the given numbers of
// responses, or returns ErrProof. Zero is accepted: an honest proof has it with
// the probability of any other value.
func decodeProof(s *suite, b []byte, responses ...int) ([]transcript, error) {
	total := len(responses)
	for _, n := range responses {
		total += n
	}
	if len(b) != total*s.scalarSize {
		return nil, ErrProof
	}
	next := func() (x Scalar, err error) {
		x, err = s.DecodeScalarAllowZero(b[:s.scalarSize])
		b = b[s.scalarSize:]
		return x, err
	}
	ts := make([]transcript, len(responses))
	for i := range ts {
		var err error
		if ts[i].challenge, err = next(); err != nil {
			return nil, ErrProof
		}
	}
	for i := range ts {
		ts[i].responses = make([]Scalar, responses[i])
		for j := range ts[i].responses {
			var err error
			if ts[i].responses[j], err = next(); err != nil {
				return nil, ErrProof
			}
		}
	}
	return ts, nil
}
