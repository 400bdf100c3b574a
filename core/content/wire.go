package content

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"waxwing/core/attachment"
	"waxwing/core/ids"
	"waxwing/core/wire"
)

// Sizes, in bytes.
const (
	// DigestSize is the size of d and of every hash here.
	DigestSize = 32
	// ConversationSize is the size of a conversation's id.
	ConversationSize = 16

	// StandingSize is the size of a standing stamp.
	StandingSize = 32

	frameVersion   = 1
	controlVersion = 1

	// frameFixed is a frame without references and text: 69 bytes.
	frameFixed = 1 + 1 + ConversationSize + 8 + 8 + DigestSize + 2 + 1
	// itemFixed is what comes before the content of an item, controlFixed what
	// comes before the items.
	itemFixed    = 1 + 2
	controlFixed = 1 + 2

	// descriptorFixed is a descriptor without name and type.
	descriptorFixed = 4 + 4 + 8 + 3*attachment.HashSize

	// PieceUnit is what pieces begin and end at, in bytes, and PieceIDSize the size
	// of the id of what they are pieces of.
	PieceUnit   = 16
	PieceIDSize = 8
	// pieceFixed is what comes before a piece's bytes.
	pieceFixed = PieceIDSize + 2 + 1
)

// Fields lists the layout:
//
//	version 1 | kind 1 | conversation 16 | seq 8 | sent 8 | prev 32 |
//	refs 2 + 32n | attachments 1 + each | text, all that is left
//
// There are attachments in frames of that kind and in no others.
func (f *Frame) Fields(c *wire.Codec) {
	c.Const("version", frameVersion)
	wire.U8(c, "kind", &f.Kind)
	c.Check(f.Kind.valid(), "kind", "unknown value")
	c.Fixed("conversation", f.Conversation[:])
	c.Check(f.Conversation != Conversation{}, "conversation", "zero")
	wire.U64(c, "seq", &f.Seq)
	wire.U64(c, "sent", &f.Sent)
	c.Fixed("prev", f.Prev[:])
	wire.List(c, "refs", &f.Refs, MaxRefs, digest)
	c.Check(distinct(f.Refs), "refs", "one twice")
	descriptors(c, &f.Attachments)
	c.Check((f.Kind == KindAttachment) == (len(f.Attachments) > 0), "attachments", "none, or not of this kind")
	text := []byte(f.Text)
	c.Rest("text", &text, MaxText)
	c.Check(len(text) > 0 || f.Kind == KindAttachment, "text", "empty")
	c.Check(len(text) <= MaxCaption || f.Kind != KindAttachment, "text", "too long")
	c.Check(utf8.Valid(text), "text", "not UTF-8")
	if c.Parsing() {
		f.Text = string(text)
	}
}

func digest(c *wire.Codec, d *Digest) {
	c.Fixed("d", d[:])
	c.Check(*d != Digest{}, "d", "zero")
}

// descriptors is a count of 1 byte and that many descriptors, each of a secret of
// its own: two files under one would have the same nonces.
func descriptors(c *wire.Codec, list *[]attachment.Descriptor) {
	n := uint8(min(len(*list), 255))
	wire.U8(c, "attachments", &n)
	if n > MaxAttachments {
		c.Fail("attachments", "too many")
		return
	}
	if c.Describing() {
		c.Nested("attachments[]", new(descriptor))
	}
	for i := range int(n) {
		if c.Parsing() {
			*list = append(*list, attachment.Descriptor{})
		}
		d := &(*list)[i]
		(*descriptor)(d).Fields(c)
		c.Check(!slices.ContainsFunc((*list)[:i], func(o attachment.Descriptor) bool { return o.Commitment == d.Commitment }), "attachments", "one secret twice")
	}
}

// descriptor is an attachment.Descriptor as it stands in F.
type descriptor attachment.Descriptor

// Fields lists the layout.
func (d *descriptor) Fields(c *wire.Codec) {
	c.String("name", &d.Name, attachment.MaxName)
	c.String("type", &d.Type, attachment.MaxType)
	wire.U64(c, "size", &d.Size)
	c.Fixed("root", d.Root[:])
	c.Fixed("sealed", d.Sealed[:])
	c.Fixed("commitment", d.Commitment[:])
	c.Check((*attachment.Descriptor)(d).Check() == nil, "attachment", "no descriptor")
}

