package franking

import (
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/attachment"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The labels of MACs and hashes. One begins every message that is authenticated
// under a franking key or a stamp key, and every hash. It enters as one byte of
// length and its text, so that no label is the beginning of another. Labels are
// never changed and never used again. Signatures take theirs from the table of
// package keys.
const (
	labelFrame     = "frame"   // kd
	labelRcpt      = "rcpt"    // key of a recipient's commitment
	labelCom       = "com"     // the commitment
	labelStamp     = "stamp"   // the relay's stamp
	labelBind      = "bind"    // what sigma2 signs in place of d, one recipient
	labelBindGroup = "bindg"   // the same, group
	labelAudOne    = "aud1"    // audience, one recipient
	labelAudGroup  = "audg"    // audience, group
	labelToken     = "token"   // H(T)
	labelBundle    = "bundle"  // reference to a token bundle
	labelVerdict   = "verdict" // hash of a countersigned verdict
	labelPart      = "part"    // part of exported evidence
	labelPurse     = "purse"   // what a client files a token under; local
	labelFetch     = "fetch"   // when a client fetches tokens; local
)

// The labels of proofs (group.NewSession), of HPKE and of hashing to the group.
const (
	labelIssue     = "waxwing token issuance"
	labelDV        = "waxwing token owner"
	labelEscrow    = "waxwing escrow"
	labelShare     = "waxwing escrow share"
	labelJoin      = "waxwing epoch join key"
	labelReviewers = "waxwing reviewers key"
	labelReport    = "waxwing report"
	labelPlatform  = "waxwing platform base v1" // as in package ratelimit
)

// Inputs of MACs and hashes; all integers big-endian, names and addresses behind
// a length of 4 bytes, H is SHA-256:
//
//	d      = HMAC(HMAC(kf, "frame"), F)
//	com    = HMAC(HMAC(kf, "rcpt" | mailbox 16), "com" | d 32 | B | mailbox 16 | day 4)
//	bind   = H("bind" | d 32 | HMAC(kf, "bind" | com 32))        one recipient
//	         HMAC(kf, "bindg" | B | d 32)                        group
//	aud    = H("aud1" | recipient's address | salt 16)
//	         H("audg" | group 32 | group epoch 8 | salt 16)
//	H(T)   = H("token" | T)
//	sigma2 = Ed25519(skT, H(T) 32 | bind 32 | aud 32 | B | hour 4)
//	stamp  = HMAC(kStamp[day of received], "stamp" | mailbox 16 | com 32 | day 4 | received 8)
//
// Sigma1 and the other trailing signatures cover all bytes before them. The
// sessions of proofs are beside their statements in issue.go, owner.go, escrow.go
// and snapshot.go; each value stands there behind its length.

// Sizes, in bytes.
const (
	KeySize        = 32 // kf; exactly, as HMAC pads shorter keys with zeros
	DigestSize     = 32 // d
	CommitmentSize = wire.ComSize
	StampSize      = 32
	SaltSize       = 16
	GroupSize      = 32
	ReportIDSize   = 16
	ElementSize    = 32

	version = 1

	// wrappedPlain is account 64, zeros behind | serial 8. Every account takes
	// the same room, or a token would tell the length of its owner's name.
	wrappedPlain = ids.MaxAddress + 8
	// wrappedSize is x1: nonce 12 | wrappedPlain | tag 16.
	wrappedSize = 12 + wrappedPlain + 16

	possessionSize = 64  // group.Possession, group.DLEQ
	issueProofSize = 64  // challenge and r
	dvSize         = 128 // two challenges, r, w
	escrowSize     = 192 // two challenges, k, r, e, j
	tokenFixed     = 1 + 1 + 4 + 32 + ElementSize + wrappedSize + keys.SignatureSize
	bundleFixed    = 1 + dvSize + 4 + 4 + 2*ElementSize + escrowSize
	// MaxToken and MaxBundle are the largest encodings.
	MaxToken  = tokenFixed + ids.MaxDomain
	MaxBundle = bundleFixed + MaxToken
)

func label(m *keys.MAC, s string) {
	m.Byte(byte(len(s)))
	m.WriteString(s)
}

// domain appends a provider's name in full, behind its length: a shortened or
// hashed name could be ground to collide.
func domain(m *keys.MAC, d ids.Domain) {
	s := d.String()
	m.Uint32(uint32(len(s)))
	m.WriteString(s)
}

// commitmentInput: "com" | d 32 | B | mailbox 16 | day 4.
func commitmentInput(m *keys.MAC, d *Digest, p *Place) {
	label(m, labelCom)
	m.Write(d[:])
	domain(m, p.Provider)
	m.Write(p.Mailbox[:])
	m.Uint32(uint32(p.Day))
}

// stampInput: "stamp" | mailbox 16 | com 32 | day 4 | received 8.
func stampInput(m *keys.MAC, r *Receipt) {
	label(m, labelStamp)
	m.Write(r.Mailbox[:])
	m.Write(r.Com[:])
	m.Uint32(uint32(r.Day))
	m.Uint64(r.Received)
}

// authorInput is what sigma2 signs.
func authorInput(token *TokenHash, b *Binding, aud *AudienceHash, provider ids.Domain, hour ids.Hour) []byte {
	out := make([]byte, 0, 3*32+4+ids.MaxDomain+4)
	out = append(append(append(out, token[:]...), b[:]...), aud[:]...)
	out = wire.AppendPrefixed(out, []byte(provider.String()))
	return binary.BigEndian.AppendUint32(out, uint32(hour))
}

// hashed is SHA-256 of a label and what follows it.
func hashed(label string, parts ...[]byte) [32]byte {
	h := sha256.New()
	h.Write(append([]byte{byte(len(label))}, label...))
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func be64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// unsigned returns what a trailing signature covers, and its place.
func unsigned(b []byte) (msg, sig []byte) {
	n := len(b) - keys.SignatureSize
	return b[:n], b[n:]
}

// element is one of ristretto255 in its one encoding, not the identity.
func element(c *wire.Codec, field string, p *[ElementSize]byte) {
	c.Fixed(field, p[:])
	if c.Parsing() {
		_, err := group.Ristretto255().DecodeElement(p[:])
		c.Check(err == nil, field, "not a usable element")
	}
}

// verifyKey is an Ed25519 key, canonical and not of small order.
func verifyKey(c *wire.Codec, field string, p *keys.VerifyKey) {
	c.Fixed(field, p[:])
	if c.Parsing() {
		_, err := keys.ParseVerifyKey(p[:])
		c.Check(err == nil, field, "not a usable key")
	}
}

// record is a stamp key or an epoch's secret as it is stored, 37 bytes.
type record struct {
	Day ids.Day
	Key [keys.SecretSize]byte
}

// Fields lists the layout.
func (r *record) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U32(c, "day", &r.Day)
	c.Fixed("key", r.Key[:])
}

// Fields lists the layout of T: sigma1 covers all before it, x1's associated
// data is all before x1.
func (t *Token) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("issuer", &t.Issuer)
	wire.U32(c, "epoch", &t.Epoch)
	verifyKey(c, "pkT", &t.Key)
	element(c, "idcom", &t.Identity)
	c.Fixed("x1", t.Wrapped[:])
	c.Fixed("sigma1", t.Signature[:])
}

