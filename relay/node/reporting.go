package node

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/quicnet"
	"waxwing/relay/reports"
)

const (
	// publicationAge is how long another provider's newest document is given out
	// before it is asked for again: keys of the next day are there a day ahead.
	publicationAge = time.Minute
	// maxPublications is how many documents of other providers are kept, 8 KiB
	// each at most: two snapshots, a list and a desk of hundreds of peers.
	maxPublications = 2048
	// publishRetry is when a client asks again for a document of a peer that is not
	// connected: first messages wait for it.
	publishRetry = time.Second
	// verdictPause is how long a link waits before it looks for verdicts again.
	verdictPause = 30 * time.Second
	// verdictRetry is the least that it waits, whatever a peer that refuses asks for.
	verdictRetry = time.Second
	// storePatience bounds what the store may take outside a request.
	storePatience = 30 * time.Second
)

// keyFiles makes the key directory what package reports keeps its keys in.
type keyFiles struct{ dir keydir }

func (f keyFiles) All(prefix string) ([][]byte, error) { return f.dir.all(prefix) }
func (f keyFiles) Put(name string, b []byte) error     { return f.dir.put(name, b) }
func (f keyFiles) Erase(names ...string) error         { return f.dir.erase(names...) }

// openReports loads what franking needs.
func (n *Node) openReports(conf Config, book *limits.Book, now time.Time) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	n.reports, err = reports.Open(ctx, reports.Config{
		Domain: n.domain, Root: n.keyring.root, Files: keyFiles{n.keyring.dir}, Store: n.store,
		Directory: n.directory, Stamps: n.keyring.stamps, Limits: book, Allowance: conf.Allowance, Policy: conf.Policy,
		Suspended: n.suspended,
	}, now)
	if err == nil {
		n.noteRevoked()
	}
	return err
}

// suspended stops the connections of an account whose suspension is durable. If
// the store fails now, they end with the server.
func (n *Node) suspended(a ids.Address) {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	if err := n.relay.Suspend(ctx, a, true); errors.Is(err, store.ErrUnavailable) {
		n.fail(err)
	}
}

// Standing returns what was decided about an account of this provider; with lift
// it is ended first, also on connections that there are. Errors are
// directory.ErrUnknown and the store's.
func (n *Node) Standing(ctx context.Context, a ids.Address, lift bool) (*directory.Standing, error) {
	if _, err := n.directory.Account(ctx, a); err != nil {
		return nil, err
	}
	if !lift {
		return n.directory.Standing(ctx, a)
	}
	s, err := n.reports.Lift(ctx, n.now(), a)
	if err != nil {
		return nil, err
	}
	return s, n.relay.Suspend(ctx, a, false)
}

// Reports returns the provider's reports, for its reviewers.
func (n *Node) Reports() *reports.Reports { return n.reports }

// renewReports draws franking's keys that are due and, once the clock has stood
// on the day for a while, publishes and erases those that are over.
func (n *Node) renewReports(ctx context.Context) error {
	now := n.now()
	if err := n.reports.Renew(ctx, now); err != nil {
		return err
	}
	n.noteRevoked()
	if !n.keyring.settled(now) {
		return nil
	}
	return n.reports.Retire(ctx, now, false)
}

// publications are other providers' signed public documents, as they were last
// fetched. The zero value is ready.
type publications struct {
	mu  sync.Mutex
	set map[publicationKey]publication // guarded by mu
}

type publicationKey struct {
	kind             wire.PublicationKind
	provider, issuer ids.Domain
	id               [32]byte
}

type publication struct {
	bytes   []byte
	fetched time.Time
}

func keyOf(m *wire.Publish) publicationKey {
	return publicationKey{m.Kind, m.Provider, m.Issuer, m.ID}
}

// get returns a document that is fresh enough. One that is named by its hash
// never changes.
func (p *publications) get(k publicationKey, now time.Time) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.set[k]
	if !ok || k.id == ([32]byte{}) && now.Sub(d.fetched) > publicationAge {
		return nil
	}
	return d.bytes
}

func (p *publications) put(k publicationKey, b []byte, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set == nil {
		p.set = map[publicationKey]publication{}
	}
	if _, ok := p.set[k]; !ok && len(p.set) >= maxPublications {
		for victim := range p.set { // the order is random: nobody chooses it
			delete(p.set, victim)
			break
		}
	}
	p.set[k] = publication{bytes.Clone(b), now}
}

// publish answers a request for a signed public document: of this provider, or of
// a peer, which is asked if need be. Whoever asked is not named to the peer.
func (n *Node) publish(ctx context.Context, m *wire.Publish) wire.Message {
	b, err := n.publication(ctx, m)
	if err != nil {
		return reportAnswer(err)
	}
	return &wire.Published{Document: b}
}

