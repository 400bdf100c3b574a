package reports

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/limits"
)

// Binding is what a request for tokens is bound to: SHA-256 of the connection's
// TLS exporter and the server's nonce on it.
func Binding(exporter, nonce [32]byte) [32]byte {
	return sha256.Sum256(append(append([]byte("waxwing tokens v1"), exporter[:]...), nonce[:]...))
}

// Issue issues franking tokens to an account. Errors are *Limited, ErrSuspended,
// franking.ErrRequest, franking.ErrAllowance, ErrNotReady, wire.ErrMalformed and
// the store's.
func (r *Reports) Issue(ctx context.Context, now time.Time, account ids.Address, binding [32]byte, request []byte) ([]byte, error) {
	if err := r.spend(now, limits.AccountIssues, limits.KeyOf(account.String())); err != nil {
		return nil, err
	}
	req := new(franking.IssueRequest)
	if err := wire.Unmarshal(request, req); err != nil {
		return nil, err
	}
	standing, err := r.conf.Directory.Standing(ctx, account)
	if err != nil {
		return nil, err
	}
	if standing.Suspended(now) {
		return nil, ErrSuspended
	}
	a, err := r.conf.Directory.Account(ctx, account)
	if err != nil {
		return nil, err
	}
	xs := a.Manifest.XS()
	x := franking.IssueContext{Issuer: r.conf.Domain, Account: account, Epoch: req.Epoch, Binding: binding}
	if x.XS, err = group.Ristretto255().DecodeElement(xs[:]); err != nil {
		return nil, directory.ErrState
	}
	checked, err := franking.CheckRequest(x, req, dayOf(now))
	if err != nil {
		return nil, err
	}
	is, err := r.keyring.issuer(req.Epoch)
	if err != nil {
		return nil, err
	}
	// Of a day whose key was revoked there are as many again.
	times := 1 + r.keyring.revocations(req.Epoch)
	granted, err := r.take(ctx, account, req.Epoch, checked, times*standing.Allowance(now, r.conf.Allowance))
	if err != nil {
		return nil, err
	}
	// The allowance is durable. A crash now costs the account these tokens.
	answer, err := is.Issue(checked, granted)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(answer)
}

// take takes the tokens from the account's allowance of the day.
func (r *Reports) take(ctx context.Context, account ids.Address, epoch ids.Day, c *franking.CheckedRequest, limit uint32) (*franking.Granted, error) {
	key := allowanceKey(account, epoch)
	for range tries {
		var rec franking.Allowance
		doc, err := r.st.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil && wire.Unmarshal(doc.Value, &rec) != nil {
			return nil, ErrState
		}
		granted, err := c.Take(rec, limit)
		if err != nil {
			return nil, err
		}
		_, err = r.st.CAS(ctx, key, doc.Version, wire.MustMarshal(&granted.Next))
		if err == nil {
			return granted, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, store.ErrConflict
}
