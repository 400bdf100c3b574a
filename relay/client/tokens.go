package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
	"waxwing/relay/reports"
)

// snapshotPause is how soon another provider's snapshot is asked for again, if
// what came lacks today's keys.
const snapshotPause = 10 * time.Second

// franking asks for what messages are franked with and judged by: tokens, other
// providers' snapshots of the own one's keys, and the own one's snapshots that
// deliveries named.
func (l *link) franking(ctx context.Context) error {
	var epochs []ids.Day
	var wanted []ids.Domain
	var held []snapshotRef
	if l.revoked.Load() {
		if err := l.attempt("own keys", func() error { return l.fetchOwnKeys(ctx) }); err != nil {
			return err
		}
	}
	if err := l.c.view(func(w *work) (err error) {
		if epochs, err = w.wantTokens(); err != nil {
			return err
		}
		if wanted, err = w.wantTheirs(); err != nil {
			return err
		}
		if w.revoked {
			l.revoked.Store(true)
		}
		held, err = w.heldSnapshots()
		return err
	}); err != nil {
		return err
	}
	for _, epoch := range epochs {
		if err := l.attempt("tokens", func() error { return l.fetchTokens(ctx, epoch) }); err != nil {
			return err
		}
	}
	for _, domain := range wanted {
		if err := l.attempt("snapshot "+domain.String(), func() error { return l.fetchTheirs(ctx, domain) }); err != nil {
			return err
		}
	}
	for _, ref := range held {
		if err := l.attempt("held "+string(ref.id[:]), func() error { return l.fetchSnapshot(ctx, ref) }); err != nil {
			return err
		}
	}
	return nil
}

// wantTokens lists the days of which tokens are to be asked for: today, if there
// are few; tomorrow, from an instant on that does not depend on what is sent.
func (w *work) wantTokens() (out []ids.Day, err error) {
	if w.self == nil || !w.self.Registered || w.self.lacksAccountKey() {
		return nil, nil
	}
	purse, err := w.tokens()
	if err != nil {
		return nil, err
	}
	if purse.Free(w.today) < tokenLow {
		out = append(out, w.today)
	}
	if !w.now.Before(franking.FetchAt(w.self.root, w.today+1)) && purse.Free(w.today+1) < tokenLow {
		out = append(out, w.today+1)
	}
	return out, nil
}

// unfranked reports whether messages wait for something to frank them with, which
// may come within moments: another provider may just be connecting.
func (c *Client) unfranked() (waits bool, err error) {
	err = c.view(func(w *work) error {
		wanted, err := w.wantTheirs()
		if err != nil || len(wanted) > 0 {
			waits = err == nil
			return err
		}
		epochs, err := w.wantTokens()
		for _, n := range w.waiting {
			waits = waits || n > 0 && slices.Contains(epochs, w.today)
		}
		return err
	})
	return waits, err
}

// issueContext is what a request for tokens is bound to.
func (w *work) issueContext(epoch ids.Day, binding [32]byte) (x franking.IssueContext, err error) {
	x = franking.IssueContext{Issuer: w.self.Address.Domain(), Account: w.self.Address, Epoch: epoch, Binding: binding}
	xs := w.self.manifest.XS()
	x.XS, err = group.Ristretto255().DecodeElement(xs[:])
	return x, err
}

func (l *link) fetchTokens(ctx context.Context, epoch ids.Day) error {
	ch := l.challenge()
	var x franking.IssueContext
	if err := l.c.view(func(w *work) (err error) {
		x, err = w.issueContext(epoch, reports.Binding(ch.Exporter, ch.Nonce))
		return err
	}); err != nil {
		return err
	}
	req, mine, err := franking.NewRequest(x, tokenBatch)
	if err != nil {
		return err
	}
	b, err := wire.Marshal(req)
	if err != nil {
		return err
	}
	m, err := quicnet.Ask[*wire.IssuedTokens](ctx, l.caller, &wire.IssueTokens{Tokens: b})
	if err != nil {
		return err
	}
	answer := new(franking.IssueAnswer)
	if wire.Unmarshal(m.Tokens, answer) != nil {
		return errUnusable
	}
	list, err := l.publication(ctx, &wire.Publish{Kind: wire.PublicationEpochKeys, Provider: x.Issuer, Issuer: x.Issuer})
	if err != nil {
		return err
	}
	err = l.c.update(func(w *work) error {
		if xs := w.self.manifest.XS(); !bytes.Equal(x.XS.Bytes(), xs[:]) {
			return ErrServer // replaced meanwhile: they commit to the former one
		}
		return w.takeIssued(mine, answer, list, epoch)
	})
	if err == nil {
		l.fresh.Store(true)
	}
	return unusable(err)
}

// fetchOwnKeys asks for the own provider's list of token-signing keys, one of which
// was revoked.
func (l *link) fetchOwnKeys(ctx context.Context) error {
	var own ids.Domain
	if err := l.c.view(func(w *work) error { own = w.self.Address.Domain(); return nil }); err != nil {
		return err
	}
	raw, err := l.publication(ctx, &wire.Publish{Kind: wire.PublicationEpochKeys, Provider: own, Issuer: own})
	if err != nil {
		return err
	}
	err = l.c.update(func(w *work) error {
		keys, err := w.ownKeys(raw)
		if err != nil {
			return err
		}
		w.revoked = false
		return w.dropRevoked(keys)
	})
	if err == nil {
		l.revoked.Store(false)
		l.fresh.Store(true)
	}
	return unusable(err)
}

