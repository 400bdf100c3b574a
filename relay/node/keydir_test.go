package node

import (
	"strings"
	"testing"

	"waxwing/relay/quicnet"
)

// A pin can be given to a command as it is.
func TestPinsAreNoFlags(t *testing.T) {
	for range 500 { // one key in 64 would begin with a hyphen
		if pin := quicnet.PinOf(newRoot().Public()).String(); strings.HasPrefix(pin, "-") {
			t.Fatal(pin)
		}
	}
}
