package devicesync

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The layouts. Integers are big-endian, texts and lists stand behind their
// length, everything parses in one way only:
//
//	record  kind 1 | fields of the item
//	batch   version 1 | parts 2 + each
//	  part  record number 8 | index 2 | last 1 | bytes 4+n
//
// Record numbers count from 1 and rise within the stream of one device; index
// counts the parts of a record from 0.
const formatVersion = 1

// address is an address or, one zero byte, none.
func address(c *wire.Codec, field string, a *ids.Address) {
	known := !a.IsZero()
	c.Bool(field+" known", &known)
	if known {
		c.Address(field, a)
	}
}

func status(c *wire.Codec, s *Status, failure *uint16) {
	wire.U8(c, "status", s)
	c.Check(*s >= StatusWaiting && *s <= StatusRead, "status", "unknown value")
	wire.U16(c, "failure", failure)
	c.Check(*s == StatusFailed || *failure == 0, "failure", "of a message that did not fail")
}

func digest(c *wire.Codec, d *[32]byte) {
	c.Fixed("d", d[:])
	c.Check(*d != [32]byte{}, "d", "zero")
}

func frame(c *wire.Codec, f *[]byte) {
	c.Bytes("F", f, MaxFrame)
	c.Check(len(*f) > 0, "F", "empty")
}

// Fields lists the layout.
func (s *Sent) Fields(c *wire.Codec) {
	c.Address("contact", &s.Contact)
	wire.U64(c, "time", &s.Time)
	status(c, &s.Status, &s.Failure)
	digest(c, &s.D)
	c.Fixed("kf", s.Key[:])
	frame(c, &s.Frame)
}

// Fields lists the layout.
func (s *StatusOf) Fields(c *wire.Codec) {
	c.Address("contact", &s.Contact)
	digest(c, &s.D)
	status(c, &s.Status, &s.Failure)
}

// Fields lists the layout.
func (k *Contact) Fields(c *wire.Codec) {
	c.Address("address", &k.Address)
	wire.U64(c, "changed", &k.Changed)
	c.Bool("blocked", &k.Blocked)
	c.Bool("pending", &k.Pending)
	c.Fixed("entry", k.Entry[:])
	c.Check(k.Blocked == (k.Entry != [16]byte{}), "entry", "does not fit blocked")
	wire.U32(c, "strike generation", &k.Strike)
	c.Fixed("fingerprint", k.Fingerprint[:])
	c.Bool("known", &k.Known)
	if k.Known {
		k.pins(c)
	}
	c.Fixed("verified", k.Verified[:])
	c.Bool("pinned", &k.Pinned)
	if k.Pinned {
		c.Fixed("provider pin", k.Pin[:])
	}
	wire.List(c, "others", &k.Others, MaxOtherKeys, func(c *wire.Codec, o *OtherKey) { o.Fields(c) })
}

// Fields lists the layout.
func (o *OtherKey) Fields(c *wire.Codec) {
	c.Fixed("X_S", o.XS[:])
	wire.U32(c, "until", &o.Until)
}

// pins lists what is pinned of a contact whose keys are known.
func (k *Contact) pins(c *wire.Codec) {
	c.Fixed("identity", k.Identity[:])
	_, err := keys.ParseVerifyKey(k.Identity[:])
	c.Check(err == nil, "identity", "not a usable key")
	c.Fixed("X_S", k.XS[:])
	c.Fixed("account DH", k.AccountDH[:])
	_, err = keys.ParseDHPublic(k.AccountDH[:])
	c.Check(err == nil, "account DH", "not a usable key")
	c.Fixed("mailbox", k.Mailbox[:])
	c.Bytes("manifest", &k.Manifest, MaxManifest)
}

// Fields lists the layout.
func (r *Removed) Fields(c *wire.Codec) {
	c.Address("address", &r.Address)
	wire.U64(c, "changed", &r.Changed)
}

// Fields lists the layout.
func (g *Given) Fields(c *wire.Codec) {
	wire.U32(c, "giver", &g.Giver)
	c.Check(g.Giver != 0, "giver", "zero")
	wire.U16(c, "root", &g.Root)
	wire.U32(c, "batch", &g.Batch)
	c.Bool("code", &g.Code)
	address(c, "account", &g.Account)
	c.Check(g.Code || !g.Account.IsZero(), "account", "none")
	wire.U32(c, "for", &g.For)
	wire.List(c, "tickets", &g.Tickets, MaxGiven, func(c *wire.Codec, t *GivenTicket) { t.Fields(c) })
	c.Check(len(g.Tickets) > 0, "tickets", "none")
	for i := 1; i < len(g.Tickets); i++ {
		c.Check(g.Tickets[i-1].Serial < g.Tickets[i].Serial, "tickets", "not ascending")
	}
}

// Fields lists the layout.
func (t *GivenTicket) Fields(c *wire.Codec) {
	wire.U64(c, "serial", &t.Serial)
	wire.U32(c, "expiry", &t.Expiry)
	c.Bool("used", &t.Used)
}

