package membership

import (
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

// All bytes of this package are ristretto255's: E an element, 32 bytes, never
// the identity; proofs are committed proofs of core/group.
//
//	request   version 1 | m1E 32 | proof 128
//	          proof of {(k, r1): X_S = k*G, m1E = k*G + r1*H}, 2 commitments and 2 responses
//	refill    version 1 | U 32 | U'commit 32 | m1commit 32 | N_B 32 | m1E 32 |
//	          lists 2 + n*32 | proof (4+n)*32 + 4*32
//	          proof of {(k, z, -r, r1): m1commit = k*U + z*H, V = z*X1 - r*G, N_B = k*P_B,
//	          m1E = k*G + r1*H, N_Li = k*P_Li}
//	answer    a response of package arc, 768 bytes
//
// Sessions (group.NewSession); terms are the parts of the same name in order:
//
//	"waxwing membership"         home, provider, month 4, tier 1, key 96
//	"waxwing membership answer"  the same, SHA-256(X_S | request)
//	"waxwing refill"             home, provider, month 4, tier 1, membership key 96, epoch 4, key 96, list 16 ...
//	"waxwing refill answer"      the same, SHA-256(refill)
//
// Randomness of requests (arc.Derived, under k):
//
//	membership   "F0" | SHA-256(session parts)
//	refill       "F1" | provider | epoch 4 | SHA-256(credential | session parts)
//
// each part behind its length in four bytes.
const (
	labelMembership       = "waxwing membership"
	labelMembershipAnswer = "waxwing membership answer"
	labelRefill           = "waxwing refill"
	labelRefillAnswer     = "waxwing refill answer"

	elementSize = 32
	// RequestSize is the size of a membership request, in bytes.
	RequestSize = 1 + elementSize + 2*elementSize + 2*elementSize
	// MaxLists bounds the shared lists whose pseudonyms a refill shows: each
	// links more, and two or three are what a provider subscribes to.
	MaxLists = 4
	// MaxRefill is the size of the largest refill, in bytes.
	MaxRefill = 1 + 5*elementSize + 2 + MaxLists*elementSize + (4+MaxLists)*elementSize + 4*elementSize
)

// AnswerSize returns the size of every answer, in bytes.
func AnswerSize() int { return suite().ResponseSize() }

func suite() *arc.Suite { return arc.Ristretto255() }

type requestFields struct {
	M1E   [elementSize]byte
	Proof []byte
}

// Fields is the layout of a membership request.
func (f *requestFields) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Fixed("m1E", f.M1E[:])
	c.Exact("proof", &f.Proof, 4*elementSize)
}

type refillFields struct {
	U, UPrimeCommit, M1Commit, NB, M1E [elementSize]byte
	Lists                              [][elementSize]byte
	Proof                              []byte
}

// Fields is the layout of a refill.
func (f *refillFields) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Fixed("U", f.U[:])
	c.Fixed("U'commit", f.UPrimeCommit[:])
	c.Fixed("m1commit", f.M1Commit[:])
	c.Fixed("N_B", f.NB[:])
	c.Fixed("m1E", f.M1E[:])
	wire.List(c, "lists", &f.Lists, MaxLists, func(c *wire.Codec, n *[elementSize]byte) { c.Fixed("N_L", n[:]) })
	c.Exact("proof", &f.Proof, (8+len(f.Lists))*elementSize)
}

// Layouts returns the layouts of request and refill for the documentation.
func Layouts() (request, refill []wire.Row) {
	return wire.Layout(new(requestFields)), wire.Layout(new(refillFields))
}

func decode(b [elementSize]byte) (group.Element, error) {
	e, err := group.Ristretto255().DecodeElement(b[:])
	if err != nil {
		return e, ErrMalformed
	}
	return e, nil
}

// terms are the parts that both kinds of session begin with.
func terms(home, provider ids.Domain, m ratelimit.Month, t ratelimit.Tier, key *arc.PublicKey) [][]byte {
	return [][]byte{
		[]byte(home.String()), []byte(provider.String()),
		binary.BigEndian.AppendUint32(nil, uint32(m)),
		{byte(t)},
		key.Bytes(),
	}
}

// hashParts hashes parts, each behind its length.
func hashParts(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = wire.AppendPrefixed(b, p)
	}
	h := sha256.Sum256(b)
	clear(b) // a credential may be among them
	return h[:]
}
