package content

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

func TestControlRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytesOf := func(name string, limit int) []byte {
			b := rapid.SliceOfN(rapid.Byte(), 0, min(limit, 300)).Draw(t, name)
			if len(b) == 0 {
				return nil
			}
			return b
		}
		list := func(name string, limit int) []Digest {
			return digests(rapid.IntRange(0, 9).Draw(t, name+" from"), rapid.IntRange(0, limit).Draw(t, name))
		}
		ctl := Control{
			Grant: bytesOf("grant", MaxGrant), SealKey: bytesOf("seal key", MaxSealKey),
			Certificate: bytesOf("certificate", MaxCertificate), Manifest: bytesOf("manifest", MaxManifest),
			Delivered: list("delivered", MaxReceipts), Read: list("read", MaxReceipts), Confirmed: list("confirmed", MaxConfirmed),
			Missed: list("missed", MaxMissed), Wanted: list("wanted", MaxWanted),
		}
		if whole := bytesOf("whole", MaxWhole); len(whole) > 0 {
			first := rapid.IntRange(0, Units(len(whole))-1).Draw(t, "first")
			ctl.Piece = Cut(PieceID{1}, whole, uint8(first), rapid.IntRange(PieceUnit, MaxWhole).Draw(t, "room"))
		}
		if rapid.Bool().Draw(t, "mailbox") {
			ctl.Mailbox = ids.NewMailboxID()
		}
		copy(ctl.Standing[:], bytesOf("standing", StandingSize))
		b, err := ctl.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseControl(b)
		if err != nil || !reflect.DeepEqual(*got, ctl) {
			t.Fatalf("changed: %v", err)
		}
		if (len(b) == 0) != reflect.DeepEqual(ctl, Control{}) {
			t.Fatalf("%d bytes", len(b))
		}
	})
}

func TestControlLayout(t *testing.T) {
	ctl := Control{Mailbox: ids.MailboxID{0xaa}, Read: []Digest{{2}, {1}, {2}}}
	b, err := ctl.Marshal()
	z := func(n int) string { return strings.Repeat("00", n) }
	want := "01" + "0002" + "01" + "0010" + "aa" + z(15) + "04" + "0040" + "01" + z(31) + "02" + z(31)
	if err != nil || hex.EncodeToString(b) != want {
		t.Errorf("%x, %v", b, err)
	}
	if len(ctl.Read) != 3 || ctl.Read[0] != (Digest{2}) {
		t.Error("building changed the caller's list")
	}
}

func TestControlIsStrict(t *testing.T) {
	b, err := full.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	checkCanonical(t, "control", b, reparseControl, len(b))
	if _, err := ParseControl(append(bytes.Clone(b), 0)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("trailing byte: %v", err)
	}
}

func put(kind itemType, body []byte) []byte {
	return append([]byte{byte(kind), byte(len(body) >> 8), byte(len(body))}, body...)
}

func control(items ...[]byte) []byte {
	return append([]byte{1, 0, byte(len(items))}, slices.Concat(items...)...)
}

