package node

import (
	"crypto/rand"
	"errors"
	"testing"

	"waxwing/core/directory"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// A second device reads the mailbox with a cursor of its own, until it is
// removed: then its connection ends and no new one authenticates.
func TestTwoDevices(t *testing.T) {
	s := newServer(t, "alpha.example").start()
	d := newDevice(t, s, "alice@alpha.example")
	sign := keys.NewSigningKey()
	f := d.manifest.Next()
	f.AddDevice(sign.Public(), keys.NewDHKey().Public())
	two, err := directory.SignManifest(f, d.identity)
	must(t, err)
	_, err = quicnet.Ask[*wire.Done](testContext(t), d.caller, &wire.UpdateManifest{Manifest: two.Bytes()})
	must(t, err)

	second := &device{t: t, address: d.address, sign: sign}
	auth := func() *wire.Auth {
		second.dial(s)
		return &wire.Auth{Address: d.address, Device: 2, Signature: directory.SignAuth(sign, d.address, 2, s.domain, second.challenge())}
	}
	second.enter(auth())
	if second.mailbox != d.mailbox {
		t.Fatal("another mailbox")
	}
	d.submit(s.domain, envelope(&d.mint(1).Tickets[0], wire.Class1K))
	if a, b := d.receive(0, 1), second.receive(0, 1); a[0].Com != b[0].Com {
		t.Error("the devices got different messages")
	}

	f = two.Next()
	f.RemoveDevice(2)
	three, err := directory.SignManifest(f, d.identity)
	must(t, err)
	pushed := second.stream(wire.StreamDeliver)
	_, err = quicnet.Ask[*wire.Done](testContext(t), d.caller, &wire.UpdateManifest{Manifest: three.Bytes()})
	must(t, err)
	if _, _, err := pushed.ReadFrame(); err == nil {
		t.Error("the removed device is still pushed to")
	}
	<-second.conn.Context().Done()
	m := auth()
	var refused *quicnet.RefusedError
	if _, err = quicnet.Ask[*wire.Session](testContext(t), second.caller, m); !errors.As(err, &refused) || refused.Code != wire.CodeUnauthenticated {
		t.Errorf("the removed device: %v", err)
	}
	d.submit(s.domain, envelope(&d.mint(1).Tickets[0], wire.Class1K))
	d.receive(1, 1)
}

// A batch that one device puts is pushed to the other, which waits for it, and to
// the device itself; sent again, it is there once.
func TestSyncPutIsPushed(t *testing.T) {
	s := newServer(t, "alpha.example").start()
	d := newDevice(t, s, "alice@alpha.example")
	sign := keys.NewSigningKey()
	f := d.manifest.Next()
	f.AddDevice(sign.Public(), keys.NewDHKey().Public())
	two, err := directory.SignManifest(f, d.identity)
	must(t, err)
	_, err = quicnet.Ask[*wire.Done](testContext(t), d.caller, &wire.UpdateManifest{Manifest: two.Bytes()})
	must(t, err)
	second := &device{t: t, address: d.address, sign: sign}
	second.dial(s)
	second.enter(&wire.Auth{Address: d.address, Device: 2, Signature: directory.SignAuth(sign, d.address, 2, s.domain, second.challenge())})

	pushed := second.stream(wire.StreamDeliver)
	must(t, pushed.WriteFrame(wire.TypeSubscribe, &wire.Subscribe{}))
	must(t, pushed.Flush())
	if typ, _, err := pushed.ReadFrame(); err != nil || typ != wire.TypeCaughtUp {
		t.Fatalf("frame %d, %v", typ, err)
	}
	batches := make([]wire.SyncPut, 2)
	for i := range batches {
		m := &batches[i]
		m.Day, m.Class, m.Payload = today(), wire.Class4K, make([]byte, wire.Class4K.PayloadSize())
		rand.Read(m.Salt[:])
		for range 2 {
			_, err = quicnet.Ask[*wire.Done](testContext(t), d.caller, m)
			must(t, err)
		}
	}
	for i := range batches {
		var typ wire.FrameType
		var body []byte
		for typ != wire.TypeDelivery {
			typ, body, err = pushed.ReadFrame()
			must(t, err)
		}
		_, raw, err := wire.ParseDelivered(body)
		must(t, err)
		var got wire.Delivery
		must(t, wire.Unmarshal(raw, &got))
		if got.Origin != wire.BySync || got.Ticket != batches[i].Salt {
			t.Errorf("batch %d: another delivery", i)
		}
	}
	if own := d.receive(0, 2); own[0].Ticket != batches[0].Salt || own[1].Ticket != batches[1].Salt {
		t.Error("the device itself is pushed something else")
	}
}
