package devicesync

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

var (
	bob      = ids.MustParseAddress("bob@beta.example")
	identity = keys.NewSigningKey().Public()
	dh       = keys.NewDHKey().Public()
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// full are items of every kind with every field set.
func full() []Item {
	d := [32]byte{1, 2, 3}
	return []Item{
		&Sent{Contact: bob, Time: 5, Status: StatusFailed, Failure: 3, D: d, Key: [32]byte{4}, Frame: []byte("frame")},
		&StatusOf{Contact: bob, D: d, Status: StatusFailed, Failure: 9},
		&Contact{
			Address: bob, Changed: 6, Known: true, Blocked: true, Pending: true, Entry: [16]byte{7}, Strike: 8, Fingerprint: d, Identity: identity, XS: d,
			AccountDH: dh, Mailbox: ids.MailboxID{9}, Manifest: []byte("manifest"), Verified: d, Pinned: true, Pin: d,
			Others: []OtherKey{{d, 3}, {identity, 0}},
		},
		&Removed{Address: bob, Changed: 10},
		&Given{Giver: 1, Root: 2, Batch: 3, Code: true, Account: bob, For: 4, Tickets: []GivenTicket{{1, 2, true}, {3, 4, false}}},
		&Code{Giver: 1, Number: 2, Serial: 3, Expiry: 4, Owner: bob},
		&Roots{Number: 1, Root: d, Made: 2, HasChain: true, Week: 3, Chain: d},
		&Provider{Domain: bob.Domain(), Pin: d},
		&Received{Contact: bob, Time: 1, D: d, Key: d, Com: d, Day: 2, Stamp: d, Stamped: 3, Frame: []byte("frame")},
		&MailboxKeys{Generation: 1, W: [32]byte{2}, Z: [32]byte{3}, Until: 4},
		&AccountSecret{K: [32]byte{5}},
		&Choices{
			HopChanged: 1, Hop: bob.Domain(), ReadsChanged: 2, ReadReceipts: true, DoorChanged: 3, Policy: 4, Codes: [][32]byte{{5}, {6}},
		},
	}
}

func draw32(t *rapid.T, name string) [32]byte {
	return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(func(b []byte) bool { return !bytes.Equal(b, make([]byte, 32)) }).Draw(t, name))
}

func drawStatus(t *rapid.T) (Status, uint16) {
	s := Status(rapid.IntRange(int(StatusWaiting), int(StatusRead)).Draw(t, "status"))
	if s == StatusFailed {
		return s, rapid.Uint16().Draw(t, "failure")
	}
	return s, 0
}

func drawAddress(t *rapid.T, none bool) ids.Address {
	if none && rapid.Bool().Draw(t, "none") {
		return ids.Address{}
	}
	return ids.MustParseAddress(rapid.StringMatching(`[a-z]{1,12}`).Draw(t, "local") + "@beta.example")
}

