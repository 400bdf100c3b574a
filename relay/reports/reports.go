package reports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

// Store is the part of the store that Reports uses.
type Store interface {
	store.Documents
	store.Logs
}

// Config is what Reports is made of. All but Allowance and Policy are required.
type Config struct {
	Domain    ids.Domain
	Root      *keys.SigningKey
	Files     Files
	Store     Store
	Directory *directory.Directory
	Stamps    *franking.StampRing
	Limits    *limits.Book
	// Allowance is how many tokens an account may have of one day; zero means
	// DefaultAllowance.
	Allowance uint32
	// Policy is how far this provider follows other providers' reviewers; nil means
	// franking.DefaultPolicy.
	Policy *franking.Policy
	// segment is after how many entries logs go on in another segment, in tests; zero
	// means SegmentSize.
	segment uint64
	// Suspended is called, once it is durable, when an account was suspended.
	Suspended func(ids.Address)
}

// Reports is the state of one provider. It is safe for concurrent use.
type Reports struct {
	// fixed
	conf    Config
	st      Store
	keyring *keyring
	audit   *trail

	opening  sync.Mutex // held while a verdict is opened; guards openings and behind
	openings *franking.Openings
	behind   bool // the log in the store may have entries that openings has not

	queue   sync.Mutex // held while a report is added or decided; guards waiting and banned
	waiting int        // reports in StateOpen or StateSecond; -1 if that has to be counted
	banned  int        // pseudonyms that were opened

	banning sync.RWMutex // guards bans
	bans    map[[franking.ElementSize]byte]struct{}

	sweeping sync.Mutex // guards swept
	swept    ids.Day    // when what is over was removed last

	heads sync.Mutex // guards shown
	shown *published // nil until somebody asked

	reading  sync.Mutex // held while an old segment of a log is read
	renewing sync.Mutex // held while own keys are drawn or revoked
	learning sync.Mutex // held while snapshots change
	known    atomic.Pointer[map[ids.Domain]*issuerKeys]
}

// Open loads the state and draws the keys that are missing. Errors wrap ErrState,
// or are those of the files and the store.
func Open(ctx context.Context, c Config, now time.Time) (*Reports, error) {
	if c.Domain.IsZero() || c.Root == nil || c.Files == nil || c.Store == nil || c.Directory == nil || c.Stamps == nil || c.Limits == nil {
		return nil, errors.New("reports: something required is missing")
	}
	if c.Allowance == 0 {
		c.Allowance = DefaultAllowance
	}
	if c.Policy == nil {
		p := franking.DefaultPolicy()
		c.Policy = &p
	}
	if c.segment == 0 {
		c.segment = SegmentSize
	}
	if err := c.Policy.Check(); err != nil {
		return nil, err
	}
	r := &Reports{conf: c, st: c.Store, bans: map[[franking.ElementSize]byte]struct{}{}}
	r.known.Store(&map[ids.Domain]*issuerKeys{})
	var err error
	if r.keyring, err = openKeyring(c.Files, c.Domain, c.Root); err != nil {
		return nil, err
	}
	if r.audit, err = openTrail(ctx, c.Store, keyAudit); err != nil {
		return nil, err
	}
	r.audit.limit = c.segment
	if r.openings, err = franking.LoadOpenings(); err != nil {
		return nil, err
	}
	if err := follow(ctx, c.Store, keyOpenings, &openingLog{r.openings, now}); err != nil {
		return nil, err
	}
	if err := r.countWaiting(ctx); err != nil {
		return nil, err
	}
	if err := r.countBans(ctx); err != nil {
		return nil, err
	}
	if err := r.loadSnapshots(ctx); err != nil {
		return nil, err
	}
	if err := r.Renew(ctx, now); err != nil {
		return nil, err
	}
	return r, r.sendAll(ctx, now)
}

// Renew draws the keys that are due, and signs what follows from them. It is
// called at start and every few minutes.
func (r *Reports) Renew(ctx context.Context, now time.Time) error {
	r.renewing.Lock()
	defer r.renewing.Unlock()
	if err := r.keyring.renew(now, r.of(r.conf.Domain)); err != nil {
		return err
	}
	_, own := r.keyring.own()
	if err := r.Learn(ctx, r.conf.Domain, own, r.conf.Root.Public(), now); err != nil {
		return err
	}
	return r.resign(ctx, now)
}

