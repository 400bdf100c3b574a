package relay

import (
	"context"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
)

// question answers a Query that is sealed to this provider. from is who passed
// it on; who asked is not known. The same question gets the same bytes for as
// long as its time is accepted: answered anew, it would pop further prekeys,
// and two answers under one key would let whoever carries them read both.
func (r *Relay) question(ctx context.Context, now time.Time, from ids.Domain, m *wire.Query) wire.Message {
	q, err := query.Open(r.keys, query.Kind(m.Kind), m.Sealed, now)
	if err != nil {
		return answer(err)
	}
	sealed, err := r.questions.Answer(now, from, q, func() ([]byte, error) {
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