// ownKeys parses the own provider's list of token-signing keys. The error is
// ErrServer.
func (w *work) ownKeys(raw []byte) (*franking.EpochKeys, error) {
	own := w.self.Address.Domain()
	root, err := w.rootOf(own)
	if err != nil {
		return nil, err
	}
	keys, err := franking.ParseEpochKeys(raw, own, root, nil)
	if err != nil {
		return nil, ErrServer
	}
	return keys, nil
}

// dropRevoked erases the tokens under keys that were revoked, with the bundles that
// are made of them, and queues again what was sealed with them and not taken by the
// provider: nobody would show it.
func (w *work) dropRevoked(keys *franking.EpochKeys) error {
	purse, err := w.tokens()
	if err != nil {
		return err
	}
	gone := purse.Drop(keys.Revoked)
	if len(gone) == 0 {
		return nil
	}
	w.touched = true
	for _, h := range gone {
		if err := state.Tokens.Delete(w.tx, h[:]); err != nil {
			return err
		}
	}
	for id := range w.contacts {
		w.attention[id] = true
	}
	if err := expire(w, state.Offers, func(*state.Offer) bool { return true }); err != nil {
		return err
	}
	return w.unseal()
}

// unseal queues messages of the outbox again, to be sealed anew.
func (w *work) unseal() error {
	rows, err := state.Outbox.Rows(w.tx, nil, nil, 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		pos := row.Record.Position
		if pos == 0 {
			continue // control alone: there is no token in it
		}
		m, err := state.Log.Get(w.tx, state.U64(pos))
		if errors.Is(err, state.ErrNotFound) || err == nil && m.Status != state.StatusSealed {
			continue
		}
		if err == nil {
			err = errors.Join(state.Outbox.Delete(w.tx, row.Key), state.Paid.Delete(w.tx, row.Key), w.requeue(pos, m))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeIssued takes the answer to a request for tokens, under the provider's key of
// the day. The error is ErrServer.
func (w *work) takeIssued(mine *franking.Requested, answer *franking.IssueAnswer, list []byte, epoch ids.Day) error {
	keys, err := w.ownKeys(list)
	if err != nil {
		return err
	}
	if err := w.dropRevoked(keys); err != nil {
		return err
	}
	key, ok := keys.Of(epoch)
	if !ok {
		return ErrServer
	}
	got, err := mine.Accept(answer, key)
	if err != nil {
		return ErrServer
	}
	return w.issued(got)
}

// fetchTheirs asks for another provider's newest snapshot of the own one's keys.
func (l *link) fetchTheirs(ctx context.Context, domain ids.Domain) error {
	var own ids.Domain
	var stale []ids.Domain
	if err := l.c.view(func(w *work) (err error) {
		own = w.self.Address.Domain()
		stale, err = w.stale([]ids.Domain{domain})
		return err
	}); err != nil {
		return err
	}
	if err := l.describe(ctx, stale); err != nil {
		return err
	}
	raw, err := l.publication(ctx, &wire.Publish{Kind: wire.PublicationSnapshot, Provider: domain, Issuer: own})
	if err != nil {
		return err
	}
	err = l.c.update(func(w *work) error { return w.takeTheirs(domain, raw) })
	if err == nil {
		l.fresh.Store(true)
		l.mu.Lock()
		l.later["snapshot "+domain.String()] = l.c.now().Add(snapshotPause)
		l.mu.Unlock()
	}
	return unusable(err)
}

// fetchSnapshot asks the own provider for the snapshot that deliveries named.
func (l *link) fetchSnapshot(ctx context.Context, ref snapshotRef) error {
	var own ids.Domain
	if err := l.c.view(func(w *work) error { own = w.self.Address.Domain(); return nil }); err != nil {
		return err
	}
	raw, err := l.publication(ctx, &wire.Publish{Kind: wire.PublicationSnapshot, Provider: own, Issuer: ref.issuer, ID: ref.id})
	if err != nil {
		return err
	}
	err = l.c.update(func(w *work) error { return w.takeSnapshot(ref, raw) })
	if err == nil {
		l.fresh.Store(true)
	}
	return unusable(err)
}

// publication asks the own provider for a signed public document.
func (l *link) publication(ctx context.Context, m *wire.Publish) ([]byte, error) {
	a, err := quicnet.Ask[*wire.Published](ctx, l.caller, m)
	if err != nil {
		return nil, err
	}
	return a.Document, nil
}

// errUnusable has what does not verify asked for again later.
var errUnusable = &quicnet.RefusedError{Code: wire.CodeStale}

// unusable makes errUnusable of what does not verify, or cannot be verified yet.
func unusable(err error) error {
	if errors.Is(err, ErrServer) || errors.Is(err, errDescriptor) {
		return errUnusable
	}
	return err
}