func drawItem(t *rapid.T) Item {
	frame := func() []byte { return rapid.SliceOfN(rapid.Byte(), 1, 6000).Draw(t, "frame") }
	switch Kind(rapid.IntRange(1, 12).Draw(t, "kind")) {
	case KindSent:
		s := &Sent{Contact: drawAddress(t, false), Time: rapid.Uint64().Draw(t, "time"), D: draw32(t, "d"), Key: draw32(t, "kf"), Frame: frame()}
		s.Status, s.Failure = drawStatus(t)
		return s
	case KindStatus:
		s := &StatusOf{Contact: drawAddress(t, false), D: draw32(t, "d")}
		s.Status, s.Failure = drawStatus(t)
		return s
	case KindContact:
		k := &Contact{Address: drawAddress(t, false), Changed: rapid.Uint64().Draw(t, "changed"), Blocked: rapid.Bool().Draw(t, "blocked")}
		if k.Blocked {
			k.Entry[0] = 1
		}
		k.Strike, k.Fingerprint, k.Verified = rapid.Uint32().Draw(t, "strike"), draw32(t, "fingerprint"), draw32(t, "verified")
		if k.Known = rapid.Bool().Draw(t, "known"); k.Known {
			k.Identity, k.AccountDH, k.XS = identity, dh, draw32(t, "X_S")
			k.Manifest = rapid.SliceOfN(rapid.Byte(), 1, MaxManifest).Draw(t, "manifest")
		}
		if k.Pinned = rapid.Bool().Draw(t, "pinned"); k.Pinned {
			k.Pin = draw32(t, "pin")
		}
		return k
	case KindRemoved:
		return &Removed{Address: drawAddress(t, false), Changed: rapid.Uint64().Draw(t, "changed")}
	case KindGiven:
		g := &Given{Giver: 1 + ids.DeviceID(rapid.Uint16().Draw(t, "giver")), Root: rapid.Uint16().Draw(t, "root"), Code: rapid.Bool().Draw(t, "code")}
		g.Batch, g.For = rapid.Uint32().Draw(t, "batch"), ids.DeviceID(rapid.Uint32().Draw(t, "for"))
		g.Account = drawAddress(t, g.Code)
		serial := uint64(rapid.Uint32().Draw(t, "serial"))
		for range rapid.IntRange(1, MaxGiven).Draw(t, "tickets") {
			serial++
			g.Tickets = append(g.Tickets, GivenTicket{serial, ids.Day(serial % 7), serial%3 == 0})
		}
		return g
	case KindCode:
		return &Code{Giver: 1, Number: rapid.Uint32().Draw(t, "number"), Serial: rapid.Uint64().Draw(t, "serial"), Owner: drawAddress(t, true)}
	case KindRoots:
		r := &Roots{Number: rapid.Uint16().Draw(t, "number"), Root: draw32(t, "root"), Made: 3}
		if r.HasChain = rapid.Bool().Draw(t, "chain"); r.HasChain {
			r.Week, r.Chain = rapid.Uint32().Draw(t, "week"), draw32(t, "chain")
		}
		return r
	case KindProvider:
		return &Provider{Domain: bob.Domain(), Pin: draw32(t, "pin")}
	case KindMailboxKeys:
		k := &MailboxKeys{Generation: rapid.Uint32Min(1).Draw(t, "generation"), Until: ids.Day(rapid.Uint32().Draw(t, "until"))}
		k.W[0], k.Z[0] = rapid.ByteMin(1).Draw(t, "w"), rapid.ByteMin(1).Draw(t, "z")
		return k
	case KindChoices:
		k := &Choices{ReadsChanged: rapid.Uint64().Draw(t, "reads"), ReadReceipts: rapid.Bool().Draw(t, "on"), DoorChanged: rapid.Uint64().Draw(t, "door")}
		if k.HopChanged = rapid.Uint64().Draw(t, "hop"); k.HopChanged != 0 && rapid.Bool().Draw(t, "chosen") {
			k.Hop = bob.Domain()
		}
		for range rapid.IntRange(0, wire.MaxContactCodes).Draw(t, "codes") {
			k.Codes = append(k.Codes, draw32(t, "code"))
		}
		return k
	case KindAccountSecret:
		return &AccountSecret{K: [32]byte{rapid.ByteMin(1).Draw(t, "k")}}
	default:
		return &Received{Contact: drawAddress(t, false), Time: 1, D: draw32(t, "d"), Key: draw32(t, "kf"), Com: draw32(t, "com"), Day: 2, Frame: frame()}
	}
}

func TestItemRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawItem(t)
		b, err := Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := Parse(b)
		if err != nil || !reflect.DeepEqual(in, out) || Kind(b[0]) != out.Kind() {
			t.Fatalf("%T: %v", in, err)
		}
	})
}

// Every byte of every item matters: changed, it is refused or is another item,
// whose only encoding it is.
func TestItemMutations(t *testing.T) {
	for _, in := range full() {
		raw, err := Marshal(in)
		must(t, err)
		for i := range raw {
			for _, flip := range []byte{1, 0x80, 0xff} {
				b := bytes.Clone(raw)
				b[i] ^= flip
				out, err := Parse(b)
				if err != nil {
					if !errors.Is(err, wire.ErrMalformed) {
						t.Fatalf("%T: %v", in, err)
					}
					continue
				}
				if again, err := Marshal(out); err != nil || !bytes.Equal(again, b) || reflect.DeepEqual(in, out) {
					t.Errorf("%T: byte %d is not in the item, or not canonical", in, i)
				}
			}
			if _, err := Parse(raw[:i]); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%T: %d bytes of %d parse", in, i, len(raw))
			}
		}
		if _, err := Parse(append(raw, 0)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%T: trailing byte", in)
		}
	}
}

// Every field is in the layout: an item with one field cleared is built to other
// bytes or is refused.
func TestItemFieldsTravel(t *testing.T) {
	for n, in := range full() {
		raw, err := Marshal(in)
		must(t, err)
		v := reflect.ValueOf(in).Elem()
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "Redacted" {
				continue
			}
			changed := reflect.ValueOf(full()[n]).Elem()
			changed.Field(i).SetZero()
			if b, err := Marshal(changed.Addr().Interface().(Item)); err == nil && bytes.Equal(b, raw) {
				t.Errorf("%T.%s does not travel", in, v.Type().Field(i).Name)
			}
		}
	}
}