func (n *Node) publication(ctx context.Context, m *wire.Publish) ([]byte, error) {
	now := n.now()
	if m.Provider == n.domain {
		return n.reports.Publication(ctx, m, now)
	}
	k := keyOf(m)
	if b := n.publications.get(k, now); b != nil {
		return b, nil
	}
	l := n.peers.link(m.Provider)
	if l == nil {
		return nil, errUnknownPeer
	}
	caller := l.caller.Load()
	if caller == nil {
		return nil, errUnreachable
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a, err := quicnet.Ask[*wire.Published](ctx, caller, &wire.Publish{Kind: m.Kind, Provider: m.Provider, Issuer: m.Issuer, ID: m.ID})
	if err != nil {
		return nil, err
	}
	n.publications.put(k, a.Document, now)
	return a.Document, nil
}

var (
	errUnknownPeer = errors.New("node: no such peer")
	errUnreachable = errors.New("node: peer is not connected")
)

// reportAnswer maps errors about reports to what the other side is told.
func reportAnswer(err error) *wire.Refusal {
	var limited *reports.Limited
	var refused *quicnet.RefusedError
	var fault franking.Fault
	code, retry := wire.CodeBusy, 5*time.Second
	switch {
	case errors.As(err, &limited):
		code, retry = wire.CodeLimit, limited.RetryAfter
	case errors.As(err, &refused):
		code, retry = refused.Code, refused.RetryAfter
	case errors.Is(err, errUnknownPeer):
		code, retry = wire.CodeUnknownProvider, 0
	case errors.Is(err, errUnreachable):
		code, retry = wire.CodeUnreachable, publishRetry
	case errors.Is(err, franking.ErrAllowance):
		code, retry = wire.CodeLimit, time.Hour
	case errors.Is(err, reports.ErrFull):
		code, retry = wire.CodeBusy, time.Hour
	case errors.Is(err, reports.ErrSuspended):
		code, retry = wire.CodeSuspended, 0
	case errors.Is(err, franking.FaultReplayed):
		code, retry = wire.CodeConflict, 0
	case errors.As(err, &fault), errors.Is(err, franking.ErrRequest), errors.Is(err, franking.ErrReport):
		code, retry = wire.CodeForbidden, 0
	case errors.Is(err, reports.ErrUnknown), errors.Is(err, directory.ErrUnknown):
		code, retry = wire.CodeNotFound, 0
	case errors.Is(err, wire.ErrMalformed):
		code, retry = wire.CodeMalformed, 0
	}
	return &wire.Refusal{Code: code, RetryAfter: relay.Milliseconds(retry)}
}

// publishKeys gives a connection that is nobody's the own list of token-signing
// keys, one of which may have been revoked, and nothing else.
func (c *connection) publishKeys(ctx context.Context, m wire.Message) wire.Message {
	p, ok := m.(*wire.Publish)
	if !ok || p.Kind != wire.PublicationEpochKeys || p.Provider != c.n.domain || !c.session.Ask() {
		return &wire.Refusal{Code: wire.CodeUnauthenticated}
	}
	defer c.told.Store(c.n.revoked.Load()) // the list is no older than this
	return c.n.publish(ctx, p)
}

// clientReport answers what clients ask about franking; nil if it is something
// else.
func (c *connection) clientReport(ctx context.Context, m wire.Message) wire.Message {
	n := c.n
	switch m := m.(type) {
	case *wire.Publish, *wire.IssueTokens, *wire.Report:
		who := c.session.Device()
		if who == nil {
			return c.publishKeys(ctx, m)
		}
		if ref := n.relay.SpendRequest(n.now(), who); ref != nil {
			return ref
		}
		switch m := m.(type) {
		case *wire.Publish:
			if m.Provider == n.domain && m.Kind == wire.PublicationEpochKeys {
				defer c.told.Store(n.revoked.Load()) // the list is no older than this
			}
			return n.publish(ctx, m)
		case *wire.IssueTokens:
			b, err := n.reports.Issue(ctx, n.now(), who.Address(), reports.Binding(c.c.Exporter(), c.nonce), m.Tokens)
			if err != nil {
				return reportAnswer(err)
			}
			return &wire.IssuedTokens{Tokens: b}
		case *wire.Report:
			faults, err := n.reports.Take(ctx, n.now(), who.Address(), m.Sealed)
			if err != nil {
				return reportAnswer(err)
			}
			a := new(wire.Reported)
			for _, f := range faults {
				n.metrics.reports.WithLabelValues(f.String()).Inc()
				a.Findings = append(a.Findings, uint8(f))
			}
			return a
		}
	}
	return nil
}

// peerReport answers what peers ask about franking; nil if it is something else.
func (c *connection) peerReport(ctx context.Context, m wire.Message) wire.Message {
	n := c.n
	switch m := m.(type) {
	case *wire.Publish:
		if ref := n.relay.SpendPeerRequest(n.now(), c.peer); ref != nil {
			return ref
		}
		if m.Provider != n.domain { // one hop, never more
			return &wire.Refusal{Code: wire.CodeForbidden}
		}
		return n.publish(ctx, m)
	case *wire.Notice:
		if ref := n.relay.SpendPeerRequest(n.now(), c.peer); ref != nil {
			return ref
		}
		return n.noticed(ctx, c.peer.Domain, m.List)
	case *wire.Verdict:
		root, ok := n.peers.root(c.peer.Domain)
		if !ok {
			return unreachable()
		}
		b, err := n.reports.OpenVerdict(ctx, n.now(), c.peer.Domain, root, m.Verdict)
		n.metrics.verdicts.WithLabelValues(verdictResult(err)).Inc()
		if err != nil {
			return reportAnswer(err)
		}
		return &wire.VerdictAnswer{Answer: b}
	}
	return nil
}

// verdictResult is a metric label: one of a closed list.
func verdictResult(err error) string {
	var fault franking.Fault
	switch {
	case err == nil:
		return "opened"
	case errors.As(err, &fault):
		return fault.String()
	}
	return "failed"
}

// root returns the pinned root key of a provider, the own one included.
func (p *peers) root(d ids.Domain) (keys.VerifyKey, bool) {
	if d == p.n.domain {
		return p.n.keyring.root.Public(), true
	}
	l := p.link(d)
	if l == nil {
		return keys.VerifyKey{}, false
	}
	known := l.descriptor.Load()
	if known == nil {
		return keys.VerifyKey{}, false
	}
	return known.Root(), true
}

// fetchKeys fetches a peer's token-signing keys and its desk's. What does not
// verify is left: it must not end the link, which carries messages.
func (l *link) fetchKeys(ctx context.Context, caller *quicnet.Caller) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	root, ok := l.n.peers.root(l.peer.Domain)
	if !ok {
		return nil
	}
	d := l.peer.Domain
	for kind, learn := range map[wire.PublicationKind]func([]byte) error{
		wire.PublicationEpochKeys: func(b []byte) error { return l.n.reports.Learn(ctx, d, b, root, l.n.now()) },
		wire.PublicationDesk:      func(b []byte) error { return l.n.reports.LearnDesk(ctx, d, b, root) },
	} {
		a, err := quicnet.Ask[*wire.Published](ctx, caller, &wire.Publish{Kind: kind, Provider: d, Issuer: d})
		var refused *quicnet.RefusedError
		switch {
		case errors.As(err, &refused):
			continue
		case err != nil:
			return err
		}
		if err := learn(a.Document); errors.Is(err, store.ErrUnavailable) {
			return err
		} else if err != nil {
			l.n.metrics.verdicts.WithLabelValues("keys_refused").Inc()
		}
	}
	return l.fetchHead(ctx, caller, root)
}

