package client

import (
	"errors"

	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// openSync takes a batch of another device of the account through every check,
// and applies it. Who made it is told by certificate, own manifest, tag and
// session, never by the provider, which can put anything into the mailbox.
// Errors are a dropError, a holdError, or the store's.
func (w *work) openSync(d *wire.Delivery) error {
	if !ids.InTime(d.Day, receivedDay(d)) {
		return drop(dropTime)
	}
	head, err := w.openSyncHead(d)
	if err != nil {
		return err
	}
	o := &opening{d: d, c: w.own}
	if err := w.openSibling(o, head); err != nil || o.sender == nil {
		return err
	}
	err = w.openSession(o)
	var batch *devicesync.Batch
	if err == nil {
		batch, err = w.openBatch(o)
	}
	if err != nil {
		return errors.Join(o.restore(), err)
	}
	w.touched = true
	clear(o.before)
	if err := w.takeSession(o); err != nil {
		return err
	}
	return w.takeBatch(o.sender.Certificate().Device(), batch)
}

// openSyncHead opens the head under the roots that are known, of which there are
// a few: which one is in use changes when a device is removed.
func (w *work) openSyncHead(d *wire.Delivery) (*sealedsender.OpenedHead, error) {
	for _, root := range w.self.roots {
		head, err := sealedsender.OpenHeadSync(d.Class, d.Day, d.Head(), root, &d.Ticket)
		if !errors.Is(err, sealedsender.ErrSeal) {
			if err != nil {
				return nil, drop(dropSeal)
			}
			return head, nil
		}
	}
	return nil, drop(dropSeal)
}

// openSibling checks that the sender is another device of the account. Of an own
// batch, which comes back, it leaves o.sender nil.
func (w *work) openSibling(o *opening, head *sealedsender.OpenedHead) error {
	raw, err := head.Certificate(func([sealedsender.HashSize]byte) ([]byte, bool) { return nil, false })
	if err != nil {
		return drop(dropCertificate) // batches have it in full
	}
	domain := w.self.Address.Domain()
	cert, err := w.verifyCertificate(raw, domain, o.d.Day)
	switch {
	case errors.Is(err, errDescriptor):
		return &holdError{holdRow{reason: state.HeldProvider, domain: domain}}
	case errors.Is(err, sealedsender.ErrCertificate), errors.Is(err, wire.ErrMalformed):
		return drop(dropCertificate)
	case err != nil:
		return err
	}
	bound, err := head.CheckBody(o.d.Body())
	if err != nil {
		return drop(dropSeal)
	}
	sender, err := bound.CheckSender(cert, w.self.account, w.self.Address)
	switch {
	case err != nil, cert.Identity() != w.self.manifest.Identity():
		return drop(dropSender)
	case cert.Device() == w.self.Device:
		return nil
	case w.own.has(cert):
		o.sender = sender
		return nil
	case cert.Device() > w.own.LastDevice:
		return &holdError{holdRow{reason: state.HeldCertificate}} // until the newer manifest is here
	}
	return drop(dropDevice)
}

// openBatch decrypts and parses the body.
func (w *work) openBatch(o *opening) (*devicesync.Batch, error) {
	content, err := o.sender.OpenBody(o.sender.Certificate().DH(), o.bodyKey)
	o.bodyKey.Erase()
	if err != nil {
		return nil, drop(dropBody)
	}
	batch, err := devicesync.ParseBatch(content.Control)
	clear(content.Control)
	if err != nil {
		return nil, drop(dropContent)
	}
	return batch, nil
}

// dropAssembly forgets the parts that came of a device which was removed.
func (w *work) dropAssembly(c *contact, p *peer) error {
	if c != w.own {
		return nil
	}
	return state.Assemblies.Delete(w.tx, state.U32(p.device))
}

// takeBatch puts the parts of records together and applies those that are whole.
func (w *work) takeBatch(device ids.DeviceID, batch *devicesync.Batch) error {
	key := state.U32(device)
	a, err := state.Assemblies.Get(w.tx, key)
	if errors.Is(err, state.ErrNotFound) {
		a, err = new(devicesync.Assembly), nil
	}
	if err != nil {
		return err
	}
	whole, lost := a.Take(batch)
	w.count().SyncLost += uint64(lost)
	for _, b := range whole {
		i, err := devicesync.Parse(b)
		clear(b)
		if err != nil {
			w.count().SyncLost++ // of a newer program, or a device that is broken
			continue
		}
		if err := w.apply(i); err != nil {
			return err
		}
	}
	if a.Empty() {
		return state.Assemblies.Delete(w.tx, key)
	}
	return state.Assemblies.Put(w.tx, key, a)
}