// Fields lists the layout.
func (k *Code) Fields(c *wire.Codec) {
	wire.U32(c, "giver", &k.Giver)
	c.Check(k.Giver != 0, "giver", "zero")
	wire.U32(c, "number", &k.Number)
	wire.U64(c, "serial", &k.Serial)
	wire.U32(c, "expiry", &k.Expiry)
	address(c, "owner", &k.Owner)
}

// Fields lists the layout.
func (r *Roots) Fields(c *wire.Codec) {
	wire.U16(c, "number", &r.Number)
	c.Fixed("root", r.Root[:])
	c.Check(r.Root != [32]byte{}, "root", "zero")
	wire.U32(c, "made", &r.Made)
	c.Bool("chain known", &r.HasChain)
	if r.HasChain {
		wire.U32(c, "week", &r.Week)
		c.Fixed("chain", r.Chain[:])
		c.Check(r.Chain != [32]byte{}, "chain", "zero")
	}
}

// Fields lists the layout.
func (p *Provider) Fields(c *wire.Codec) {
	c.Domain("domain", &p.Domain)
	c.Fixed("pin", p.Pin[:])
}

// Fields lists the layout.
func (r *Received) Fields(c *wire.Codec) {
	c.Address("contact", &r.Contact)
	wire.U64(c, "time", &r.Time)
	digest(c, &r.D)
	c.Fixed("kf", r.Key[:])
	c.Fixed("com", r.Com[:])
	wire.U32(c, "day", &r.Day)
	c.Fixed("stamp", r.Stamp[:])
	wire.U64(c, "stamped", &r.Stamped)
	frame(c, &r.Frame)
}

// Fields lists the layout.
func (k *MailboxKeys) Fields(c *wire.Codec) {
	wire.U32(c, "generation", &k.Generation)
	c.Check(k.Generation != 0, "generation", "zero")
	scalar(c, "w", &k.W)
	scalar(c, "z", &k.Z)
	wire.U32(c, "until", &k.Until)
}

// Fields lists the layout.
func (k *AccountSecret) Fields(c *wire.Codec) { scalar(c, "k", &k.K) }

// Fields lists the layout.
func (k *Choices) Fields(c *wire.Codec) {
	wire.U64(c, "hop changed", &k.HopChanged)
	chosen := !k.Hop.IsZero() || c.Describing()
	if c.Bool("hop chosen", &chosen); chosen {
		c.Domain("hop", &k.Hop)
	}
	c.Check(c.Describing() || k.HopChanged != 0 || k.Hop.IsZero(), "hop", "never chosen")
	wire.U64(c, "reads changed", &k.ReadsChanged)
	c.Bool("read receipts", &k.ReadReceipts)
	wire.U64(c, "door changed", &k.DoorChanged)
	wire.U8(c, "policy", &k.Policy)
	wire.List(c, "codes", &k.Codes, wire.MaxContactCodes, func(c *wire.Codec, s *[32]byte) { c.Fixed("code", s[:]) })
}

// scalar is a scalar of ristretto255 that group.DecodeScalar accepts.
func scalar(c *wire.Codec, field string, b *[32]byte) {
	c.Fixed(field, b[:])
	x, err := group.Ristretto255().DecodeScalar(b[:])
	c.Check(err == nil, field, "not a usable scalar")
	x.Erase()
}

// Fields lists the layout.
func (b *Batch) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	wire.List(c, "parts", &b.Parts, MaxParts, func(c *wire.Codec, p *Part) { p.Fields(c) })
}

const (
	batchFixed = 1 + 2
	partFixed  = 8 + 2 + 1 + 4
)

// Fields lists the layout.
func (p *Part) Fields(c *wire.Codec) {
	wire.U64(c, "record", &p.Record)
	c.Check(p.Record != 0, "record", "zero")
	wire.U16(c, "index", &p.Index)
	c.Check(p.Index < MaxPieces, "index", "out of range")
	c.Bool("last", &p.Last)
	c.Bytes("bytes", &p.Bytes, MaxPart)
	c.Check(len(p.Bytes) > 0, "bytes", "empty")
}

// Layouts returns the layouts of the items, by name, and of a batch, for the
// documentation.
func Layouts() map[string][]wire.Row {
	return map[string][]wire.Row{
		"SyncBatch": wire.Layout(new(Batch)), "SyncSent": wire.Layout(new(Sent)), "SyncStatus": wire.Layout(new(StatusOf)),
		"SyncContact": wire.Layout(&Contact{Known: true, Pinned: true}), "SyncRemoved": wire.Layout(new(Removed)),
		"SyncGiven": wire.Layout(new(Given)), "SyncCode": wire.Layout(new(Code)),
		"SyncRoots": wire.Layout(&Roots{HasChain: true}), "SyncProvider": wire.Layout(new(Provider)),
		"SyncReceived": wire.Layout(new(Received)), "SyncMailboxKeys": wire.Layout(new(MailboxKeys)),
		"SyncAccountSecret": wire.Layout(new(AccountSecret)), "SyncChoices": wire.Layout(new(Choices)),
	}
}
