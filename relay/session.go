package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/directory"
	"waxwing/core/mailbox"
	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
)

// Session is one connection of a client: first nobody's, then a device's, or of
// somebody who adds a device to an account.
type Session struct {
	// Fixed.
	challenge directory.Challenge
	end       func()

	taken     atomic.Bool                             // set once, before one of the next two
	device    atomic.Pointer[directory.Authenticated] // set once, by Register or Auth
	recovered atomic.Pointer[directory.Recovered]     // set once, by Recover
	ended     atomic.Bool                             // the device was removed
	// suspended: the account may read what it has and send nothing.
	suspended atomic.Bool
	attempts  atomic.Int32
	asked     atomic.Int32 // signed documents, before it was a device's
	asking    sync.Once    // decides stranger
	stranger  bool         // it asks other providers by this one, without a name; set in asking
	bearing   sync.Once    // decides bearer
	bearer    *Bearer      // of a connection that submits with tokens; set in bearing
	met       atomic.Int32 // requests about a rendezvous, before it was a device's
}

// NewSession returns the session of a connection, by its TLS exporter and the
// nonce that the server sent on it. end is called, once, when the device is
// removed from its account; it closes the connection and does not wait.
func NewSession(exporter [32]byte, nonce [wire.NonceSize]byte, end func()) *Session {
	return &Session{challenge: directory.Challenge{Exporter: exporter, Nonce: nonce}, end: end}
}

// Device returns the device that the connection belongs to, or nil.
func (s *Session) Device() *directory.Authenticated {
	if s.ended.Load() {
		return nil
	}
	return s.device.Load()
}

// revoke ends the connection of a removed device: nothing more is done for it.
func (s *Session) revoke() {
	if s.ended.CompareAndSwap(false, true) {
		s.end()
	}
}

// maxAttempts bounds how many signatures one connection may have checked. A
// limit by the address that is claimed would let anyone lock its owner out.
const maxAttempts = 3

// maxAsked bounds how many descriptors and lists of keys a connection may ask for
// that is no device's: a client that registers needs its own provider's.
const maxAsked = 8

// Ask reports whether a connection that is no device's may ask for one more signed
// document.
func (s *Session) Ask() bool { return s.asked.Add(1) <= maxAsked }

// attempt reports whether the connection may still become somebody's.
func (s *Session) attempt() bool {
	return !s.taken.Load() && s.attempts.Add(1) <= maxAttempts
}

// Handle answers a control request of a client. A Query to another provider
// is not answered but admitted: then the answer is nil, and the caller passes
// the question on.
func (r *Relay) Handle(ctx context.Context, now time.Time, s *Session, m wire.Message) wire.Message {
	if who := s.recovered.Load(); who != nil {
		return r.recovering(ctx, now, who, m)
	}
	switch m := m.(type) {
	case *wire.Register:
		return r.register(ctx, now, s, m)
	case *wire.Auth:
		return r.authenticate(ctx, now, s, m)
	case *wire.Recover:
		return r.recover(ctx, now, s, m)
	}
	who := s.Device()
	if who == nil {
		return r.stranger(now, s, m)
	}
	key := limits.KeyOf(who.Address().String())
	if m, ok := m.(*wire.Mint); ok {
		return r.mint(ctx, now, who, key, m)
	}
	if m, ok := m.(*wire.SyncPut); ok {
		return r.sync(ctx, now, who, key, m)
	}
	if ref := r.spend(now, limits.AccountRequests, key, 1); ref != nil {
		return ref
	}
	if s.suspended.Load() && sends(m) {
		return refuse(wire.CodeSuspended)
	}
	switch m := m.(type) {
	case *wire.Describe:
		return r.describe(m)
	case *wire.Prekeys:
		return r.prekeys(ctx, who, m)
	case *wire.SealKey:
		return r.sealKey(ctx, now, who, m)
	case *wire.SetPolicy:
		return answer(r.mailboxes.SetPolicy(ctx, who.Mailbox(), mailbox.Policy(m.Policy), m.Codes))
	case *wire.BlockPseudonyms:
		return r.blockPseudonyms(ctx, who, m)
	case *wire.UpdateManifest:
		return r.updateManifest(ctx, now, who, m)
	case *wire.Account:
		return r.account(ctx, who)
	case *wire.RendezvousOpen, *wire.RendezvousPut, *wire.RendezvousGet:
		return r.meet(now, who, m)
	case *wire.Certify:
		return r.certify(ctx, now, who)
	case *wire.IssueSubmission:
		return r.issueSubmission(ctx, now, who, m)
	case *wire.Block:
		return r.block(ctx, now, who, m)
	case *wire.Unblock:
		return answer(r.mailboxes.Unblock(ctx, who.Mailbox(), m.Entry))
	case *wire.Query:
		if m.Dest == r.domain {
			return r.question(ctx, now, r.domain, m)
		}
		if !r.peers.Known(m.Dest) {
			return refuse(wire.CodeUnknownProvider)
		}
		return nil
	}
	return refuse(wire.CodeMalformed)
}

