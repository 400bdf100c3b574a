package directory

import (
	"crypto/sha256"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// A ProvenKey is 96 bytes: element 32 | challenge 32 | response 32. The element
// is not the identity, scalars are reduced (core/group). Its proof is
// group.Possession of the element under the session
//
//	X_S  "waxwing account key" | address | identity key 32
//	W    "waxwing mailbox key W" | address | mailbox 16 | generation 4
//	Z    "waxwing mailbox key Z" | address | mailbox 16 | generation 4
//
// with the label behind one byte of length and each part behind four
// (group.NewSession). W and Z have one generation: they change together.
const (
	labelAccountKey = "waxwing account key"
	labelW          = "waxwing mailbox key W"
	labelZ          = "waxwing mailbox key Z"

	// prefixAccountKey begins the keys under which it is stored whose X_S an
	// element is; SHA-256 of the element follows.
	prefixAccountKey = "dir/xs/"
)

// provenKey is an element that group.DecodeElement accepts, with its proof,
// which is verified after the structure's signature.
func provenKey(c *wire.Codec, field string, k *ProvenKey) {
	c.Fixed(field, k.Key[:])
	_, err := k.Element()
	c.Check(err == nil, field, "not a usable key")
	c.Fixed(field+" proof", k.Proof[:])
}

func accountKeyKey(xs [ElementSize]byte) store.Key {
	h := sha256.Sum256(xs[:])
	return prefixAccountKey + store.Key(h[:])
}

// keyClaim says how an X_S belongs to the address that its record names.
type keyClaim uint8

const (
	// claimRegistered: by a registration. It is void if the address became an
	// account with another X_S: that registration has failed for ever.
	claimRegistered keyClaim = 1
	// claimReplacing: by the replacement of another one, done or not.
	claimReplacing keyClaim = 2
	// claimFormer: it was replaced. The tombstone keeps it from everybody, its
	// account too: a pseudonym that was blocked does not come back unblocked
	// elsewhere, nor one that was left.
	claimFormer keyClaim = 3
)

// accountKeyRecord is what is stored under accountKeyKey: version 1 | address |
// claim 1.
type accountKeyRecord struct {
	owner ids.Address
	claim keyClaim
}

func (r *accountKeyRecord) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Address("owner", &r.owner)
	wire.U8(c, "claim", &r.claim)
	c.Check(r.claim >= claimRegistered && r.claim <= claimFormer, "claim", "unknown value")
}
