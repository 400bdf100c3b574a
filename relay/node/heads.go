package node

import (
	"context"
	"errors"

	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/quicnet"
	"waxwing/relay/reports"
)

// fetchHead fetches the head of a peer's log of openings, and the proof that it
// continues the one that is kept.
func (l *link) fetchHead(ctx context.Context, caller *quicnet.Caller, root keys.VerifyKey) error {
	d := l.peer.Domain
	ask := func(kind wire.PublicationKind, id [32]byte) ([]byte, error) {
		a, err := quicnet.Ask[*wire.Published](ctx, caller, &wire.Publish{Kind: kind, Provider: d, Issuer: d, ID: id})
		if err != nil {
			return nil, err
		}
		return a.Document, nil
	}
	head, err := ask(wire.PublicationLogHead, [32]byte{})
	if err == nil {
		err = l.n.reports.LearnHead(ctx, l.n.now(), d, root, head, func(id [32]byte) ([]byte, error) {
			return ask(wire.PublicationLogProof, id)
		})
	}
	var refused *quicnet.RefusedError
	var fault franking.Fault
	switch {
	case errors.Is(err, reports.ErrForkedLog):
		l.n.metrics.verdicts.WithLabelValues("log_forked").Inc()
		l.n.log.Error("a peer's log of openings is not what it was")
	case errors.As(err, &refused), errors.As(err, &fault), errors.Is(err, wire.ErrMalformed):
		l.n.metrics.verdicts.WithLabelValues("head_refused").Inc()
	case err != nil:
		return err
	}
	return nil
}
