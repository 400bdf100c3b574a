package mailbox

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

func FuzzDoor(f *testing.F) {
	f.Add(wire.MustMarshal(&Door{Policy: ToRequests}))
	full := &Door{Policy: CodeOnly, codes: make([][keys.SecretSize]byte, MaxCodes)}
	for i := range uint32(maxDoorKeys) {
		full.keys = append(full.keys, doorKey{i + 1, [32]byte{9}, 20_000})
	}
	f.Add(wire.MustMarshal(full))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDoor(append([]byte{}, b...)) // nil stands for no record
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if !bytes.Equal(wire.MustMarshal(&d), b) || len(d.codes) > MaxCodes || len(d.keys) > maxDoorKeys || !d.Policy.Valid() {
			t.Error("not canonical, or beyond its limits")
		}
		for i := range d.keys {
			if i > 0 && d.keys[i-1].generation >= d.keys[i].generation {
				t.Error("generations do not ascend")
			}
		}
	})
}

// A door with its generations in another order is not one that SetKey made.
func TestDoorKeysAscend(t *testing.T) {
	for _, second := range []uint32{1, 2} {
		d := Door{Policy: Deliver, keys: []doorKey{{generation: 2}, {generation: second}}}
		if _, err := wire.Marshal(&d); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("2, %d: %v", second, err)
		}
	}
}
