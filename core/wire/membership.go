package wire

import "waxwing/core/ids"

const (
	// MembershipRequestSize is the length of a request for a membership
	// (membership.RequestSize), MembershipAnswerSize that of the answer.
	MembershipRequestSize = 161
	MembershipAnswerSize  = 768
	// MaxAdmissionKeys bounds a signed list of admission's keys (keylist.MaxSize).
	MaxAdmissionKeys = 60 << 10
	// SharedKeySize is the length of a sealed membership key: X-Wing's
	// encapsulation 1120, four scalars, a tag.
	SharedKeySize = 1120 + 128 + 16
)

// IssueMembership asks the own provider to vouch for the account's secret at
// another one, for a month (membership.Membership).
type IssueMembership struct {
	Request
	Provider   ids.Domain
	Month      uint32
	Tier       uint8
	Membership [MembershipRequestSize]byte
}

// Type is the frame's number.
func (*IssueMembership) Type() FrameType { return TypeIssueMembership }

// Fields lists the layout.
func (m *IssueMembership) Fields(c *Codec) {
	m.id(c)
	c.Domain("provider", &m.Provider)
	U32(c, "month", &m.Month)
	U8(c, "tier", &m.Tier)
	c.Fixed("request", m.Membership[:])
}

// MembershipIssued answers IssueMembership. The same request has the same answer.
type MembershipIssued struct {
	Request
	Membership [MembershipAnswerSize]byte
}

// Type is the frame's number.
func (*MembershipIssued) Type() FrameType { return TypeMembershipIssued }

// Fields lists the layout.
func (m *MembershipIssued) Fields(c *Codec) {
	m.id(c)
	c.Fixed("answer", m.Membership[:])
}

// AdmissionKeys asks for the list of a provider's keys of admission: the server's
// own, or a peer's as the server last verified it.
type AdmissionKeys struct {
	Request
	Provider ids.Domain
}

// Type is the frame's number.
func (*AdmissionKeys) Type() FrameType { return TypeAdmissionKeys }

// Fields lists the layout.
func (m *AdmissionKeys) Fields(c *Codec) {
	m.id(c)
	c.Domain("provider", &m.Provider)
}

// AdmissionKeysAre answers AdmissionKeys.
type AdmissionKeysAre struct {
	Request
	List []byte // keylist.List, signed by the provider's root key
}

// Type is the frame's number.
func (*AdmissionKeysAre) Type() FrameType { return TypeAdmissionKeysAre }

// Fields lists the layout.
func (m *AdmissionKeysAre) Fields(c *Codec) {
	m.id(c)
	c.Bytes("list", &m.List, MaxAdmissionKeys)
}

// ShareMembershipKey gives a peer the key under which the asking provider issues
// memberships for use there. Between providers only; Done says that it is stored.
type ShareMembershipKey struct {
	Request
	Month  uint32
	KeyID  uint8               // of the relay key that it is sealed to
	Sealed [SharedKeySize]byte // arc.SecretKey.Bytes
}

// Type is the frame's number.
func (*ShareMembershipKey) Type() FrameType { return TypeShareMembershipKey }

// Fields lists the layout.
func (m *ShareMembershipKey) Fields(c *Codec) {
	m.id(c)
	U32(c, "month", &m.Month)
	U8(c, "key id", &m.KeyID)
	c.Fixed("sealed", m.Sealed[:])
}
