package client

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
	"waxwing/relay/reports"
)

// What callers of Report branch on, with errors.Is; see errors.go for the others.
var (
	// ErrNotReceived: a message is not one that came from a contact.
	ErrNotReceived = errors.New("client: not a received message")
	// ErrTooOld: what the message would be reported with was forgotten; it came more
	// than a month ago, or on another device.
	ErrTooOld = errors.New("client: message can no longer be reported")
	// ErrReportSize: the messages do not fit into one report; report fewer.
	ErrReportSize = errors.New("client: too much for one report")
	// ErrNoShare: a ban cannot be asked for with the message: its escrow is for keys
	// that the account does not have any more. It can be reported without.
	ErrNoShare = errors.New("client: no share of the message's escrow")
	// ErrLeaf: a chunk to reveal is not one of the message's files, or is there twice,
	// or they are more than franking.MaxLeaves.
	ErrLeaf = errors.New("client: not chunks of the message's files")
)

// ReportConfig says why messages are reported, and what may be done with them.
type ReportConfig struct {
	Reason franking.Reason
	Note   string // for the reviewers, at most franking.MaxNote bytes
	// TellOrigin lets the reviewers tell the sender's provider that an account of its
	// own wrote something, so that it can act; ShareContent lets them show it what was
	// written. Neither tells it who reported.
	TellOrigin, ShareContent bool
	// AllowBan lets two reviewers open the sender's pseudonym at the own provider, so
	// that it can be banned there: with a share of this account's, which goes into the
	// report and without which nobody can. It names no account.
	AllowBan bool
	// Leaves are chunks of the messages' files that the reviewers are shown
	// (attachment.File.Reveal), of each message at most franking.MaxLeaves. What is not
	// among them, they do not learn.
	Leaves map[MessageID][]franking.Leaf
}

// Reported is what the provider's desk found about one message: the zero value of
// Fault is a message that is proven.
type Reported struct {
	ID    MessageID
	Fault franking.Fault
}

// Report reports received messages of one contact to the own provider's reviewers:
// the messages with what proves that an account of the sender's provider wrote
// them for this mailbox, and nothing that says which. They verify it without the
// sender's provider. A report of which nothing is proven is not kept. Errors are
// ErrUnknownMessage, ErrNotReceived, ErrTooOld, ErrReportSize, ErrNoShare, ErrLeaf,
// *RefusedError, those of the connection (package quicnet) and the store's.
func (c *Client) Report(ctx context.Context, conf ReportConfig, messages ...MessageID) (out []Reported, err error) {
	r := &franking.Report{ID: franking.NewReportID(), Reason: conf.Reason, Note: conf.Note}
	if conf.TellOrigin || conf.ShareContent {
		r.Consents |= franking.ConsentOrigin
	}
	if conf.ShareContent {
		r.Consents |= franking.ConsentContent
	}
	if len(messages) == 0 || len(messages) > franking.MaxMessages {
		return nil, ErrReportSize
	}
	for _, id := range messages {
		e, err := c.Evidence(id)
		if err == nil {
			err = reveal(e, conf.Leaves[id])
		}
		if err != nil {
			return nil, err
		}
		r.Messages = append(r.Messages, *e)
	}
	if conf.AllowBan {
		if err := c.share(r, messages); err != nil {
			return nil, err
		}
	}
	faults, err := c.SendReport(ctx, r)
	for i, f := range faults {
		out = append(out, Reported{messages[i], f})
	}
	return out, err
}

// reveal adds chunks of a message's files to its evidence. They are checked here: one
// that is false would have the whole message refused, which is reported once.
func reveal(e *franking.Evidence, leaves []franking.Leaf) error {
	if len(leaves) == 0 {
		return nil
	}
	f, err := content.ParseFrame(e.Frame)
	if err != nil {
		return &state.CorruptError{Table: "log"}
	}
	order := func(a, b franking.Leaf) int {
		return cmp.Or(cmp.Compare(a.Attachment, b.Attachment), cmp.Compare(a.Index, b.Index))
	}
	leaves = slices.SortedFunc(slices.Values(leaves), order)
	for i := range leaves {
		l := &leaves[i]
		if int(l.Attachment) >= len(f.Attachments) || l.Check(&f.Attachments[l.Attachment]) != nil || i > 0 && order(leaves[i-1], *l) == 0 {
			return ErrLeaf
		}
	}
	if len(leaves) > franking.MaxLeaves {
		return ErrLeaf
	}
	e.Leaves = leaves
	return nil
}

// Evidence is what proves a received message to the own provider's reviewers, for
// whoever makes reports itself. It holds the message's key: it is as secret as the
// message. Errors are ErrUnknownMessage, ErrNotReceived, ErrTooOld and the store's.
func (c *Client) Evidence(id MessageID) (e *franking.Evidence, err error) {
	err = c.view(func(w *work) error {
		e, err = w.evidence(id)
		return err
	})
	return e, err
}

