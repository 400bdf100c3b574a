package relay

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

// unlimitedPeer has the full work of limits, with values of the peer's own and
// dry runs, and refuses nothing.
var unlimitedPeer = limits.Settings{
	{Name: limits.PeerEnvelopes}:                        gcra.PerSecond(1<<40, 1<<40),
	{Name: limits.MailboxEnvelopes}:                     gcra.PerSecond(1<<40, 1<<40),
	{Name: limits.PeerBytes, Peer: alpha}:               gcra.PerSecond(1<<40, 1<<40),
	{Name: limits.PeerEnvelopes, DryRun: true}:          gcra.PerSecond(1, 1),
	{Name: limits.PeerBytes, Peer: alpha, DryRun: true}: gcra.PerSecond(1, wire.MaxEnvelope),
}

func TestAdmissionDoesNotAllocate(t *testing.T) {
	p := newProvider(t, unlimitedPeer)
	good := p.fresh()
	forged, unbound := bytes.Clone(good), bytes.Clone(good)
	forged[20] ^= 1
	unbound[200] ^= 1
	var a Admitted
	for name, raw := range map[string][]byte{"good": good, "forged": forged, "unbound": unbound, "malformed": good[1:]} {
		p.AdmitForward(p.now, p.peer, raw, &a) // grows the buffer once
		if n := testing.AllocsPerRun(200, func() { p.AdmitForward(p.now, p.peer, raw, &a) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, ErrConfig) {
		t.Errorf("empty: %v", err)
	}
}

func BenchmarkAdmission(b *testing.B) {
	p := newProvider(b, unlimitedPeer)
	for _, class := range []wire.Class{wire.Class1K, wire.Class64K} {
		raw := envelope(p.mint(), class, p.today())
		b.Run(fmt.Sprintf("ticket and stamp/%d", class.Size()), func(b *testing.B) {
			b.ReportAllocs()
			var a Admitted
			for b.Loop() {
				if p.AdmitForward(p.now, p.peer, raw, &a) != nil {
					b.Fatal("refused")
				}
			}
		})
		b.Run(fmt.Sprintf("floor one HMAC/%d", class.Size()), func(b *testing.B) {
			mac := hmac.New(sha256.New, make([]byte, 32))
			for b.Loop() {
				mac.Reset()
				mac.Write(raw)
				mac.Sum(nil)
			}
		})
	}
}
