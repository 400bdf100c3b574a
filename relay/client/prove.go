package client

import (
	"errors"
	"slices"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/reports"
	"waxwing/sealedsender"
)

// snapshotRef is a snapshot of the own provider's that is needed: of an issuer's
// keys, with an id.
type snapshotRef struct {
	issuer ids.Domain
	id     [32]byte
}

// proving is what a message with a frame has to show besides: who its author is,
// by a token of the sender's provider, and that it can be reported.
type proving struct {
	raw      []byte              // the bundle
	ref      [32]byte            // its reference
	whole    bool                // it came with the message
	to       *franking.Recipient // the own account as the bundle names it
	snapshot *franking.Snapshot
	shown    *franking.Attributed
}

// openProof finds the bundle and the snapshot that a message names, before its
// session is touched: a message that lacks one of them is held. Errors are
// holdErrors, drop(dropUnproven), and the store's.
func (w *work) openProof(o *opening) error {
	whole, ref := o.sender.Bundle()
	if whole == nil && ref == nil {
		return nil // allowed for control only; openContent looks
	}
	p := &proving{raw: whole, whole: whole != nil}
	if p.whole {
		p.ref = franking.RefOf(whole)
	} else {
		p.ref = *ref
		if o.c == nil {
			return drop(dropUnproven)
		}
		b, err := state.Bundles.Get(w.tx, state.OfContact(o.c.id, p.ref[:]))
		if errors.Is(err, state.ErrNotFound) {
			return &holdError{holdRow{reason: state.HeldBundle, of: o.c, ref: p.ref}}
		}
		if err != nil {
			return err
		}
		p.raw = b.Bytes
	}
	if o.d.Snapshot == ([32]byte{}) {
		return drop(dropUnproven) // the own provider knew none of the sender's provider's keys
	}
	if err := w.openRecipient(p); err != nil {
		return err
	}
	var err error
	if p.snapshot, err = w.snapshot(o.d.Snapshot); err != nil {
		return err
	}
	if p.snapshot == nil {
		return &holdError{holdRow{reason: state.HeldSnapshot, domain: o.sender.Certificate().Address().Domain()}}
	}
	o.proving = p
	return nil
}

// openRecipient finds out for which W and Z the bundle was made. Errors are a
// holdError, drop(dropUnproven), and the store's.
func (w *work) openRecipient(p *proving) error {
	if w.bundles[p.ref] != nil {
		return nil // it was verified
	}
	to, held, err := w.recipientFor(p.raw)
	switch {
	case err != nil:
		return err
	case held:
		return &holdError{holdRow{reason: state.HeldMailboxKeys}}
	case to == nil:
		return drop(dropUnproven)
	}
	p.to = to
	return nil
}

// snapshot returns the own provider's snapshot with an id, nil if it is not known.
func (w *work) snapshot(id [32]byte) (*franking.Snapshot, error) {
	if s := w.inForce[id]; s != nil {
		return s, nil
	}
	p, err := state.Snapshots.Get(w.tx, id[:])
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	root, err := w.rootOf(w.self.Address.Domain())
	if errors.Is(err, errDescriptor) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := franking.ParseSnapshot(p.Bytes, w.self.Address.Domain(), root)
	if err != nil {
		return nil, &state.CorruptError{Table: "snapshots"}
	}
	w.inForce[id] = s
	return s, nil
}