// SendReport hands a report to the own provider's reviewers and returns what was
// found about each of its messages. Sent again with the same id it is one report.
// Errors are those of Report.
func (c *Client) SendReport(ctx context.Context, r *franking.Report) (out []franking.Fault, err error) {
	err = c.withLink(ctx, func(l *link) error {
		var own ids.Domain
		if err := c.view(func(w *work) error {
			if w.self == nil {
				return ErrNotRegistered
			}
			own = w.self.Address.Domain()
			return nil
		}); err != nil {
			return err
		}
		found, err := l.report(ctx, own, r)
		if err != nil {
			return err
		}
		if len(found.Findings) != len(r.Messages) {
			return ErrServer
		}
		for _, f := range found.Findings {
			out = append(out, franking.Fault(f))
		}
		return nil
	})
	return out, err
}

// report seals a report to the own provider's desk and hands it in.
func (l *link) report(ctx context.Context, own ids.Domain, r *franking.Report) (*wire.Reported, error) {
	raw, err := l.publication(ctx, &wire.Publish{Kind: wire.PublicationDesk, Provider: own, Issuer: own})
	if err != nil {
		return nil, err
	}
	var sealed []byte
	if err := l.c.view(func(w *work) error {
		root, err := w.rootOf(own)
		if err != nil {
			return ErrServer
		}
		desk, err := franking.ParseDesk(raw, own, root)
		if err != nil || !desk.In(w.today) {
			return ErrServer
		}
		sealed, err = r.Seal(desk, w.self.Address)
		if errors.Is(err, franking.ErrReportSize) {
			return ErrReportSize
		}
		return err
	}); err != nil {
		return nil, err
	}
	return quicnet.Ask[*wire.Reported](ctx, l.caller, &wire.Report{Sealed: sealed})
}

// share puts the account's shares of the messages' escrows into a report: one for
// each token, as all messages under it have one escrow.
func (c *Client) share(r *franking.Report, messages []MessageID) error {
	r.Consents |= franking.ConsentBan
	return c.view(func(w *work) error {
		shared := map[franking.TokenHash]bool{}
		for i := range r.Messages {
			token := r.Messages[i].Token.Hash()
			if shared[token] {
				continue
			}
			shared[token] = true
			o, err := w.shareOf(&r.Messages[i], messages[i])
			if err != nil {
				return err
			}
			o.Message = uint8(i)
			r.Escrows = append(r.Escrows, *o)
		}
		return nil
	})
}

// shareOf makes the share of a message's escrow, with z.
func (w *work) shareOf(e *franking.Evidence, id MessageID) (*franking.EscrowOpening, error) {
	s, err := w.snapshot(e.Snapshot)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, ErrTooOld
	}
	v, err := franking.Verify(e, s, w.self.Address, reports.FrameOf)
	if err != nil {
		return nil, &state.CorruptError{Table: "proofs"} // it was verified before it was shown
	}
	_, b, err := w.proofOf(id)
	if err != nil {
		return nil, err
	}
	to, err := w.ownRecipient(b.Escrow.Generation)
	if err != nil {
		return nil, err
	}
	pair, err := w.pair(b.Escrow.Generation)
	if err != nil {
		return nil, err
	}
	if to == nil || pair == nil {
		return nil, ErrNoShare
	}
	defer pair.Erase()
	mw, mz, err := pair.Scalars()
	if err != nil {
		return nil, &state.CorruptError{Table: "mailboxkeys"}
	}
	defer mw.Erase()
	defer mz.Erase()
	share, err := franking.MakeShare(v, &b.Escrow, to, mz)
	if err != nil {
		return nil, ErrNoShare
	}
	return &franking.EscrowOpening{Escrow: b.Escrow, Share: *share}, nil
}

// proofOf returns what is kept of a received message's proof, and its bundle.
func (w *work) proofOf(id MessageID) (*receivedProof, *franking.BundleFields, error) {
	m, err := state.Log.Get(w.tx, state.U64(id))
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil, ErrUnknownMessage
	}
	if err != nil {
		return nil, nil, err
	}
	if m.Status != state.StatusReceived {
		return nil, nil, ErrNotReceived
	}
	p, err := state.Proofs.Get(w.tx, state.OfContact(m.Contact, m.D[:]))
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil, ErrTooOld
	}
	if err != nil {
		return nil, nil, err
	}
	raw, err := state.Bundles.Get(w.tx, state.OfContact(m.Contact, p.Bundle[:]))
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil, ErrTooOld
	}
	if err != nil {
		return nil, nil, err
	}
	b := new(franking.BundleFields)
	if wire.Unmarshal(raw.Bytes, b) != nil {
		return nil, nil, &state.CorruptError{Table: "bundles"}
	}
	return &receivedProof{m, p}, b, nil
}

// receivedProof is a received message with its proof.
type receivedProof struct {
	m *state.Message
	p *state.Proof
}

// evidence is what proves a received message.
func (w *work) evidence(id MessageID) (*franking.Evidence, error) {
	r, b, err := w.proofOf(id)
	if err != nil {
		return nil, err
	}
	m, p := r.m, r.p
	key, err := franking.KeyFrom(m.Key[:])
	if err != nil {
		return nil, &state.CorruptError{Table: "log"}
	}
	return &franking.Evidence{
		Token: b.Token, Frame: m.Frame, Key: *key, Author: p.Sigma2, Hour: p.Hour, Audience: franking.Audience{Salt: p.Salt},
		Mailbox: w.self.Mailbox, Com: m.Com, Day: m.Day, Received: m.Stamped, Stamp: m.Stamp, Snapshot: p.Snapshot,
	}, nil
}
