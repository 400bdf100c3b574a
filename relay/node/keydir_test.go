package node

import (
	"strings"
	"testing"

	"waxwing/core/keys"
)

// A pin can be given to a command as it is.
func TestPinsAreNoFlags(t *testing.T) {
	for range 500 { // one key in 64 would begin with a hyphen
		if pin := keys.PinOf(newRoot().Public()).String(); strings.HasPrefix(pin, "-") {
			t.Fatal(pin)
		}
	}
}
