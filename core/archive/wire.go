package archive

import (
	"waxwing/core/devicesync"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The layouts, integers big-endian:
//
//	archive  length 4 | account | records | end
//	record   length 4 | record of package devicesync
//	end      length 4, zero | number of records 4
//
// Records come by rank: former mailbox keys, providers, contacts, tickets given,
// codes, messages.
const (
	formatVersion = 1
	lengthSize    = 4
)

// Account is what the account's devices share beside the records.
type Account struct {
	Address    ids.Address
	Server     string   // "host:port" of the provider
	Pin        [32]byte // of the provider's root key
	Mailbox    ids.MailboxID
	Identity   [32]byte // seed of the identity key
	DH         [32]byte // private, of deniable tags
	K, W, Z    [32]byte // scalars of X_S, W and Z
	Generation uint32   // of W and Z
	Manifest   []byte   // the newest known
	Roots      []Root   // by rising number; the last is in use
	Keys       []MailboxKey
	ChainWeek  uint32   // the first week whose key was not derived yet
	Chain      [32]byte // chain secret of that week
	// Hop is the provider through which others are asked; zero for the own one.
	// Otherwise a new device would ask its own what the user hides from it.
	Hop ids.Domain
	keys.Redacted
}

// Root is a root of seal secrets.
type Root struct {
	Number uint16
	Made   ids.Day
	Until  ids.Day // erased after it; 0 for the one in use
	Key    [32]byte
	keys.Redacted
}

// MailboxKey is a weekly private mailbox key.
type MailboxKey struct {
	Week  uint32
	Made  ids.Day
	Until ids.Day // erased after it; 0 for the newest
	Seed  [keys.SealSeedSize]byte
	keys.Redacted
}

// Fields lists the layout.
func (a *Account) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Address("address", &a.Address)
	c.String("server", &a.Server, MaxServer)
	c.Check(len(a.Server) > 0, "server", "empty")
	c.Fixed("pin", a.Pin[:])
	c.Fixed("mailbox", a.Mailbox[:])
	c.Check(a.Mailbox != ids.MailboxID{}, "mailbox", "zero")
	c.Fixed("identity", a.Identity[:])
	c.Fixed("account DH", a.DH[:])
	scalar(c, "k", &a.K)
	scalar(c, "w", &a.W)
	scalar(c, "z", &a.Z)
	wire.U32(c, "generation", &a.Generation)
	c.Check(a.Generation != 0, "generation", "zero")
	c.Bytes("manifest", &a.Manifest, wire.MaxManifest)
	wire.List(c, "roots", &a.Roots, MaxRoots, func(c *wire.Codec, r *Root) { r.Fields(c) })
	c.Check(len(a.Roots) > 0, "roots", "none")
	for i := range a.Roots {
		c.Check(i == 0 || a.Roots[i-1].Number < a.Roots[i].Number, "roots", "not rising")
		c.Check((a.Roots[i].Until == 0) == (i == len(a.Roots)-1), "roots", "another than the last is in use")
	}
	wire.List(c, "mailbox keys", &a.Keys, MaxMailboxKeys, func(c *wire.Codec, k *MailboxKey) { k.Fields(c) })
	for i := 1; i < len(a.Keys); i++ {
		c.Check(a.Keys[i-1].Week < a.Keys[i].Week, "mailbox keys", "not rising")
	}
	wire.U32(c, "chain week", &a.ChainWeek)
	c.Fixed("chain", a.Chain[:])
	c.Check(a.Chain != [32]byte{}, "chain", "zero")
	chosen := !a.Hop.IsZero() || c.Describing()
	if c.Bool("hop chosen", &chosen); chosen {
		c.Domain("hop", &a.Hop)
		c.Check(c.Describing() || a.Hop != a.Address.Domain(), "hop", "the own provider")
	}
}

// Fields lists the layout.
func (r *Root) Fields(c *wire.Codec) {
	wire.U16(c, "number", &r.Number)
	wire.U32(c, "made", &r.Made)
	wire.U32(c, "until", &r.Until)
	c.Fixed("root", r.Key[:])
	c.Check(r.Key != [32]byte{}, "root", "zero")
}

// Fields lists the layout.
func (k *MailboxKey) Fields(c *wire.Codec) {
	wire.U32(c, "week", &k.Week)
	wire.U32(c, "made", &k.Made)
	wire.U32(c, "until", &k.Until)
	c.Fixed("seed", k.Seed[:])
}

// scalar is a scalar of ristretto255 that group.DecodeScalar accepts.
func scalar(c *wire.Codec, field string, b *[32]byte) {
	c.Fixed(field, b[:])
	x, err := group.Ristretto255().DecodeScalar(b[:])
	c.Check(err == nil, field, "not a usable scalar")
	x.Erase()
}

// Erase overwrites the secrets of a copy that is not needed any more.
func (a *Account) Erase() {
	for _, b := range [][]byte{a.Identity[:], a.DH[:], a.K[:], a.W[:], a.Z[:], a.Chain[:]} {
		clear(b)
	}
	for i := range a.Roots {
		clear(a.Roots[i].Key[:])
	}
	for i := range a.Keys {
		clear(a.Keys[i].Seed[:])
	}
}

// rank is where a kind stands; 0 for those that are in no archive.
func rank(k devicesync.Kind) int {
	switch k {
	case devicesync.KindMailboxKeys, devicesync.KindAccountSecret, devicesync.KindChoices:
		return 1
	case devicesync.KindProvider:
		return 2
	case devicesync.KindContact:
		return 3
	case devicesync.KindGiven:
		return 4
	case devicesync.KindCode:
		return 5
	case devicesync.KindSent, devicesync.KindReceived:
		return 6
	}
	return 0
}

// Layouts returns the layout of an account's part, for the documentation.
func Layouts() map[string][]wire.Row {
	return map[string][]wire.Row{"ArchiveAccount": wire.Layout(new(Account))}
}
