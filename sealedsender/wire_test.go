package sealedsender

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// sampleHead returns a head with one entry of each sort.
func sampleHead(t testing.TB, full bool) *head {
	w := newWorld(t, alice)
	h := &head{kind: KindOne, certForm: formHash, certHash: w.cert.hash}
	if full {
		h.certForm, h.cert, h.certHash = formFull, w.cert.f, [32]byte{}
	}
	rand.Read(h.bodyHash[:])
	rand.Read(h.tag[:])
	rand.Read(h.salt[:])
	h.entries = []Entry{{Device: 3}, {Device: 1, Prekey: make([]byte, PrekeyPart)}}
	rand.Read(h.entries[0].Session[:])
	rand.Read(h.entries[1].Prekey)
	return h
}

// canonical checks that what a parser accepts encodes to the same bytes.
func canonical(t interface{ Errorf(string, ...any) }, b []byte, s wire.Schema) bool {
	if err := wire.Unmarshal(b, s); err != nil {
		if !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%T: untyped error %v", s, err)
		}
		return false
	}
	again, err := wire.MarshalPadded(s, len(b))
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("%T: accepted bytes are not canonical (%v)", s, err)
	}
	return true
}

// Every byte of a plaintext matters: changed, it is refused or another value.
func TestPlaintextMutation(t *testing.T) {
	content := Content{KF: [32]byte{1}, Sigma2: [64]byte{2}, Hour: 9, Frame: []byte("frame"), Control: []byte("control")}
	for _, s := range []wire.Schema{sampleHead(t, true), sampleHead(t, false), &content} {
		fresh := func() wire.Schema { return reflect.New(reflect.TypeOf(s).Elem()).Interface().(wire.Schema) }
		n := len(wire.MustMarshal(s))
		b, err := wire.MarshalPadded(s, n+40)
		if err != nil {
			t.Fatal(err)
		}
		if got := fresh(); !canonical(t, b, got) || !reflect.DeepEqual(got, s) {
			t.Errorf("%T: round trip gives %#v", s, got)
		}
		for i := range b {
			for _, x := range []byte{1, 0x80, 0xff} {
				m := bytes.Clone(b)
				m[i] ^= x
				if got := fresh(); canonical(t, m, got) && reflect.DeepEqual(got, s) {
					t.Errorf("%T: byte %d does not matter", s, i)
				}
			}
		}
		for i := range n {
			if wire.Unmarshal(b[:i], fresh()) == nil {
				t.Errorf("%T: cut to %d of %d bytes and accepted", s, i, n)
			}
		}
	}
}

