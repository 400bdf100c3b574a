package franking

import (
	"waxwing/core/auditlog"
	"waxwing/core/ids"
	"waxwing/core/wire"
)

// The layouts of logs: their heads, proofs and entries.

// Fields lists the layout.
func (h *LogHead) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("provider", &h.Provider)
	wire.U8(c, "kind", &h.Kind)
	c.Check(h.Kind >= LogOpenings && h.Kind < logEnd, "kind", "unknown value")
	wire.U32(c, "segment", &h.Segment)
	c.Check(h.Segment > 0, "segment", "zero")
	wire.U64(c, "size", &h.Size)
	c.Fixed("root", h.Root[:])
	wire.U64(c, "at", &h.At)
	c.Fixed("signature", h.Signature[:])
}

// hashes is a path in a log's tree.
func hashes(c *wire.Codec, field string, list *[]auditlog.Hash) {
	wire.List(c, field, list, auditlog.MaxProof, func(c *wire.Codec, h *auditlog.Hash) { c.Fixed("hash", h[:]) })
}

// Fields lists the layout.
func (p *LogProof) Fields(c *wire.Codec) {
	c.Const("version", version)
	hashes(c, "consistency", &p.Consistency)
	wire.List(c, "links", &p.Links, auditlog.MaxLinks, func(c *wire.Codec, l *auditlog.LinkProof) {
		wire.U64(c, "size", &l.Size)
		c.Fixed("root", l.Root[:])
		hashes(c, "inclusion", &l.Inclusion)
	})
}

// Fields lists the layout.
func (f *LogFile) Fields(c *wire.Codec) {
	c.Exact("magic", &f.magic, len(logMagic))
	c.Check(string(f.magic) == logMagic || c.Describing(), "magic", "no log file")
	verifyKey(c, "root", &f.Root)
	c.Bytes("desk", &f.Desk, wire.MaxPublication)
	c.Bytes("head", &f.Head, maxHead)
	c.Bytes("since", &f.Since, maxHead)
	c.Nested("proof", &f.Proof)
}

// openingEntry is what an opening leaves in the log, before it happens. It
// names no account.
type openingEntry struct {
	provider ids.Domain
	report   ReportID
	verdict  VerdictHash
	token    TokenHash
	reason   Reason
	opened   uint64
}

// Fields lists the layout.
func (o *openingEntry) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("provider", &o.provider)
	c.Fixed("report", o.report[:])
	c.Fixed("verdict", o.verdict[:])
	c.Fixed("H(T)", o.token[:])
	wire.U8(c, "reason", &o.reason)
	wire.U64(c, "opened", &o.opened)
}
