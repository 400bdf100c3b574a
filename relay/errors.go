package relay

import (
	"errors"
	"time"

	"waxwing/blocklist"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/query"
	"waxwing/core/ratchet"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
)

func refuse(c wire.Code) *wire.Refusal { return &wire.Refusal{Code: c} }

// answer tells the other side that its request was carried out, or why not.
func answer(err error) wire.Message {
	if err == nil {
		return new(wire.Done)
	}
	code, retry := codeOf(err)
	return &wire.Refusal{Code: code, RetryAfter: Milliseconds(retry)}
}

// codes is the one place that maps errors of the packages below to what the
// other side is told. The first that fits counts.
var codes = []struct {
	err   error
	code  wire.Code
	retry time.Duration
}{
	{directory.ErrUnauthenticated, wire.CodeUnauthenticated, 0},
	{keys.ErrSignature, wire.CodeUnauthenticated, 0},
	{directory.ErrPossession, wire.CodeUnauthenticated, 0},
	{directory.ErrForeign, wire.CodeForbidden, 0},
	{directory.ErrMismatch, wire.CodeForbidden, 0},
	{directory.ErrExists, wire.CodeExists, 0},
	{ids.ErrConfusable, wire.CodeConfusable, 0},
	// An X_S that another account has is a fault or an attack of whoever asks,
	// and not the address's: an honest client draws its own.
	{directory.ErrAccountKeyTaken, wire.CodeForbidden, 0},
	{directory.ErrAccountKeyChanged, wire.CodeForbidden, 0},
	{directory.ErrInvite, wire.CodeForbidden, 0},
	{directory.ErrUnknown, wire.CodeNotFound, 0},
	{directory.ErrConflict, wire.CodeConflict, 0},
	{directory.ErrFull, wire.CodeLimit, fullRetry},
	{directory.ErrExpired, wire.CodeStale, 0},
	{directory.ErrEarly, wire.CodeStale, 0},
	{mailbox.ErrReserve, wire.CodeForbidden, 0},
	{mailbox.ErrDevice, wire.CodeForbidden, 0},
	{mailbox.ErrBusy, wire.CodeBusy, time.Second},
	{ratchet.ErrBundle, wire.CodeMalformed, 0},
	{blocklist.ErrFull, wire.CodeLimit, fullRetry},
	{query.ErrKind, wire.CodeMalformed, 0},
	{query.ErrKeyID, wire.CodeStale, 0}, // the descriptor that it was sealed by is old
	{query.ErrSealed, wire.CodeMalformed, 0},
	{query.ErrTooLong, wire.CodeMalformed, 0},
	{query.ErrStale, wire.CodeStale, 0},
	{query.ErrBusy, wire.CodeBusy, time.Minute},
	{ticket.ErrMint, wire.CodeForbidden, 0},
	{ticket.ErrNotReady, wire.CodeBusy, 5 * time.Second},
	{wire.ErrMalformed, wire.CodeMalformed, 0},
	{store.ErrFull, wire.CodeLimit, fullRetry},
	{store.ErrConflict, wire.CodeBusy, time.Second},
}

// codeOf returns what is told of an error. Whatever is not in the table is a
// fault of this side: the store's, most likely.
func codeOf(err error) (wire.Code, time.Duration) {
	if replaced := (*directory.ReplacedError)(nil); errors.As(err, &replaced) {
		return wire.CodeLimit, replaced.RetryAfter
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code, c.retry
		}
	}
	return wire.CodeBusy, storeRetry
}
