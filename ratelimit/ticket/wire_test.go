package ticket

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// parsers has every format of the package: parse, and encode what was parsed.
var parsers = map[string]func(b []byte) ([]byte, error){
	"grant": func(b []byte) ([]byte, error) {
		g, err := ParseGrant(b)
		if err != nil {
			return nil, err
		}
		return wire.Marshal(g)
	},
	"held":       func(b []byte) ([]byte, error) { h, err := ParseHeld(b); return reencode(&h, err) },
	"stocked":    func(b []byte) ([]byte, error) { s, err := ParseStocked(b); return reencode(&s, err) },
	"given":      func(b []byte) ([]byte, error) { g, err := ParseGiven(b); return reencode(&g, err) },
	"given code": func(b []byte) ([]byte, error) { g, err := ParseGiven(b); return reencode(&g, err) },
	"marks":      func(b []byte) ([]byte, error) { m, err := ParseMarks(b); return reencode(&m, err) },
	"record":     func(b []byte) ([]byte, error) { r := new(record); return reencode(r, wire.Unmarshal(b, r)) },
}

func reencode(s wire.Schema, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return wire.Marshal(s)
}

func examples() map[string][]byte {
	m := grantOf(1, 2, today)
	h := Held{Minted: m.Tickets[0], Secret: *root, Expiry: today}
	s := stocked(9, 1, today)[0]
	g := Given{Serial: 9, Expiry: today, Account: alice, Batch: 2, Giver: 1, Root: 5, Device: 3, Used: true}
	code := Given{Serial: 9, Expiry: today, Batch: 2, Code: true}
	k := Marks{High: 32, Last: 1}
	r := record{Generation: 300, Day: today, Reserved: ReserveStep}
	return map[string][]byte{
		"grant": wire.MustMarshal(m), "held": h.Append(nil), "stocked": s.Append(nil),
		"given": g.Append(nil), "given code": code.Append(nil), "marks": k.Append(nil), "record": wire.MustMarshal(&r),
	}
}

// Every truncation and extension is refused; every changed byte is refused or
// seen in the value.
func TestFormatsAreStrict(t *testing.T) {
	for name, b := range examples() {
		parse := parsers[name]
		if again, err := parse(b); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: does not parse to itself: %v", name, err)
		}
		for n := range b {
			if _, err := parse(b[:n]); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: %d of %d bytes: %v", name, n, len(b), err)
			}
		}
		if _, err := parse(append(bytes.Clone(b), 0)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: trailing byte: %v", name, err)
		}
		for i := range b {
			for _, x := range []byte{0x01, 0x80, 0xff} {
				bad := bytes.Clone(b)
				bad[i] ^= x
				again, err := parse(bad)
				if err == nil && !bytes.Equal(again, bad) {
					t.Errorf("%s: byte %d is not canonical", name, i)
				}
				if i == 0 && err == nil {
					t.Errorf("%s: unknown version parses", name)
				}
			}
		}
	}
}

func TestGrantRefuses(t *testing.T) {
	if _, err := wire.Marshal(&Grant{}); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("no tickets: %v", err)
	}
	if _, err := wire.Marshal(grantOf(1, MaxGrant+1, today)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("too many: %v", err)
	}
	empty := examples()["grant"][:grantFixed]
	empty[grantFixed-1] = 0
	if _, err := ParseGrant(empty); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("no tickets: %v", err)
	}
}

func TestGrantRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := grantOf(rapid.Uint64().Draw(t, "first"), rapid.IntRange(1, 20).Draw(t, "n"), ids.Day(rapid.Uint32().Draw(t, "expiry")))
		g.Batch = rapid.Uint32().Draw(t, "batch")
		b := wire.MustMarshal(g)
		got, err := ParseGrant(b)
		if err != nil || got.Batch != g.Batch || got.Expiry != g.Expiry || !got.Secret.Equal(&g.Secret) || len(got.Tickets) != len(g.Tickets) {
			t.Fatalf("grant changed: %v", err)
		}
		for i := range g.Tickets {
			if got.Tickets[i].Ticket != g.Tickets[i].Ticket || !got.Tickets[i].Key.Equal(&g.Tickets[i].Key) {
				t.Fatal("ticket changed")
			}
		}
	})
}

func FuzzFormats(f *testing.F) {
	for _, b := range examples() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, parse := range parsers {
			if again, err := parse(b); err == nil && !bytes.Equal(again, b) {
				t.Errorf("%s is not canonical", name)
			}
		}
	})
}

func FuzzOpen(f *testing.F) {
	d := disk{}
	r := d.load(f)
	d.renew(f, r, today)
	m := mint(f, r, today, 1, 1)[0]
	f.Add(m.Ticket[:])
	var s Scratch
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != Size {
			return
		}
		tk := Ticket(b)
		if _, err := r.Open(&tk, &s); err == nil && tk != m.Ticket {
			t.Error("forged")
		}
	})
}
