package reports

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
)

// issuerKeys is what is known of one provider's token-signing keys. It does not
// change; another one takes its place.
type issuerKeys struct {
	list    *franking.EpochKeys
	bytes   []byte
	history *franking.History
	last    []*franking.Snapshot // the newest, at most maxRecent, the newest first; the one in force among them
}

// all returns what is known of a provider, nil if nothing is.
func (r *Reports) of(d ids.Domain) *issuerKeys { return (*r.known.Load())[d] }

// SnapshotID returns the snapshot of a provider's keys that is in force at a
// time, Unix milliseconds; zero if there is none. It is on the path of every
// delivery: one look into a table.
func (r *Reports) SnapshotID(issuer ids.Domain, received uint64) [32]byte {
	if k := r.of(issuer); k != nil {
		for _, s := range k.last {
			if s.From() <= received {
				return s.ID()
			}
		}
	}
	return [32]byte{}
}

// Learn takes a provider's list of token-signing keys under its root key, and
// signs a new snapshot if it says something new. Errors are those of
// franking.ParseEpochKeys and the store's.
func (r *Reports) Learn(ctx context.Context, issuer ids.Domain, list []byte, root keys.VerifyKey, now time.Time) error {
	r.learning.Lock()
	defer r.learning.Unlock()
	old := r.of(issuer)
	if old != nil && bytes.Equal(old.bytes, list) {
		return nil
	}
	var known *franking.EpochKeys
	if old != nil {
		known = old.list
	}
	k, err := franking.ParseEpochKeys(list, issuer, root, known)
	if err != nil {
		return err
	}
	if err := r.put(ctx, listKey(issuer), list); err != nil {
		return err
	}
	// Durable: an older list will not be taken again.
	next := &issuerKeys{list: k, bytes: bytes.Clone(list), history: new(franking.History)}
	if old != nil {
		next.history, next.last = old.history, old.last
	}
	return r.snapshot(ctx, issuer, next, now)
}

// recent puts a snapshot before the newest ones and leaves out what no delivery
// will name: those behind the one in force at now. Several may be signed within
// snapshotLead, as after a start, and until the first of them is in force the one
// before them has to be there, or deliveries of that time would name none and be
// shown to nobody. Beyond maxRecent it is the older ones of those to come that go.
func recent(s *franking.Snapshot, last []*franking.Snapshot, now uint64) []*franking.Snapshot {
	out := append([]*franking.Snapshot{s}, last...)
	for i, o := range out {
		if o.From() <= now {
			out = out[:i+1]
			break
		}
	}
	if n := len(out); n > maxRecent {
		out = append(out[:maxRecent-1], out[n-1])
	}
	return out
}

// resign signs new snapshots where the own keys in them have changed.
func (r *Reports) resign(ctx context.Context, now time.Time) error {
	r.learning.Lock()
	defer r.learning.Unlock()
	for d, k := range *r.known.Load() {
		if err := r.snapshot(ctx, d, k, now); err != nil {
			return err
		}
	}
	return nil
}

// snapshot signs the next snapshot of a provider's keys, if there is something
// new to say, and makes k what is known. The caller holds learning.
func (r *Reports) snapshot(ctx context.Context, d ids.Domain, k *issuerKeys, now time.Time) error {
	joins, reviewers, err := r.keyring.joins(dayOf(now))
	if err != nil {
		return err
	}
	var old *franking.Snapshot
	at := now
	if len(k.last) > 0 {
		old = k.last[0]
		// In force a moment from now: what is received then names it, whoever
		// looked at the table a moment before. At once if the one before lacks
		// today's keys: what names that could not be shown.
		if old.Serves(dayOf(now)) {
			at = now.Add(snapshotLead * time.Millisecond)
		}
	}
	f, changed := franking.NextSnapshot(old, r.conf.Domain, k.list, joins, reviewers, at)
	next := &issuerKeys{list: k.list, bytes: k.bytes, history: k.history, last: k.last}
	if changed {
		s, err := franking.SignSnapshot(f, r.conf.Root)
		if err != nil {
			return err
		}
		if err := r.put(ctx, snapshotKey(d, f.Number), s.Bytes()); err != nil {
			return err
		}
		// Durable: deliveries may name it. A crash now finds it at the start.
		if err := next.history.Add(s); err != nil {
			return err
		}
		next.last = recent(s, next.last, uint64(now.UnixMilli()))
	}
	table := maps.Clone(*r.known.Load())
	table[d] = next
	r.known.Store(&table)
	return nil
}

