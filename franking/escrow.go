package franking

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
)

// Escrow holds the sender's pseudonym at the recipient's provider, N_B = k*P_B,
// sealed to the recipient and the reviewers together: E1 = e*G, E2 = N_B +
// e*(PK_TS + Z).
type Escrow struct {
	Generation uint32 // of the recipient's W and Z
	Reviewers  uint32 // number of PK_TS in the snapshot
	E1, E2     [ElementSize]byte
	Proof      [escrowSize]byte
}

// PlatformBase returns P_B, whose logarithm nobody knows. It is the base of
// package ratelimit: what an escrow opens to is what refills show.
func PlatformBase(provider ids.Domain) group.Element {
	return group.Ristretto255().HashToElement([]byte(provider.String()), labelPlatform)
}

// escrowKeys are the public keys that an escrow is made with.
type escrowKeys struct {
	join, reviewers group.Element
	to              *Recipient
}

func escrowKeysOf(s *Snapshot, epoch ids.Day, reviewers uint32, to *Recipient) (k escrowKeys, ok bool) {
	join, ok := s.join(epoch)
	r, there := s.reviewers[reviewers]
	return escrowKeys{join: join, reviewers: r, to: to}, ok && there && to.Z.IsSet() && to.W.IsSet()
}

// claim is
//
//	{k, r, e: idcom = k*G + r*H, E1 = e*G, E2 = k*P_B + e*(PK_TS + Z)} or {j: J = j*G}
//
// The second branch keeps it deniable: without it the recipient, knowing w, could
// tie idcom to X_S in public and so prove for ever who wrote F. The reviewers
// hold j in the meantime and could fake an escrow, to themselves only.
func (k *escrowKeys) claim(t *Token, esc *Escrow) (*group.Disjunction, error) {
	g := group.Ristretto255()
	identity, err := t.commitment()
	if err != nil {
		return nil, err
	}
	e1, err := g.DecodeElement(esc.E1[:])
	if err != nil {
		return nil, FaultEscrow
	}
	e2, err := g.DecodeElement(esc.E2[:])
	if err != nil {
		return nil, FaultEscrow
	}
	rel := group.NewRelation(g)
	x := rel.AllocScalars(3) // k, r, e
	el := rel.AllocElements(g.Generator(), g.SecondGenerator(), PlatformBase(k.to.Provider), k.reviewers.Add(k.to.Z), identity, e1, e2)
	rel.Constrain(el[4], x[0].Times(el[0]), x[1].Times(el[1]))
	rel.Constrain(el[5], x[2].Times(el[0]))
	rel.Constrain(el[6], x[0].Times(el[2]), x[2].Times(el[3]))
	owner, err := rel.Build()
	if err != nil {
		return nil, FaultEscrow
	}
	join, err := group.Possession(k.join)
	if err != nil {
		return nil, FaultEscrow
	}
	return group.NewDisjunction(owner, join)
}

// session: H(T) 32 | aud 32 | B | mailbox 16 | W 32 | Z 32 | generation 4 |
// reviewers key 4 | epoch 4. With H(T) in it nobody can move an escrow to
// another token.
func (k *escrowKeys) session(t *Token, aud *AudienceHash, esc *Escrow) group.Session {
	h := t.Hash()
	return group.NewSession(labelEscrow, h[:], aud[:], []byte(k.to.Provider.String()), k.to.Mailbox[:],
		k.to.W.Bytes(), k.to.Z.Bytes(), be32(esc.Generation), be32(esc.Reviewers), be32(uint32(t.Epoch)))
}

// makeEscrow seals N_B of the secret k.
func makeEscrow(t *Token, aud *AudienceHash, ek *escrowKeys, reviewers uint32, k, r group.Scalar) (*Escrow, error) {
	g := group.Ristretto255()
	e := g.RandomScalar()
	defer e.Erase()
	esc := &Escrow{Generation: ek.to.Generation, Reviewers: reviewers}
	esc.E1 = [ElementSize]byte(g.MulGenerator(e).Bytes())
	sum := []group.Element{PlatformBase(ek.to.Provider), ek.reviewers.Add(ek.to.Z)}
	esc.E2 = [ElementSize]byte(g.MultiMul([]group.Scalar{k, e}, sum).Bytes())
	return esc, ek.prove(t, aud, esc, 0, k, r, e)
}

// prove fills the proof.
func (k *escrowKeys) prove(t *Token, aud *AudienceHash, esc *Escrow, branch int, witness ...group.Scalar) error {
	d, err := k.claim(t, esc)
	if err != nil {
		return err
	}
	proof, err := d.Prove(k.session(t, aud, esc), branch, witness...)
	if err != nil {
		return err
	}
	copy(esc.Proof[:], proof)
	return nil
}

