package relay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/limits"
)

// introduced is an introduction between Admit and what became of it.
type introduced struct {
	asked    bool       // the envelope is one
	home     ids.Domain // the sender's provider, authenticated
	now      time.Time
	key      *keys.SealKey
	verifier *introduction.Verifier
	snapshot [32]byte
	tag      [32]byte // of a true proof, else random
	sender   gcra.Key // of pseudonym and mailbox
	counted  bool     // in the limits of both
}

// admitIntroduction takes an introduction up. What is refused here depends on the
// provider that forwards it and on the form; the rest is decided by Settle, which
// only disposes of what it does not deliver.
func (r *Relay) admitIntroduction(now time.Time, from ids.Domain, raw []byte, a *Admitted) *Refusal {
	e := &a.envelope
	if r.admission == nil {
		return refusedMalformed
	}
	id, err := introduction.KeyID(e.Introduction[:])
	if err != nil {
		return refusedMalformed
	}
	key, ok := r.keys.RelayKey(id)
	if !ok {
		return refusedStale // sealed to a key that was erased, which whoever forwards it sees too
	}
	verifier, ok := r.verifier(e.Day, ids.DayOf(now))
	if !ok {
		return refusedKeys
	}
	snapshot, ref := r.snapshot(from, uint64(now.UnixMilli()))
	if ref != nil {
		return ref
	}
	if d := r.limits.Spend(now, limits.PeerIntroductions, limits.PeerKey(from), 1); !d.Allowed {
		return &Refusal{RefusedPeer, d.RetryAfter}
	}
	payload := wire.PayloadHash(e.Head, e.Body)
	a.raw = append(a.raw[:0], raw...)
	a.intro = introduced{asked: true, home: from, now: now, key: key, verifier: verifier, snapshot: snapshot}
	a.disposal, a.outbox = 0, false
	a.req = store.AppendReq{ID: e.ID(&payload), Expires: now.Add(time.Duration(e.TTL) * time.Second), Quota: mailbox.Quota}
	return nil
}

// Introduction reports whether the envelope is an introduction: it costs Settle
// about a millisecond.
func (a *Admitted) Introduction() bool { return a.intro.asked }

// verifiers keeps what is made once for the key of a day.
type verifiers struct {
	mu  sync.Mutex // guards set
	set map[ids.Day]*dayVerifier
}

type dayVerifier struct {
	key *arc.SecretKey
	*introduction.Verifier
}

func (r *Relay) verifier(epoch, today ids.Day) (*introduction.Verifier, bool) {
	key, ok := r.admission.Credential(epoch)
	if !ok {
		return nil, false
	}
	r.verifiers.mu.Lock()
	defer r.verifiers.mu.Unlock()
	if v := r.verifiers.set[epoch]; v != nil && v.key == key {
		return v.Verifier, true
	}
	v, err := introduction.NewVerifier(key, r.domain, epoch, r.admission.Limits(epoch))
	if err != nil {
		return nil, false
	}
	for day := range r.verifiers.set {
		if !ids.InTime(day, today) {
			delete(r.verifiers.set, day)
		}
	}
	r.verifiers.set[epoch] = &dayVerifier{key, v}
	return v, true
}

// introduce decides about the introductions of a batch. An error is the store's:
// nothing was decided.
//
// Every true proof costs the same up to the commit, whatever becomes of it: the
// same records are read, it is verified, against a key that nobody has if need be,
// and a tag is spent. Each proof is verified alone: in a batch a
// false one costs more than a true one, and one against the key that nobody has is
// false, so that the time would tell who exists.
func (r *Relay) introduce(ctx context.Context, batch []*Admitted) error {
	spends := map[ids.Day][]*Admitted{}
	for _, a := range batch {
		if !a.intro.asked {
			continue
		}
		if err := r.examine(ctx, a); err != nil {
			return err
		}
		spends[a.envelope.Day] = append(spends[a.envelope.Day], a)
	}
	for epoch, list := range spends {
		tags := make([]ledger.TagSpend, len(list))
		for i, a := range list {
			tags[i] = ledger.TagSpend{Tag: a.intro.tag, Claimant: a.req.ID}
		}
		for i, err := range r.ledger.SpendTags(ctx, epoch, tags, list[0].intro.now) {
			switch {
			case err == nil:
			case errors.Is(err, ledger.ErrSpent), errors.Is(err, ledger.ErrOver):
				list[i].dispose(DisposedTag)
			default:
				return err
			}
		}
	}
	// Tags are these envelopes', durably. A crash before the append costs a resend,
	// which wins its tag again: it is the same claimant.
	return nil
}

// dispose keeps the first reason.
func (a *Admitted) dispose(why Reason) {
	if a.disposal == 0 {
		a.disposal, a.req.Discard = why, true
	}
}

// unopened stands for what did not open. That its proof is refused sooner tells
// whoever made it nothing new.
var unopened introduction.Introduction

