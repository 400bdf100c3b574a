package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/membership"
	"waxwing/relay"
	"waxwing/relay/admission"
	"waxwing/relay/quicnet"
)

// shareRetry is when a peer is given keys again that it did not take, or asked
// again for a list that was refused: it begins another term when it notices. The
// first time it is shareFirst, and then twice as long each time: two that have just
// become peers may not know each other's keys yet.
const (
	shareFirst = time.Second
	shareRetry = time.Minute
)

// openAdmission loads the keys of anonymous admission and draws those that are
// due, before anything is served.
func (n *Node) openAdmission(now time.Time) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	n.admission, err = admission.Open(ctx, admission.Config{
		Domain: n.domain, Root: n.keyring.root, Files: keyFiles{n.keyring.dir}, Store: n.store,
		Ledger: ledger.New(n.store), Directory: n.directory, Roots: n.peers.root,
	})
	if err != nil {
		return err
	}
	return n.renewAdmission(now)
}

// renewAdmission draws the keys of anonymous admission that are due: those that are
// shared with peers, and with providers that are about to become peers, too.
func (n *Node) renewAdmission(now time.Time, joining ...ids.Domain) error {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	due := admission.Due{Settled: n.keyring.settled(now), Limits: introduction.Limits{
		New:    uint32(n.rules.book.Number(now, limits.IntroNew)),
		Member: uint32(n.rules.book.Number(now, limits.IntroMember)),
	}}
	due.Tokens = func(anew bool) ([]keylist.TokenKey, error) {
		if anew {
			if err := n.submissions.anew(ids.DayOf(now)); err != nil {
				return nil, err
			}
		}
		return n.submissions.listed(), nil
	}
	for _, l := range n.peers.all() {
		due.Peers = append(due.Peers, l.peer.Domain)
	}
	for _, d := range joining {
		if !slices.Contains(due.Peers, d) {
			due.Peers = append(due.Peers, d)
		}
	}
	return n.admission.Renew(ctx, now, due)
}

// admissionKeys answers with the list of a provider's keys.
func (n *Node) admissionKeys(ctx context.Context, d ids.Domain) wire.Message {
	l, err := n.admission.List(ctx, d)
	if err != nil {
		return admissionAnswer(err)
	}
	return &wire.AdmissionKeysAre{List: l.Bytes()}
}

// clientAdmission answers what clients ask about anonymous admission; nil if it is
// something else. Lists are the same for everybody, and so nobody has to say who
// asks.
func (c *connection) clientAdmission(ctx context.Context, m wire.Message) wire.Message {
	n, who := c.n, c.session.Device()
	switch m := m.(type) {
	case *wire.AdmissionKeys:
		if who == nil && !c.session.Ask() {
			return &wire.Refusal{Code: wire.CodeUnauthenticated}
		}
		if who != nil {
			if ref := n.relay.SpendRequest(n.now(), who); ref != nil {
				return ref
			}
		}
		return n.admissionKeys(ctx, m.Provider)
	case *wire.IssueMembership:
		if who == nil {
			return &wire.Refusal{Code: wire.CodeUnauthenticated}
		}
		if ref := n.relay.SpendRequest(n.now(), who); ref != nil {
			return ref
		}
		a, err := n.admission.Issue(ctx, n.now(), who.Address(), m)
		if err != nil {
			return admissionAnswer(err)
		}
		return a
	}
	return nil
}

// peerAdmission answers what peers ask about anonymous admission; nil if it is
// something else.
func (c *connection) peerAdmission(ctx context.Context, m wire.Message) wire.Message {
	n := c.n
	switch m := m.(type) {
	case *wire.AdmissionKeys:
		if ref := n.relay.SpendPeerRequest(n.now(), c.peer); ref != nil {
			return ref
		}
		// One hop, never more; and a peer may see what is known of itself.
		if m.Provider != n.domain && m.Provider != c.peer.Domain {
			return &wire.Refusal{Code: wire.CodeForbidden}
		}
		return n.admissionKeys(ctx, m.Provider)
	case *wire.ShareMembershipKey:
		if ref := n.relay.SpendPeerRequest(n.now(), c.peer); ref != nil {
			return ref
		}
		key, ok := n.keyring.RelayKey(m.KeyID)
		if !ok {
			return &wire.Refusal{Code: wire.CodeStale}
		}
		if err := n.admission.Take(c.peer.Domain, m, key, n.now()); err != nil {
			return admissionAnswer(err)
		}
		return new(wire.Done)
	}
	return nil
}

