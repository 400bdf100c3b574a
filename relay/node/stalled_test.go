package node

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// endsBusy reads a stream until it ends, and wants code 6 of the other side.
func endsBusy(t *testing.T, s *quicnet.Stream) {
	t.Helper()
	var err error
	for err == nil {
		_, _, err = s.ReadFrame()
	}
	var closed *quicnet.CloseError
	if !errors.As(err, &closed) || closed.Code != wire.CodeBusy || !closed.Remote {
		t.Errorf("ended by %v", err)
	}
}

// TestSlowWriter has a client begin a frame and never finish it: the stream ends with
// code 6 and is counted, and what was acked on it is delivered. The connection goes on.
func TestSlowWriter(t *testing.T) {
	beta := newServer(t, "beta.example")
	beta.conf.Network.Timeouts = quicnet.Timeouts{Frame: time.Second}
	beta.start()
	alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(2).Tickets
	submit := func(s *quicnet.Stream, bytes []byte) {
		t.Helper()
		must(t, s.Append(func(b []byte) ([]byte, error) { return append(b, bytes...), nil }))
		must(t, s.Flush())
	}
	frame := func(number uint64, ticket int) []byte {
		b, err := wire.AppendFrame(nil, wire.TypeSubmit, &wire.Submit{
			Number: number, Dest: beta.domain, Auth: wire.AuthConnection, Envelope: envelope(&minted[ticket], wire.Class1K),
		})
		must(t, err)
		return b
	}
	s := alice.stream(wire.StreamSubmit)
	submit(s, frame(1, 0))
	if typ, _, err := s.ReadFrame(); err != nil || typ != wire.TypeAck {
		t.Fatalf("type %d, %v", typ, err)
	}
	cut := frame(2, 1)
	submit(s, cut[:len(cut)-1])
	endsBusy(t, s)
	if n := testutil.ToFloat64(beta.node.metrics.stalled); n != 1 {
		t.Errorf("counted %v times", n)
	}
	if n := testutil.ToFloat64(beta.node.metrics.protocol); n != 0 {
		t.Errorf("%v errors of the protocol", n)
	}
	// The second ticket is not spent.
	submit(alice.stream(wire.StreamSubmit), frame(1, 1))
	bob.receive(0, 2)
}

// TestSlowReader has a device subscribe and read nothing: the stream ends with code 6
// and is counted, another one has its deliveries meanwhile, and everything is there
// for who reads, after a restart too.
func TestSlowReader(t *testing.T) {
	beta := newServer(t, "beta.example")
	beta.conf.Network.Timeouts = quicnet.Timeouts{Write: time.Second}
	beta.start()
	alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
	// More than all windows and buffers on the way.
	const messages = 20
	minted := bob.mint(messages).Tickets
	for i := range minted {
		if r := alice.submit(beta.domain, envelope(&minted[i], wire.Class64K)); len(r) != 0 {
			t.Fatal(r)
		}
	}
	slow := bob.stream(wire.StreamDeliver)
	must(t, slow.WriteFrame(wire.TypeSubscribe, &wire.Subscribe{}))
	must(t, slow.Flush())
	bob.submit(beta.domain, envelope(&alice.mint(1).Tickets[0], wire.Class1K))
	alice.receive(0, 1)
	eventually(t, "the stream is given up", func() bool { return testutil.ToFloat64(beta.node.metrics.stalled) > 0 })
	endsBusy(t, slow)
	if n := testutil.ToFloat64(beta.node.metrics.stalled); n != 1 {
		t.Errorf("counted %v times", n)
	}
	beta.halt()
	beta.conf.Network.Timeouts = quicnet.Timeouts{}
	beta.start()
	bob.reconnect(beta)
	bob.receive(0, messages)
}