// heldSnapshots lists the snapshots that held deliveries wait for.
func (w *work) heldSnapshots() (out []snapshotRef, err error) {
	if state.Held.Count(w.tx) == 0 {
		return nil, nil
	}
	for row, err := range state.Held.Scan(w.tx, nil, nil) {
		if err != nil {
			return nil, err
		}
		if row.Record.Reason != state.HeldSnapshot {
			continue
		}
		var d wire.Delivery
		if wire.Unmarshal(row.Record.Delivery, &d) != nil {
			return nil, &state.CorruptError{Table: "held"}
		}
		if ref := (snapshotRef{row.Record.Domain, d.Snapshot}); !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out, nil
}

// takeSnapshot takes the own provider's snapshot that was asked for. The error is
// ErrServer for another one, or one that does not verify.
func (w *work) takeSnapshot(want snapshotRef, raw []byte) error {
	root, err := w.rootOf(w.self.Address.Domain())
	if err != nil {
		return err
	}
	s, err := franking.ParseSnapshot(raw, w.self.Address.Domain(), root)
	if err != nil || s.ID() != want.id || s.Issuer() != want.issuer {
		return ErrServer
	}
	w.touched = true
	w.inForce[want.id] = s
	if err := state.Snapshots.Put(w.tx, want.id[:], &state.Published{Fetched: uint64(w.now.UnixMilli()), Bytes: raw}); err != nil {
		return err
	}
	return w.release(false)
}

// prove takes the one decision about a message with a frame: whether it may be
// shown. It may if it can be reported. The error is drop(dropUnproven), or the
// store's.
func (w *work) prove(o *opening) error {
	p := o.proving
	if p == nil {
		return drop(dropUnproven)
	}
	from, err := senderOf(o.sender.Certificate())
	if err != nil {
		return drop(dropUnproven)
	}
	audience := franking.Audience{Salt: o.sender.Salt()}
	bundle := w.bundles[p.ref]
	if bundle == nil {
		if bundle, err = franking.CheckBundle(p.raw, from, p.to, &audience, p.snapshot); err != nil {
			return drop(dropUnproven)
		}
	}
	e := &franking.Evidence{
		Token: *bundle.Token(), Frame: o.content.Frame, Author: o.content.Sigma2, Hour: o.content.Hour, Audience: audience,
		Mailbox: w.self.Mailbox, Com: o.d.Com, Day: o.d.Day, Received: o.d.Received, Stamp: o.d.Stamp, Snapshot: o.d.Snapshot,
		Key: *o.franked.Key(),
	}
	v, err := franking.Verify(e, p.snapshot, w.self.Address, reports.FrameOf)
	if err != nil {
		return drop(dropUnproven)
	}
	if p.shown, err = v.Attribute(bundle, from, nil, w.now); err != nil {
		return drop(dropUnproven)
	}
	// Verified proofs are a cache, good whatever becomes of the message.
	if len(w.bundles) >= maxBundleCache {
		clear(w.bundles)
	}
	w.bundles[p.ref] = bundle
	return nil
}

// senderOf returns the account of a certificate as bundles name it.
func senderOf(cert *sealedsender.VerifiedCertificate) (*franking.Sender, error) {
	xs := cert.XS()
	e, err := group.Ristretto255().DecodeElement(xs[:])
	return &franking.Sender{Address: cert.Address(), Identity: cert.Identity(), XS: e}, err
}

// keepProof stores what the message is reported with, and has its bundle
// confirmed.
func (w *work) keepProof(o *opening) error {
	p := o.proving
	if p == nil || p.shown == nil {
		return nil
	}
	c := o.c
	key := state.OfContact(c.id, p.ref[:])
	kept := state.Bundles.Has(w.tx, key)
	if !kept && state.Bundles.Count(w.tx) < state.MaxBundles {
		if err := state.Bundles.Put(w.tx, key, &state.Bundle{Epoch: o.d.Day, Bytes: p.raw}); err != nil {
			return err
		}
		if err := w.bundleCame(c, p.ref); err != nil {
			return err
		}
		kept = true
	}
	if kept && p.whole {
		c.confirm(p.ref) // from then on its reference is enough
	}
	d := p.shown.Digest()
	return state.Proofs.Put(w.tx, state.OfContact(c.id, d[:]), &state.Proof{
		Bundle: p.ref, Sigma2: [sealedsender.Sigma2Size]byte(o.content.Sigma2), Hour: o.content.Hour,
		Salt: o.sender.Salt(), Snapshot: o.d.Snapshot,
	})
}