// Fields lists the layout.
func (r *IssueRequest) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U32(c, "epoch", &r.Epoch)
	wire.List(c, "items", &r.Items, MaxIssue, func(c *wire.Codec, i *IssueItem) {
		verifyKey(c, "pkT", &i.Key)
		c.Fixed("possession", i.Possession[:])
		element(c, "idcom", &i.Identity)
		c.Fixed("proof", i.Proof[:])
	})
	c.Check(len(r.Items) > 0, "items", "none")
}

// Fields lists the layout.
func (a *IssueAnswer) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.List(c, "tokens", &a.Tokens, MaxIssue, func(c *wire.Codec, t *Token) { c.Nested("token", t) })
}

// Fields lists the layout.
func (o *ownRecord) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Nested("token", &o.token)
	c.Fixed("seed", o.seed[:])
	c.Fixed("r", o.r[:])
	c.Bool("assigned", &o.assigned)
	c.Fixed("audience", o.audience[:])
	c.Fixed("salt", o.salt[:])
}

// Fields lists the layout: a document of each account.
func (a *Allowance) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U32(c, "epoch", &a.Epoch)
	wire.U32(c, "taken", &a.Taken)
}

// epochKeys is the keys of epochs, ascending. Of several of one epoch all but the
// last are revoked: with two in force a provider could tell accounts apart.
func epochKeys(c *wire.Codec, list *[]EpochKey) {
	wire.List(c, "epochs", list, MaxEpochs, epochKey)
	same := 1
	for i := 1; i < len(*list); i++ {
		a, b := &(*list)[i-1], &(*list)[i]
		if a.Epoch != b.Epoch {
			same = 1
			c.Check(a.Epoch < b.Epoch, "epochs", "not ascending")
			continue
		}
		same++
		c.Check(a.Revoked != 0, "epochs", "two in force")
		c.Check(same <= MaxEpochKeys, "epochs", "too many of one")
		for j := i + 1 - same; j >= 0 && j < i; j++ {
			c.Check((*list)[j].Key != b.Key, "epochs", "the same key twice")
		}
	}
}

