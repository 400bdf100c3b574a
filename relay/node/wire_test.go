package node

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func TestPeerEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := peerEntry{removed: rapid.Bool().Draw(t, "removed")}
		if !e.removed {
			e.addr = rapid.StringMatching(`[a-z0-9.]{1,100}:[0-9]{1,5}`).Draw(t, "addr")
			copy(e.pin[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "pin"))
			e.pin[0] |= 1
		}
		b := wire.MustMarshal(&e)
		var back peerEntry
		if err := wire.Unmarshal(b, &back); err != nil || back != e {
			t.Fatalf("%+v is %+v, %v", e, back, err)
		}
	})
	for name, e := range map[string]peerEntry{
		"without pin":          {addr: "h:1"},
		"without address":      {pin: [32]byte{1}},
		"removed with address": {removed: true, addr: "h:1"},
		"removed with pin":     {removed: true, pin: [32]byte{1}},
		"empty":                {},
		"long address":         {addr: string(bytes.Repeat([]byte("h"), maxPeerAddr+1)), pin: [32]byte{1}},
	} {
		if _, err := wire.Marshal(&e); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifierRoundTrip(t *testing.T) {
	v := verifier{dated[keys.VerifyKey]{key: keys.NewSigningKey().Public()}, 20_000}
	b := v.record()
	back, err := parseVerifier(b)
	if err != nil || back != v {
		t.Errorf("%+v, %v", back, err)
	}
	for _, bad := range [][]byte{nil, b[:35], append(bytes.Clone(b), 0), make([]byte, 36)} {
		if _, err := parseVerifier(bad); err == nil {
			t.Errorf("%x is taken", bad)
		}
	}
}

// Whatever parses is encoded to the same bytes.
func FuzzRecords(f *testing.F) {
	f.Add(wire.MustMarshal(&peerEntry{addr: "127.0.0.1:4433", pin: [32]byte{1}}))
	f.Add(wire.MustMarshal(&peerEntry{removed: true}))
	f.Add(wire.MustMarshal(&wrapHeader{check: make([]byte, wrapPrefix+16)}))
	v := verifier{dated[keys.VerifyKey]{key: keys.NewSigningKey().Public()}, ids.Day(5)}
	f.Add(v.record())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []wire.Schema{new(peerEntry), new(wrapHeader)} {
			if wire.Unmarshal(b, s) == nil && !bytes.Equal(wire.MustMarshal(s), b) {
				t.Errorf("%T: %x", s, b)
			}
		}
		if v, err := parseVerifier(b); err == nil && !bytes.Equal(v.record(), b) {
			t.Errorf("verifier: %x", b)
		}
	})
}
