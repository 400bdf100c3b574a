package limits

import (
	"errors"
	"testing"

	"waxwing/core/ids"
)

func FuzzParseKey(f *testing.F) {
	for n := range End {
		f.Add(Target{Name: n}.Key())
		f.Add(Target{Name: n, Peer: ids.MustParseDomain("b.example"), DryRun: true}.Key())
	}
	f.Fuzz(func(t *testing.T, key string) {
		target, err := ParseKey(key)
		switch {
		case err != nil && !errors.Is(err, ErrTarget):
			t.Errorf("%q: %v", key, err)
		case err == nil && target.Key() != key:
			t.Errorf("%q is read as %q", key, target.Key())
		}
	})
}

// FuzzParseOf: the values that each limit takes, limits at once among them, are
// read as they are written.
func FuzzParseOf(f *testing.F) {
	for n := range End {
		f.Add(uint8(n), Format(All[n].Default))
	}
	f.Fuzz(func(t *testing.T, name uint8, text string) {
		n := Name(name % uint8(End))
		l, err := n.Parse(text)
		switch {
		case err != nil && !errors.Is(err, ErrValue):
			t.Errorf("%s: %q: %v", n, text, err)
		case err == nil:
			if again, err := n.Parse(Format(l)); err != nil || again != l {
				t.Errorf("%s: %q is %s, then %+v, %v", n, text, Format(l), again, err)
			}
		}
	})
}
