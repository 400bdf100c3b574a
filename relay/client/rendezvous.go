package client

import (
	"context"
	"errors"
	"time"

	"waxwing/core/linking"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// What the two devices leave at the rendezvous. An empty document where the
// confirmation or the header belongs says that the run was given up.
const (
	indexFirst  = 0 // Join; answer
	indexSecond = 1 // confirmation; header: the number of parts in one byte
	indexParts  = 2 // from here on

	// partSize is how much of the sealed secrets one document holds, and
	// maxParts how many the largest secrets need, sealed.
	partSize = wire.MaxRendezvousDocument
	maxParts = wire.MaxRendezvousIndex - indexParts + 1

	// minPoll and maxPoll bound how often the provider is asked for a document:
	// soon at first, and within what it answers for as long as a run lasts.
	minPoll = 100 * time.Millisecond
	maxPoll = time.Second
)

// meeting is a rendezvous at the provider, which need not be trusted.
type meeting interface {
	// put leaves a document.
	put(ctx context.Context, side wire.Side, index uint8, document []byte) error
	// get returns a document of the other side, or false if it is not there.
	get(ctx context.Context, side wire.Side, index uint8) ([]byte, bool, error)
}

// atProvider is a meeting over a connection.
type atProvider struct {
	l  *link
	id [wire.RendezvousSize]byte
}

func (m *atProvider) put(ctx context.Context, side wire.Side, index uint8, document []byte) error {
	_, err := quicnet.Ask[*wire.Done](ctx, m.l.caller, &wire.RendezvousPut{Rendezvous: m.id, Side: side, Index: index, Document: document})
	return meetingError(err)
}

func (m *atProvider) get(ctx context.Context, side wire.Side, index uint8) ([]byte, bool, error) {
	d, err := quicnet.Ask[*wire.RendezvousDocument](ctx, m.l.caller, &wire.RendezvousGet{Rendezvous: m.id, Side: side, Index: index})
	if err != nil {
		return nil, false, meetingError(err)
	}
	return d.Document, d.Present, nil
}

// meetingError makes what a provider refuses at a rendezvous this package's.
func meetingError(err error) error {
	var r *quicnet.RefusedError
	if !errors.As(err, &r) {
		return err
	}
	switch r.Code {
	case wire.CodeNotFound:
		return ErrLinkOver
	case wire.CodeExists:
		return ErrLinkMiddle // somebody left another document in our place
	}
	return refusedError(err)
}

// await asks for a document until it is there. ErrLinkAborted says that the
// other side gave up instead.
func await(ctx context.Context, m meeting, side wire.Side, index uint8) ([]byte, error) {
	pause := minPoll
	for {
		b, ok, err := m.get(ctx, side, index)
		if err != nil || ok {
			return b, err
		}
		if index != indexSecond {
			if _, gone, err := m.get(ctx, side, indexSecond); err != nil || gone {
				return nil, errors.Join(ErrLinkAborted, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(pause*3/2, maxPoll)
	}
}

// A Compare shows six digits to the user and says whether the user found the
// same ones on the other device. It returns when ctx ends.
type Compare func(ctx context.Context, digits string) bool

// meetNew is the existing device's side up to where both users have confirmed,
// and returns the device to let in. Nothing has been handed over then. Errors are
// ErrLinkAborted, ErrLinkMiddle, wire.ErrMalformed and the meeting's.
func meetNew(ctx context.Context, m meeting, o *linking.Offer, compare Compare) (d linking.Device, err error) {
	defer func() {
		if err != nil {
			o.Abort()
			// The other side need not wait. If it does not learn of it, its time
			// ends. Its context may be over, and this is one request.
			_ = m.put(context.WithoutCancel(ctx), wire.SideExisting, indexSecond, nil)
		}
	}()
	join, err := await(ctx, m, wire.SideNew, indexFirst)
	if err != nil {
		return d, err
	}
	answer, digits, d, err := o.Answer(join)
	if err != nil {
		return d, err
	}
	if err := m.put(ctx, wire.SideExisting, indexFirst, answer); err != nil {
		return d, err
	}
	if !compare(ctx, digits) {
		return d, errors.Join(ErrLinkAborted, ctx.Err())
	}
	if err := o.Confirm(); err != nil {
		return d, err
	}
	confirmation, err := await(ctx, m, wire.SideNew, indexSecond)
	switch {
	case err != nil:
		return d, err
	case len(confirmation) == 0:
		return d, ErrLinkAborted
	case o.Confirmed(confirmation) != nil:
		return d, ErrLinkMiddle
	}
	return d, nil
}

// handOver leaves the sealed secrets, the header last: it says that all are there.
func handOver(ctx context.Context, m meeting, o *linking.Offer, secrets []byte) error {
	sealed, err := o.Seal(secrets)
	if err != nil {
		return ErrTooMuch
	}
	n := (len(sealed) + partSize - 1) / partSize
	if n > maxParts {
		return ErrTooMuch
	}
	for i := range n {
		part := sealed[i*partSize : min((i+1)*partSize, len(sealed))]
		if err := m.put(ctx, wire.SideExisting, uint8(indexParts+i), part); err != nil {
			return err
		}
	}
	return m.put(ctx, wire.SideExisting, indexSecond, []byte{byte(n)})
}

// meetExisting is the new device's side, and returns the secrets. Errors are
// ErrLinkAborted, ErrLinkMiddle and the meeting's.
func meetExisting(ctx context.Context, m meeting, n *linking.Joining, compare Compare) (secrets []byte, err error) {
	defer func() {
		if err != nil {
			// As above; a confirmation that is there stays.
			_ = m.put(context.WithoutCancel(ctx), wire.SideNew, indexSecond, nil)
		}
		n.Abort()
	}()
	if err := m.put(ctx, wire.SideNew, indexFirst, n.Message()); err != nil {
		return nil, err
	}
	answer, err := await(ctx, m, wire.SideExisting, indexFirst)
	if err != nil {
		return nil, err
	}
	digits, err := n.Compare(answer)
	if err != nil {
		return nil, ErrLinkMiddle
	}
	if !compare(ctx, digits) {
		return nil, errors.Join(ErrLinkAborted, ctx.Err())
	}
	confirmation, err := n.Confirm()
	if err != nil {
		return nil, err
	}
	if err := m.put(ctx, wire.SideNew, indexSecond, confirmation); err != nil {
		return nil, err
	}
	header, err := await(ctx, m, wire.SideExisting, indexSecond)
	switch {
	case err != nil:
		return nil, err
	case len(header) == 0:
		return nil, ErrLinkAborted
	case len(header) != 1 || header[0] == 0 || header[0] > maxParts:
		return nil, ErrLinkMiddle
	}
	var sealed []byte
	for i := range header[0] {
		part, ok, err := m.get(ctx, wire.SideExisting, indexParts+i)
		if err != nil {
			return nil, err
		}
		if !ok || len(part) > partSize {
			return nil, ErrLinkMiddle
		}
		sealed = append(sealed, part...)
	}
	if secrets, err = n.Open(sealed); err != nil {
		return nil, ErrLinkMiddle
	}
	return secrets, nil
}
