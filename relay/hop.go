package relay

import (
	"time"

	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
)

// A hop passes on what somebody asks a peer whom it does not know: the asker's own
// provider then learns nothing of the question, and the hop no account. The
// operator has to want that: what strangers ask counts at the peers as this
// provider's.

// HopResult is what became of a question that somebody asks by this provider.
type HopResult uint8

// What became of it.
const (
	HopAnswered    HopResult = iota // the peer answered it
	HopRefused                      // the peer refused it
	HopUnreachable                  // there is no connection to the peer
	HopBusy                         // as many are under way to the peer as may be
	HopOff                          // this provider is no hop
	HopAccount                      // the connection is an account's, or submits with tokens
	HopMalformed                    // no question of a kind that there is
	HopLimit                        // over a limit
	HopOwn                          // the question is for this provider itself
	HopUnknown                      // the question is for no peer
	HopEnd
)

var hopNames = [HopEnd]string{
	HopAnswered: "answered", HopRefused: "refused", HopUnreachable: "unreachable", HopBusy: "busy", HopOff: "off", HopAccount: "account",
	HopMalformed: "malformed", HopLimit: "limit", HopOwn: "own", HopUnknown: "unknown",
}

// String returns the metric label.
func (h HopResult) String() string {
	if h < HopEnd {
		return hopNames[h]
	}
	return "invalid"
}

// Stranger makes the connection one that asks without a name, or returns false if
// it is somebody's or submits. It can no longer become an account's: what it asks
// would be that account's.
func (s *Session) Stranger() bool {
	s.asking.Do(func() { s.stranger = s.taken.CompareAndSwap(false, true) })
	return s.stranger
}

// AdmitHop admits a question of a connection that is nobody's, to be passed on to
// the peer that it is sealed to: to no other hop. prefix is where the connection
// comes from. A refusal says why; without one the caller passes the question on.
func (r *Relay) AdmitHop(now time.Time, s *Session, prefix string, m *wire.Query) (HopResult, *wire.Refusal) {
	if !r.hop {
		return HopOff, refuse(wire.CodeForbidden)
	}
	if !s.Stranger() {
		return HopAccount, refuse(wire.CodeUnauthenticated)
	}
	key := limits.KeyOf(prefix)
	if ref := r.spend(now, limits.HopQuestions, key, 1); ref != nil {
		return HopLimit, ref
	}
	switch kind := query.Kind(m.Kind); {
	case !kind.Valid() || len(m.Sealed) != kind.QuestionSize():
		// The peer would refuse it, and count it as this provider's.
		return HopMalformed, refuse(wire.CodeMalformed)
	case m.Dest == r.domain:
		// Who answered would also see the asker's network address.
		return HopOwn, refuse(wire.CodeForbidden)
	case !r.peers.Known(m.Dest):
		return HopUnknown, refuse(wire.CodeUnknownProvider)
	}
	if ref := r.spend(now, limits.HopPeer, limits.PeerKey(m.Dest), 1); ref != nil {
		r.limits.Refund(now, limits.HopQuestions, key, 1)
		return HopLimit, ref
	}
	return HopAnswered, nil
}
