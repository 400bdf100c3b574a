package directory

import (
	"context"
	"errors"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// UpdateManifest replaces the account's manifest by the one that follows it,
// and forgets the prekeys of devices that are not in it any more. The one
// already stored is accepted again, and finishes what was left. Errors are those
// of ParseManifest; ErrMismatch (not this account or identity),
// ErrAccountKeyChanged, ErrConflict (it does not follow what is stored, or more
// than MaxDevices removed devices are not settled); the store's.
func (d *Directory) UpdateManifest(ctx context.Context, who *Authenticated, manifest []byte) error {
	return d.updateManifest(ctx, who.address, manifest, false)
}

// updateManifest is UpdateManifest for an account; adding refuses the removal of
// a device.
func (d *Directory) updateManifest(ctx context.Context, address ids.Address, manifest []byte, adding bool) error {
	m, err := ParseManifest(manifest)
	if err != nil {
		return err
	}
	a, err := d.Account(ctx, address)
	if err != nil {
		return err
	}
	if m.Address() != address || m.Identity() != a.Manifest.Identity() {
		return ErrMismatch
	}
	if m.Equal(a.Manifest) {
		return d.forget(ctx, address, a.Removed)
	}
	switch err := m.Follows(a.Manifest); {
	case errors.Is(err, ErrAccountKeyChanged):
		return err
	case err != nil:
		return ErrConflict
	}
	removed := slices.Clone(a.Removed)
	for _, dev := range a.Manifest.f.Devices {
		if _, ok := m.Device(dev.ID); !ok {
			if adding {
				return ErrMismatch
			}
			removed = append(removed, dev.ID)
		}
	}
	if len(removed) > MaxDevices {
		return ErrConflict
	}
	slices.Sort(removed) // ids are never used again: all differ
	rec := accountRecord{a.Mailbox, a.Registered, a.Replaced, m.raw, removed}
	_, err = d.st.CAS(ctx, accountKey(address), a.version, wire.MustMarshal(&rec))
	if errors.Is(err, store.ErrConflict) {
		return ErrConflict
	}
	if err != nil {
		return err
	}
	// From here on removed devices do not authenticate. A crash now leaves the
	// record saying whose prekeys and readers have to go.
	return d.forget(ctx, address, removed)
}

// Settle notes that nothing is kept any more for the removed devices of an
// account as Account returned it. ErrConflict: the account has changed since;
// other errors are the store's.
func (d *Directory) Settle(ctx context.Context, a *Account) error {
	if len(a.Removed) == 0 {
		return nil
	}
	// Prekeys too: a crash may have come before they were gone.
	if err := d.forget(ctx, a.Manifest.Address(), a.Removed); err != nil {
		return err
	}
	rec := accountRecord{a.Mailbox, a.Registered, a.Replaced, a.Manifest.raw, nil}
	_, err := d.st.CAS(ctx, accountKey(a.Manifest.Address()), a.version, wire.MustMarshal(&rec))
	if errors.Is(err, store.ErrConflict) {
		return ErrConflict
	}
	return err
}

// forget drops the prekeys of removed devices.
func (d *Directory) forget(ctx context.Context, address ids.Address, removed []ids.DeviceID) error {
	for _, id := range removed {
		if err := d.st.DropPool(ctx, poolKey(address, id)); err != nil {
			return err
		}
		key := deviceKey(address, id)
		doc, err := d.st.Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			_, err = d.st.CAS(ctx, key, doc.Version, nil)
		}
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return nil
}