// distinct compares all pairs: there are at most MaxRefs.
func distinct(ds []Digest) bool {
	for i := range min(len(ds), MaxRefs) {
		if slices.Contains(ds[:i], ds[i]) {
			return false
		}
	}
	return true
}

// itemType numbers the items of a control part. Numbers are never used again.
type itemType uint8

// The items and their contents.
const (
	itemMailbox     itemType = 1 // mailbox 16
	itemGrant       itemType = 2 // ticket.Grant
	itemDelivered   itemType = 3 // d 32 of each message, ascending
	itemRead        itemType = 4 // d 32 of each message, ascending
	itemConfirmed   itemType = 5 // hash 32 of each thing, ascending
	itemSealKey     itemType = 6 // directory.MailboxKey
	itemCertificate itemType = 7 // sealedsender.Certificate
	itemManifest    itemType = 8 // directory.Manifest
	// Reserved: 9 for W and Z with their log proof.
	itemPiece    itemType = 10 // Piece, of audience salt 16 | token bundle
	itemMissed   itemType = 11 // d 32 of each message, ascending
	itemWanted   itemType = 12 // reference 32 of each token bundle, ascending
	itemStanding itemType = 13 // standing stamp 32
	itemEnd      itemType = 14
)

// Fields lists the layout: id 8 | length 2 | first 1 | bytes, all that is left.
func (p *Piece) Fields(c *wire.Codec) {
	c.Fixed("id", p.ID[:])
	wire.U16(c, "length", &p.Length)
	c.Check(p.Length > 0 && p.Length <= MaxWhole, "length", "zero, or too long")
	wire.U8(c, "first", &p.First)
	c.Rest("bytes", &p.Bytes, MaxWhole)
	end := int(p.First)*PieceUnit + len(p.Bytes)
	c.Check(len(p.Bytes) > 0 && end <= int(p.Length), "bytes", "none, or beyond the end")
	c.Check(end == int(p.Length) || len(p.Bytes)%PieceUnit == 0, "bytes", "not whole units")
}

// Fields lists the layout, for the caller's store.
func (g *Gathering) Fields(c *wire.Codec) {
	c.Fixed("id", g.ID[:])
	wire.U64(c, "have", &g.Have)
	c.Bytes("bytes", &g.Bytes, MaxWhole)
	c.Check(g.Have>>Units(len(g.Bytes)) == 0, "have", "beyond the end")
}

// item is one item as it travels: type 1 | length 2 | content.
type item struct {
	kind itemType
	body []byte
}

func (i *item) Fields(c *wire.Codec) {
	wire.U8(c, "type", &i.kind)
	n := uint16(len(i.body)) // every item's limit is below 2^16
	wire.U16(c, "length", &n)
	c.Exact("content", &i.body, int(n))
	c.Check(len(i.body) > 0, "content", "empty")
}

// Fields lists the layout: version 1 | items 2 + each.
func (ctl *Control) Fields(c *wire.Codec) {
	c.Const("version", controlVersion)
	var items []item
	if !c.Parsing() {
		items = ctl.items(c)
	}
	wire.List(c, "items", &items, int(itemEnd)-1, func(c *wire.Codec, i *item) { i.Fields(c) })
	if !c.Parsing() {
		return
	}
	c.Check(len(items) > 0, "items", "none")
	last := itemType(0)
	for _, i := range items {
		c.Check(i.kind > last, "items", "not ascending")
		last = i.kind
		ctl.take(c, i)
	}
}

