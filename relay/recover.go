package relay

import (
	"context"
	"time"

	"waxwing/core/directory"
	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
)

// recover makes the connection one that adds a device to an account.
func (r *Relay) recover(ctx context.Context, now time.Time, s *Session, m *wire.Recover) wire.Message {
	if !s.attempt() {
		return refuse(wire.CodeConflict)
	}
	who, err := r.directory.Recover(ctx, m, s.challenge)
	if err != nil {
		return answer(err)
	}
	if !s.taken.CompareAndSwap(false, true) {
		return refuse(wire.CodeConflict)
	}
	s.recovered.Store(who)
	return r.recovering(ctx, now, who, new(wire.Account))
}

// recovering answers a connection that adds a device. It can do nothing that a
// device can: the identity key is not a way round a removal.
func (r *Relay) recovering(ctx context.Context, now time.Time, who *directory.Recovered, m wire.Message) wire.Message {
	if ref := r.spend(now, limits.AccountRequests, limits.KeyOf(who.Address().String()), 1); ref != nil {
		return ref
	}
	switch m := m.(type) {
	case *wire.Account:
		a, err := r.directory.Account(ctx, who.Address())
		if err != nil {
			return answer(err)
		}
		return &wire.AccountState{Manifest: a.Manifest.Bytes(), Replaced: a.Replaced}
	case *wire.UpdateManifest:
		if err := r.settleRemoved(ctx, who.Address()); err != nil {
			return answer(err)
		}
		return answer(r.directory.AddDevice(ctx, who, m.Manifest))
	}
	return refuse(wire.CodeForbidden)
}
