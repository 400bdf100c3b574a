package directory

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
)

// Store is the part of the store that a Directory uses.
type Store interface {
	store.Documents
	store.Pools
}

// Directory keeps the accounts of one provider. It is safe for concurrent use.
type Directory struct {
	st     Store
	domain ids.Domain
	limits *limits.Book
	cache  cache // has its own lock
	memo   memo  // has its own lock

	// stripes order the lookups of one account: deciding whether a one-time
	// prekey may be given and taking it are two operations of the store, and
	// between them the stock must not fall below the reserve. A stripe's number
	// also names a scratch document that its holder alone writes.
	stripes [lookupStripes]sync.Mutex
	invites sync.Mutex // orders the changes of invites, which compete for their uses
}

// Config configures a Directory.
type Config struct {
	Domain ids.Domain // the provider; required
	// Limits holds the limits on giving out one-time prekeys, above which the
	// last-resort pair is given out. Default: one of its own, with defaults.
	Limits *limits.Book
}

// New returns a Directory over a store. The error says what is wrong with the
// configuration.
func New(st Store, c Config) (*Directory, error) {
	if c.Domain.IsZero() {
		return nil, errors.New("directory: no domain configured")
	}
	if c.Limits == nil {
		var err error
		if c.Limits, err = limits.New(nil); err != nil {
			return nil, err
		}
	}
	return &Directory{st: st, domain: c.Domain, limits: c.Limits}, nil
}

// Account is an account of the provider.
type Account struct {
	Mailbox    ids.MailboxID
	Registered ids.Day
	Replaced   ids.Day // when X_S was replaced last; 0 for never
	Manifest   *Manifest
	// Removed are devices that are no longer in the manifest and of which the
	// provider may still keep something, in the order of their ids: the caller
	// of UpdateManifest closes their readers, then says so with Settle.
	Removed []ids.DeviceID
	version uint64 // of the document
}

// The keys of what is stored, by address and device. An address holds no "/".
func accountKey(a ids.Address) store.Key    { return store.Key("dir/account/" + a.String()) }
func mailboxKeyKey(a ids.Address) store.Key { return store.Key("dir/sealkey/" + a.String()) }
func deviceKey(a ids.Address, id ids.DeviceID) store.Key {
	return perDevice("dir/device/", a, id)
}

func poolKey(a ids.Address, id ids.DeviceID) store.Key {
	return perDevice("dir/onetime/", a, id)
}

func perDevice(prefix string, a ids.Address, id ids.DeviceID) store.Key {
	b := append([]byte(prefix), a.String()...)
	return store.Key(binary.BigEndian.AppendUint32(append(b, '/'), uint32(id)))
}

// Register creates an account with a mailbox of its own, or finds that the very
// same manifest created it before (a lost answer). The connection is then
// authenticated as the manifest's first device. ErrExists: the address is
// taken; ErrAccountKeyTaken: X_S is. Other errors are the store's; after
// store.ErrUnknownOutcome the same request may be sent again.
func (d *Directory) Register(ctx context.Context, r *Registration, now time.Time) (*Authenticated, error) {
	m := r.manifest
	if m.Address().Domain() != d.domain {
		return nil, ErrForeign
	}
	// A request that is bound to fail must not take hold of an X_S.
	switch a, err := d.Account(ctx, m.Address()); {
	case err == nil && !a.Manifest.Equal(m):
		return nil, ErrExists
	case err == nil:
		return &Authenticated{m.Address(), m.f.Devices[0].ID, a.Mailbox}, nil
	case !errors.Is(err, ErrUnknown):
		return nil, err
	}
	if err := d.claimAccountKey(ctx, m, claimRegistered); err != nil {
		return nil, err
	}
	// X_S is this address's from here on. A crash now leaves it so; whoever
	// knows k can still finish the registration of this address.
	rec := accountRecord{mailbox: ids.NewMailboxID(), registered: ids.DayOf(now), manifest: m.raw}
	_, err := d.st.CAS(ctx, accountKey(m.Address()), 0, wire.MustMarshal(&rec))
	switch {
	case err == nil:
		// The account exists from here on. A crash before the answer is healed
		// by the client's asking again, which takes the other branch.
	case errors.Is(err, store.ErrConflict):
		a, err := d.Account(ctx, m.Address())
		if err != nil {
			return nil, err
		}
		if !a.Manifest.Equal(m) {
			return nil, ErrExists
		}
		rec.mailbox = a.Mailbox
	default:
		return nil, err
	}
	return &Authenticated{m.Address(), m.f.Devices[0].ID, rec.mailbox}, nil
}