// items returns the items of a control part, by type.
func (ctl *Control) items(c *wire.Codec) (items []item) {
	add := func(kind itemType, body []byte, limit int, field string) {
		c.Check(len(body) <= limit, field, "too long")
		if len(body) > 0 && len(body) <= limit {
			items = append(items, item{kind, body})
		}
	}
	if ctl.Mailbox != (ids.MailboxID{}) {
		add(itemMailbox, ctl.Mailbox[:], len(ctl.Mailbox), "mailbox")
	}
	add(itemGrant, ctl.Grant, MaxGrant, "grant")
	add(itemDelivered, join(c, ctl.Delivered, "delivered"), MaxReceipts*DigestSize, "delivered")
	add(itemRead, join(c, ctl.Read, "read"), MaxReceipts*DigestSize, "read")
	add(itemConfirmed, join(c, ctl.Confirmed, "confirmed"), MaxConfirmed*DigestSize, "confirmed")
	add(itemSealKey, ctl.SealKey, MaxSealKey, "seal key")
	add(itemCertificate, ctl.Certificate, MaxCertificate, "certificate")
	add(itemManifest, ctl.Manifest, MaxManifest, "manifest")
	if ctl.Piece != nil {
		b, err := wire.Marshal(ctl.Piece)
		c.Check(err == nil, "piece", "malformed")
		add(itemPiece, b, pieceFixed+MaxWhole, "piece")
	}
	add(itemMissed, join(c, ctl.Missed, "missed"), MaxMissed*DigestSize, "missed")
	add(itemWanted, join(c, ctl.Wanted, "wanted"), MaxWanted*DigestSize, "wanted")
	if ctl.Standing != [StandingSize]byte{} {
		add(itemStanding, ctl.Standing[:], StandingSize, "standing")
	}
	return items
}

// take puts a parsed item into its field.
func (ctl *Control) take(c *wire.Codec, i item) {
	opaque := func(p *[]byte, limit int, field string) {
		c.Check(len(i.body) <= limit, field, "too long")
		*p = i.body
	}
	switch i.kind {
	case itemMailbox:
		if len(i.body) != len(ctl.Mailbox) {
			c.Fail("mailbox", "wrong length")
			return
		}
		ctl.Mailbox = ids.MailboxID(i.body)
		c.Check(ctl.Mailbox != ids.MailboxID{}, "mailbox", "zero")
	case itemGrant:
		opaque(&ctl.Grant, MaxGrant, "grant")
	case itemDelivered:
		ctl.Delivered = split(c, i.body, MaxReceipts, "delivered")
	case itemRead:
		ctl.Read = split(c, i.body, MaxReceipts, "read")
	case itemConfirmed:
		ctl.Confirmed = split(c, i.body, MaxConfirmed, "confirmed")
	case itemSealKey:
		opaque(&ctl.SealKey, MaxSealKey, "seal key")
	case itemCertificate:
		opaque(&ctl.Certificate, MaxCertificate, "certificate")
	case itemManifest:
		opaque(&ctl.Manifest, MaxManifest, "manifest")
	case itemMissed:
		ctl.Missed = split(c, i.body, MaxMissed, "missed")
	case itemPiece:
		ctl.Piece = new(Piece)
		c.Check(wire.Unmarshal(i.body, ctl.Piece) == nil, "piece", "malformed")
	case itemWanted:
		ctl.Wanted = split(c, i.body, MaxWanted, "wanted")
	case itemStanding:
		if len(i.body) != StandingSize {
			c.Fail("standing", "wrong length")
			return
		}
		ctl.Standing = [StandingSize]byte(i.body)
		c.Check(ctl.Standing != [StandingSize]byte{}, "standing", "zero")
	default:
		c.Fail("items", "unknown type")
	}
}

// join builds a list of digests in its one order, each once.
func join(c *wire.Codec, ds []Digest, field string) []byte {
	sorted := slices.Clone(ds)
	slices.SortFunc(sorted, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	sorted = slices.Compact(sorted)
	out := make([]byte, 0, len(sorted)*DigestSize)
	for i := range sorted {
		c.Check(sorted[i] != Digest{}, field, "zero")
		out = append(out, sorted[i][:]...)
	}
	return out
}

func split(c *wire.Codec, b []byte, limit int, field string) []Digest {
	if len(b)%DigestSize != 0 || len(b) > limit*DigestSize {
		c.Fail(field, "wrong length")
		return nil
	}
	var out []Digest
	var last Digest // so that a zero digest is refused too
	for len(b) > 0 {
		d := Digest(b)
		c.Check(bytes.Compare(d[:], last[:]) > 0, field, "not ascending")
		out, last, b = append(out, d), d, b[DigestSize:]
	}
	return out
}
