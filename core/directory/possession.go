package directory

import (
	"encoding/binary"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
)

// ElementSize is the size of an encoded element of ristretto255, in bytes.
const ElementSize = 32

// PossessionSize is the size of a proof of possession, in bytes: a challenge
// and a response (core/group).
const PossessionSize = 64

// ProvenKey is an element x*G of ristretto255 with the proof (Schnorr 1991,
// group.Possession) that whoever published it knew x. Without the proof a key
// could be made of others' keys (X_S + d*G, c*W), so that two accounts had
// related pseudonyms, or have a logarithm that its owner does not know, which
// would let proofs to it be passed on.
//
// The proof is bound to whom the key belongs to (wire_possession.go): copied to
// another account or mailbox, it does not verify.
type ProvenKey struct {
	Key   [ElementSize]byte
	Proof [PossessionSize]byte
}

// Element returns the key decoded: never the identity. The error is
// group.ErrDecode; a key out of a Manifest or MailboxKey has none.
func (k *ProvenKey) Element() (group.Element, error) {
	return group.Ristretto255().DecodeElement(k.Key[:])
}

// ProveAccountKey returns X_S = k*G with its proof, for the manifests of one
// account under one identity key. The same input gives the same bytes. The
// error is group.ErrStatement: k is zero or of another group.
func ProveAccountKey(k group.Scalar, address ids.Address, identity keys.VerifyKey) (ProvenKey, error) {
	return prove(k, accountKeySession(address, identity))
}

// ProveMailboxKeys returns W = w*G and Z = z*G with their proofs, for the
// mailbox keys of one mailbox and one generation. The same input gives the same
// bytes, as the same week's key has to be published again after a lost answer.
// The error is group.ErrStatement: a scalar is zero or of another group.
func ProveMailboxKeys(w, z group.Scalar, address ids.Address, mailbox ids.MailboxID, generation uint32) (pw, pz ProvenKey, err error) {
	if pw, err = prove(w, mailboxKeySession(labelW, address, mailbox, generation)); err != nil {
		return pw, pz, err
	}
	pz, err = prove(z, mailboxKeySession(labelZ, address, mailbox, generation))
	return pw, pz, err
}

func prove(x group.Scalar, session group.Session) (p ProvenKey, err error) {
	if !x.IsSet() || x.Group() != group.Ristretto255() {
		return p, group.ErrStatement
	}
	public := group.Ristretto255().MulGenerator(x)
	st, err := group.Possession(public)
	if err != nil {
		return p, err
	}
	// The nonces are derived from seed, statement, session and x, as in
	// deterministic signatures: without x nobody can guess them, so the seed
	// need not be secret, and the bytes are the same whenever they are made.
	var seed [group.SeedSize]byte
	proof, err := st.ProveSeeded(&seed, session, x)
	if err != nil {
		return p, err
	}
	copy(p.Key[:], public.Bytes())
	copy(p.Proof[:], proof)
	return p, nil
}

// verify returns nil or ErrPossession.
func (k *ProvenKey) verify(session group.Session) error {
	e, err := k.Element()
	if err != nil {
		return ErrPossession
	}
	st, err := group.Possession(e)
	if err != nil || st.Verify(session, k.Proof[:]) != nil {
		return ErrPossession
	}
	return nil
}

func accountKeySession(address ids.Address, identity keys.VerifyKey) group.Session {
	return group.NewSession(labelAccountKey, []byte(address.String()), identity[:])
}

func mailboxKeySession(label string, address ids.Address, mailbox ids.MailboxID, generation uint32) group.Session {
	return group.NewSession(label, []byte(address.String()), mailbox[:], binary.BigEndian.AppendUint32(nil, generation))
}
