package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/linking"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// UnfinishedError says that the account has a new device which did not get what
// it needs. Remove it (RemoveDevice) and link again.
type UnfinishedError struct {
	Device ids.DeviceID
	Err    error
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("client: device %d was let in but not handed the account: %v", e.Device, e.Err)
}

// Unwrap returns the cause.
func (e *UnfinishedError) Unwrap() error { return e.Err }

// Link lets a new device into the account and returns its number. show gets the
// code to be shown to the new device, which is no secret but good for one device
// only; compare shows six digits and says whether the new device shows the same.
// Whoever is linked gets the account: its identity key, its contacts and what is
// needed to read its messages from now on, but none of those there are.
//
// Until both devices' users have confirmed, nothing is handed over and nothing
// changes. Errors are ErrLinkAborted, ErrLinkMiddle, ErrLinkOver, ErrDevices,
// ErrTooMuch, *UnfinishedError, *RefusedError (CodeConflict: another device
// changed the account at the same time), and those of Devices.
func (c *Client) Link(ctx context.Context, show func(code string), compare Compare) (id ids.DeviceID, err error) {
	err = c.withLink(ctx, func(l *link) error {
		if err := l.account(ctx); err != nil {
			return err
		}
		var o *linking.Offer
		if err := c.view(func(w *work) (err error) {
			if len(w.self.manifest.Devices()) >= directory.MaxDevices {
				return ErrDevices
			}
			o, err = linking.NewOffer(w.self.Address, w.self.Server, w.self.Pin)
			return err
		}); err != nil {
			return err
		}
		m := &atProvider{l: l, id: o.Code().Rendezvous}
		if _, err := quicnet.Ask[*wire.Done](ctx, l.caller, &wire.RendezvousOpen{Rendezvous: m.id}); err != nil {
			return err
		}
		show(o.Code().Text())
		d, err := meetNew(ctx, m, o, compare)
		if err != nil {
			return err
		}
		id, err = l.letInNew(ctx, m, o, d)
		return err
	})
	return id, err
}

// letInNew signs the device into the manifest and hands it the account.
func (l *link) letInNew(ctx context.Context, m meeting, o *linking.Offer, d linking.Device) (id ids.DeviceID, err error) {
	defer o.Abort()
	var next *directory.Manifest
	var account bytes.Buffer
	defer func() { clear(account.Bytes()) }()
	// The archive is made first: one that is too long lets nobody in.
	if err := l.c.update(func(w *work) error { return w.prepareArchive() }); err != nil {
		return 0, err
	}
	if err := l.c.view(func(w *work) (err error) {
		if next, id, err = w.withDevice(w.self.manifest, d.Sign, d.DH); err != nil {
			return err
		}
		return w.writeArchive(&account, next, false)
	}); err != nil {
		return 0, err
	}
	if account.Len() > linking.MaxArchive {
		return 0, ErrTooMuch
	}
	// Nothing is stored before: if the answer is lost, the next request for the
	// account shows what became of it, here and on every other device.
	if _, err := quicnet.Ask[*wire.Done](ctx, l.caller, &wire.UpdateManifest{Manifest: next.Bytes()}); err != nil {
		return 0, err
	}
	// The device is in the account. A crash from now on leaves one that was
	// handed nothing: the user removes it and links again.
	secrets, err := l.c.cede(next, account.Bytes())
	if err != nil {
		return 0, &UnfinishedError{id, err}
	}
	defer clear(secrets)
	if err := handOver(ctx, m, o, secrets); err != nil {
		return 0, &UnfinishedError{id, err}
	}
	l.c.nudge()
	return id, nil
}

// cede takes over the manifest with a new device and returns what to hand it: the
// account, and part of what this device has left of the day.
func (c *Client) cede(next *directory.Manifest, account []byte) (secrets []byte, err error) {
	var h *linking.Handover
	if err := c.update(func(w *work) error {
		h = &linking.Handover{Archive: account}
		if err := w.ownManifest(next.Bytes()); err != nil {
			return err
		}
		return w.give(h)
	}); err != nil {
		return nil, err
	}
	// This device does not have any more what it is about to give, and nobody else
	// has it yet: a crash loses it until tomorrow, and linking again gives of the rest.
	defer h.Erase()
	return wire.Marshal(h)
}

// Join makes this a new device of an account by the code that another of its
// devices shows (Link), with a profile of its own, and opens it. Nothing is
// stored until the user has confirmed the digits and the whole account is here.
// Errors are ErrExists, ErrLinkCode, ErrLinkAborted, ErrLinkMiddle, ErrLinkOver,
// ErrArchive, those of the connection and the store's.
func Join(ctx context.Context, conf Config, code string, compare Compare) (*Client, error) {
	if err := conf.validate(); err != nil {
		return nil, err
	}
	if Exists(conf.Dir) {
		return nil, ErrExists
	}
	k, err := linking.ParseCode(code)
	if err != nil {
		return nil, ErrLinkCode
	}
	stranger := &Client{conf: conf} // it has no profile yet
	l, err := stranger.dial(ctx, k.Server, k.Address.Domain(), k.Pin)
	if err != nil {
		return nil, err
	}
	d := makeDevice()
	n := linking.Join(k, linking.Device{Sign: d.sign.Public(), DH: d.dh.Public()})
	secrets, err := meetExisting(ctx, &atProvider{l: l, id: k.Rendezvous}, n, compare)
	l.close()
	if err != nil {
		return nil, err
	}
	defer clear(secrets)
	c, err := joined(conf, secrets, d, k)
	if err != nil {
		return nil, err
	}
	// The device is whole: what fails now is done with the next connection.
	_ = c.withLink(ctx, func(l *link) error { return l.supply(ctx) })
	return c, nil
}

// joined makes the profile of what was handed over.
func joined(conf Config, secrets []byte, d newDevice, k *linking.Code) (*Client, error) {
	var h linking.Handover
	if wire.Unmarshal(secrets, &h) != nil {
		return nil, ErrArchive
	}
	defer h.Erase()
	c, err := createFrom(conf, bytes.NewReader(h.Archive), d, k.Server, &h)
	if err != nil {
		return nil, err
	}
	// What was handed over is of the account that the code names, and has this
	// device in it: the existing device is not to be believed blindly.
	err = c.view(func(w *work) error {
		if w.self.Address != k.Address || w.self.Pin != k.Pin || !w.self.Registered {
			return ErrArchive
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, c.discard())
	}
	return c, nil
}
