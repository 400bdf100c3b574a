package client

import (
	"context"
	"errors"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// relayKey returns the key that questions to a provider are sealed to. Errors are
// ErrProvider, ErrServer and the store's.
func (l *link) relayKey(d ids.Domain) (to directory.RelayKey, err error) {
	err = l.c.view(func(w *work) error {
		known, _, err := w.descriptor(d)
		if errors.Is(err, errDescriptor) {
			return ErrProvider
		}
		if err != nil {
			return err
		}
		key, ok := known.RelayKey()
		if to = key; !ok {
			return ErrServer
		}
		return nil
	})
	return to, err
}

// ask asks a provider something through the own one or the hop, sealed, and opens the answer
// into out. Errors are those of relayKey, ErrServer (the answer is none), payload's
// and the link's.
func (l *link) ask(ctx context.Context, d ids.Domain, kind query.Kind, payload func(enc []byte) ([]byte, error), out wire.Schema) error {
	to, err := l.relayKey(d)
	if err != nil {
		return err
	}
	var h *state.Hop
	if err := l.c.view(func(w *work) (err error) { h, err = w.hopTo(d); return err }); err != nil {
		return err
	}
	return l.askKey(ctx, h, d, to, kind, payload, out)
}

func (l *link) askKey(ctx context.Context, h *state.Hop, d ids.Domain, to directory.RelayKey, kind query.Kind, payload func(enc []byte) ([]byte, error), out wire.Schema) error {
	// Before the payload, which may cost a proof.
	if err := l.paused(h); err != nil {
		return err
	}
	sealed, pending, err := query.AskWith(to.Key, to.ID, kind, payload, l.c.now())
	if err != nil {
		return err
	}
	m, err := l.carry(ctx, h, &wire.Query{Dest: d, Kind: uint8(kind), Sealed: sealed})
	if err != nil {
		return err
	}
	plain, err := pending.Open(m.Sealed)
	if err != nil || wire.Unmarshal(plain, out) != nil {
		return ErrServer
	}
	return nil
}