// check verifies the proof. The error is FaultEscrow.
func (k *escrowKeys) check(t *Token, aud *AudienceHash, esc *Escrow) error {
	if esc.Generation != k.to.Generation {
		return FaultEscrow
	}
	d, err := k.claim(t, esc)
	if err != nil || d.Verify(k.session(t, aud, esc), esc.Proof[:]) != nil {
		return FaultEscrow
	}
	return nil
}

// Share is the recipient's part in opening an escrow: D_R = z*E1 with a proof
// (DLEQ) that it is that. Without the proof a recipient could make the reviewers
// ban somebody else.
type Share struct {
	Key   [ElementSize]byte
	Proof [possessionSize]byte
}

// shareSession: H(T) 32 | mailbox 16 | generation 4 | E1 32 | E2 32.
func shareSession(token TokenHash, to *Recipient, esc *Escrow) group.Session {
	return group.NewSession(labelShare, token[:], to.Mailbox[:], be32(to.Generation), esc.E1[:], esc.E2[:])
}

// MakeShare makes the recipient's share, with its secret z, when it asks for a
// ban. The error is FaultEscrow.
func MakeShare(v *Verified, esc *Escrow, to *Recipient, z group.Scalar) (*Share, error) {
	g := group.Ristretto255()
	e1, err := g.DecodeElement(esc.E1[:])
	if err != nil {
		return nil, FaultEscrow
	}
	d := e1.Mul(z)
	st, err := group.DLEQ(g.Generator(), to.Z, e1, d)
	if err != nil {
		return nil, FaultEscrow
	}
	proof, err := st.Prove(shareSession(v.token, to, esc), z)
	if err != nil {
		return nil, FaultEscrow
	}
	s := &Share{Key: [ElementSize]byte(d.Bytes())}
	copy(s.Proof[:], proof)
	return s, nil
}

// EscrowOpening is what a report adds for a ban: the escrow of one message's
// token and the recipient's share.
type EscrowOpening struct {
	Message uint8 // index in the report
	Escrow  Escrow
	Share   Share
}

// Pseudonym is N_B, the sender's pseudonym at one provider: nobody's identity,
// the same whatever tokens the account has.
type Pseudonym struct {
	n group.Element
	keys.Redacted
}

// Bytes returns N_B.
func (p *Pseudonym) Bytes() []byte { return p.n.Bytes() }

// Equal compares in constant time.
func (p *Pseudonym) Equal(o *Pseudonym) bool { return p.n.Equal(o.n) }

// openable verifies an escrow of the message's token and the recipient's share of
// it, and returns what is subtracted from E2 to open it: all but x*E1.
func (m *Substantiated) openable(o *EscrowOpening, to *Recipient) (k escrowKeys, e1, rest group.Element, err error) {
	g := group.Ristretto255()
	if to.Mailbox != m.e.Mailbox || to.Address != m.reader || to.Provider != m.provider {
		return k, e1, rest, FaultEscrow
	}
	k, ok := escrowKeysOf(m.snapshot, m.e.Token.Epoch, o.Escrow.Reviewers, to)
	if !ok {
		return k, e1, rest, FaultEscrow
	}
	if err := k.check(&m.e.Token, &m.aud, &o.Escrow); err != nil {
		return k, e1, rest, err
	}
	if e1, err = g.DecodeElement(o.Escrow.E1[:]); err != nil {
		return k, e1, rest, FaultEscrow
	}
	e2, err := g.DecodeElement(o.Escrow.E2[:])
	if err != nil {
		return k, e1, rest, FaultEscrow
	}
	d, err := g.DecodeElement(o.Share.Key[:])
	if err != nil {
		return k, e1, rest, FaultShare
	}
	st, err := group.DLEQ(g.Generator(), to.Z, e1, d)
	if err != nil || st.Verify(shareSession(m.token, to, &o.Escrow), o.Share.Proof[:]) != nil {
		return k, e1, rest, FaultShare
	}
	return k, e1, e2.Sub(d), nil
}

// CheckShare verifies what a report adds for a ban, without opening it: that the
// escrow is of the message's token and the share of the escrow. to is what the
// provider's directory holds of the mailbox and generation. Errors are FaultEscrow
// and FaultShare.
func (m *Substantiated) CheckShare(o *EscrowOpening, to *Recipient) error {
	_, _, _, err := m.openable(o, to)
	return err
}

// OpenEscrow opens N_B of a substantiated message with the reviewers' secret x
// and the recipient's share. to is as for CheckShare, and so are the errors.
func (m *Substantiated) OpenEscrow(o *EscrowOpening, to *Recipient, x group.Scalar) (*Pseudonym, error) {
	k, e1, rest, err := m.openable(o, to)
	if err != nil {
		return nil, err
	}
	if !k.reviewers.Equal(group.Ristretto255().MulGenerator(x)) {
		return nil, FaultEscrow
	}
	n := rest.Sub(e1.Mul(x))
	if n.IsIdentity() {
		return nil, FaultEscrow // k = 0 is no account's
	}
	return &Pseudonym{n: n}, nil
}
