package relay

import (
	"context"
	"errors"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

const (
	// syncTTL is how long a batch waits for a device that is away: as long as
	// messages do.
	syncTTL = wire.MaxTTL * time.Second
	// syncRetry is when a device tries again whose account's mailbox has no room
	// for batches: another device has to come and read.
	syncRetry = time.Minute
)

// sync puts a batch into the account's own mailbox, for its other devices. It is
// durable when it is answered; a crash before costs a resend, which finds the
// same id for as long as the batch waits.
//
// The batch is in the mailbox like a message, so that one cursor of each device
// serves both. The provider knows the account, but not what is in the batch, and
// not which device reads what: every one reads all.
func (r *Relay) sync(ctx context.Context, now time.Time, who *directory.Authenticated, key gcra.Key, m *wire.SyncPut) wire.Message {
	if ref := r.spend(now, limits.AccountSync, key, 1); ref != nil {
		return ref
	}
	if !ids.InTime(m.Day, ids.DayOf(now)) {
		return refuse(wire.CodeStale)
	}
	body, err := wire.Marshal(m.Delivery(uint64(now.UnixMilli())))
	if err != nil {
		return answer(err)
	}
	res := r.store.Append(ctx, []store.AppendReq{{
		Mailbox: who.Mailbox(), ID: m.EnvelopeID(), Body: body, Expires: now.Add(syncTTL), Quota: mailbox.SyncQuota,
	}})[0]
	switch {
	case errors.Is(res.Err, store.ErrFull):
		return &wire.Refusal{Code: wire.CodeLimit, RetryAfter: Milliseconds(syncRetry)}
	case res.Err != nil:
		return answer(res.Err)
	}
	return new(wire.Done)
}
