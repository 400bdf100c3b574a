package client

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"waxwing/core/archive"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/linking"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// ExportConfig says what is exported.
type ExportConfig struct {
	Passphrase []byte // required
	History    bool   // the messages, too
	keys.Redacted
}

// Export writes the account to an encrypted file: its secrets, contacts, blocks
// and to whom tickets were given; never sessions, tickets, prekeys or this
// device's keys (package core/archive). Whoever has the file and its passphrase
// is the account. Errors are ErrNotRegistered, ErrPassphrase (none, or too
// long), out's and the store's.
func (c *Client) Export(out io.Writer, e ExportConfig) error {
	w, err := archive.Encrypt(out, e.Passphrase)
	if err != nil {
		return archiveError(err)
	}
	if err := c.update(func(k *work) error { return k.prepareArchive() }); err != nil {
		return err
	}
	if err := c.view(func(k *work) error { return k.writeArchive(w, k.self.manifest, e.History) }); err != nil {
		return err
	}
	return w.Close()
}

// ImportConfig says how an exported account is taken in.
type ImportConfig struct {
	Passphrase []byte
	// Server is where the provider is now, if not where the file says.
	Server string
	keys.Redacted
}

// Import makes a new device of an exported account, with a profile of its own,
// and opens it. The provider lets the device in by the account's identity key;
// other devices stay, and those that are lost are removed from here then. What was
// still to be sent when the file was written has failed; sessions are begun anew.
//
// The file is read to its end before anything is stored. If the provider could
// not be asked, the profile stays, and the same call ends what was begun. Errors
// are ErrExists, ErrPassphrase, ErrArchive, ErrDevices, *RefusedError
// (CodeUnauthenticated: the provider has no such account), ErrServer, in's, those
// of the connection and the store's.
func Import(ctx context.Context, conf Config, in io.Reader, i ImportConfig) (*Client, error) {
	plain, err := archive.Decrypt(in, i.Passphrase)
	if err != nil {
		return nil, archiveError(err)
	}
	var c *Client
	if Exists(conf.Dir) {
		c, err = begun(conf, plain)
	} else {
		c, err = createFrom(conf, plain, makeDevice(), i.Server, nil)
	}
	if err != nil {
		return nil, err
	}
	if err := c.recover(ctx, i.Server); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// createFrom makes a profile of an archive, and of what another device gave to this
// one beside it, if one did; after an error there is none.
func createFrom(conf Config, in io.Reader, d newDevice, server string, h *linking.Handover) (*Client, error) {
	c, err := Create(conf)
	if err != nil {
		return nil, err
	}
	err = c.e.store.Update(func(tx *state.Tx) error {
		if err := restore(tx, in, d, ids.DayOf(c.now()), server); err != nil {
			return err
		}
		return given(tx, h)
	})
	if err == nil {
		// The profile is durable, as a whole. A crash from now on finds it.
		c.e.forget()
		err = c.view(func(*work) error { return nil })
	}
	if err != nil {
		return nil, errors.Join(err, c.discard())
	}
	return c, nil
}

// discard closes and removes a profile that was just made.
func (c *Client) discard() error {
	return errors.Join(c.Close(), os.Remove(filepath.Join(c.conf.Dir, fileName)))
}

// forget drops what is in memory, after the file was changed beside it.
func (e *engine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.memo = nil
}

// begun opens the profile of an import that did not come to its end, of the same
// account. The error is ErrExists if it is another profile.
func begun(conf Config, in io.Reader) (*Client, error) {
	_, a, err := archive.NewReader(in)
	if err != nil {
		return nil, archiveError(err)
	}
	defer a.Erase()
	c, err := Open(conf)
	if err != nil {
		return nil, err
	}
	err = c.view(func(w *work) error {
		if !w.unfinished() || w.self.Address != a.Address || w.self.Identity != a.Identity {
			return ErrExists
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// unfinished reports whether the profile is an imported account whose device the
// provider was not yet asked to let in, or has not answered about.
func (w *work) unfinished() bool {
	return w.self != nil && !w.self.Registered && w.self.Mailbox != ids.MailboxID{}
}

// recover has the provider let this device into the account.
func (c *Client) recover(ctx context.Context, server string) error {
	var address ids.Address
	var pin keys.Pin
	if err := c.update(func(w *work) error {
		if server != "" {
			w.ownProfile().Server = server
		}
		server, address, pin = w.self.Server, w.self.Address, w.self.Pin
		return w.pin(address.Domain(), pin)
	}); err != nil {
		return err
	}
	l, err := c.dial(ctx, server, address.Domain(), pin)
	if err != nil {
		return err
	}
	err = l.letIn(ctx, address)
	l.close()
	if err != nil {
		return refusedError(err)
	}
	// The device is in the account, and knows it. Whatever fails from here on is
	// done with the next connection.
	return c.withLink(ctx, func(l *link) error { return l.supply(ctx) })
}

func (l *link) letIn(ctx context.Context, address ids.Address) error {
	var m *wire.Recover
	if err := l.c.view(func(w *work) error {
		m = &wire.Recover{Address: address, Signature: directory.SignRecovery(w.self.identity, address, address.Domain(), l.challenge())}
		return nil
	}); err != nil {
		return err
	}
	a, err := quicnet.Ask[*wire.AccountState](ctx, l.caller, m)
	if err != nil {
		return err
	}
	var next *directory.Manifest
	var there bool
	if err := l.c.view(func(w *work) (err error) { next, there, err = w.withThis(a.Manifest); return err }); err != nil {
		return err
	}
	if !there {
		if _, err := quicnet.Ask[*wire.Done](ctx, l.caller, &wire.UpdateManifest{Manifest: next.Bytes()}); err != nil {
			return err
		}
		// The provider has it. A crash now leaves a profile that finds itself in
		// the manifest when Import is called again.
	}
	return l.c.update(func(w *work) error { return w.letIn(next) })
}

// withThis returns the account's manifest with this device, and whether it is
// there already. Errors are ErrServer and ErrDevices.
func (w *work) withThis(raw []byte) (m *directory.Manifest, there bool, err error) {
	known := w.self.manifest
	m, err = directory.ParseManifest(raw)
	if err != nil || m.Address() != known.Address() || m.Identity() != known.Identity() || m.DH() != known.DH() ||
		m.Version() < known.Version() {
		return nil, false, ErrServer
	}
	d := newDevice{w.self.sign, w.self.dh}
	if d.of(m) != 0 {
		return m, true, nil
	}
	m, _, err = w.withDevice(m, d.sign.Public(), d.dh.Public())
	return m, false, err
}

// withDevice signs the manifest after m, with one more device. The error is
// ErrDevices.
func (w *work) withDevice(m *directory.Manifest, sign keys.VerifyKey, dh keys.DHPublic) (*directory.Manifest, ids.DeviceID, error) {
	if len(m.Devices()) >= directory.MaxDevices {
		return nil, 0, ErrDevices
	}
	f := m.Next()
	id := f.AddDevice(sign, dh)
	next, err := directory.SignManifest(f, w.self.identity)
	return next, id, err
}

// letIn notes that this device is in the account.
func (w *work) letIn(m *directory.Manifest) error {
	own := w.ownProfile()
	own.Device = newDevice{own.sign, own.dh}.of(m)
	if own.Device == 0 {
		return ErrServer
	}
	own.Profile.Manifest, own.manifest, own.Registered, own.Since = m.Bytes(), m, true, w.today
	w.ownContact()
	if m.XS() != own.xs { // replaced since the file was written
		return w.accountKeyChanged()
	}
	return nil
}
