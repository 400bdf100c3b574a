package client

import (
	"context"
	"errors"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/membership"
	"waxwing/relay/quicnet"
)

// AdmissionKeys asks the own provider for a provider's list of the keys that
// anonymous admission is verified against, its own or a peer's. Whoever keeps one
// compares the two (keylist.List.Follows) and stores the newer before anything is
// asked under it. Errors are ErrProvider (its root key is not known here), those
// of keylist.Parse, *RefusedError (CodeUnknownProvider: the own provider has none),
// those of the connection (package quicnet) and the store's.
func (c *Client) AdmissionKeys(ctx context.Context, d ids.Domain) (list *keylist.List, err error) {
	err = c.withLink(ctx, func(l *link) error {
		a, err := askOwn[*wire.AdmissionKeysAre](ctx, l, &wire.AdmissionKeys{Provider: d})
		if err != nil {
			return err
		}
		return c.view(func(w *work) error {
			known, _, err := w.descriptor(d)
			if errors.Is(err, errDescriptor) {
				return ErrProvider
			}
			if err == nil {
				list, err = keylist.Parse(a.List, d, known.Root())
			}
			return err
		})
	})
	return list, err
}

// Membership asks the own provider to vouch for the account at another one, for
// a month, under the key of the own provider's list: as an account that is new
// no more or, if it is not that yet or was vouched for as new this month, as a new
// one. Every device of the account gets the same. To fetch one just before the
// first message to somebody there, or only for some providers, tells the own one
// to whose users the account writes. Errors are membership.ErrProof (the answer is
// not under that key), *RefusedError (CodeStale: not the month; CodeLimit:
// something else was taken for it), those of the connection and the store's.
func (c *Client) Membership(ctx context.Context, at ids.Domain, m ratelimit.Month, key *arc.PublicKey) (cred *arc.Credential, tier ratelimit.Tier, err error) {
	err = c.withLink(ctx, func(l *link) error {
		cred, tier, err = l.vouched(ctx, at, m, key)
		return err
	})
	return cred, tier, err
}

// vouched asks for the membership of the higher tier that there is: of the month
// there is one, which another device may have had as the lower.
func (l *link) vouched(ctx context.Context, at ids.Domain, m ratelimit.Month, key *arc.PublicKey) (cred *arc.Credential, tier ratelimit.Tier, err error) {
	for _, tier = range []ratelimit.Tier{ratelimit.TierMember, ratelimit.TierNew} {
		cred, err = l.issueMembership(ctx, &membership.Membership{Provider: at, Month: m, Tier: tier}, key)
		var refused *quicnet.RefusedError
		if !errors.As(err, &refused) || refused.Code != wire.CodeForbidden && refused.Code != wire.CodeLimit {
			break
		}
	}
	return cred, tier, err
}

// issueMembership asks for a membership of one tier.
func (l *link) issueMembership(ctx context.Context, ms *membership.Membership, key *arc.PublicKey) (*arc.Credential, error) {
	var k group.Scalar
	if err := l.c.view(func(w *work) (err error) {
		ms.Home = w.self.Address.Domain()
		k, err = w.self.Secrets.AccountKey()
		return err
	}); err != nil {
		return nil, err
	}
	pending, err := ms.Request(k, key)
	if err != nil {
		return nil, err
	}
	a, err := quicnet.Ask[*wire.MembershipIssued](ctx, l.caller, &wire.IssueMembership{
		Provider: ms.Provider, Month: uint32(ms.Month), Tier: uint8(ms.Tier), Membership: [wire.MembershipRequestSize]byte(pending.Bytes()),
	})
	if err != nil {
		return nil, err
	}
	return pending.Finish(a.Membership[:])
}