// admissionAnswer maps errors about admission to what the other side is told.
func admissionAnswer(err error) *wire.Refusal {
	var limited *admission.LimitedError
	code, retry := wire.CodeBusy, 5*time.Second
	switch {
	case errors.As(err, &limited):
		code, retry = wire.CodeLimit, limited.RetryAfter
	case errors.Is(err, admission.ErrUnknown):
		code, retry = wire.CodeUnknownProvider, 0
	case errors.Is(err, admission.ErrPeriod), errors.Is(err, ledger.ErrOver):
		code, retry = wire.CodeStale, 0
	case errors.Is(err, admission.ErrTier), errors.Is(err, membership.ErrTerms), errors.Is(err, membership.ErrProof):
		code, retry = wire.CodeForbidden, 0
	case errors.Is(err, admission.ErrKey), errors.Is(err, membership.ErrMalformed):
		code, retry = wire.CodeMalformed, 0
	case errors.Is(err, admission.ErrSuspended):
		code, retry = wire.CodeSuspended, 0
	case errors.Is(err, directory.ErrUnknown):
		code, retry = wire.CodeNotFound, 0
	}
	return &wire.Refusal{Code: code, RetryAfter: relay.Milliseconds(retry)}
}

// agree fetches a peer's list of keys, looks at what the peer keeps of the own
// one, and gives the peer this provider's membership keys for use there. What is
// refused does not end the link, which carries messages; agreed says whether nothing
// was.
func (l *link) agree(ctx context.Context, caller *quicnet.Caller) (agreed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	theirs, err := l.askList(ctx, caller, l.peer.Domain)
	if err != nil {
		return false, err
	}
	learned := theirs == nil
	if !learned {
		if learned, err = l.learnList(ctx, theirs); err != nil {
			return false, err
		}
	}
	ours, err := l.askList(ctx, caller, l.n.domain)
	if err != nil {
		return false, err
	}
	if l.n.admission.Recall(ours) { // it keeps a list that is not known here
		l.n.metrics.lists.WithLabelValues("unknown_own").Inc()
		l.n.log.Error("this data directory is an old copy of itself")
		if err := l.n.renewKeys(); err != nil {
			return false, err
		}
	}
	shared, err := l.share(ctx, caller)
	return learned && shared, err
}

// askList asks for a list; nil if it is refused.
func (l *link) askList(ctx context.Context, caller *quicnet.Caller, d ids.Domain) ([]byte, error) {
	a, err := quicnet.Ask[*wire.AdmissionKeysAre](ctx, caller, &wire.AdmissionKeys{Provider: d})
	var refused *quicnet.RefusedError
	switch {
	case errors.As(err, &refused):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return a.List, nil
}

// learnList keeps the peer's list, or reports that it is refused. A fork is what an
// operator has to know of: the peer treats somebody otherwise than others. The
// error is the store's.
func (l *link) learnList(ctx context.Context, b []byte) (kept bool, err error) {
	n := l.n
	learned, err := n.admission.Learn(ctx, l.peer.Domain, b)
	result := "refused"
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return false, err
	case errors.Is(err, keylist.ErrForked):
		result = "forked"
		n.log.Error("the keys of admission of a peer contradict those before")
	case errors.Is(err, keylist.ErrOld):
		result = "old"
	case err != nil:
	case learned == admission.Same:
		return true, nil
	case learned == admission.NewTerm:
		result = "new_term"
		n.log.Warn("a peer lost state and has other keys of admission")
	default:
		result = "newer"
	}
	n.metrics.lists.WithLabelValues(result).Inc()
	return err == nil, nil
}

// share gives the peer the membership keys for use there.
func (l *link) share(ctx context.Context, caller *quicnet.Caller) (bool, error) {
	known, ok := l.n.peers.Descriptor(l.peer.Domain)
	if !ok {
		return false, nil
	}
	to, ok := known.RelayKey()
	if !ok {
		return false, nil
	}
	shares, err := l.n.admission.Shares(l.peer.Domain, to.ID, to.Key, l.n.now())
	if err != nil || len(shares) == 0 { // none yet of a peer that is new
		return false, nil
	}
	for _, s := range shares {
		_, err := quicnet.Ask[*wire.Done](ctx, caller, s)
		var refused *quicnet.RefusedError
		switch {
		case errors.As(err, &refused):
			if refused.Code == wire.CodeStale {
				l.outdated() // sealed to a relay key that the peer has no more
			}
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return true, nil
}

var _ relay.AdmissionKeys = (*admission.Admission)(nil)
