package client

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/linking"
	"waxwing/core/wire"
)

// place is one document's place.
type place struct {
	side  wire.Side
	index uint8
}

// fakeMeeting is a provider in memory that tampers with what it passes on.
type fakeMeeting struct {
	docs   chan map[place][]byte // holds the one map
	change func(at place, b []byte) []byte
}

func newMeeting(change func(place, []byte) []byte) *fakeMeeting {
	m := &fakeMeeting{docs: make(chan map[place][]byte, 1), change: change}
	m.docs <- map[place][]byte{}
	return m
}

func (m *fakeMeeting) put(_ context.Context, side wire.Side, index uint8, b []byte) error {
	docs := <-m.docs
	defer func() { m.docs <- docs }()
	at := place{side, index}
	if m.change != nil && len(b) > 0 { // what says that a side gave up stays as it is
		b = m.change(at, bytes.Clone(b))
	}
	if old, ok := docs[at]; ok {
		if bytes.Equal(old, b) {
			return nil
		}
		return ErrLinkMiddle
	}
	docs[at] = bytes.Clone(b)
	return nil
}

func (m *fakeMeeting) get(_ context.Context, side wire.Side, index uint8) ([]byte, bool, error) {
	docs := <-m.docs
	defer func() { m.docs <- docs }()
	b, ok := docs[place{side, index}]
	return bytes.Clone(b), ok, nil
}

// linkRun is one run of both sides.
type linkRun struct {
	offer   *linking.Offer
	joining *linking.Joining
	device  linking.Device

	secrets []byte // what is handed over
	oldSays func(digits string) bool
	newSays func(digits string) bool

	oldDigits, newDigits string
	oldErr, newErr       error
	agreed               bool // the existing device would sign now
	got                  []byte
}

func newRun(t *testing.T) *linkRun {
	t.Helper()
	o, err := linking.NewOffer(ids.MustParseAddress("bob@beta.example"), "beta.example:4433", [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	d := makeDevice()
	r := &linkRun{offer: o, device: linking.Device{Sign: d.sign.Public(), DH: d.dh.Public()}, secrets: []byte("secrets")}
	r.joining = linking.Join(o.Code(), r.device)
	r.oldSays, r.newSays = func(string) bool { return true }, func(string) bool { return true }
	return r
}

// run runs both sides at a meeting, to the end of both.
func (r *linkRun) run(ctx context.Context, m meeting) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.got, r.newErr = meetExisting(ctx, m, r.joining, func(_ context.Context, d string) bool { r.newDigits = d; return r.newSays(d) })
	}()
	var d linking.Device
	d, r.oldErr = meetNew(ctx, m, r.offer, func(_ context.Context, d string) bool { r.oldDigits = d; return r.oldSays(d) })
	if r.oldErr == nil {
		r.agreed = d == r.device
		r.oldErr = handOver(ctx, m, r.offer, r.secrets)
	}
	<-done
}

func TestLinkRun(t *testing.T) {
	r := newRun(t)
	r.secrets = bytes.Repeat([]byte("secret"), 40_000) // several parts
	m := newMeeting(nil)
	r.run(t.Context(), m)
	if r.oldErr != nil || r.newErr != nil || !r.agreed || !bytes.Equal(r.got, r.secrets) || r.oldDigits != r.newDigits {
		t.Fatalf("%v, %v, digits %q and %q", r.oldErr, r.newErr, r.oldDigits, r.newDigits)
	}
	for at, b := range <-m.docs {
		if bytes.Contains(b, []byte("secretsecret")) {
			t.Errorf("document %v says something", at)
		}
	}
}

// Whoever of the users says no, or is not there, nobody signs and nothing is
// handed over; the other side ends, too.
func TestLinkRunGivenUp(t *testing.T) {
	for name, prepare := range map[string]func(r *linkRun){
		"the existing device's user": func(r *linkRun) { r.oldSays = func(string) bool { return false } },
		"the new device's user":      func(r *linkRun) { r.newSays = func(string) bool { return false } },
		"both": func(r *linkRun) {
			r.oldSays, r.newSays = func(string) bool { return false }, func(string) bool { return false }
		},
	} {
		r := newRun(t)
		prepare(r)
		m := newMeeting(nil)
		r.run(t.Context(), m)
		if !errors.Is(r.oldErr, ErrLinkAborted) || !errors.Is(r.newErr, ErrLinkAborted) || r.agreed || r.got != nil {
			t.Errorf("%s: %v, %v", name, r.oldErr, r.newErr)
		}
		if docs := <-m.docs; docs[place{wire.SideExisting, indexParts}] != nil {
			t.Errorf("%s: something was handed over", name)
		}
		if _, err := r.offer.Seal(nil); !errors.Is(err, linking.ErrOrder) {
			t.Errorf("%s: the run goes on: %v", name, err)
		}
	}
	// Nobody comes.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newRun(t)
	_, err := meetNew(ctx, newMeeting(nil), r.offer, nil)
	is(t, err, context.Canceled)
	_, err = meetExisting(ctx, newMeeting(nil), newRun(t).joining, nil)
	is(t, err, context.Canceled)
}

