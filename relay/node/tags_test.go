package node

import (
	"sync"
	"testing"

	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
)

// Credentials.md 4, 1 and 2: a peer hands in sixteen envelopes of one nonce at
// once, on two connections. Each is acked and one delivered, also when all of them
// come again on the other connection.
func TestAttackTagRace(t *testing.T) {
	alpha, beta := federated(t)
	agreed(t, alpha, beta)
	beta.slowly(limits.PeerIntroductions, limits.SenderIntroductions, limits.MailboxIntroductions)
	bob := newDevice(t, beta, "bob@beta.example")
	publish(t, bob)
	carol := newStranger(t, alpha, beta, "carol@alpha.example")
	s := carol.sender(today())
	const racers = 16
	var envelopes [racers][]byte
	for i := range envelopes {
		envelopes[i] = introductionTo(t, beta, bob.door(), s, 2)
	}
	first, second := alpha.asPeerTo(beta), alpha.asPeerTo(beta)
	race := func(shift int) {
		t.Helper()
		var start, all sync.WaitGroup
		start.Add(1)
		for i, e := range envelopes {
			conn := first
			if (i+shift)%2 == 1 {
				conn = second
			}
			stream, err := conn.OpenStream(testContext(t), wire.StreamForward)
			must(t, err)
			all.Go(func() {
				start.Wait()
				if n := submitAll(t, stream, 1, func(number uint64) (wire.FrameType, wire.Schema) {
					return wire.TypeForward, &wire.Forward{Number: number, Envelope: e}
				}); n != 0 {
					t.Errorf("envelope %d is refused", i)
				}
				stream.Cancel(0)
			})
		}
		start.Done()
		all.Wait()
	}
	race(0)
	if n := beta.forwarded(); n[relay.Delivered] != 1 || n[relay.DisposedTag] != racers-1 {
		t.Errorf("%v are delivered, %v lost the tag", n[relay.Delivered], n[relay.DisposedTag])
	}
	race(1)
	if n := beta.forwarded(); n[relay.Delivered] != 1 || n[relay.Duplicate] != 1 || n[relay.DisposedTag] != 2*(racers-1) {
		t.Errorf("again: %v are delivered, %v known, %v lost the tag", n[relay.Delivered], n[relay.Duplicate], n[relay.DisposedTag])
	}
	if n := beta.spentOf(limits.PeerIntroductions, alpha); n != 2*racers {
		t.Errorf("%d introductions count for the peer", n)
	}
	last := introductionTo(t, beta, bob.door(), s, 0)
	carol.hands(relay.Delivered, last)
	var e wire.Envelope
	must(t, wire.ParseEnvelope(last, &e))
	if got := bob.receive(0, 2)[1]; got.Com != *e.Com {
		t.Error("a second one of the tag is there")
	}
}
