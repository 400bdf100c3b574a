package sealedsender

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What each class's head was laid out for fits, and in the class for single
// messages to the byte.
func TestHeadsFit(t *testing.T) {
	if SessionPart != 188 || PrekeyPart != 1619 || MaxCertificateSize != 234 {
		t.Fatal("a part changed its size", SessionPart, PrekeyPart, MaxCertificateSize)
	}
	spare := func(c wire.Class, first, confirmed bool, sessions, prekeys int) int {
		return headPlain(c, overhead(first)) - headSize(confirmed, false, sessions, prekeys)
	}
	for _, tt := range []struct {
		name string
		got  int
		want int
	}{
		{"1K: two devices, certificate's hash, bundle's hash", spare(wire.Class1K, false, true, 2, 0), 0},
		{"2K: four devices, certificate, bundle's hash", spare(wire.Class2K, false, false, 4, 0), 13},
		{"4K: eight devices, certificate, bundle's hash", spare(wire.Class4K, false, false, 8, 0), 185},
		{"4K: four devices, certificate, whole bundle", spare(wire.Class4K, false, false, 4, 0) + bundleRef - MaxBundle - 4, 24},
		{"16K first: five new devices, certificate, whole bundle", spare(wire.Class16K, true, false, 0, 5) + bundleRef - MaxBundle - 4, 280},
		{"64K first: the same", spare(wire.Class64K, true, false, 0, 5) + bundleRef - MaxBundle - 4, 280},
	} {
		if tt.got != tt.want || tt.got < 0 {
			t.Errorf("%s: %d bytes to spare, not %d", tt.name, tt.got, tt.want)
		}
	}
	for c, want := range map[wire.Class]int{wire.Class1K: 216, wire.Class2K: 639, wire.Class4K: 1743, wire.Class16K: 4367, wire.Class64K: 53519} {
		if got := Room(c); got != want {
			t.Errorf("class %d: room for %d bytes of content, not %d", c, got, want)
		}
	}
}

func TestClassFor(t *testing.T) {
	for _, tt := range []struct {
		n    Needs
		want wire.Class
	}{
		{Needs{Sessions: 1, Confirmed: true}, wire.Class1K},
		{Needs{Sessions: 2, Confirmed: true, Frame: 200, Control: 16}, wire.Class1K},
		{Needs{Sessions: 2, Confirmed: true, Frame: 200, Control: 17}, wire.Class2K},
		{Needs{Sessions: 1}, wire.Class2K},
		{Needs{Sessions: 3, Confirmed: true}, wire.Class2K},
		{Needs{Sessions: 5, Confirmed: true}, wire.Class4K},
		{Needs{Sessions: 8, Frame: 1743}, wire.Class4K},
		{Needs{Sessions: 8, Frame: 1744}, wire.Class16K},
		{Needs{Prekeys: 1, Confirmed: true}, wire.Class4K},
		{Needs{Prekeys: 1}, wire.Class16K},
		{Needs{Sessions: 7, Prekeys: 1}, wire.Class16K},
		{Needs{Sessions: 1, First: true}, wire.Class16K},
		{Needs{Prekeys: 5, First: true, Control: 4367}, wire.Class16K},
		{Needs{Prekeys: 5, First: true, Control: 4368}, wire.Class64K},
		{Needs{Sessions: 1, Frame: 53519}, wire.Class64K},
	} {
		if got, err := ClassFor(tt.n); err != nil || got != tt.want {
			t.Errorf("%+v: class %d, %v; want %d", tt.n, got, err, tt.want)
		}
	}
	for _, n := range []Needs{
		{},
		{Sessions: 9},
		{Prekeys: 6},
		{Sessions: 1, Frame: 53520},
		{Sessions: 1, Frame: 53519, Control: 1},
		{Sessions: -1, Prekeys: 2},
		{Sessions: 1, Frame: -1},
		{Sessions: 1, Control: -1},
		{Sessions: 2, Prekeys: -1},
		{Sessions: 1, Frame: 1 << 62, Control: 1 << 62},
	} {
		if got, err := ClassFor(n); !errors.Is(err, ErrClass) {
			t.Errorf("%+v: class %d, %v", n, got, err)
		}
	}
}

