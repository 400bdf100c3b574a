package admission

import (
	"bytes"
	"reflect"
	"testing"

	"waxwing/core/wire"
	"waxwing/ratelimit/introduction"
)

func records() []wire.Schema {
	return []wire.Schema{
		&credentialRecord{today, [secretKeySize]byte{1}, introduction.Limits{New: 3, Member: 5}},
		&monthRecord{beta, month, [secretKeySize]byte{2}},
		&secretsRecord{[32]byte{3}, [32]byte{4}},
		&markRecord{5},
	}
}

// fresh returns an empty record of the same kind.
func fresh(s wire.Schema) wire.Schema {
	return reflect.New(reflect.TypeOf(s).Elem()).Interface().(wire.Schema)
}

// What a parser accepts is encoded to the same bytes.
func checkCanonical(t *testing.T, b []byte) {
	t.Helper()
	for _, s := range records() {
		got := fresh(s)
		if wire.Unmarshal(b, got) == nil && !bytes.Equal(wire.MustMarshal(got), b) {
			t.Errorf("%T: other bytes", s)
		}
	}
}

// Every byte of every record matters.
func TestRecords(t *testing.T) {
	for _, s := range records() {
		b := wire.MustMarshal(s)
		got := fresh(s)
		if err := wire.Unmarshal(b, got); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%T: %v", s, err)
		}
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 0x81
			if other := fresh(s); wire.Unmarshal(bad, other) == nil && reflect.DeepEqual(other, s) {
				t.Errorf("%T: byte %d does not matter", s, i)
			}
		}
		for _, bad := range [][]byte{nil, b[:len(b)-1], append(bytes.Clone(b), 0)} {
			if wire.Unmarshal(bad, fresh(s)) == nil {
				t.Errorf("%T: %d bytes are accepted", s, len(bad))
			}
		}
	}
}

func FuzzRecords(f *testing.F) {
	for _, s := range records() {
		f.Add(wire.MustMarshal(s))
	}
	f.Fuzz(checkCanonical)
}

// Names are of one provider, account, X_S and key each.
func TestTakenIDs(t *testing.T) {
	p := newProvider(t, alpha, beta)
	a, _ := p.keyring.issuer(place{alpha, month})
	b, _ := p.keyring.issuer(place{beta, month})
	seen := map[[32]byte]bool{}
	for _, id := range [][32]byte{
		takenID(alice, beta, [32]byte{1}, a.Public()), takenID(dave, beta, [32]byte{1}, a.Public()),
		takenID(alice, alpha, [32]byte{1}, a.Public()), takenID(alice, beta, [32]byte{2}, a.Public()),
		takenID(alice, beta, [32]byte{1}, b.Public()),
	} {
		if seen[id] {
			t.Error("two have one name")
		}
		seen[id] = true
	}
}
