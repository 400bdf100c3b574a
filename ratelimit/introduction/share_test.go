package introduction

import "testing"

// A share under another limit never gains a nonce, and has none from the limit on.
func TestShareWithin(t *testing.T) {
	for _, tt := range []struct{ share, want Share }{
		{Share{9, 0, 4}, Share{9, 0, 4}},
		{Share{9, 3, 6}, Share{9, 3, 5}},
		{Share{9, 5, 6}, Share{9, 5, 5}},
		{Share{9, 8, 9}, Share{9, 8, 8}},
		{Share{9, 0, 0}, Share{9, 0, 0}},
	} {
		if got := tt.share.Within(5); got != tt.want {
			t.Errorf("%+v within 5 is %+v, want %+v", tt.share, got, tt.want)
		}
	}
}
