package ratchet

import (
	"crypto/mlkem"
	"fmt"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

func (p *PublicSignedPrekey) signed() []byte { return wire.MustMarshal(p)[:signedPrekeyPart] }

// Verify checks key and signature, as a directory does before it stores the
// prekey and VerifyBundle does before use. Errors wrap ErrBundle.
func (p *PublicSignedPrekey) Verify(device keys.VerifyKey) error {
	if _, err := keys.ParseDHPublic(p.Key[:]); err != nil {
		return fmt.Errorf("%w: signed prekey", ErrBundle)
	}
	if device.Verify(keys.ContextPrekey, p.signed(), p.Signature[:]) != nil {
		return fmt.Errorf("%w: signed prekey's signature", ErrBundle)
	}
	return nil
}

func (p *PublicOneTime) signed() []byte { return wire.MustMarshal(p)[:oneTimePart] }

// Verify checks keys (FIPS 203 section 7.2 for the encapsulation key) and
// signature. Errors wrap ErrBundle.
func (p *PublicOneTime) Verify(device keys.VerifyKey) error {
	_, err := p.verify(device)
	return err
}

func (p *PublicOneTime) verify(device keys.VerifyKey) (*mlkem.EncapsulationKey1024, error) {
	if device.Verify(keys.ContextKEMPrekey, p.signed(), p.Signature[:]) != nil {
		return nil, fmt.Errorf("%w: pair's signature", ErrBundle)
	}
	if _, err := keys.ParseDHPublic(p.DH[:]); err != nil {
		return nil, fmt.Errorf("%w: pair's X25519 key", ErrBundle)
	}
	kem, err := mlkem.NewEncapsulationKey1024(p.KEM[:])
	if err != nil {
		return nil, fmt.Errorf("%w: pair's ML-KEM-1024 key", ErrBundle)
	}
	return kem, nil
}

// VerifiedBundle is a bundle whose signatures were made by the device that the
// manifest names. It begins one session.
type VerifiedBundle struct {
	bundle Bundle
	kem    *mlkem.EncapsulationKey1024
	used   bool // a pair offered twice would be refused by the responder
}

// Bundle returns what was verified.
func (b *VerifiedBundle) Bundle() Bundle { return b.bundle }

// VerifyBundle checks a bundle's keys and signatures against the device key of
// the peer's verified manifest. Errors wrap ErrBundle. That the identity key
// is the manifest's is checked by InitiateSession.
func VerifyBundle(b Bundle, device keys.VerifyKey) (*VerifiedBundle, error) {
	if _, err := keys.ParseDHPublic(b.Identity[:]); err != nil || b.Device == 0 {
		return nil, fmt.Errorf("%w: identity", ErrBundle)
	}
	if err := b.Signed.Verify(device); err != nil {
		return nil, err
	}
	kem, err := b.OneTime.verify(device)
	if err != nil {
		return nil, err
	}
	return &VerifiedBundle{bundle: b, kem: kem}, nil
}