// A provider in the middle puts documents of its own in place, or old ones: the
// digits differ, or the run ends; the users, who compare, hand nothing over.
func TestLinkRunInTheMiddle(t *testing.T) {
	other := newRun(t) // mallory's own run, by the same code's provider
	otherAnswer, _, _, err := other.offer.Answer(other.joining.Message())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at     place
		change func(b []byte) []byte
	}{
		"another Join":           {place{wire.SideNew, indexFirst}, func([]byte) []byte { return other.joining.Message() }},
		"a damaged Join":         {place{wire.SideNew, indexFirst}, func(b []byte) []byte { return b[:len(b)-1] }},
		"another run's answer":   {place{wire.SideExisting, indexFirst}, func([]byte) []byte { return otherAnswer }},
		"a damaged answer":       {place{wire.SideExisting, indexFirst}, func(b []byte) []byte { b[9] ^= 1; return b }},
		"a forged confirmation":  {place{wire.SideNew, indexSecond}, func(b []byte) []byte { b[0] ^= 1; return b }},
		"a zero confirmation":    {place{wire.SideNew, indexSecond}, func([]byte) []byte { return make([]byte, 32) }},
		"a changed part":         {place{wire.SideExisting, indexParts}, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		"a part of another size": {place{wire.SideExisting, indexParts}, func(b []byte) []byte { return b[:1] }},
		"a header too high":      {place{wire.SideExisting, indexSecond}, func([]byte) []byte { return []byte{200} }},
		"a header for more":      {place{wire.SideExisting, indexSecond}, func([]byte) []byte { return []byte{2} }},
		"a long header":          {place{wire.SideExisting, indexSecond}, func([]byte) []byte { return []byte{1, 1} }},
	} {
		r := newRun(t)
		ctx, cancel := context.WithCancel(t.Context())
		m := newMeeting(func(at place, b []byte) []byte {
			if at == c.at {
				return c.change(b)
			}
			return b
		})
		// Users who compare find different digits where another Join was answered.
		r.oldSays = func(string) bool { return c.at.side != wire.SideNew || c.at.index != indexFirst }
		r.newSays = r.oldSays
		r.run(ctx, m)
		cancel()
		if r.newErr == nil || r.got != nil {
			t.Errorf("%s: the new device took it", name)
		}
		if r.oldDigits != "" && r.newDigits != "" && c.at == (place{wire.SideNew, indexFirst}) && r.oldDigits == r.newDigits {
			t.Errorf("%s: the digits are equal", name)
		}
		if early := c.at.index == indexFirst || c.at.side == wire.SideNew; early && r.agreed {
			t.Errorf("%s: the existing device would sign", name)
		}
	}
}

// The secrets of one run do not open in another.
func TestLinkRunReplayed(t *testing.T) {
	first := newRun(t)
	m := newMeeting(nil)
	first.run(t.Context(), m)
	old := <-m.docs
	second := newRun(t)
	replay := newMeeting(func(at place, b []byte) []byte {
		if at.side == wire.SideExisting {
			return old[at]
		}
		return b
	})
	second.run(t.Context(), replay)
	if second.newErr == nil || second.got != nil || second.agreed {
		t.Errorf("%v, %v", second.oldErr, second.newErr)
	}
}

func TestHandOverBounds(t *testing.T) {
	r := newRun(t)
	r.secrets = make([]byte, linking.MaxSecrets)
	r.run(t.Context(), newMeeting(nil))
	if r.oldErr != nil || len(r.got) != linking.MaxSecrets {
		t.Errorf("the largest secrets: %v, %v", r.oldErr, r.newErr)
	}
	// One byte more is refused by the protocol itself; Link asks before it signs.
	o := newRun(t)
	o.secrets = make([]byte, linking.MaxSecrets+1)
	if err := handOver(t.Context(), newMeeting(nil), o.offer, o.secrets); !errors.Is(err, ErrTooMuch) {
		t.Errorf("more: %v", err)
	}
}
