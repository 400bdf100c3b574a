package daemon_test

import (
	"bytes"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
)

// What package reports and the directory keep for franking; read from their
// documentation, so that a change there is noticed here.

func init() {
	documents["dir/standing/"] = documentLayout{wholeKey("address"), func() wire.Schema { return new(standingRecord) }}
	documents["reports/allowance/"] = documentLayout{slashKey("address", "place", 1), func() wire.Schema { return new(allowanceRecord) }}
	documents["reports/list/"] = documentLayout{wholeKey("domain"), structures["epoch keys"]}
	documents["reports/snapshot/"] = documentLayout{slashKey("domain", "number", 20), structures["snapshot"]}
	documents["reports/desk/"] = documentLayout{slashKey("domain", "number", 10), structures["desk"]}
	documents["reports/secret/"] = documentLayout{sizedKey("kind and epoch and number", 14), func() wire.Schema { return new(secretRecord) }}
	documents["reports/report/"] = documentLayout{sizedKey("id", 32), func() wire.Schema { return new(reportRecord) }}
	documents["reports/ban/"] = documentLayout{slashKey("id", "message", 2), func() wire.Schema { return new(banRecord) }}
	documents["reports/head/"] = documentLayout{wholeKey("domain"), func() wire.Schema { return new(headRecord) }}
	documents["reports/seen/"] = documentLayout{sizedKey("hash", 64), func() wire.Schema { return new(seenRecord) }}
	documents["reports/pending/"] = documentLayout{slashKey("domain", "id", 32), structures["verdict"]}
	documents["reports/opened/"] = documentLayout{sizedKey("hash", 64), func() wire.Schema { return new(answerRecord) }}
}

// slashKey is a name | "/" | n characters.
func slashKey(name, second string, n int) func([]byte) ([]field, bool) {
	return func(b []byte) ([]field, bool) {
		i := bytes.LastIndexByte(b, '/')
		if i < 1 || len(b)-i-1 != n {
			return nil, false
		}
		return []field{{"key." + name, b[:i]}, {"key." + second, b[i+1:]}}, true
	}
}

type standingRecord struct {
	warned, openings              uint32
	limited, suspended, lastNamed uint64
	acts                          []actRecord
}

type actRecord struct {
	opening uint64
	action  uint8
}

func (r *standingRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U32(c, "warned", &r.warned)
	wire.U64(c, "limited until", &r.limited)
	wire.U64(c, "suspended until", &r.suspended)
	wire.U32(c, "openings", &r.openings)
	wire.U64(c, "last", &r.lastNamed)
	wire.List(c, "acts", &r.acts, 8, func(c *wire.Codec, a *actRecord) {
		wire.U64(c, "opening", &a.opening)
		wire.U8(c, "action", &a.action)
	})
}

type allowanceRecord struct {
	epoch ids.Day
	taken uint32
}

func (r *allowanceRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U32(c, "epoch", &r.epoch)
	wire.U32(c, "taken", &r.taken)
}

type secretRecord struct {
	kind   uint8
	epoch  ids.Day
	secret [32]byte
}

func (r *secretRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U8(c, "kind", &r.kind)
	wire.U32(c, "epoch", &r.epoch)
	c.Fixed("secret", r.secret[:])
}

type findingRecord struct {
	fault       uint8
	linked, gap bool
}

type reportRecord struct {
	state, asked, action uint8
	message              uint8
	reporter             ids.Address
	received, decided    uint64
	desk                 uint32
	findings             []findingRecord
	proven               bool
	issuer               ids.Domain
	reviewers            [2]string
	sealed               []byte
}

func (r *reportRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U8(c, "state", &r.state)
	c.Address("reporter", &r.reporter)
	wire.U64(c, "received", &r.received)
	wire.U32(c, "desk", &r.desk)
	wire.List(c, "findings", &r.findings, franking.MaxMessages, func(c *wire.Codec, f *findingRecord) {
		wire.U8(c, "fault", &f.fault)
		c.Bool("linked", &f.linked)
		c.Bool("gap", &f.gap)
	})
	c.Bool("proven", &r.proven)
	if r.proven || c.Describing() {
		c.Domain("issuer", &r.issuer)
	}
	wire.U8(c, "asked", &r.asked)
	wire.U8(c, "message", &r.message)
	c.String("first reviewer", &r.reviewers[0], 64)
	c.String("second reviewer", &r.reviewers[1], 64)
	wire.U64(c, "decided", &r.decided)
	wire.U8(c, "action", &r.action)
	c.Bytes("sealed", &r.sealed, wire.MaxSealedReport)
}

type banRecord struct {
	day           ids.Day
	issuer        ids.Domain
	reason, fault uint8
	generation    uint32
	w, z, n       [32]byte
	reviewers     [2]string
	opened        uint64
}

func (r *banRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U32(c, "day", &r.day)
	c.Domain("issuer", &r.issuer)
	wire.U8(c, "reason", &r.reason)
	wire.U32(c, "generation", &r.generation)
	c.Fixed("W", r.w[:])
	c.Fixed("Z", r.z[:])
	wire.U8(c, "fault", &r.fault)
	c.String("first reviewer", &r.reviewers[0], 64)
	c.String("second reviewer", &r.reviewers[1], 64)
	wire.U64(c, "opened", &r.opened)
	if r.opened != 0 || c.Describing() {
		c.Fixed("N_B", r.n[:])
	}
}

type headRecord struct {
	forked bool
	seen   uint64
	head   []byte
}

func (r *headRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Bool("forked", &r.forked)
	wire.U64(c, "seen", &r.seen)
	c.Bytes("head", &r.head, wire.MaxPublication)
}

type seenRecord struct {
	day    ids.Day
	report [16]byte
}

func (r *seenRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U32(c, "day", &r.day)
	c.Fixed("report", r.report[:])
}

type answerRecord struct {
	day     ids.Day
	verdict [32]byte
	answer  []byte
}

func (r *answerRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U32(c, "day", &r.day)
	c.Fixed("verdict", r.verdict[:])
	c.Bytes("answer", &r.answer, wire.MaxVerdictAnswer)
}