// Adversarial test 40: duplicate devices and huge counts, and every value that
// is kept for later.
func TestHeadPlaintextRefuses(t *testing.T) {
	const offForm, offCert = 97, 98
	for name, tt := range map[string]func(h *head, b []byte) []byte{
		"kind 0":            func(_ *head, b []byte) []byte { b[0] = 0; return b },
		"kind 4":            func(_ *head, b []byte) []byte { b[0] = 4; return b },
		"d without a group": func(_ *head, b []byte) []byte { b[1] = 1; return b },
		"group without d":   func(_ *head, b []byte) []byte { b[0] = byte(KindGroup); return b },
		"certificate form":  func(_ *head, b []byte) []byte { b[offForm] = 0; return b },
		"bundle by hash":    func(_ *head, b []byte) []byte { b[offCert+32] = formHash; return b },
		"whole bundle":      func(_ *head, b []byte) []byte { b[offCert+32] = formFull; return b },
		"no entries":        func(_ *head, b []byte) []byte { return b[:offCert+33+2] },
		"65535 entries": func(_ *head, b []byte) []byte {
			binary.BigEndian.PutUint16(b[offCert+33:], 0xffff)
			return b
		},
		"nine entries": func(_ *head, b []byte) []byte {
			b = binary.BigEndian.AppendUint16(b[:offCert+33], 9)
			for i := range 9 {
				b = append(b, entrySession, 0, 0, 0, byte(i+1))
				b = append(b, make([]byte, SessionPart)...)
			}
			return b
		},
		"device twice": func(h *head, b []byte) []byte { b[offCert+35+4] = 1; return b },
		"device zero":  func(h *head, b []byte) []byte { b[offCert+35+4] = 0; return b },
		"flags":        func(h *head, b []byte) []byte { b[offCert+35] = 2; return b },
		"padding":      func(h *head, b []byte) []byte { return append(b, 0, 0, 1) },
	} {
		h := sampleHead(t, false)
		b := tt(h, wire.MustMarshal(h))
		if name == "no entries" {
			binary.BigEndian.PutUint16(b[len(b)-2:], 0)
		}
		if err := wire.Unmarshal(b, new(head)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBodyPlaintextRefuses(t *testing.T) {
	const offFrame = 32 + 64 + 4
	good := wire.MustMarshal(&Content{Frame: []byte("frame"), Control: []byte("control")})
	for name, tt := range map[string]func(b []byte) []byte{
		"frame of 4 GB":       func(b []byte) []byte { binary.BigEndian.PutUint32(b[offFrame:], 0xffffffff); return b },
		"frame of a megabyte": func(b []byte) []byte { binary.BigEndian.PutUint32(b[offFrame:], 1<<20); return b },
		"frame of the rest":   func(b []byte) []byte { binary.BigEndian.PutUint32(b[offFrame:], uint32(len(b)-offFrame-4)); return b },
		"control of 4 GB":     func(b []byte) []byte { binary.BigEndian.PutUint32(b[offFrame+9:], 0xffffffff); return b },
		"padding":             func(b []byte) []byte { return append(b, 0, 1) },
	} {
		if err := wire.Unmarshal(tt(bytes.Clone(good)), new(Content)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, room := rapid.IntRange(1, MaxEntries).Draw(t, "n"), rapid.IntRange(0, 8).Draw(t, "room")
		var in []Entry
		for i := range n {
			in = append(in, Entry{Device: ids.DeviceID(i + 1), Session: [SessionPart]byte{1, byte(i)}})
		}
		out := fill(in, room)
		if want := n + min(bucket(n)-n, room); len(out) != want {
			t.Fatalf("%d entries of %d, room %d", len(out), n, room)
		}
		seen := map[ids.DeviceID]Entry{}
		for _, e := range out {
			if _, twice := seen[e.Device]; twice || e.Device == 0 {
				t.Fatalf("device %d", e.Device)
			}
			seen[e.Device] = e
		}
		for _, e := range in {
			if !reflect.DeepEqual(seen[e.Device], e) {
				t.Fatalf("entry of device %d lost", e.Device)
			}
		}
	})
	// The real entry is not always in the same place.
	var first int
	for range 200 {
		if fill([]Entry{{Device: 1}}, 8)[0].Device == 1 {
			first++
		}
	}
	if first < 40 || first > 160 {
		t.Errorf("the real entry is first in %d of 200", first)
	}
}

func TestLayouts(t *testing.T) {
	certificate, sealedHead, body := Layouts()
	if len(certificate) != 8 || len(sealedHead) < 18 || len(body) != 6 {
		t.Errorf("%d, %d, %d rows", len(certificate), len(sealedHead), len(body))
	}
}

func FuzzCertificate(f *testing.F) {
	w := newWorld(f, alice)
	f.Add(w.cert.raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		canonical(t, b, new(CertificateFields))
		if v, err := w.verify(b); err == nil && v.Address().Domain() != alpha {
			t.Error("foreign address verified")
		}
	})
}

func FuzzHead(f *testing.F) {
	for _, full := range []bool{true, false} {
		b := wire.MustMarshal(sampleHead(f, full))
		f.Add(b)
		f.Add(append(b, make([]byte, 9)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h head
		if canonical(t, b, &h) && (len(h.entries) == 0 || len(h.entries) > MaxEntries) {
			t.Error("head with", len(h.entries), "entries")
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add(wire.MustMarshal(&Content{Frame: []byte("frame"), Control: []byte("control"), Hour: 9}))
	f.Add(make([]byte, bodyFixed+50))
	f.Fuzz(func(t *testing.T, b []byte) { canonical(t, b, new(Content)) })
}