// sends reports whether a request is of use only to who sends messages.
func sends(m wire.Message) bool {
	switch m.(type) {
	case *wire.Query, *wire.Certify, *wire.IssueSubmission:
		return true
	}
	return false
}

// SpendRequest counts a request of an account that somebody else answers. It
// returns the refusal of one that is over the limit, else nil.
func (r *Relay) SpendRequest(now time.Time, who *directory.Authenticated) *wire.Refusal {
	return r.spend(now, limits.AccountRequests, limits.KeyOf(who.Address().String()), 1)
}

// SpendPeerRequest is SpendRequest for a peer.
func (r *Relay) SpendPeerRequest(now time.Time, p *Peer) *wire.Refusal {
	return r.spend(now, limits.PeerRequests, p.key, 1)
}

// stranger answers what a connection may ask that is nobody's.
func (r *Relay) stranger(now time.Time, s *Session, m wire.Message) wire.Message {
	switch m := m.(type) {
	case *wire.Describe:
		if s.Ask() {
			return r.describe(m)
		}
	case *wire.RendezvousPut, *wire.RendezvousGet:
		if s.met.Add(1) > maxMet {
			return &wire.Refusal{Code: wire.CodeLimit, RetryAfter: Milliseconds(rendezvousLife)}
		}
		return r.meet(now, nil, m)
	}
	return refuse(wire.CodeUnauthenticated)
}

// HandlePeer answers a control request of a peer provider.
func (r *Relay) HandlePeer(ctx context.Context, now time.Time, p *Peer, m wire.Message) wire.Message {
	if ref := r.spend(now, limits.PeerRequests, p.key, 1); ref != nil {
		return ref
	}
	switch m := m.(type) {
	case *wire.Describe:
		return r.describe(m)
	case *wire.Query:
		if m.Dest == r.domain { // one hop, never more
			return r.question(ctx, now, p.Domain, m)
		}
		return refuse(wire.CodeForbidden)
	}
	return refuse(wire.CodeMalformed)
}

func (r *Relay) register(ctx context.Context, now time.Time, s *Session, m *wire.Register) wire.Message {
	if r.registration == RegistrationClosed {
		return refuse(wire.CodeForbidden)
	}
	if !s.attempt() {
		return refuse(wire.CodeConflict)
	}
	// Before the limit of registrations and any signature: who has no invite
	// uses up nothing of those who have one.
	var invite *directory.InviteCode
	if r.registration == RegistrationInvite {
		var err error
		if invite, err = r.directory.FindInvite(ctx, m.Invite); err != nil {
			return answer(err)
		}
	}
	if ref := r.spend(now, limits.Registrations, limits.One, 1); ref != nil {
		return ref
	}
	reg, err := directory.VerifyRegistration(m, r.domain, s.challenge)
	if err != nil {
		return answer(err)
	}
	var who *directory.Authenticated
	if invite != nil {
		who, err = r.directory.RegisterInvited(ctx, reg, invite, now)
	} else {
		who, err = r.directory.Register(ctx, reg, now)
	}
	if err != nil {
		return answer(err)
	}
	return r.enter(ctx, now, s, who)
}

func (r *Relay) authenticate(ctx context.Context, now time.Time, s *Session, m *wire.Auth) wire.Message {
	if !s.attempt() {
		return refuse(wire.CodeConflict)
	}
	who, err := r.directory.Authenticate(ctx, m, s.challenge)
	if err != nil {
		return answer(err)
	}
	return r.enter(ctx, now, s, who)
}

func (r *Relay) describe(m *wire.Describe) wire.Message {
	d, ok := r.peers.Descriptor(m.Domain)
	if !ok {
		return refuse(wire.CodeUnknownProvider)
	}
	return &wire.Described{Descriptor: d.Bytes()}
}