// Account returns an account. Errors are ErrUnknown (there is none), ErrState
// and the store's.
func (d *Directory) Account(ctx context.Context, address ids.Address) (*Account, error) {
	doc, err := d.st.Get(ctx, accountKey(address))
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	if a := d.cache.get(address, doc.Version); a != nil {
		return a, nil
	}
	var rec accountRecord
	if wire.Unmarshal(doc.Value, &rec) != nil {
		return nil, ErrState
	}
	m, err := ParseManifest(rec.manifest)
	if err != nil || m.Address() != address {
		return nil, ErrState
	}
	a := &Account{rec.mailbox, rec.registered, rec.replaced, m, rec.removed, doc.Version}
	d.cache.put(address, a)
	return a, nil
}

// DeviceKey returns the key that a device authenticates with. ErrUnknown: there
// is no such account or device.
func (d *Directory) DeviceKey(ctx context.Context, address ids.Address, id ids.DeviceID) (keys.VerifyKey, error) {
	a, err := d.Account(ctx, address)
	if err != nil {
		return keys.VerifyKey{}, err
	}
	dev, ok := a.Manifest.Device(id)
	if !ok {
		return keys.VerifyKey{}, ErrUnknown
	}
	return dev.Sign, nil
}

// CheckMailboxKey verifies a key that an account wants to publish: it is signed by
// the account's identity, for its mailbox, and of now. Errors are those of
// ParseMailboxKey, ErrMismatch (another account or mailbox), ErrEarly, ErrExpired
// and the store's.
func (d *Directory) CheckMailboxKey(ctx context.Context, who *Authenticated, key []byte, now time.Time) (*MailboxKey, error) {
	a, err := d.Account(ctx, who.address)
	if err != nil {
		return nil, err
	}
	k, err := ParseMailboxKey(key, a.Manifest.Identity())
	if err != nil {
		return nil, err
	}
	if k.Address() != who.address || k.Mailbox() != a.Mailbox {
		return nil, ErrMismatch
	}
	return k, k.In(ids.DayOf(now))
}

// PublishMailboxKey stores the mailbox's newest seal key. The one already
// stored is accepted again. Errors are those of CheckMailboxKey, and ErrConflict
// (of an earlier week or generation, another key to seal to for the stored week,
// other W and Z without a later generation).
func (d *Directory) PublishMailboxKey(ctx context.Context, who *Authenticated, key []byte, now time.Time) error {
	k, err := d.CheckMailboxKey(ctx, who, key, now)
	if err != nil {
		return err
	}
	return d.update(ctx, mailboxKeyKey(who.address), func(stored []byte) ([]byte, error) {
		if stored == nil {
			return k.raw, nil
		}
		var old MailboxKeyFields
		if wire.Unmarshal(stored, &old) != nil {
			return nil, ErrState
		}
		if err := k.f.renews(&old, string(stored) == string(k.raw)); err != nil {
			return nil, err
		}
		return k.raw, nil
	})
}

// MailboxKey returns the newest mailbox key of an account, as it was verified when
// it was published. Errors are ErrUnknown (there is none), ErrState and the store's.
func (d *Directory) MailboxKey(ctx context.Context, address ids.Address) (*MailboxKey, error) {
	a, err := d.Account(ctx, address)
	if err != nil {
		return nil, err
	}
	raw, err := d.get(ctx, mailboxKeyKey(address))
	if err != nil {
		return nil, err
	}
	k, err := ParseMailboxKey(raw, a.Manifest.Identity())
	if err != nil || k.Address() != address || k.Mailbox() != a.Mailbox {
		return nil, ErrState
	}
	return k, nil
}

// update replaces a document by what change makes of it; stored is nil if
// there is none. Nothing is written if it stays the same.
func (d *Directory) update(ctx context.Context, key store.Key, change func(stored []byte) ([]byte, error)) error {
	for range casTries {
		doc, err := d.st.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		value, err := change(doc.Value)
		if err != nil {
			return err
		}
		if doc.Version != 0 && string(value) == string(doc.Value) {
			return nil
		}
		_, err = d.st.CAS(ctx, key, doc.Version, value)
		if !errors.Is(err, store.ErrConflict) {
			return err // nil: durable
		}
	}
	return ErrConflict
}