// loadSnapshots loads what is known of all providers.
func (r *Reports) loadSnapshots(ctx context.Context) error {
	table := map[ids.Domain]*issuerKeys{}
	err := r.each(ctx, prefixSnapshot, func(doc *store.KeyDoc) error {
		name, _, _ := strings.Cut(strings.TrimPrefix(string(doc.Key), string(prefixSnapshot)), "/")
		s, err := franking.ParseSnapshot(doc.Value, r.conf.Domain, r.conf.Root.Public())
		if err != nil || s.Issuer().String() != name {
			return ErrState
		}
		k := table[s.Issuer()]
		if k == nil {
			k = &issuerKeys{history: new(franking.History)}
			table[s.Issuer()] = k
		}
		if k.history.Add(s) != nil {
			return ErrState
		}
		k.last = append([]*franking.Snapshot{s}, k.last[:min(maxRecent-1, len(k.last))]...)
		return nil
	})
	if err != nil {
		return err
	}
	for d, k := range table {
		if k.bytes, err = r.get(ctx, listKey(d)); err != nil {
			return err
		}
		// Its signature was checked when it was stored.
		k.list = new(franking.EpochKeys)
		if wire.Unmarshal(k.bytes, k.list) != nil {
			return ErrState
		}
	}
	r.known.Store(&table)
	return nil
}

// each calls f for every document with a prefix, in the order of keys.
func (r *Reports) each(ctx context.Context, prefix store.Key, f func(*store.KeyDoc) error) error {
	for after := prefix; ; {
		docs, err := r.st.List(ctx, prefix, after, 0)
		if err != nil || len(docs) == 0 {
			return err
		}
		for i := range docs {
			after = docs[i].Key
			if err := f(&docs[i]); err != nil {
				return err
			}
		}
	}
}

// history returns the snapshots of a provider's keys, nil for a stranger.
func (r *Reports) history(issuer ids.Domain) *franking.History {
	if k := r.of(issuer); k != nil {
		return k.history
	}
	return nil
}

// Publication returns a signed public document that this provider made. The
// error is ErrUnknown.
func (r *Reports) Publication(ctx context.Context, m *wire.Publish, now time.Time) ([]byte, error) {
	if m.Provider != r.conf.Domain {
		return nil, ErrUnknown
	}
	switch m.Kind {
	case wire.PublicationEpochKeys:
		// The one that is stored: another one may be signed under its number after
		// a crash.
		if k := r.of(r.conf.Domain); k != nil {
			return k.bytes, nil
		}
	case wire.PublicationDesk:
		if d := r.keyring.current(dayOf(now)); d != nil {
			return d.public.Bytes(), nil
		}
	case wire.PublicationSecret:
		epoch := ids.Day(binary.BigEndian.Uint32(m.ID[28:]))
		return r.get(ctx, secretKey(franking.SecretKind(m.ID[0]), epoch, m.ID[1]))
	case wire.PublicationLogHead:
		p, err := r.publishedHead(now)
		if err != nil {
			return nil, err
		}
		return p.bytes, nil
	case wire.PublicationLogProof:
		return r.publishedProof(ctx, m.ID, now)
	case wire.PublicationSnapshot:
		k := r.of(m.Issuer)
		if k == nil || len(k.last) == 0 {
			return nil, ErrUnknown
		}
		if m.ID == ([32]byte{}) {
			return k.last[0].Bytes(), nil
		}
		if s := k.history.Find(m.ID); s != nil {
			return s.Bytes(), nil
		}
	}
	return nil, ErrUnknown
}

// LearnDesk takes the keys of a peer's desk under its root key. Errors are those
// of franking.ParseDesk and the store's.
func (r *Reports) LearnDesk(ctx context.Context, provider ids.Domain, b []byte, root keys.VerifyKey) error {
	d, err := franking.ParseDesk(b, provider, root)
	if err != nil {
		return err
	}
	key := peerDeskKey(provider, d.Number())
	stored, err := r.get(ctx, key)
	switch {
	case err == nil && bytes.Equal(stored, b):
		return nil
	case err == nil:
		return franking.ErrForked // other keys under a number that is known
	case !errors.Is(err, ErrUnknown):
		return err
	}
	if err := r.put(ctx, key, b); err != nil {
		return err
	}
	// Durable. What is too old to be of use goes.
	desks, err := r.desks(ctx, provider, root)
	if err != nil {
		return err
	}
	for _, old := range desks[:max(0, len(desks)-maxDesks)] {
		if err := r.put(ctx, peerDeskKey(provider, old.Number()), nil); err != nil {
			return err
		}
	}
	return nil
}

// desks returns the desks of a provider, the own one's included, in the order of
// their numbers.
func (r *Reports) desks(ctx context.Context, provider ids.Domain, root keys.VerifyKey) (out []*franking.Desk, err error) {
	if provider == r.conf.Domain {
		for _, d := range r.keyring.allDesks() {
			out = append(out, d.public)
		}
		return out, nil
	}
	err = r.each(ctx, peerDesks(provider), func(doc *store.KeyDoc) error {
		d, err := franking.ParseDesk(doc.Value, provider, root)
		if errors.Is(err, keys.ErrSignature) {
			return nil // of a root key that is not pinned any more
		}
		if err != nil {
			return ErrState
		}
		out = append(out, d)
		return nil
	})
	slices.SortFunc(out, func(a, b *franking.Desk) int { return int(int64(a.Number()) - int64(b.Number())) })
	return out, err
}
