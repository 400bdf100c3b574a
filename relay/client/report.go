package client

import (
	"context"
	"errors"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
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
)

// ReportConfig says why messages are reported, and what may be done with them.
type ReportConfig struct {
	Reason franking.Reason
	Note   string // for the reviewers, at most franking.MaxNote bytes
	// TellOrigin lets the reviewers tell the sender's provider that an account of its
	// own wrote something, so that it can act; ShareContent lets them show it what was
	// written. Neither tells it who reported.
	TellOrigin, ShareContent bool
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
// ErrUnknownMessage, ErrNotReceived, ErrTooOld, ErrReportSize, *RefusedError, those
// of the connection (package quicnet) and the store's.
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
		if err != nil {
			return nil, err
		}
		r.Messages = append(r.Messages, *e)
	}
	faults, err := c.SendReport(ctx, r)
	for i, f := range faults {
		out = append(out, Reported{messages[i], f})
	}
	return out, err
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

// evidence is what proves a received message.
func (w *work) evidence(id MessageID) (*franking.Evidence, error) {
	m, err := state.Log.Get(w.tx, state.U64(id))
	if errors.Is(err, state.ErrNotFound) {
		return nil, ErrUnknownMessage
	}
	if err != nil {
		return nil, err
	}
	if m.Status != state.StatusReceived {
		return nil, ErrNotReceived
	}
	p, err := state.Proofs.Get(w.tx, state.OfContact(m.Contact, m.D[:]))
	if errors.Is(err, state.ErrNotFound) {
		return nil, ErrTooOld
	}
	if err != nil {
		return nil, err
	}
	raw, err := state.Bundles.Get(w.tx, state.OfContact(m.Contact, p.Bundle[:]))
	if errors.Is(err, state.ErrNotFound) {
		return nil, ErrTooOld
	}
	if err != nil {
		return nil, err
	}
	var b franking.BundleFields
	key, keyErr := franking.KeyFrom(m.Key[:])
	if wire.Unmarshal(raw.Bytes, &b) != nil || keyErr != nil {
		return nil, &state.CorruptError{Table: "bundles"}
	}
	return &franking.Evidence{
		Token: b.Token, Frame: m.Frame, Key: *key, Author: p.Sigma2, Hour: p.Hour, Audience: franking.Audience{Salt: p.Salt},
		Mailbox: w.self.Mailbox, Com: m.Com, Day: m.Day, Received: m.Stamped, Stamp: m.Stamp, Snapshot: p.Snapshot,
	}, nil
}
