package bench

import (
	"context"
	"time"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// ticketDays is how long the tickets of a run can be spent: a run that goes
// over midnight still ends.
const ticketDays = 2

// account is a client with an authenticated connection that knows the protocol
// and no messages.
type account struct {
	conn   *quicnet.Conn
	caller *quicnet.Caller
}

// register makes an account at a running server.
func register(ctx context.Context, s *child.Server, local string) (*account, error) {
	domain, err := ids.ParseDomain(s.Domain)
	if err != nil {
		return nil, err
	}
	address, err := ids.ParseAddress(local + "@" + s.Domain)
	if err != nil {
		return nil, err
	}
	identity, sign := keys.NewSigningKey(), keys.NewSigningKey()
	f := directory.ManifestFields{Address: address, Version: 1, Identity: identity.Public(), DH: keys.NewDHKey().Public()}
	f.AddDevice(sign.Public(), keys.NewDHKey().Public())
	if f.AccountKey, err = directory.ProveAccountKey(group.Ristretto255().RandomScalar(), address, identity.Public()); err != nil {
		return nil, err
	}
	manifest, err := directory.SignManifest(f, identity)
	if err != nil {
		return nil, err
	}
	conn, err := quicnet.Dial(ctx, quicnet.DialConfig{Addr: s.Addr, Domain: domain, Pin: s.Pin})
	if err != nil {
		return nil, err
	}
	a := &account{conn: conn}
	if err := a.enter(ctx, domain, identity, manifest); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *account) enter(ctx context.Context, domain ids.Domain, identity *keys.SigningKey, m *directory.Manifest) error {
	stream, err := a.conn.OpenStream(ctx, wire.StreamControl)
	if err != nil {
		return err
	}
	if a.caller, err = quicnet.NewCaller(ctx, stream); err != nil {
		return err
	}
	sig := directory.SignRegistration(identity, m, domain, directory.Challenge{
		Exporter: a.conn.Exporter(), Nonce: a.caller.Hello().Nonce,
	})
	_, err = quicnet.Ask[*wire.Session](ctx, a.caller, &wire.Register{Manifest: m.Bytes(), Signature: sig})
	return err
}

func (a *account) close() {
	if a.caller != nil {
		a.caller.Close()
	}
	a.conn.Close(quicnet.CodeNone)
}

// mint takes n tickets of the account's mailbox.
func (a *account) mint(ctx context.Context, n int) ([]wire.MintedTicket, error) {
	tickets := make([]wire.MintedTicket, 0, n)
	for len(tickets) < n {
		count := min(n-len(tickets), wire.MaxMint)
		m, err := quicnet.Ask[*wire.Minted](ctx, a.caller, &wire.Mint{
			Count: uint16(count), Expiry: ids.DayOf(time.Now()) + ticketDays,
		})
		if err != nil {
			return nil, err
		}
		tickets = append(tickets, m.Tickets...)
	}
	return tickets, nil
}