// Retire publishes the secrets whose window is over, and erases those that are
// never published. Both are for ever: the caller does so only when the clock has
// stood on the day for a while. franking.ErrClock means that the day is far ahead
// of the keys and the operator has to say that it is right (confirmed).
func (r *Reports) Retire(ctx context.Context, now time.Time, confirmed bool) error {
	today := dayOf(now)
	due, err := r.keyring.due(today, confirmed)
	if err != nil {
		return err
	}
	for _, d := range due {
		if d.Publish != nil {
			rec := secretRecord{kind: ringKinds[d.ring], epoch: d.Epoch, secret: d.Publish.Secret()}
			if err := r.put(ctx, secretKey(rec.kind, rec.epoch, d.revoked), wire.MustMarshal(&rec)); err != nil {
				return err
			}
			// Published. A crash now publishes it again.
		}
		if err := r.keyring.retire(d); err != nil {
			return err
		}
	}
	if err := r.keyring.retireDesks(today); err != nil {
		return err
	}
	return r.sweep(ctx, now)
}

// The keys of what is stored.
var (
	keyOpenings = store.Key("reports/openings")
	keyAudit    = store.Key("reports/audit")

	prefixReport   = store.Key("reports/report/")
	prefixList     = store.Key("reports/list/")
	prefixSnapshot = store.Key("reports/snapshot/")
	prefixSeen     = store.Key("reports/seen/")
	prefixOpened   = store.Key("reports/opened/")
	prefixBan      = store.Key("reports/ban/")
	prefixHead     = store.Key("reports/head/")
)

// allowanceKey has two places for an account: tokens of today and of tomorrow are
// asked for in turns, and neither may begin the other's count anew.
func allowanceKey(a ids.Address, epoch ids.Day) store.Key {
	return store.Key(fmt.Sprintf("reports/allowance/%s/%d", a, epoch%2))
}

func headKey(d ids.Domain) store.Key { return prefixHead + store.Key(d.String()) }

func listKey(d ids.Domain) store.Key { return prefixList + store.Key(d.String()) }

func snapshotKey(d ids.Domain, number uint64) store.Key {
	return prefixSnapshot + store.Key(fmt.Sprintf("%s/%020d", d, number))
}

func peerDeskKey(d ids.Domain, number uint32) store.Key {
	return peerDesks(d) + store.Key(fmt.Sprintf("%010d", number))
}

func peerDesks(d ids.Domain) store.Key { return store.Key("reports/desk/" + d.String() + "/") }

// secretKey is of the revoked-th key of an epoch that was revoked, 0 for the one
// that was not.
func secretKey(k franking.SecretKind, epoch ids.Day, revoked uint8) store.Key {
	return store.Key(fmt.Sprintf("reports/secret/%d-%010d-%d", k, epoch, revoked))
}

func reportKey(id franking.ReportID) store.Key {
	return prefixReport + store.Key(hex.EncodeToString(id[:]))
}

// bansOf is where the shares of a report are, one for each message that has one.
func bansOf(id franking.ReportID) store.Key {
	return prefixBan + store.Key(hex.EncodeToString(id[:])) + "/"
}

func banKey(id franking.ReportID, message int) store.Key {
	return bansOf(id) + store.Key(fmt.Sprintf("%02d", message))
}

func pendingKey(d ids.Domain, id franking.ReportID) store.Key {
	return pendingTo(d) + store.Key(hex.EncodeToString(id[:]))
}

func pendingTo(d ids.Domain) store.Key { return store.Key("reports/pending/" + d.String() + "/") }

// hashKey names a document by a hash of what it is about, so that keys have one
// length whatever the names.
func hashKey(prefix string, parts ...[]byte) store.Key {
	h := sha256.New()
	for _, p := range parts {
		h.Write(wire.AppendPrefixed(nil, p))
	}
	return store.Key(prefix + hex.EncodeToString(h.Sum(nil)))
}

func seenKey(reporter ids.Address, token franking.TokenHash, d franking.Digest) store.Key {
	return hashKey(string(prefixSeen), []byte(reporter.String()), token[:], d[:])
}

func openedKey(from ids.Domain, verdict []byte) store.Key {
	return hashKey(string(prefixOpened), []byte(from.String()), verdict)
}

// put replaces a document that only this process writes; nil removes it.
func (r *Reports) put(ctx context.Context, key store.Key, value []byte) error {
	for range tries {
		doc, err := r.st.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrNotFound) && value == nil:
			return nil
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		if _, err = r.st.CAS(ctx, key, doc.Version, value); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return store.ErrConflict
}

// get returns a document's value, or ErrUnknown.
func (r *Reports) get(ctx context.Context, key store.Key) ([]byte, error) {
	doc, err := r.st.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnknown
	}
	return doc.Value, err
}

// Limited says that somebody asked too often.
type Limited struct{ RetryAfter time.Duration }

func (e *Limited) Error() string { return "reports: over a limit" }

func (r *Reports) spend(now time.Time, n limits.Name, key gcra.Key) error {
	if d := r.conf.Limits.Spend(now, n, key, 1); !d.Allowed {
		return &Limited{d.RetryAfter}
	}
	return nil
}
