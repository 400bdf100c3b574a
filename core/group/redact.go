package group

import "fmt"

// notComparable, as a first field, makes a struct incomparable: == on a secret
// is not constant time, and on an element it is wrong as well, since one
// element has many representations in memory.
type notComparable [0]func()

// redacted, embedded, makes every way of printing a value (fmt, slog,
// encoding/json) print a fixed text instead. Elements are redacted too: public
// keys and pseudonyms are public between two parties, never in a log.
type redacted struct{}

const redactedText = "(group value redacted)"

// String returns the fixed text.
func (redacted) String() string { return redactedText }

// GoString is for %#v.
func (redacted) GoString() string { return redactedText }

// Format is for every verb of fmt.
func (redacted) Format(f fmt.State, _ rune) { fmt.Fprint(f, redactedText) }

// MarshalText is for encoding/json and slog.
func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }
