package state

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// MailboxKeys are w and z of a generation that is not the one in use: of one before,
// under which something may still come, or of the next, which the provider does not
// have for certain.
type MailboxKeys struct {
	W, Z  [32]byte
	Until ids.Day // erased after it; 0 for the next
	keys.Redacted
}

// DrawMailboxKeys draws the secrets of the next generation.
func DrawMailboxKeys() (k MailboxKeys) {
	drawScalar(&k.W)
	drawScalar(&k.Z)
	return k
}

// Scalars returns w and z, for the caller to erase. The error is group.ErrDecode;
// secrets that were drawn or read from a record have none.
func (k *MailboxKeys) Scalars() (w, z group.Scalar, err error) {
	if w, err = group.Ristretto255().DecodeScalar(k.W[:]); err != nil {
		return w, z, err
	}
	z, err = group.Ristretto255().DecodeScalar(k.Z[:])
	return w, z, err
}

// Erase overwrites a copy that is not needed any more.
func (k *MailboxKeys) Erase() {
	clear(k.W[:])
	clear(k.Z[:])
}

// Fields lists the layout.
func (k *MailboxKeys) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	scalar(c, "w", &k.W)
	scalar(c, "z", &k.Z)
	wire.U32(c, "until", &k.Until)
}

// Rotation is how far the change to another generation of W and Z has come.
type Rotation struct {
	Draft   uint32  // the next generation, which is being published; 0 for none
	Removed bool    // a device that was removed knows the generation in use
	Watched ids.Day // since when another device is to replace the generation in use, as it removed one; 0 for none
	Ahead   uint32  // the generation that the provider has, if it is another device's and not known here; 0 else
}

// Fields lists the layout.
func (r *Rotation) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "draft", &r.Draft)
	c.Bool("removed", &r.Removed)
	wire.U32(c, "watched", &r.Watched)
	wire.U32(c, "ahead", &r.Ahead)
}