func epochKey(c *wire.Codec, k *EpochKey) {
	wire.U32(c, "epoch", &k.Epoch)
	verifyKey(c, "key", &k.Key)
	wire.U64(c, "revoked", &k.Revoked)
}

// ascending checks that a list has one order and names nothing twice.
func ascending[T any](c *wire.Codec, field string, list []T, of func(*T) uint64) {
	for i := 1; i < len(list); i++ {
		c.Check(of(&list[i-1]) < of(&list[i]), field, "not ascending")
	}
}

// Fields lists the layout.
func (k *EpochKeys) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("issuer", &k.Issuer)
	wire.U64(c, "number", &k.Number)
	epochKeys(c, &k.Epochs)
	c.Fixed("signature", k.Signature[:])
}

// Fields lists the layout.
func (s *SnapshotFields) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("provider", &s.Provider)
	wire.U64(c, "number", &s.Number)
	wire.U64(c, "from", &s.From)
	c.Domain("issuer", &s.Issuer)
	epochKeys(c, &s.Epochs)
	proven := func(c *wire.Codec, k *ProvenKey) {
		wire.U32(c, "id", &k.ID)
		element(c, "key", &k.Key)
		c.Fixed("possession", k.Proof[:])
	}
	wire.List(c, "join keys", &s.Joins, MaxEpochs, proven)
	ascending(c, "join keys", s.Joins, func(k *ProvenKey) uint64 { return uint64(k.ID) })
	wire.List(c, "reviewers keys", &s.Reviewers, MaxReviewersKeys, proven)
	ascending(c, "reviewers keys", s.Reviewers, func(k *ProvenKey) uint64 { return uint64(k.ID) })
	c.Fixed("signature", s.Signature[:])
}

// Fields lists the layout: what convinces one recipient, and the escrow.
func (b *BundleFields) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Nested("token", &b.Token)
	c.Fixed("owner proof", b.Owner[:])
	c.Nested("escrow", &b.Escrow)
}

// Fields lists the layout.
func (e *Escrow) Fields(c *wire.Codec) {
	wire.U32(c, "generation", &e.Generation)
	wire.U32(c, "reviewers key", &e.Reviewers)
	element(c, "E1", &e.E1)
	element(c, "E2", &e.E2)
	c.Fixed("proof", e.Proof[:])
}