// bringVerdicts hands the peer the verdicts that wait for it until ctx ends.
func (l *link) bringVerdicts(ctx context.Context, caller *quicnet.Caller) error {
	for {
		again, err := l.n.bring(ctx, l.peer.Domain, func(ctx context.Context, verdict []byte) ([]byte, error) {
			a, err := quicnet.Ask[*wire.VerdictAnswer](ctx, caller, &wire.Verdict{Verdict: verdict})
			if err != nil {
				return nil, err
			}
			return a.Answer, nil
		})
		if err != nil {
			return err
		}
		t := time.NewTimer(again)
		select {
		case <-t.C:
		case <-l.verdict:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
		t.Stop()
	}
}

// bring asks a provider to open the verdicts that wait for it. A refusal for good
// ends a verdict; another one leaves it and the rest until again has passed: one whose
// link to this provider has only just begun does not know its desk yet, and says so.
func (n *Node) bring(ctx context.Context, d ids.Domain, ask func(context.Context, []byte) ([]byte, error)) (again time.Duration, err error) {
	pending, err := n.reports.Pending(ctx, d)
	if err != nil {
		return 0, err
	}
	root, ok := n.peers.root(d)
	if !ok {
		return verdictPause, nil
	}
	for _, p := range pending {
		answer, err := ask(ctx, p.Verdict)
		var refused *quicnet.RefusedError
		switch {
		case errors.As(err, &refused) && refused.RetryAfter == 0:
			err = n.reports.Refused(ctx, n.now(), p, d)
		case errors.As(err, &refused):
			return min(max(refused.RetryAfter, verdictRetry), verdictPause), nil
		case err == nil:
			err = n.reports.Answered(ctx, n.now(), p, d, answer, root)
		}
		if err != nil {
			return 0, err
		}
	}
	return verdictPause, nil
}

// Decided tells the provider that a verdict is for, now rather than at the next
// look. The own one opens it at once.
func (n *Node) Decided(ctx context.Context, d ids.Domain) error {
	if d != n.domain {
		if l := n.peers.link(d); l != nil {
			select {
			case l.verdict <- struct{}{}:
			default:
			}
		}
		return nil
	}
	_, err := n.bring(ctx, d, func(ctx context.Context, verdict []byte) ([]byte, error) {
		b, err := n.reports.OpenVerdict(ctx, n.now(), n.domain, n.keyring.root.Public(), verdict)
		if err != nil {
			r := reportAnswer(err)
			return nil, &quicnet.RefusedError{Code: r.Code, RetryAfter: time.Duration(r.RetryAfter) * time.Millisecond}
		}
		return b, nil
	})
	return err
}

var _ relay.Snapshots = (*reports.Reports)(nil)