func TestItemRefusals(t *testing.T) {
	d := [32]byte{1}
	many := make([]GivenTicket, MaxGiven+1)
	for i := range many {
		many[i].Serial = uint64(i)
	}
	for name, i := range map[string]Item{
		"no contact":       &Sent{Status: StatusSealed, D: d, Frame: []byte{1}},
		"received as sent": &Sent{Contact: bob, Status: 1, D: d, Frame: []byte{1}},
		"unknown status":   &Sent{Contact: bob, Status: 8, D: d, Frame: []byte{1}},
		"no frame":         &Sent{Contact: bob, Status: StatusSealed, D: d},
		"long frame":       &Sent{Contact: bob, Status: StatusSealed, D: d, Frame: make([]byte, MaxFrame+1)},
		"no d":             &Sent{Contact: bob, Status: StatusSealed, Frame: []byte{1}},
		"failure":          &StatusOf{Contact: bob, D: d, Status: StatusRead, Failure: 1},
		"no entry":         &Contact{Address: bob, Blocked: true},
		"entry of nothing": &Contact{Address: bob, Entry: [16]byte{1}},
		"identity":         &Contact{Address: bob, Known: true, AccountDH: dh},
		"account DH":       &Contact{Address: bob, Known: true, Identity: identity},
		"long manifest":    &Contact{Address: bob, Known: true, Identity: identity, AccountDH: dh, Manifest: make([]byte, MaxManifest+1)},
		"nobody":           &Given{Giver: 1, Tickets: []GivenTicket{{Serial: 1}}},
		"no giver":         &Given{Account: bob, Tickets: []GivenTicket{{Serial: 1}}},
		"no tickets":       &Given{Giver: 1, Account: bob},
		"one twice":        &Given{Giver: 1, Account: bob, Tickets: []GivenTicket{{Serial: 1}, {Serial: 1}}},
		"many tickets":     &Given{Giver: 1, Account: bob, Tickets: many},
		"code of nobody":   &Code{},
		"no root":          &Roots{Number: 1},
		"no chain":         &Roots{Number: 1, Root: d, HasChain: true},
		"no domain":        &Provider{Pin: d},
		"empty":            &Received{Contact: bob, D: d},
		"no generation":    &MailboxKeys{W: d, Z: d},
		"no w":             &MailboxKeys{Generation: 1, Z: d},
		"hop of nobody":    &Choices{Hop: bob.Domain()},
		"many codes":       &Choices{Codes: make([][32]byte, wire.MaxContactCodes+1)},
		"no k":             new(AccountSecret),
		"k not reduced":    &AccountSecret{K: [32]byte{31: 0xff}},
		"z not reduced":    &MailboxKeys{Generation: 1, W: d, Z: [32]byte{31: 0xff}},
	} {
		if b, err := Marshal(i); !errors.Is(err, wire.ErrMalformed) || b != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, b := range [][]byte{nil, {0}, {10, 1}, make([]byte, MaxRecord+1)} {
		if _, err := Parse(b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	if _, err := Parse([]byte{200, 1, 2}); !errors.Is(err, ErrKind) {
		t.Errorf("a kind of the future: %v", err)
	}
}

func TestLargestItemsFit(t *testing.T) {
	g := &Given{Giver: 1, Account: bob}
	for i := range MaxGiven {
		g.Tickets = append(g.Tickets, GivenTicket{Serial: uint64(i)})
	}
	for _, i := range []Item{
		&Sent{Contact: bob, Status: StatusSealed, D: [32]byte{1}, Frame: make([]byte, MaxFrame)},
		&Received{Contact: bob, D: [32]byte{1}, Frame: make([]byte, MaxFrame)},
		&Contact{Address: bob, Known: true, Identity: identity, AccountDH: dh, Manifest: make([]byte, MaxManifest)}, g,
	} {
		if _, err := Marshal(i); err != nil {
			t.Errorf("%T: %v", i, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	for _, i := range full() {
		switch i.(type) {
		case *Sent, *Roots, *Received:
			if s := fmt.Sprintf("%v %+v %#v", i, i, i); s != "(secret redacted) (secret redacted) (secret redacted)" {
				t.Errorf("%T prints %q", i, s)
			}
		}
	}
}

func FuzzItem(f *testing.F) {
	for _, i := range full() {
		b, err := Marshal(i)
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := Parse(b)
		if err != nil {
			return
		}
		if again, err := Marshal(i); err != nil || !bytes.Equal(again, b) {
			t.Errorf("not canonical: %v", err)
		}
	})
}