// Fields lists the layout of what a message is proven by. What is not in it, the
// verifier brings: the provider and the reader.
func (e *Evidence) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Nested("token", &e.Token)
	c.Bytes("F", &e.Frame, MaxFrame)
	c.Fixed("kf", e.Key.b[:])
	c.Fixed("sigma2", e.Author[:])
	wire.U32(c, "hour", &e.Hour)
	c.Bool("group", &e.Audience.Group)
	if e.Audience.Group || c.Describing() {
		c.Fixed("group id", e.Audience.ID[:])
		wire.U64(c, "group epoch", &e.Audience.Epoch)
	}
	c.Fixed("salt", e.Audience.Salt[:])
	c.Fixed("mailbox", e.Mailbox[:])
	c.Fixed("com", e.Com[:])
	wire.U32(c, "day", &e.Day)
	wire.U64(c, "received", &e.Received)
	c.Fixed("stamp", e.Stamp[:])
	c.Fixed("snapshot", e.Snapshot[:])
	leaves(c, &e.Leaves)
}

// leaves is a count of 1 byte and that many revealed chunks, ascending by
// attachment and index.
func leaves(c *wire.Codec, list *[]Leaf) {
	n := uint8(min(len(*list), 255))
	wire.U8(c, "leaves", &n)
	if n > MaxLeaves {
		c.Fail("leaves", "too many")
		return
	}
	if c.Describing() {
		c.Nested("leaves[]", new(Leaf))
	}
	if c.Parsing() {
		*list = make([]Leaf, n)
	}
	for i := range *list {
		(*list)[i].Fields(c)
	}
	ascending(c, "leaves", *list, (*Leaf).order)
}

// Fields lists the layout.
func (l *Leaf) Fields(c *wire.Codec) {
	wire.U8(c, "attachment", &l.Attachment)
	wire.U32(c, "index", &l.Index)
	c.Fixed("salt", l.Salt[:])
	c.Bytes("chunk", &l.Chunk, attachment.ChunkSize)
	wire.List(c, "path", &l.Path, attachment.MaxPath, func(c *wire.Codec, h *attachment.Hash) { c.Fixed("hash", h[:]) })
}

// Fields lists the layout.
func (r *Report) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Fixed("id", r.ID[:])
	wire.U8(c, "reason", &r.Reason)
	c.Check(r.Reason.valid(), "reason", "unknown value")
	wire.U8(c, "consents", &r.Consents)
	c.Check(r.Consents&^allConsents == 0, "consents", "unknown value")
	c.String("note", &r.Note, MaxNote)
	c.Check(validText(r.Note), "note", "not UTF-8")
	wire.List(c, "messages", &r.Messages, MaxMessages, func(c *wire.Codec, e *Evidence) { e.Fields(c) })
	c.Check(len(r.Messages) > 0, "messages", "none")
	wire.List(c, "escrows", &r.Escrows, MaxMessages, func(c *wire.Codec, o *EscrowOpening) {
		wire.U8(c, "message", &o.Message)
		c.Check(int(o.Message) < len(r.Messages), "message", "not in the report")
		c.Nested("escrow", &o.Escrow)
		element(c, "share", &o.Share.Key)
		c.Fixed("share proof", o.Share.Proof[:])
	})
	ascending(c, "escrows", r.Escrows, func(o *EscrowOpening) uint64 { return uint64(o.Message) })
	c.Padding("padding")
}

// Fields lists the layout.
func (d *DeskFields) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("provider", &d.Provider)
	wire.U32(c, "number", &d.Number)
	wire.U32(c, "first day", &d.First)
	wire.U32(c, "last day", &d.Last)
	c.Exact("seal key", &d.Seal, keys.SealPublicSize)
	verifyKey(c, "countersign key", &d.Countersign)
	verifyKey(c, "answer key", &d.Answer)
	c.Fixed("signature", d.Signature[:])
}

