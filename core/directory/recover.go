package directory

import (
	"context"
	"errors"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Recovered is who proved an account's identity key on this connection, without
// being one of its devices. Only Recover makes one.
type Recovered struct{ address ids.Address }

// Address returns the account.
func (r *Recovered) Address() ids.Address { return r.address }

// SignRecovery makes the signature of wire.Recover with the identity key.
func SignRecovery(identity *keys.SigningKey, address ids.Address, server ids.Domain, ch Challenge) (sig [keys.SignatureSize]byte) {
	copy(sig[:], identity.Sign(keys.ContextRecover, ch.input(server, address, 0)))
	return sig
}

// Recover checks that the owner of an account's identity key is at the other
// end of the connection. ErrUnauthenticated says that it is not, or that there
// is no such account; other errors are the store's.
func (d *Directory) Recover(ctx context.Context, m *wire.Recover, ch Challenge) (*Recovered, error) {
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
	if a.Manifest.Identity().Verify(keys.ContextRecover, ch.input(d.domain, m.Address, 0), m.Signature[:]) != nil {
		return nil, ErrUnauthenticated
	}
	return &Recovered{m.Address}, nil
}

// AddDevice is UpdateManifest for who recovers an account: the manifest keeps
// every device that there is. A manifest that does not is ErrMismatch.
func (d *Directory) AddDevice(ctx context.Context, who *Recovered, manifest []byte) error {
	return d.updateManifest(ctx, who.address, manifest, true)
}
