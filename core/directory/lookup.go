package directory

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/core/ratchet"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// Lookup is one question for an account.
type Lookup struct {
	Address ids.Address
	// Claimant stands for this very question (a hash of its sealed form): asked
	// again with the same one, it gets the same prekeys.
	Claimant store.Claimant
	// Peer is the provider that passed the question on.
	Peer ids.Domain
	// Consented: the account's owner agreed to be contacted by whoever asks.
	// Such questions may use the reserve and are not limited per target.
	Consented bool
}

// Lookup answers with what a first contact needs: manifest, mailbox key and a
// bundle of prekeys for each of the first AnswerDevices devices. Over a limit,
// or with no one-time prekey to spare, a bundle has the last-resort pair, and
// nothing else tells. An account that does not exist, or has not published
// everything, is LookupUnknown, after about the same work. Errors are ErrState
// and the store's; the question may then be asked again.
func (d *Directory) Lookup(ctx context.Context, q Lookup, now time.Time) (*LookupAnswer, error) {
	stripe := stripeOf(q.Address)
	d.stripes[stripe].Lock()
	defer d.stripes[stripe].Unlock()

	l := lookup{d: d, q: q, now: now, stripe: stripe}
	answer, err := l.found(ctx)
	if errors.Is(err, ErrUnknown) {
		return l.unknown(ctx)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// lookup is one Lookup under way, its stripe locked.
type lookup struct {
	d      *Directory
	q      Lookup
	now    time.Time
	stripe int
}

func (l *lookup) found(ctx context.Context) (*LookupAnswer, error) {
	a, err := l.d.Account(ctx, l.q.Address)
	if err != nil {
		return nil, err
	}
	sealKey, err := l.d.get(ctx, mailboxKeyKey(l.q.Address))
	if err != nil {
		return nil, err
	}
	answer := &LookupAnswer{Status: LookupFound, Manifest: a.Manifest.Bytes(), MailboxKey: sealKey}
	var last []ratchet.PublicOneTime // of each bundle's device
	for _, dev := range a.Manifest.f.Devices {
		if len(answer.Bundles) == AnswerDevices {
			break
		}
		raw, err := l.d.get(ctx, deviceKey(l.q.Address, dev.ID))
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var rec deviceRecord
		if wire.Unmarshal(raw, &rec) != nil {
			return nil, ErrState
		}
		if rec.hasSigned && rec.hasLast {
			answer.Bundles = append(answer.Bundles, ratchet.Bundle{Device: dev.ID, Identity: dev.DH, Signed: rec.signed})
			last = append(last, rec.last)
		}
	}
	if len(answer.Bundles) == 0 {
		return nil, ErrUnknown
	}
	return answer, l.fill(ctx, answer.Bundles, last)
}

// fill puts a one-time or last-resort pair into every bundle.
func (l *lookup) fill(ctx context.Context, bundles []ratchet.Bundle, last []ratchet.PublicOneTime) error {
	decided, err := l.decide(ctx, bundles)
	if err != nil {
		return err
	}
	for i := range bundles {
		b := &bundles[i]
		if decided.oneTime[b.Device] {
			item, _, err := l.d.st.Take(ctx, poolKey(l.q.Address, b.Device), l.q.Claimant)
			if err == nil {
				// The prekey is gone from the pool. A crash before the answer
				// costs nothing: the claimant gets the same one again.
				if wire.Unmarshal(item.Body, &b.OneTime) != nil {
					return ErrState
				}
				continue
			}
			if !errors.Is(err, store.ErrEmpty) {
				return err
			}
			decided.oneTime[b.Device] = false
		}
		// Giving out the last-resort pair writes nothing, which would tell by
		// time that the stock is low or a limit reached.
		if err := l.decoy(ctx); err != nil {
			return err
		}
		b.OneTime = last[i]
	}
	return nil
}

// decide says which devices give a one-time prekey, once for a claimant.
func (l *lookup) decide(ctx context.Context, bundles []ratchet.Bundle) (*decision, error) {
	dec := l.d.memo.of(l.q.Claimant, l.now)
	if dec.oneTime != nil {
		return dec, nil
	}
	oneTime := make(map[ids.DeviceID]bool, len(bundles))
	reserve := PoolReserve
	if l.q.Consented {
		reserve = 0
	}
	allowed := l.d.allow(&l.q, l.now)
	for _, b := range bundles {
		size, err := l.d.st.PoolSize(ctx, poolKey(l.q.Address, b.Device))
		if err != nil {
			return nil, err
		}
		oneTime[b.Device] = allowed && size > reserve
	}
	dec.oneTime = oneTime
	return dec, nil
}

// unknown does the reads and the write that a lookup of an account with one
// device does.
func (l *lookup) unknown(ctx context.Context) (*LookupAnswer, error) {
	for _, key := range []store.Key{mailboxKeyKey(l.q.Address), deviceKey(l.q.Address, 1)} {
		if _, err := l.d.get(ctx, key); err != nil && !errors.Is(err, ErrUnknown) {
			return nil, err
		}
	}
	if _, err := l.d.st.PoolSize(ctx, poolKey(l.q.Address, 1)); err != nil {
		return nil, err
	}
	if err := l.decoy(ctx); err != nil {
		return nil, err
	}
	return &LookupAnswer{Status: LookupUnknown}, nil
}

// decoy writes a scratch document of a prekey's size, in place of a Take.
func (l *lookup) decoy(ctx context.Context) error {
	key := store.Key(binary.BigEndian.AppendUint16([]byte("dir/scratch/"), uint16(l.stripe)))
	doc, err := l.d.st.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	value := make([]byte, ratchet.OneTimeSize)
	binary.BigEndian.PutUint64(value, doc.Version)
	_, err = l.d.st.CAS(ctx, key, doc.Version, value)
	if errors.Is(err, store.ErrConflict) {
		return nil // Another process wrote it, at the same cost.
	}
	return err
}

// get returns a document, or ErrUnknown.
func (d *Directory) get(ctx context.Context, key store.Key) ([]byte, error) {
	doc, err := d.st.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnknown
	}
	return doc.Value, err
}

func stripeOf(a ids.Address) int {
	h := sha256.Sum256([]byte(a.String()))
	return int(binary.BigEndian.Uint16(h[:])) % lookupStripes
}
