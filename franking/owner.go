package franking

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
)

// Sender is the account that a recipient sees, as the sender's certificate names
// it.
type Sender struct {
	Address  ids.Address
	Identity keys.VerifyKey
	XS       group.Element
}

// Recipient is whom a bundle is made for: a mailbox with the keys that its owner
// published with proofs of possession. A recipient verifies against what it
// knows of itself, reviewers against what the directory holds.
type Recipient struct {
	Provider   ids.Domain
	Address    ids.Address
	Mailbox    ids.MailboxID
	Generation uint32 // of W and Z
	W, Z       group.Element
}

// ownerProof is the claim "I know r with idcom = X_S + r*H, or w with W = w*G":
// it convinces the recipient, who knows that it did not make it, that the token
// is of the account in the certificate, and nobody else, since the recipient
// could have made it (Jakobsson, Sako, Impagliazzo, EUROCRYPT 1996).
func ownerProof(t *Token, from *Sender, to *Recipient) (*group.Disjunction, error) {
	identity, err := t.commitment()
	if err != nil {
		return nil, err
	}
	owner, err := differenceStatement(identity, from.XS)
	if err != nil {
		return nil, FaultIdentity
	}
	recipient, err := group.Possession(to.W)
	if err != nil {
		return nil, FaultIdentity
	}
	return group.NewDisjunction(owner, recipient)
}

// ownerSession: H(T) 32 | account | identity key 32 | B | recipient's address |
// mailbox 16 | generation 4. Suite, G, H, idcom, X_S, W and the commitments are
// part of every challenge (core/group).
func ownerSession(token TokenHash, from *Sender, to *Recipient) group.Session {
	return group.NewSession(labelDV, token[:], []byte(from.Address.String()), from.Identity[:],
		[]byte(to.Provider.String()), []byte(to.Address.String()), to.Mailbox[:], be32(to.Generation))
}

// proveOwner makes the proof, with r; or, by the recipient alone, with w.
func proveOwner(t *Token, from *Sender, to *Recipient, branch int, witness group.Scalar) (out [dvSize]byte, err error) {
	d, err := ownerProof(t, from, to)
	if err != nil {
		return out, err
	}
	proof, err := d.Prove(ownerSession(t.Hash(), from, to), branch, witness)
	if err != nil {
		return out, err
	}
	copy(out[:], proof)
	return out, nil
}

// checkOwner verifies the proof. The error is FaultIdentity.
func checkOwner(t *Token, proof *[dvSize]byte, from *Sender, to *Recipient) error {
	// A token of one provider vouches for no other's accounts.
	if from.Address.Domain() != t.Issuer || !from.XS.IsSet() || !to.W.IsSet() {
		return FaultIdentity
	}
	d, err := ownerProof(t, from, to)
	if err != nil || d.Verify(ownerSession(t.Hash(), from, to), proof[:]) != nil {
		return FaultIdentity
	}
	return nil
}
