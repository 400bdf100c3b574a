package reports

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
)

// Heads of logs. A provider signs what its log of openings has grown to, and its
// peers keep that and have each later head proven to continue it: an opening that
// is in the log stays there, or somebody notices.

// published is the head that others are shown.
type published struct {
	head  auditlog.Head
	at    time.Time
	bytes []byte
}

// log returns the segment in use of an own log. The error is ErrUnknown.
func (r *Reports) log(kind franking.LogKind) (key store.Key, head auditlog.Head, leaves []auditlog.Hash, err error) {
	switch kind {
	case franking.LogOpenings:
		r.opening.Lock()
		defer r.opening.Unlock()
		log := r.openings.Log()
		return keyOpenings, log.Head(), log.Leaves(), nil
	case franking.LogTrail:
		r.audit.mu.Lock()
		defer r.audit.mu.Unlock()
		return keyAudit, r.audit.log.Head(), r.audit.log.Leaves(), nil
	}
	return "", head, nil, ErrUnknown
}

// Head returns the state of an own log, signed now. Errors are ErrUnknown and
// ErrNotReady.
func (r *Reports) Head(kind franking.LogKind, now time.Time) ([]byte, error) {
	_, head, _, err := r.log(kind)
	if err != nil {
		return nil, err
	}
	return r.signHead(kind, head, now)
}

func (r *Reports) signHead(kind franking.LogKind, head auditlog.Head, now time.Time) ([]byte, error) {
	d := r.keyring.current(dayOf(now))
	if d == nil {
		return nil, ErrNotReady
	}
	return franking.SignHead(r.conf.Domain, kind, head, d.answer, now)
}

// publishedHead returns the head of the log of openings that others are shown:
// signed anew when headEvery has passed.
func (r *Reports) publishedHead(now time.Time) (*published, error) {
	r.heads.Lock()
	defer r.heads.Unlock()
	if p := r.shown; p != nil && now.Sub(p.at) < headEvery && !now.Before(p.at) {
		return p, nil
	}
	_, head, _, err := r.log(franking.LogOpenings)
	if err != nil {
		return nil, err
	}
	p := &published{head: head, at: now}
	if p.bytes, err = r.signHead(franking.LogOpenings, head, now); err == nil {
		r.shown = p
	}
	return p, err
}

// prove makes the proof between two heads of an own log. Errors are ErrUnknown
// (there are no such heads, or they are too far apart) and the store's.
func (r *Reports) prove(ctx context.Context, kind franking.LogKind, old, head auditlog.Head) ([]byte, error) {
	key, now, leaves, err := r.log(kind)
	if err != nil {
		return nil, err
	}
	if head.Segment > now.Segment || old.Segment < 1 {
		return nil, ErrUnknown
	}
	proof, err := auditlog.Prove(old, head, func(segment uint32) ([]auditlog.Hash, error) {
		if segment == now.Segment {
			return leaves, nil
		}
		return r.oldLeaves(ctx, segmentKey(key, segment))
	})
	if errors.Is(err, auditlog.ErrRange) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	return wire.Marshal(&franking.LogProof{Proof: *proof})
}

// oldLeaves reads the leaves of a segment that ended. One at a time: each takes as
// much memory as the segment in use.
func (r *Reports) oldLeaves(ctx context.Context, key store.Key) (out []auditlog.Hash, err error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	records, err := readSegment(ctx, r.st, key)
	if err != nil {
		return nil, err
	}
	for _, b := range records {
		entry, err := auditlog.Entry(b)
		if err != nil {
			return nil, ErrState
		}
		out = append(out, auditlog.LeafHash(entry))
	}
	return out, nil
}

// ProofID names a proof between two heads of a log of openings, as Publish does:
// kind 1 | zero 3 | older segment 4 | its size 8 | newer segment 4 | its size 8 | zero 4.
func ProofID(kind franking.LogKind, old, head auditlog.Head) (id [32]byte) {
	id[0] = byte(kind)
	binary.BigEndian.PutUint32(id[4:], old.Segment)
	binary.BigEndian.PutUint64(id[8:], old.Size)
	binary.BigEndian.PutUint32(id[16:], head.Segment)
	binary.BigEndian.PutUint64(id[20:], head.Size)
	return id
}

// publishedProof makes a proof for others: between heads that they were shown.
func (r *Reports) publishedProof(ctx context.Context, id [32]byte, now time.Time) ([]byte, error) {
	old := auditlog.Head{Segment: binary.BigEndian.Uint32(id[4:]), Size: binary.BigEndian.Uint64(id[8:])}
	head := auditlog.Head{Segment: binary.BigEndian.Uint32(id[16:]), Size: binary.BigEndian.Uint64(id[20:])}
	shown, err := r.publishedHead(now)
	if err != nil {
		return nil, err
	}
	if id != ProofID(franking.LogOpenings, old, head) || head.Segment > shown.head.Segment ||
		head.Segment == shown.head.Segment && head.Size > shown.head.Size {
		return nil, ErrUnknown
	}
	return r.prove(ctx, franking.LogOpenings, old, head)
}

