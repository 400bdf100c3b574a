package client

import (
	"context"
	"errors"
	"slices"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// Device is one device of the own account.
type Device struct {
	ID  ids.DeviceID
	Own bool // this one
}

// Devices asks the provider for the account's devices, in the order of their
// ids. Errors are ErrNotRegistered, ErrRemoved, ErrServer (a manifest that is older
// than the one known here, or not of this account), those of the connection (package quicnet) and the store's.
func (c *Client) Devices(ctx context.Context) (list []Device, err error) {
	err = c.withLink(ctx, func(l *link) error {
		if err := l.account(ctx); err != nil {
			return err
		}
		return c.view(func(w *work) error {
			for _, d := range w.self.manifest.Devices() {
				list = append(list, Device{d.ID, d.ID == w.self.Device})
			}
			return nil
		})
	})
	return list, err
}

// RemoveDevice takes a device out of the account, for good. When it returns,
// the provider has closed the device's connections, delivers nothing more to
// it, and gives out its prekeys no more; tickets are given out under a new secret
// from now on, seal keys come from a new chain from next week on, and the mailbox's W and Z
// are replaced as soon as that is possible (RotateMailboxKey). Contacts
// learn of it with the next message to them. What the device has stored stays with
// it: it knows the account's identity key, so with the provider's help it could
// pose as the account; then only a new account helps. Errors are ErrThisDevice, ErrUnknownDevice, *RefusedError
// (CodeConflict: another device changed the account at the same time; try
// again) and those of Devices.
func (c *Client) RemoveDevice(ctx context.Context, id ids.DeviceID) error {
	return c.withLink(ctx, func(l *link) error {
		if err := l.account(ctx); err != nil {
			return err
		}
		var next *directory.Manifest
		if err := c.view(func(w *work) (err error) { next, err = w.withoutDevice(id); return err }); err != nil {
			return err
		}
		// What is asked for is durable first: if the answer is lost, the next
		// request for the account shows what became of it, and new secrets are
		// drawn then.
		if err := c.update(func(w *work) error { w.ownProfile().Removing = id; return nil }); err != nil {
			return err
		}
		if _, err := quicnet.Ask[*wire.Done](ctx, l.caller, &wire.UpdateManifest{Manifest: next.Bytes()}); err != nil {
			return err
		}
		err := c.update(func(w *work) error { return w.ownManifest(next.Bytes()) })
		c.nudge()
		return err
	})
}

// accountNews asks for the own manifest now and then: on a connection that lasts,
// what contacts seal without an entry for a new device would go unnoticed.
func (l *link) accountNews(ctx context.Context) error {
	what := "account"
	if err := l.c.view(func(w *work) error {
		if w.self != nil && !w.divided() {
			what = "account today" // at once on a new day, which begins with it
		}
		return nil
	}); err != nil {
		return err
	}
	return l.attempt(what, func() error {
		if err := l.account(ctx); err != nil {
			return err
		}
		l.mu.Lock()
		l.later["account"] = l.c.now().Add(accountEvery)
		l.mu.Unlock()
		return nil
	})
}

// account takes the newest manifest of the own account.
func (l *link) account(ctx context.Context) error {
	_, err := l.accountState(ctx)
	return err
}

func (l *link) accountState(ctx context.Context) (*wire.AccountState, error) {
	a, err := quicnet.Ask[*wire.AccountState](ctx, l.caller, new(wire.Account))
	if err != nil {
		return nil, err
	}
	return a, l.c.update(func(w *work) error { return w.ownManifest(a.Manifest) })
}

// ownManifest takes over a manifest of the own account, perhaps several
// versions after the one known. Only this account's devices can sign one; the
// provider can keep one back, but not take one back. Errors are ErrRemoved, if it
// lists this device no more, and ErrServer.
func (w *work) ownManifest(b []byte) error {
	known := w.self.manifest
	if err := w.replaceManifest(known, b); err != nil {
		return err
	}
	return w.divide(known)
}

func (w *work) replaceManifest(known *directory.Manifest, b []byte) error {
	m, err := directory.ParseManifest(b)
	if err != nil || m.Address() != known.Address() || m.Identity() != known.Identity() || m.DH() != known.DH() {
		return ErrServer
	}
	switch {
	case m.Equal(known):
		return nil
	case m.Version() <= known.Version():
		return ErrServer // rolled back, or two of one version
	case m.Version() == known.Version()+1 && follows(m, known) != nil:
		return ErrServer
	}
	d, ok := m.Device(w.self.Device)
	if !ok {
		return ErrRemoved
	}
	if d.Sign != w.self.sign.Public() || d.DH != w.self.dh.Public() {
		return ErrServer
	}
	own := w.ownProfile()
	own.Profile.Manifest, own.manifest = m.Bytes(), m
	if err := w.learnManifest(w.own, m); err != nil {
		return err
	}
	if own.Removing == 0 && slices.ContainsFunc(known.Devices(), func(d directory.Device) bool {
		_, ok := m.Device(d.ID)
		return !ok
	}) {
		if err := w.watchRotation(); err != nil {
			return err
		}
	}
	if m.XS() != known.XS() {
		if err := w.accountKeyChanged(); err != nil {
			return err
		}
	}
	if state.Held.Count(w.tx) > 0 { // batches of a device that was not known
		if err := w.release(false); err != nil {
			return err
		}
	}
	if _, ok := m.Device(own.Removing); own.Removing == 0 || ok {
		return nil
	}
	// The removal that was asked for here is done. In the same transaction, or
	// a crash would leave the old secrets in use.
	own.Removing = 0
	return errors.Join(w.rotateRoots(), w.tellRoots(), w.wantRotation())
}

// follows returns nil for the version after a manifest, which has other devices or
// another X_S.
func follows(m, known *directory.Manifest) error {
	err := m.Follows(known)
	if errors.Is(err, directory.ErrAccountKeyChanged) {
		return m.Replaces(known)
	}
	return err
}

// withoutDevice signs the manifest without a device.
func (w *work) withoutDevice(id ids.DeviceID) (*directory.Manifest, error) {
	if id == w.self.Device {
		return nil, ErrThisDevice
	}
	if _, ok := w.self.manifest.Device(id); !ok {
		return nil, ErrUnknownDevice
	}
	f := w.self.manifest.Next()
	f.RemoveDevice(id)
	return directory.SignManifest(f, w.self.identity)
}
