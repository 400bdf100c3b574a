package franking

import (
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The labels. One begins every message that is authenticated under a franking
// key, a stamp key or a token key, and every hash. It enters as one byte of
// length and its text, so that no label is the beginning of another. Labels are
// never changed and never used again.
const (
	labelFrame = "frame" // kd
	labelRcpt  = "rcpt"  // key of a recipient's commitment
	labelCom   = "com"   // the commitment
	labelStamp = "stamp" // the relay's stamp
)

// Reserved labels, for what is not built yet. Their inputs, all integers
// big-endian, provider names behind a length of 4 bytes:
//
//	bind   = SHA-256("bind" | d 32 | HMAC(kf, "bind" | com 32))   one recipient
//	         HMAC(kf, "bindg" | B | d 32)                         group
//	aud    = SHA-256("aud1" | recipient | salt 16)
//	         SHA-256("audg" | group | group epoch | salt 16)
//	sigma2 = Ed25519(skT, "msg" | SHA-256(T) | bind 32 | aud 32 | B | hour 4)
//	sigma1 = Ed25519(A's epoch key, "token" | rest of T)
//
// Signatures will take their labels from the table of package keys.
const (
	labelBind      = "bind"
	labelBindGroup = "bindg"
	labelAudOne    = "aud1"
	labelAudGroup  = "audg"
	labelAuthor    = "msg"
	labelToken     = "token"
)

// Sizes, in bytes.
const (
	KeySize        = 32 // kf; exactly, as HMAC pads shorter keys with zeros
	DigestSize     = 32 // d
	CommitmentSize = wire.ComSize
	StampSize      = 32

	version = 1
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

// record is a stamp key as the relay stores it, 37 bytes.
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