// Fields lists the layout. It holds neither F nor anything of com.
func (v *VerdictFields) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("provider", &v.Provider)
	c.Domain("issuer", &v.Issuer)
	c.Fixed("report", v.Report[:])
	wire.U64(c, "made", &v.Made)
	wire.U8(c, "reason", &v.Reason)
	c.Check(v.Reason.valid(), "reason", "unknown value")
	wire.U8(c, "asked", &v.Asked)
	c.Check(v.Asked.valid(), "asked", "unknown value")
	c.Nested("token", &v.Token)
	c.Fixed("sigma2", v.Author[:])
	wire.U32(c, "hour", &v.Hour)
	c.Fixed("aud", v.Audience[:])
	c.Fixed("bind", v.Binding[:])
	c.Bool("disclosed", &v.Disclosed)
	if v.Disclosed || c.Describing() {
		c.Bytes("F", &v.Frame, MaxFrame)
		c.Fixed("kd", v.FrameKey[:])
		c.Fixed("inner", v.Inner[:])
	}
	c.Fixed("signature", v.Signature[:])
}

// Fields lists the layout.
func (a *AnswerFields) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("issuer", &a.Issuer)
	c.Domain("provider", &a.Provider)
	c.Fixed("report", a.Report[:])
	c.Fixed("verdict", a.Verdict[:])
	wire.U8(c, "action", &a.Action)
	c.Check(a.Action.valid(), "action", "unknown value")
	wire.U64(c, "made", &a.Made)
	c.Fixed("signature", a.Signature[:])
}

// Fields lists the layout: the manifest, its signature, and the parts that it
// names, in its order.
func (x *exportFile) Fields(c *wire.Codec) {
	c.Exact("magic", &x.magic, len(exportMagic))
	c.Check(string(x.magic) == exportMagic || c.Describing(), "magic", "no evidence file")
	c.Nested("manifest", &x.manifest)
	c.Fixed("signature", x.signature[:])
	wire.List(c, "contents", &x.contents, MaxParts, func(c *wire.Codec, b *[]byte) { c.Bytes("content", b, MaxPart) })
}

// Fields lists the layout.
func (m *Manifest) Fields(c *wire.Codec) {
	c.Const("version", version)
	c.Domain("provider", &m.Provider)
	verifyKey(c, "key", &m.Key)
	wire.U64(c, "made", &m.Made)
	c.Fixed("report", m.Report[:])
	c.Address("reader", &m.Reader)
	wire.List(c, "parts", &m.Parts, MaxParts, func(c *wire.Codec, p *Part) {
		wire.U8(c, "kind", &p.Kind)
		c.Check(p.Kind.valid(), "kind", "unknown value")
		wire.U8(c, "finding", &p.Finding)
		c.Check(p.Finding < faultEnd, "finding", "unknown value")
		c.Fixed("hash", p.Hash[:])
	})
	c.Check(len(m.Parts) > 0, "parts", "none")
}

// Layouts returns the layouts of this package for the documentation, by name.
func Layouts() map[string][]wire.Row {
	out := map[string][]wire.Row{}
	for name, s := range map[string]wire.Schema{
		"FrankingToken": new(Token), "IssueRequest": new(IssueRequest), "IssueAnswer": new(IssueAnswer),
		"EpochKeys": new(EpochKeys), "KeySnapshot": new(SnapshotFields), "TokenBundle": new(BundleFields),
		"Evidence": new(Evidence), "Report": new(Report), "ReportDesk": new(DeskFields),
		"Verdict": new(VerdictFields), "VerdictAnswer": new(AnswerFields), "OpeningEntry": new(openingEntry),
		"EvidenceFile": new(exportFile), "OwnToken": new(ownRecord), "Allowance": new(Allowance), "LogHead": new(LogHead),
		"LogProof": new(LogProof), "LogFile": new(LogFile),
	} {
		out[name] = wire.Layout(s)
	}
	return out
}