// Whatever ClassFor says that fits can be sealed, with the longest address.
func TestClassForIsKept(t *testing.T) {
	w := newWorld(t, longest)
	rapid.Check(t, func(t *rapid.T) {
		n := Needs{
			First: rapid.Bool().Draw(t, "first"), Confirmed: rapid.Bool().Draw(t, "confirmed"),
			Sessions: rapid.IntRange(0, 8).Draw(t, "sessions"), Prekeys: rapid.IntRange(0, 5).Draw(t, "prekeys"),
			Frame: rapid.IntRange(0, 5000).Draw(t, "frame"), Control: rapid.IntRange(0, 5000).Draw(t, "control"),
		}
		class, err := ClassFor(n)
		if err != nil {
			t.Skip()
		}
		l := newLetter(class)
		l.first, l.confirmed, l.prekeys, l.devices = n.First, n.Confirmed, n.Prekeys, nil
		for i := range n.Sessions + n.Prekeys {
			l.devices = append(l.devices, ids.DeviceID(i+1))
		}
		l.content.Frame, l.content.Control = make([]byte, n.Frame), make([]byte, n.Control)
		s, err := w.seal(l)
		if err != nil || len(s.head) != class.HeadSize() || len(s.body) != class.BodySize() {
			t.Fatalf("%+v in class %d: %v", n, class, err)
		}
	})
}

func TestSealRefusesWhatDoesNotFit(t *testing.T) {
	w := newWorld(t, alice)
	for name, tt := range map[string]struct {
		change func(l *letter)
		want   error
	}{
		"no class":                {func(l *letter) { l.outer.Class = 0 }, ErrClass},
		"unknown class":           {func(l *letter) { l.outer.Class = 7 }, ErrClass},
		"frame":                   {func(l *letter) { l.content.Frame = make([]byte, Room(wire.Class1K)+1) }, ErrClass},
		"frame and control":       {func(l *letter) { l.content.Frame, l.content.Control = make([]byte, 200), make([]byte, 17) }, ErrClass},
		"three devices":           {func(l *letter) { l.devices = []ids.DeviceID{1, 2, 3} }, ErrClass},
		"whole certificate in 1K": {func(l *letter) { l.confirmed = false }, ErrClass},
		"first contact in 1K":     {func(l *letter) { l.first = true }, ErrClass},
		"prekey part in 1K":       {func(l *letter) { l.prekeys = 1 }, ErrClass},
		"no device":               {func(l *letter) { l.devices = nil }, ErrNoEntry},
		"hour of another day":     {func(l *letter) { l.content.Hour += 24 }, ErrHour},
		"device twice":            {func(l *letter) { l.devices = []ids.DeviceID{7, 7} }, wire.ErrMalformed},
		"device zero":             {func(l *letter) { l.devices = []ids.DeviceID{0} }, wire.ErrMalformed},
		"nine devices": {func(l *letter) {
			l.outer.Class = wire.Class16K
			l.devices = []ids.DeviceID{1, 2, 3, 4, 5, 6, 7, 8, 9}
		}, ErrClass},
		"six prekey parts": {func(l *letter) {
			l.outer.Class, l.prekeys = wire.Class64K, 6
			l.devices = []ids.DeviceID{1, 2, 3, 4, 5, 6}
		}, ErrClass},
		"tickets in a group's body": {func(l *letter) { l.kind, l.d = KindGroup, [32]byte{1} }, ErrKind},
		"group without d":           {func(l *letter) { l.kind, l.content.Control = KindGroup, nil }, wire.ErrMalformed},
	} {
		l := newLetter(wire.Class1K)
		tt.change(l)
		if _, err := w.seal(l); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}

	l := newLetter(wire.Class1K)
	b, err := SealBody(l.outer, &l.content)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(h *Head)
		want   error
	}{
		"another device's certificate": {func(h *Head) { h.Sender = keys.NewDHKey() }, ErrIdentityMismatch},
		"recipient of small order":     {func(h *Head) { h.Recipient = keys.DHPublic{} }, keys.ErrKey},
		"short prekey part":            {func(h *Head) { h.Entries[0].Prekey = make([]byte, 9) }, ErrClass},
	} {
		h := w.headOf(b, l)
		tt.change(h)
		if _, err := w.sealHead(b, h, false); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestBucket(t *testing.T) {
	for n, want := range []int{0: 2, 2, 2, 4, 4, 8, 8, 8, 8} {
		if got := bucket(n); got != want {
			t.Errorf("bucket(%d) = %d", n, got)
		}
	}
}
