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

// accountKeyRecord is what is stored under accountKeyKey: version 1 | address.
type accountKeyRecord struct{ owner ids.Address }

func (r *accountKeyRecord) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Address("owner", &r.owner)
}