// LogFile makes the file that an auditor keeps of an own log, with the proof that
// it continues an older one's head if since is such a file. Errors are ErrUnknown,
// ErrNotReady, franking.ErrLogFile, franking.ErrForked (since is not of this log)
// and the store's.
func (r *Reports) LogFile(ctx context.Context, kind franking.LogKind, since []byte, now time.Time) ([]byte, error) {
	d := r.keyring.current(dayOf(now))
	if d == nil {
		return nil, ErrNotReady
	}
	_, head, _, err := r.log(kind)
	if err != nil {
		return nil, err
	}
	f := &franking.LogFile{Root: r.conf.Root.Public(), Desk: d.public.Bytes()}
	if f.Head, err = r.signHead(kind, head, now); err != nil {
		return nil, err
	}
	if len(since) == 0 {
		return f.Marshal()
	}
	own := func(root keys.VerifyKey) bool { return root == r.conf.Root.Public() }
	old, _, err := franking.ReadLogFile(since, own)
	if err != nil {
		return nil, err
	}
	if old.Provider != r.conf.Domain || old.Kind != kind {
		return nil, franking.ErrForked
	}
	proof, err := r.prove(ctx, kind, old.Head(), head)
	if err != nil {
		return nil, err
	}
	if err := wire.Unmarshal(proof, &f.Proof); err != nil {
		return nil, err
	}
	f.Since = wire.MustMarshal(old)
	return f.Marshal()
}

// KeptHead is the newest head of another provider's log of openings.
type KeptHead struct {
	franking.LogHead
	Seen time.Time
	// Forked: a later head did not continue this one. The provider changed its log, or
	// lost a part of it.
	Forked bool
}

func (r *Reports) keptHead(ctx context.Context, provider ids.Domain) (*headRecord, *franking.LogHead, error) {
	b, err := r.get(ctx, headKey(provider))
	if err != nil {
		return nil, nil, err
	}
	rec, head := new(headRecord), new(franking.LogHead)
	if wire.Unmarshal(b, rec) != nil || wire.Unmarshal(rec.head, head) != nil {
		return nil, nil, ErrState
	}
	return rec, head, nil
}

// LearnHead takes the newest head of a peer's log of openings under its desk's key.
// prove asks the peer for the proof that it continues the one that is kept. One that
// does not is ErrForkedLog; the one that is kept stays, and the audit log says so
// once. Errors are also franking.FaultAnswer, wire.ErrMalformed, those of prove and
// the store's.
func (r *Reports) LearnHead(ctx context.Context, now time.Time, from ids.Domain, root keys.VerifyKey, raw []byte, prove func(id [32]byte) ([]byte, error)) error {
	head, err := r.checkHead(ctx, from, root, raw)
	if err != nil {
		return err
	}
	rec, old, err := r.keptHead(ctx, from)
	switch {
	case errors.Is(err, ErrUnknown):
		rec = new(headRecord)
	case err != nil:
		return err
	default:
		if head.Head() == old.Head() {
			return nil
		}
		proof := new(auditlog.Proof)
		if old.Segment < head.Segment || old.Size > 0 && old.Size < head.Size {
			b, err := prove(ProofID(franking.LogOpenings, old.Head(), head.Head()))
			if err != nil {
				return err
			}
			if proof, err = franking.ParseProof(b); err != nil {
				return err
			}
		}
		if head.Continues(old, proof) != nil {
			return r.forked(ctx, now, from, rec)
		}
	}
	next := &headRecord{seen: uint64(now.UnixMilli()), head: raw}
	return r.put(ctx, headKey(from), wire.MustMarshal(next))
}

// checkHead verifies a head under the desks that are known of its provider.
func (r *Reports) checkHead(ctx context.Context, from ids.Domain, root keys.VerifyKey, raw []byte) (h *franking.LogHead, err error) {
	desks, err := r.desks(ctx, from, root)
	if err != nil {
		return nil, err
	}
	err = franking.FaultAnswer
	for i := len(desks) - 1; i >= 0 && err != nil; i-- {
		h, err = franking.ParseHead(raw, franking.LogOpenings, desks[i])
	}
	return h, err
}

// forked notes that a peer's log is not what it was, once.
func (r *Reports) forked(ctx context.Context, now time.Time, from ids.Domain, rec *headRecord) error {
	if rec.forked {
		return ErrForkedLog
	}
	if err := r.note(ctx, &Entry{Act: ActForked, Peer: from}, now); err != nil {
		return err
	}
	rec.forked = true
	if err := r.put(ctx, headKey(from), wire.MustMarshal(rec)); err != nil {
		return err
	}
	return ErrForkedLog
}

// KeptHeads returns the newest heads of other providers' logs of openings.
func (r *Reports) KeptHeads(ctx context.Context) (out []KeptHead, err error) {
	err = r.each(ctx, prefixHead, func(doc *store.KeyDoc) error {
		d, err := ids.ParseDomain(strings.TrimPrefix(string(doc.Key), string(prefixHead)))
		if err != nil {
			return ErrState
		}
		rec, head, err := r.keptHead(ctx, d)
		if err != nil {
			return err
		}
		out = append(out, KeptHead{*head, time.UnixMilli(int64(rec.seen)).UTC(), rec.forked})
		return nil
	})
	return out, err
}

// OwnHeads returns the states of the own logs.
func (r *Reports) OwnHeads() map[franking.LogKind]auditlog.Head {
	out := map[franking.LogKind]auditlog.Head{}
	for _, kind := range []franking.LogKind{franking.LogOpenings, franking.LogTrail} {
		if _, head, _, err := r.log(kind); err == nil {
			out[kind] = head
		}
	}
	return out
}

// ForgetHead drops what is kept of a peer's log, so that the next head is taken as
// the first: its operator has explained a change, as after a backup. The error is
// ErrUnknown, or the store's.
func (r *Reports) ForgetHead(ctx context.Context, now time.Time, from ids.Domain) error {
	if _, err := r.get(ctx, headKey(from)); err != nil {
		return err
	}
	if err := r.note(ctx, &Entry{Act: ActLifted, Peer: from}, now); err != nil {
		return err
	}
	return r.put(ctx, headKey(from), nil)
}
