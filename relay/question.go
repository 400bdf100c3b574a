package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/membership"
)

// question answers a Query that is sealed to this provider. from is who passed
// it on; who asked is not known. The same question gets the same bytes for as
// long as its time is accepted: answered anew, it would pop further prekeys,
// and two answers under one key would let whoever carries them read both.
func (r *Relay) question(ctx context.Context, now time.Time, from ids.Domain, m *wire.Query) wire.Message {
	kind := query.Kind(m.Kind)
	if kind == query.KindRefill || kind == query.KindStanding {
		if r.admission == nil {
			return answer(query.ErrKind)
		}
		// Before the seal: each costs as much as dozens of lookups.
		if ref := r.spend(now, limits.PeerRefills, limits.PeerKey(from), 1); ref != nil {
			return ref
		}
	}
	q, err := query.Open(r.keys, kind, m.Sealed, now)
	if err != nil {
		return answer(err)
	}
	sealed, err := r.questions.Answer(now, from, q, func() ([]byte, error) {
		switch q.Kind() {
		case query.KindRefill:
			return r.refill(ctx, now, q)
		case query.KindStanding:
			return r.standingStamp(ctx, now, q)
		}
		return r.lookup(ctx, now, from, q)
	})
	if err != nil {
		return answer(err)
	}
	return &wire.Answer{Sealed: sealed}
}

func (r *Relay) lookup(ctx context.Context, now time.Time, from ids.Domain, q *query.Question) ([]byte, error) {
	var ask directory.LookupRequest
	if err := wire.Unmarshal(q.Payload(), &ask); err != nil {
		return nil, err
	}
	found, err := r.directory.Lookup(ctx, directory.Lookup{Address: ask.Address, Claimant: q.ID(), Peer: from}, now)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(found)
}

// refill exchanges a membership for a day's credential, once for each pseudonym
// and day, and the same request again with the same bytes. Errors are the store's.
func (r *Relay) refill(ctx context.Context, now time.Time, q *query.Question) ([]byte, error) {
	var m query.Refill
	if err := wire.Unmarshal(q.Payload(), &m); err != nil {
		return nil, err
	}
	a, err := r.refilled(ctx, now, &m)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(a)
}

func (r *Relay) refilled(ctx context.Context, now time.Time, m *query.Refill) (*query.RefillAnswer, error) {
	refused := &query.RefillAnswer{Status: query.RefillRefused}
	month := ratelimit.Month(m.Month)
	home, ok := r.admission.Membership(m.Home, month)
	day, there := r.admission.Credential(m.Epoch)
	if !ok || !there {
		return refused, nil
	}
	terms := membership.Refill{
		Home: m.Home, Provider: r.domain, Month: month, Tier: ratelimit.Tier(m.Tier), Epoch: m.Epoch,
		Membership: home.Public(), Key: day.Public(),
	}
	if terms.Check(ids.DayOf(now)) != nil {
		return refused, nil
	}
	shown, err := terms.Verify(home, m.Refill)
	if err != nil {
		return refused, nil
	}
	// Before anything is counted or spent: a ban leaves no trace of its own.
	if r.bans != nil && r.bans.Banned(shown.NB) {
		return refused, nil
	}
	// An account is counted once, however many of its devices ask: else one could
	// use up what its home has for all.
	again := r.refills.has(shown.Hash)
	uncount := func() {
		if !again {
			r.limits.Refund(now, limits.HomeAccounts, limits.PeerKey(m.Home), 1)
		}
	}
	if d := r.countHome(now, m.Home, again); !d.Allowed {
		return &query.RefillAnswer{Status: query.RefillLater, Retry: uint64(max(1, Milliseconds(d.RetryAfter)))}, nil
	}
	switch err := r.ledger.Refill(ctx, m.Epoch, shown.Place, shown.Hash, now); {
	case errors.Is(err, ledger.ErrSpent), errors.Is(err, ledger.ErrOver):
		uncount()
		return refused, nil
	case err != nil:
		uncount() // it is asked again
		return nil, err
	}
	r.refills.add(shown.Hash)
	// The request is this pseudonym's one of the day, durably. A crash now costs
	// nothing: the same request is answered again.
	issued, err := shown.Issue(day)
	if err != nil {
		return refused, nil
	}
	return &query.RefillAnswer{Status: query.RefillIssued, Answer: [query.RefillAnswerSize]byte(issued)}, nil
}

func (r *Relay) countHome(now time.Time, home ids.Domain, again bool) gcra.Decision {
	if again {
		return gcra.Decision{Allowed: true}
	}
	return r.limits.Spend(now, limits.HomeAccounts, limits.PeerKey(home), 1)
}

// standingStamp gives this week's stamp of a pseudonym at a mailbox: also to who is
// blocked there, and one of no use for a mailbox that does not exist or for a false
// proof, after the same work. Errors are the store's.
func (r *Relay) standingStamp(ctx context.Context, now time.Time, q *query.Question) ([]byte, error) {
	var m query.Standing
	if err := wire.Unmarshal(q.Payload(), &m); err != nil {
		return nil, err
	}
	stamp, err := r.stamped(ctx, now, &m, q)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(&query.StandingAnswer{Stamp: stamp})
}

func (r *Relay) stamped(ctx context.Context, now time.Time, m *query.Standing, q *query.Question) (useless [query.StampSize]byte, err error) {
	rand.Read(useless[:])
	today := ids.DayOf(now)
	asked, err := introduction.ParseStanding(q.Enc(), m.Standing[:])
	verifier, ok := r.verifier(m.Epoch, today)
	if err != nil || !ok || ratelimit.WeekOf(m.Epoch) != ratelimit.WeekOf(today) {
		return useless, nil
	}
	door, err := r.mailboxes.Door(ctx, asked.Mailbox)
	if err != nil {
		return useless, err
	}
	w, _ := r.keyOf(&door, &asked.Introduction, today)
	week := ratelimit.WeekOf(today)
	spend := ledger.TagSpend{Claimant: q.ID()}
	verified, failed := verifier.Verify(introduction.Asked{Home: m.Home, W: w, In: &asked.Introduction, Standing: true})
	if failed != nil {
		rand.Read(spend.Tag[:])
	} else {
		spend.Tag = verified.Tag
	}
	switch err := r.ledger.SpendStanding(ctx, week, spend, now); {
	case errors.Is(err, ledger.ErrSpent), errors.Is(err, ledger.ErrOver), err == nil && failed != nil:
		return useless, nil
	case err != nil:
		return useless, err
	}
	return introduction.Stamp(introduction.StandingKey(r.admission.Standing(), asked.Mailbox), asked.NR, week), nil
}