func TestControlRefuses(t *testing.T) {
	one, two := dg(1), dg(2)
	for name, b := range map[string][]byte{
		"no items":        control(),
		"unknown type":    control(put(itemEnd, []byte{1})),
		"type 0":          control(put(0, []byte{1})),
		"empty item":      control(put(itemGrant, nil)),
		"type twice":      control(put(itemGrant, []byte{1}), put(itemGrant, []byte{1})),
		"not ascending":   control(put(itemSealKey, []byte{1}), put(itemGrant, []byte{1})),
		"short mailbox":   control(put(itemMailbox, make([]byte, 15))),
		"long mailbox":    control(put(itemMailbox, make([]byte, 17))),
		"zero mailbox":    control(put(itemMailbox, make([]byte, 16))),
		"half a digest":   control(put(itemRead, make([]byte, 16))),
		"zero digest":     control(put(itemRead, make([]byte, 32))),
		"digest twice":    control(put(itemRead, slices.Concat(one[:], one[:]))),
		"not sorted":      control(put(itemConfirmed, slices.Concat(two[:], one[:]))),
		"many digests":    control(put(itemConfirmed, make([]byte, 32*(MaxConfirmed+1)))),
		"many missed":     control(put(itemMissed, make([]byte, 32*(MaxMissed+1)))),
		"many wanted":     control(put(itemWanted, make([]byte, 32*(MaxWanted+1)))),
		"no standing":     control(put(itemStanding, make([]byte, StandingSize))),
		"short standing":  control(put(itemStanding, []byte{1})),
		"long standing":   control(put(itemStanding, append([]byte{1}, make([]byte, StandingSize)...))),
		"reserved type":   control(put(9, []byte{1})),
		"short piece":     control(put(itemPiece, make([]byte, pieceFixed))),
		"long manifest":   control(put(itemManifest, make([]byte, MaxManifest+1))),
		"long seal key":   control(put(itemSealKey, make([]byte, MaxSealKey+1))),
		"long cert":       control(put(itemCertificate, make([]byte, MaxCertificate+1))),
		"long grant":      control(put(itemGrant, make([]byte, MaxGrant+1))),
		"length too long": {1, 0, 1, byte(itemGrant), 0, 2, 1},
		"count too high":  append([]byte{1, 0xff, 0xff}, put(itemGrant, []byte{1})...),
		"too long":        make([]byte, MaxControl+1),
	} {
		if ctl, err := ParseControl(b); !errors.Is(err, wire.ErrMalformed) || ctl != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseControl([]byte{2, 0, 0}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("version: %v", err)
	}
	if _, err := ParseControl(control(put(itemRead, slices.Concat(one[:], two[:])))); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for name, ctl := range map[string]Control{
		"grant":       {Grant: make([]byte, MaxGrant+1)},
		"huge grant":  {Grant: make([]byte, 1<<16+1)}, // its length would wrap to 1
		"delivered":   {Delivered: digests(0, MaxReceipts+1)},
		"read":        {Read: digests(0, MaxReceipts+1)},
		"confirmed":   {Confirmed: digests(0, MaxConfirmed+1)},
		"zero":        {Confirmed: []Digest{{}}},
		"seal key":    {SealKey: make([]byte, MaxSealKey+1)},
		"certificate": {Certificate: make([]byte, MaxCertificate+1)},
		"manifest":    {Manifest: make([]byte, MaxManifest+1)},
		"wanted":      {Wanted: digests(0, MaxWanted+1)},
		"empty piece": {Piece: &Piece{Length: 5}},
		"all": {
			Grant: make([]byte, MaxGrant), SealKey: make([]byte, MaxSealKey), Manifest: make([]byte, MaxManifest),
			Delivered: digests(0, MaxReceipts), Read: digests(0, MaxReceipts),
		},
	} {
		if b, err := ctl.Marshal(); !errors.Is(err, wire.ErrMalformed) || b != nil {
			t.Errorf("%s: built, %v", name, err)
		}
	}
}

func TestGrantRoom(t *testing.T) {
	for _, ctl := range []Control{{}, full, {Mailbox: ids.MailboxID{1}}, {Delivered: digests(0, 5), Grant: []byte("old")}} {
		for _, room := range []int{0, 3, 5, 6, 7, 200, 1000, 5000, MaxControl, 1 << 20} {
			n := ctl.GrantRoom(room)
			if n == 0 {
				continue
			}
			with := ctl
			with.Grant = make([]byte, n)
			b, err := with.Marshal()
			if err != nil || len(b) > room {
				t.Errorf("room %d: grant %d makes %d bytes, %v", room, n, len(b), err)
			}
			if n < MaxGrant && len(b) != min(room, MaxControl) {
				t.Errorf("room %d: %d bytes unused", room, room-len(b))
			}
		}
	}
	if (&Control{}).GrantRoom(6) != 0 || (&Control{}).GrantRoom(7) != 1 {
		t.Error("the smallest grant")
	}
	if (&Control{Confirmed: []Digest{{}}}).GrantRoom(1000) != 0 {
		t.Error("room in what cannot be built")
	}
}

func FuzzControl(f *testing.F) {
	b, _ := full.Marshal()
	f.Add(b)
	f.Add(control(put(itemMailbox, bytes.Repeat([]byte{1}, 16))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := reparseControl(b); err == nil && !bytes.Equal(again, b) {
			t.Error("not canonical")
		}
	})
}

func BenchmarkContent(b *testing.B) {
	fr, _ := text(strings.Repeat("a", 100)).Marshal()
	ctl, _ := full.Marshal()
	b.Run("floor: one HMAC", func(b *testing.B) {
		for b.Loop() {
			h := hmac.New(sha256.New, fr[:32])
			h.Write(fr)
			h.Sum(nil)
		}
	})
	b.Run("frame", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := reparseFrame(fr); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("control", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := reparseControl(ctl); err != nil {
				b.Fatal(err)
			}
		}
	})
}
