package sealedsender

import (
	"bytes"
	"crypto/sha256"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Issue signs a certificate with the provider's certificate key. The signature
// in f is ignored. The caller has authenticated the device and takes the keys from
// its stored manifest. It fails only for fields that are not usable
// (wire.ErrMalformed, ErrCertificateKeys).
func Issue(key *keys.SigningKey, f CertificateFields) ([]byte, error) {
	if err := f.checkKeys(); err != nil {
		return nil, err
	}
	b, err := wire.Marshal(&f)
	if err != nil {
		return nil, err
	}
	msg, sig := splitSigned(b)
	copy(sig, key.Sign(keys.ContextCertificate, msg))
	return b, nil
}

// VerifiedCertificate is a sender certificate whose signature was checked. It
// is immutable.
type VerifiedCertificate struct {
	f    CertificateFields
	raw  []byte
	hash [HashSize]byte
	keys.Redacted
}

// Verify parses a certificate and checks that one of the trusted keys signed it,
// that it is for an address of the domain that the keys belong to, and that
// day lies in its life. The day is that of sending (the delivery's), so that a
// message that waited can still be read.
//
// All keys are always tried, so that the time taken does not tell which of them
// signed. Errors are wire.ErrMalformed or wrap ErrCertificate.
func Verify(cert []byte, trusted []keys.VerifyKey, domain ids.Domain, day ids.Day) (*VerifiedCertificate, error) {
	if len(cert) > MaxCertificateSize {
		return nil, &wire.FieldError{Field: "certificate", Reason: "too long"}
	}
	if len(trusted) > MaxTrusted {
		return nil, ErrTrustedSet
	}
	v := &VerifiedCertificate{raw: bytes.Clone(cert), hash: CertificateHash(cert)}
	if err := wire.Unmarshal(v.raw, &v.f); err != nil {
		return nil, err
	}
	// Before the signature: a key of one provider vouches for no other's accounts.
	if v.f.Address.Domain() != domain {
		return nil, ErrCertificateForeign
	}
	msg, sig := splitSigned(v.raw)
	signers := 0
	for _, k := range trusted {
		if k.Verify(keys.ContextCertificate, msg, sig) == nil {
			signers++
		}
	}
	if signers == 0 {
		return nil, ErrCertificateSignature
	}
	if err := v.ValidOn(day); err != nil {
		return nil, err
	}
	if err := v.f.checkKeys(); err != nil {
		return nil, err
	}
	return v, nil
}

// checkKeys refuses keys that are not canonical or of small order: such a
// device key would agree on one secret with everybody, and so make tags that
// anybody can make; the identity as X_S would have one pseudonym everywhere.
func (f *CertificateFields) checkKeys() error {
	if _, err := keys.ParseVerifyKey(f.Identity[:]); err != nil {
		return ErrCertificateKeys
	}
	if _, err := keys.ParseDHPublic(f.DH[:]); err != nil {
		return ErrCertificateKeys
	}
	if _, err := group.Ristretto255().DecodeElement(f.XS[:]); err != nil {
		return ErrCertificateKeys
	}
	return nil
}

// splitSigned returns what a certificate's trailing signature covers.
func splitSigned(b []byte) (msg, sig []byte) {
	n := len(b) - keys.SignatureSize
	return b[:n], b[n:]
}

// CertificateHash returns the hash by which a head refers to a certificate that
// its recipient has confirmed.
func CertificateHash(cert []byte) [HashSize]byte {
	b := make([]byte, 0, len(labelCertificate)+MaxCertificateSize)
	return sha256.Sum256(append(append(b, labelCertificate...), cert...))
}

// CertificateDomain returns the domain that a certificate claims, for choosing
// the trusted keys. Nothing about it has been verified.
func CertificateDomain(cert []byte) (ids.Domain, error) {
	var f CertificateFields
	if len(cert) > MaxCertificateSize {
		return ids.Domain{}, &wire.FieldError{Field: "certificate", Reason: "too long"}
	}
	if err := wire.Unmarshal(cert, &f); err != nil {
		return ids.Domain{}, err
	}
	return f.Address.Domain(), nil
}

// ValidOn returns nil if day lies in the certificate's life, else
// ErrCertificateExpired.
func (v *VerifiedCertificate) ValidOn(day ids.Day) error {
	left := int64(v.f.Expiry) - int64(day)
	if left < 0 || left > MaxLifetimeDays {
		return ErrCertificateExpired
	}
	return nil
}

// Address returns the account.
func (v *VerifiedCertificate) Address() ids.Address { return v.f.Address }

// Device returns the device.
func (v *VerifiedCertificate) Device() ids.DeviceID { return v.f.Device }

// Identity returns the account's identity key.
func (v *VerifiedCertificate) Identity() keys.VerifyKey { return v.f.Identity }

// DH returns the device's identity key in sessions.
func (v *VerifiedCertificate) DH() keys.DHPublic { return v.f.DH }

// XS returns the account's X_S, encoded: an element of ristretto255 other than
// the identity. Its owner proved to the provider that it knows k (package
// directory); to the certificate's reader the provider vouches for that. Were
// X_S beside the certificate and not in it, somebody could join one account's
// certificate with another's token.
func (v *VerifiedCertificate) XS() [xsSize]byte { return v.f.XS }

// Expiry returns the last day of validity.
func (v *VerifiedCertificate) Expiry() ids.Day { return v.f.Expiry }

// Bytes returns the encoding.
func (v *VerifiedCertificate) Bytes() []byte { return bytes.Clone(v.raw) }

// Hash returns CertificateHash of the encoding.
func (v *VerifiedCertificate) Hash() [HashSize]byte { return v.hash }
