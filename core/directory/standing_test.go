package directory

import (
	"testing"

	"waxwing/core/wire"
)

// What was done on an opening is done once, and remembered for the newest ones.
func TestActs(t *testing.T) {
	var s Standing
	for i := range uint64(3 * MaxActs) {
		if _, ok := s.Acted(i); ok {
			t.Fatalf("opening %d was acted on before it came", i)
		}
		s.Note(i, uint8(1+i%3))
		if a, ok := s.Acted(i); !ok || a != uint8(1+i%3) {
			t.Fatalf("opening %d: %d, %v", i, a, ok)
		}
	}
	if len(s.Acts) != MaxActs {
		t.Errorf("%d are remembered", len(s.Acts))
	}
	if a, ok := s.Acted(1); !ok || a != 0 {
		t.Error("an old one would be acted on again")
	}
	var again Standing
	if err := wire.Unmarshal(wire.MustMarshal(&s), &again); err != nil || len(again.Acts) != MaxActs {
		t.Error(err)
	}
}
