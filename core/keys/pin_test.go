package keys

import (
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestPinText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Pin(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "pin"))
		q, err := ParsePin(p.String())
		if err != nil || p != q {
			t.Fatalf("%v, %v", q, err)
		}
		b, err := json.Marshal(struct{ Pin Pin }{p})
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ Pin Pin }
		if err := json.Unmarshal(b, &r); err != nil || r.Pin != p {
			t.Fatalf("%v, %v", r.Pin, err)
		}
		s := rapid.StringMatching(`[A-Za-z0-9_-]{43}`).Draw(t, "text")
		if p, err := ParsePin(s); err == nil && p.String() != s {
			t.Fatalf("%q is %q", s, p)
		}
	})
	good := Pin{1}.String()
	for _, s := range []string{"", good[:42], good + "A", good + "=", good[:42] + "\n", "\n" + good, good[:42] + "B", good[:40] + "+/A"} {
		if _, err := ParsePin(s); !errors.Is(err, ErrPinText) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
