package directory

import (
	"context"
	"errors"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Challenge is what a proof of identity is made for: one connection, by its TLS
// exporter, and one moment on it, by the server's nonce.
type Challenge struct {
	Exporter [32]byte
	Nonce    [wire.NonceSize]byte
}

func (ch *Challenge) input(server ids.Domain, address ids.Address, device ids.DeviceID) []byte {
	return wire.MustMarshal(&wire.AuthInput{
		Exporter: ch.Exporter, Nonce: ch.Nonce, Server: server, Address: address, Device: device,
	})
}

// Authenticated is a device that proved its key on this connection. Only
// Register and Authenticate make one.
type Authenticated struct {
	address ids.Address
	device  ids.DeviceID
	mailbox ids.MailboxID
}

// Address returns the account.
func (a *Authenticated) Address() ids.Address { return a.address }

// Device returns the device.
func (a *Authenticated) Device() ids.DeviceID { return a.device }

// Mailbox returns the account's mailbox.
func (a *Authenticated) Mailbox() ids.MailboxID { return a.mailbox }

// SignAuth makes the signature of wire.Auth with the device's key.
func SignAuth(device *keys.SigningKey, address ids.Address, id ids.DeviceID, server ids.Domain, ch Challenge) (sig [keys.SignatureSize]byte) {
	copy(sig[:], device.Sign(keys.ContextAuth, ch.input(server, address, id)))
	return sig
}

// SignRegistration makes the signature of wire.Register with the identity key.
// It is for the manifest's first device.
func SignRegistration(identity *keys.SigningKey, m *Manifest, server ids.Domain, ch Challenge) (sig [keys.SignatureSize]byte) {
	copy(sig[:], identity.Sign(keys.ContextRegister, ch.input(server, m.Address(), m.f.Devices[0].ID)))
	return sig
}

// VerifyAuth checks the signature of wire.Auth against a manifest. The error is
// ErrUnauthenticated.
func VerifyAuth(m *Manifest, id ids.DeviceID, server ids.Domain, ch Challenge, sig [keys.SignatureSize]byte) error {
	d, ok := m.Device(id)
	if !ok || d.Sign.Verify(keys.ContextAuth, ch.input(server, m.Address(), id), sig[:]) != nil {
		return ErrUnauthenticated
	}
	return nil
}

// Registration is a request for a new account whose sender holds the identity
// key of its manifest. Only VerifyRegistration makes one.
type Registration struct{ manifest *Manifest }

// Manifest returns the new account's manifest.
func (r *Registration) Manifest() *Manifest { return r.manifest }

// VerifyRegistration checks a request to register with the provider server:
// the manifest is a first one, of this provider, and the identity key signed
// for this connection. Errors are wire.ErrMalformed, keys.ErrSignature (the
// manifest's), ErrPossession, ErrForeign, ErrConflict (not a first manifest),
// ids.ErrConfusable (the name looks like another) and ErrUnauthenticated. Whether the account may be had is the caller's decision.
func VerifyRegistration(m *wire.Register, server ids.Domain, ch Challenge) (*Registration, error) {
	manifest, err := ParseManifest(m.Manifest)
	if err != nil {
		return nil, err
	}
	switch {
	case manifest.Address().Domain() != server:
		return nil, ErrForeign
	case manifest.Version() != 1:
		return nil, ErrConflict
	}
	// Here and nowhere later: an account that exists keeps its name, and a name
	// that is refused spends no use of an invite.
	if err := manifest.Address().CheckConfusable(); err != nil {
		return nil, err
	}
	input := ch.input(server, manifest.Address(), manifest.f.Devices[0].ID)
	if manifest.Identity().Verify(keys.ContextRegister, input, m.Signature[:]) != nil {
		return nil, ErrUnauthenticated
	}
	return &Registration{manifest}, nil
}

// Authenticate checks that a device of an account is at the other end of the
// connection. ErrUnauthenticated says that it is not, or that there is no such
// device or account.
func (d *Directory) Authenticate(ctx context.Context, m *wire.Auth, ch Challenge) (*Authenticated, error) {
	if m.Address.IsZero() {
		return nil, ErrUnauthenticated
	}
	a, err := d.Account(ctx, m.Address)
	if errors.Is(err, ErrUnknown) {
		return nil, ErrUnauthenticated
	}
	if err != nil {
		return nil, err
	}
	if err := VerifyAuth(a.Manifest, m.Device, d.domain, ch, m.Signature); err != nil {
		return nil, err
	}
	return &Authenticated{m.Address, m.Device, a.Mailbox}, nil
}
