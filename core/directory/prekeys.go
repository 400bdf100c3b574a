package directory

import (
	"bytes"
	"context"

	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// PublishPrekeys stores prekeys of the authenticated device and returns how
// many one-time prekeys it has left. Sent again, the same prekeys change
// nothing. Errors are wire.ErrMalformed, ratchet.ErrBundle, ErrUnauthenticated
// (the device was removed), ErrFull (more than PoolCapacity would wait; none of
// the request is stored), ErrConflict (a signed or last-resort prekey older
// than the stored one); the store's.
func (d *Directory) PublishPrekeys(ctx context.Context, who *Authenticated, m *wire.Prekeys) (stock int, err error) {
	a, err := d.Account(ctx, who.address)
	if err != nil {
		return 0, err
	}
	dev, ok := a.Manifest.Device(who.device)
	if !ok {
		return 0, ErrUnauthenticated
	}
	items, err := oneTimeItems(m.OneTime, dev.Sign)
	if err != nil {
		return 0, err
	}
	replace, err := newDeviceRecord(m, dev.Sign)
	if err != nil {
		return 0, err
	}
	pool := poolKey(who.address, who.device)
	stock, err = d.st.PoolSize(ctx, pool)
	if err != nil {
		return 0, err
	}
	if len(items) > 0 && stock+len(items) > PoolCapacity {
		return 0, ErrFull
	}
	if replace.hasSigned || replace.hasLast {
		if err := d.update(ctx, deviceKey(who.address, who.device), replace.over); err != nil {
			return 0, err
		}
	}
	if len(items) == 0 {
		return stock, nil
	}
	// A crash here leaves the one-time prekeys out; the client asks again.
	if err := d.st.Put(ctx, pool, items); err != nil {
		return 0, err
	}
	return d.st.PoolSize(ctx, pool)
}

// newDeviceRecord verifies the signed and last-resort prekeys of a request.
func newDeviceRecord(m *wire.Prekeys, sign keys.VerifyKey) (*deviceRecord, error) {
	r := &deviceRecord{hasSigned: len(m.Signed) > 0, hasLast: len(m.LastResort) > 0}
	if r.hasSigned {
		if err := parseSigned(m.Signed, sign, &r.signed); err != nil {
			return nil, err
		}
	}
	if r.hasLast {
		if err := parseOneTime(m.LastResort, sign, true, &r.last); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// over returns the stored record with what r has replaced. Ids only rise, so
// that of two requests that overtake each other the later made one stays.
func (r *deviceRecord) over(stored []byte) ([]byte, error) {
	var old deviceRecord
	if stored != nil {
		if wire.Unmarshal(stored, &old) != nil {
			return nil, ErrState
		}
	}
	next := old
	if r.hasSigned {
		if old.hasSigned && (r.signed.ID < old.signed.ID || r.signed.ID == old.signed.ID && r.signed != old.signed) {
			return nil, ErrConflict
		}
		next.hasSigned, next.signed = true, r.signed
	}
	if r.hasLast {
		if old.hasLast && (r.last.ID < old.last.ID || r.last.ID == old.last.ID && r.last != old.last) {
			return nil, ErrConflict
		}
		next.hasLast, next.last = true, r.last
	}
	return wire.Marshal(&next)
}

// oneTimeItems verifies the one-time prekeys of a request.
func oneTimeItems(uploaded [][]byte, sign keys.VerifyKey) ([]store.Item, error) {
	items := make([]store.Item, 0, len(uploaded))
	for _, b := range uploaded {
		var p ratchet.PublicOneTime
		if err := parseOneTime(b, sign, false, &p); err != nil {
			return nil, err
		}
		// Ids rise, because the pool never takes one again that is not above
		// all that were given out.
		if p.ID == 0 || len(items) > 0 && uint64(p.ID) <= items[len(items)-1].ID {
			return nil, &wire.FieldError{Field: "one-time", Reason: "ids not increasing from 1"}
		}
		items = append(items, store.Item{ID: uint64(p.ID), Body: bytes.Clone(b)})
	}
	return items, nil
}

// parseSigned parses and verifies a signed prekey.
func parseSigned(b []byte, sign keys.VerifyKey, p *ratchet.PublicSignedPrekey) error {
	if err := wire.Unmarshal(b, p); err != nil {
		return err
	}
	return p.Verify(sign)
}

// parseOneTime parses and verifies a one-time or last-resort pair.
func parseOneTime(b []byte, sign keys.VerifyKey, lastResort bool, p *ratchet.PublicOneTime) error {
	if err := wire.Unmarshal(b, p); err != nil {
		return err
	}
	if p.LastResort != lastResort {
		return &wire.FieldError{Field: "last resort", Reason: "a pair of the other kind"}
	}
	return p.Verify(sign)
}
