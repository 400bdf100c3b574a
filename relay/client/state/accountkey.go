package state

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// AccountKey is k of an X_S that is not in force yet. The key of its row is X_S.
type AccountKey struct {
	K    [32]byte
	Made ids.Day // when it was drawn, or came from the device that drew it
	// Follows is the version of the manifest that it is to follow; 0 for another
	// device's, which that device publishes.
	Follows uint64
	// Told is the number of the record by which the other devices are told of it; 0
	// without others, and for another device's.
	Told uint64
	keys.Redacted
}

// DrawAccountKey draws k.
func DrawAccountKey() (a AccountKey) {
	drawScalar(&a.K)
	return a
}

// AccountKeyOf returns X_S of k, encoded. The error is group.ErrDecode; secrets that
// were drawn or read from a record have none.
func AccountKeyOf(k [32]byte) (xs [32]byte, err error) {
	x, err := group.Ristretto255().DecodeScalar(k[:])
	if err != nil {
		return xs, err
	}
	defer x.Erase()
	return [32]byte(group.Ristretto255().MulGenerator(x).Bytes()), nil
}

// Erase overwrites a copy that is not needed any more, if there is one.
func (a *AccountKey) Erase() {
	if a != nil {
		clear(a.K[:])
	}
}

// Fields lists the layout.
func (a *AccountKey) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	scalar(c, "k", &a.K)
	wire.U32(c, "made", &a.Made)
	wire.U64(c, "follows", &a.Follows)
	wire.U64(c, "told", &a.Told)
	c.Check(a.Follows != 0 || a.Told == 0, "told", "of another device's")
}
