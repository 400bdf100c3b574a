package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/introduction"
)

// sessions knows the connections of every device, so that those of a removed
// one can be ended. It holds no more than there are connections.
type sessions struct {
	mu  sync.Mutex // guards set
	set map[deviceRef]map[*Session]struct{}
}

type deviceRef struct {
	mailbox ids.MailboxID
	device  ids.DeviceID
}

func refOf(who *directory.Authenticated) deviceRef { return deviceRef{who.Mailbox(), who.Device()} }

func (t *sessions) add(ref deviceRef, s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.set[ref] == nil {
		t.set[ref] = map[*Session]struct{}{}
	}
	t.set[ref][s] = struct{}{}
}

func (t *sessions) drop(ref deviceRef, s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.set[ref], s)
	if len(t.set[ref]) == 0 {
		delete(t.set, ref)
	}
}

// end ends the connections of a device.
func (t *sessions) end(ref deviceRef) {
	t.mu.Lock()
	ended := t.set[ref]
	delete(t.set, ref)
	t.mu.Unlock()
	for s := range ended {
		s.revoke()
	}
}

// suspend has the connections of an account's devices send nothing more, or again.
func (t *sessions) suspend(mailbox ids.MailboxID, stop bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ref, set := range t.set {
		if ref.mailbox != mailbox {
			continue
		}
		for s := range set {
			s.suspended.Store(stop)
		}
	}
}

// Suspend stops what a suspended account sends on connections that it has, or lets
// it send again. New ones look at its standing.
func (r *Relay) Suspend(ctx context.Context, account ids.Address, stop bool) error {
	a, err := r.directory.Account(ctx, account)
	if err != nil {
		return err
	}
	r.sessions.suspend(a.Mailbox, stop)
	return nil
}

// Leave forgets the session of a connection that has ended.
func (r *Relay) Leave(s *Session) {
	if who := s.device.Load(); who != nil {
		r.sessions.drop(refOf(who), s)
	}
}

// updateManifest changes the devices of an account, or its X_S. When it is answered, a
// removed device has no connection, no place in the mailbox and no prekeys. A
// device does not remove itself: its answer would have no way back.
func (r *Relay) updateManifest(ctx context.Context, now time.Time, who *directory.Authenticated, m *wire.UpdateManifest) wire.Message {
	next, err := directory.ParseManifest(m.Manifest)
	if err != nil {
		return answer(err)
	}
	if _, ok := next.Device(who.Device()); !ok {
		return refuse(wire.CodeForbidden)
	}
	if err := r.settleRemoved(ctx, who.Address()); err != nil {
		return answer(err)
	}
	err = r.directory.UpdateManifest(ctx, who, m.Manifest)
	if errors.Is(err, directory.ErrAccountKeyChanged) {
		return answer(r.directory.ReplaceAccountKey(ctx, who, m.Manifest, now))
	}
	if err != nil {
		return answer(err)
	}
	// The manifest is durable. A crash now leaves the account's record saying
	// which devices are to be settled; the next request or login does it.
	return answer(r.settleRemoved(ctx, who.Address()))
}

// settleRemoved takes away what removed devices of an account still have here.
func (r *Relay) settleRemoved(ctx context.Context, address ids.Address) error {
	a, err := r.directory.Account(ctx, address)
	if err != nil || len(a.Removed) == 0 {
		return err
	}
	for _, id := range a.Removed {
		// First: a store that fails now must not leave it connected.
		r.sessions.end(deviceRef{a.Mailbox, id})
		if err := r.mailboxes.Close(ctx, a.Mailbox, id); err != nil {
			return err
		}
	}
	err = r.directory.Settle(ctx, a)
	if errors.Is(err, directory.ErrConflict) {
		return nil // somebody else settled, or changed the manifest and settles
	}
	return err
}

// account tells a device its account's newest manifest.
func (r *Relay) account(ctx context.Context, who *directory.Authenticated) wire.Message {
	a, err := r.directory.Account(ctx, who.Address())
	if err != nil {
		return answer(err)
	}
	return &wire.AccountState{Manifest: a.Manifest.Bytes(), Replaced: a.Replaced}
}

// enter makes the connection a device's. Its reader is opened here, so that a
// message that arrives from now on waits for the device.
func (r *Relay) enter(ctx context.Context, now time.Time, s *Session, who *directory.Authenticated) wire.Message {
	if !s.taken.CompareAndSwap(false, true) {
		return refuse(wire.CodeConflict)
	}
	s.device.Store(who)
	ref := refOf(who)
	r.sessions.add(ref, s)
	_, err := r.mailboxes.Open(ctx, who.Mailbox(), who.Device())
	if err == nil {
		err = r.present(ctx, who)
	}
	if err == nil {
		err = r.standing(ctx, now, s, who)
	}
	if err != nil {
		s.ended.Store(true)
		r.sessions.drop(ref, s)
		return answer(err)
	}
	out := &wire.Session{Mailbox: who.Mailbox()}
	if r.admission != nil {
		out.Standing = [32]byte(introduction.StandingKey(r.admission.Standing(), who.Mailbox()).Bytes())
	}
	return out
}

// standing looks at the account's standing. The session is listed already, so
// either a suspension finds it there or it is seen here.
func (r *Relay) standing(ctx context.Context, now time.Time, s *Session, who *directory.Authenticated) error {
	standing, err := r.directory.Standing(ctx, who.Address())
	if err == nil && standing.Suspended(now) {
		s.suspended.Store(true)
	}
	return err
}

// present checks that a device whose reader was just opened was not removed
// meanwhile. The removal stores the manifest first and closes the reader then,
// so either it closes this reader or it is seen here. ErrUnauthenticated: it
// was removed.
func (r *Relay) present(ctx context.Context, who *directory.Authenticated) error {
	a, err := r.directory.Account(ctx, who.Address())
	if err != nil {
		return err
	}
	if _, ok := a.Manifest.Device(who.Device()); !ok {
		if err := r.mailboxes.Close(ctx, who.Mailbox(), who.Device()); err != nil {
			return err
		}
		return directory.ErrUnauthenticated
	}
	if len(a.Removed) > 0 { // a crash came between
		return r.settleRemoved(ctx, who.Address())
	}
	return nil
}
