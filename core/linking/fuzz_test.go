package linking

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/wire"
)

// FuzzReceived: no step takes anything but what the other device made for it, and
// what is refused leaves a typed error.
func FuzzReceived(f *testing.F) {
	o, n, _ := run(f)
	offered, joining, message := *o, *n, n.Message()
	answer, _, _, err := o.Answer(message)
	must(f, err)
	_, err = n.Compare(answer)
	must(f, err)
	confirmation, err := n.Confirm()
	must(f, err)
	must(f, o.Confirm())
	waits, joined := *o, *n
	must(f, o.Confirmed(confirmation))
	secrets, err := o.Seal([]byte("secrets"))
	must(f, err)
	for step, b := range [][]byte{message, answer, confirmation, secrets, wire.MustMarshal(&opening{})} {
		f.Add(uint8(step), b)
	}
	f.Fuzz(func(t *testing.T, step uint8, b []byte) {
		offered, joining, waits, joined := offered, joining, waits, joined
		var err error
		want, made := ErrSealed, []byte(nil)
		switch step % 5 {
		case 0:
			_, _, _, err = offered.Answer(b)
			want, made = wire.ErrMalformed, b // anybody may send a message
		case 1:
			_, err = joining.Compare(b)
			made = answer
		case 2:
			err = waits.Confirmed(b)
			made = confirmation
		case 3:
			_, err = joined.Open(b)
			made = secrets
		case 4:
			var sealed opening
			if err = wire.Unmarshal(b, &sealed); err == nil {
				made = wire.MustMarshal(&sealed)
			}
			want = wire.ErrMalformed
		}
		if err == nil && !bytes.Equal(b, made) || err != nil && !errors.Is(err, want) {
			t.Errorf("step %d: %v", step%5, err)
		}
	})
}