// examine opens an introduction, verifies it and asks list, policy and limits.
func (r *Relay) examine(ctx context.Context, a *Admitted) error {
	e, in := &a.envelope, &a.intro
	if wire.ParseEnvelope(a.raw, e) != nil { // what it pointed into is gone
		panic("relay: an admitted envelope does not parse")
	}
	bound := introduction.Envelope{Com: *e.Com, Day: e.Day, Class: e.Class, TTL: e.TTL, Payload: wire.PayloadHash(e.Head, e.Body)}
	opened, err := introduction.Open(in.key, r.domain, &bound, e.Introduction[:])
	if err != nil {
		opened = &unopened
		a.dispose(DisposedSealed)
	}
	today := ids.DayOf(in.now)
	door, err := r.mailboxes.Door(ctx, opened.Mailbox)
	if err != nil {
		return err
	}
	blocks, err := r.mailboxes.Blocks(ctx, opened.Mailbox)
	if err != nil {
		return err
	}
	w, known := r.keyOf(&door, opened, today)
	if !known {
		a.dispose(DisposedUnknown)
	}
	verified, err := in.verifier.Verify(introduction.Asked{Home: in.home, W: w, In: opened})
	if err != nil {
		a.dispose(DisposedProof)
		rand.Read(in.tag[:])
	} else {
		in.tag = verified.Tag
	}
	if blocks.Blocks(opened.NR) {
		a.dispose(DisposedBlocked)
	}
	hasCode := false
	for _, code := range door.Codes() {
		hasCode = opened.HasCode(code, r.domain) || hasCode
		code.Erase()
	}
	if door.Policy == mailbox.Refuse || door.Policy == mailbox.CodeOnly && !hasCode {
		a.dispose(DisposedPolicy)
	}
	r.count(a, opened)
	return r.deliverTo(a, opened, hasCode)
}

// keyOf returns the key W that an introduction was made for, or one that nobody
// has. Both are computed whichever it is.
func (r *Relay) keyOf(door *mailbox.Door, in *introduction.Introduction, today ids.Day) (group.Element, bool) {
	dummy := introduction.DummyW(r.admission.Dummy(), in.Mailbox)
	enc, ok := door.Key(in.Generation, today)
	if !ok {
		enc = [32]byte(dummy.Bytes())
	}
	w, err := group.Ristretto255().DecodeElement(enc[:])
	if err != nil {
		return dummy, false
	}
	return w, ok
}

// count spends the limits of sender and mailbox, unless it is disposed of anyway:
// else whoever is blocked could use up the mailbox's.
func (r *Relay) count(a *Admitted, in *introduction.Introduction) {
	if a.disposal != 0 {
		return
	}
	a.intro.sender = limits.KeyOf(string(append(in.Mailbox[:], in.NR[:]...)))
	if !r.limits.Spend(a.intro.now, limits.SenderIntroductions, a.intro.sender, 1).Allowed {
		a.dispose(DisposedSenderLimit)
		return
	}
	if !r.limits.Spend(a.intro.now, limits.MailboxIntroductions, limits.KeyOf(string(in.Mailbox[:])), 1).Allowed {
		r.limits.Refund(a.intro.now, limits.SenderIntroductions, a.intro.sender, 1)
		a.dispose(DisposedMailboxLimit)
		return
	}
	a.intro.counted = true
}

// uncount gives back what a resend of something settled has spent.
func (r *Relay) uncount(a *Admitted) {
	if a.intro.counted {
		a.intro.counted = false
		r.limits.Refund(a.intro.now, limits.SenderIntroductions, a.intro.sender, 1)
		r.limits.Refund(a.intro.now, limits.MailboxIntroductions, limits.KeyOf(string(a.req.Mailbox[:])), 1)
	}
}

// deliverTo builds what is appended.
func (r *Relay) deliverTo(a *Admitted, in *introduction.Introduction, code bool) error {
	e := &a.envelope
	received := uint64(a.intro.now.UnixMilli())
	stamp, err := r.stamps.Stamp(&franking.Receipt{Mailbox: in.Mailbox, Com: *e.Com, Day: e.Day, Received: received})
	if err != nil {
		return err
	}
	shown := (&wire.Introduced{NR: in.NR, Generation: in.Generation, Code: code}).Ticket()
	b := appendDelivery(a.body[:0], e, received, &stamp, &a.intro.snapshot)
	b = append(append(b, byte(wire.ByIntroduction)), shown[:]...)
	a.body = appendPayload(append(b, make([]byte, 8+4)...), e)
	a.req.Mailbox, a.req.Body = in.Mailbox, a.body
	// Beside the set of tags, which knows the claimant only: a resend is to be a
	// duplicate also after the message was fetched and is gone.
	h := sha256.Sum256(a.intro.tag[:])
	a.req.Serial, a.req.HasSerial = store.Serial{Day: e.Day + ids.MaxDelay, N: tagSerial | binary.BigEndian.Uint64(h[:])}, true
	return nil
}

// tagSerial marks serials that are made of tags: those of tickets are counted up
// from 1 and never get there.
const tagSerial = 1 << 63
