package query

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// payload is what both sides seal of a kind.
type payload interface{ wire.Schema }

func payloads() map[string]payload {
	refill := &Refill{Home: alpha, Month: 690, Tier: 2, Epoch: 20_000, Refill: bytes.Repeat([]byte{5}, 40)}
	issued := &RefillAnswer{Status: RefillIssued}
	copy(issued.Answer[:], bytes.Repeat([]byte{6}, RefillAnswerSize))
	standing := &Standing{Home: alpha, Epoch: 20_000}
	copy(standing.Standing[:], bytes.Repeat([]byte{7}, StandingSize))
	return map[string]payload{
		"refill": refill, "issued": issued, "later": &RefillAnswer{Status: RefillLater, Retry: 5},
		"refused": &RefillAnswer{Status: RefillRefused}, "standing": standing, "stamp": &StandingAnswer{[StampSize]byte{8}},
	}
}

func emptyOf(p payload) payload { return reflect.New(reflect.TypeOf(p).Elem()).Interface().(payload) }

// Every byte of every payload says something, or has one value: changed it is
// refused or read as something else.
func TestEveryByteOfPayloads(t *testing.T) {
	for name, p := range payloads() {
		b := wire.MustMarshal(p)
		got := emptyOf(p)
		if err := wire.Unmarshal(b, got); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s: %v", name, err)
		}
		for i := range b {
			for bit := range 8 {
				bad := bytes.Clone(b)
				bad[i] ^= 1 << bit
				got := emptyOf(p)
				err := wire.Unmarshal(bad, got)
				if err != nil && !errors.Is(err, wire.ErrMalformed) || err == nil && reflect.DeepEqual(got, p) {
					t.Fatalf("%s: byte %d: %v", name, i, err)
				}
			}
		}
		for _, bad := range [][]byte{nil, b[:len(b)-1], append(bytes.Clone(b), 0)} {
			if err := wire.Unmarshal(bad, emptyOf(p)); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: %d bytes: %v", name, len(bad), err)
			}
		}
	}
}

// What no payload can say.
func TestPayloadsRefused(t *testing.T) {
	for name, p := range map[string]payload{
		"no home":                      &Refill{Month: 690, Tier: 2, Epoch: 20_000},
		"too long a refill":            &Refill{Home: alpha, Refill: make([]byte, MaxRefill+1)},
		"no status":                    &RefillAnswer{},
		"an unknown status":            &RefillAnswer{Status: RefillLater + 1},
		"issued, with a time":          &RefillAnswer{Status: RefillIssued, Retry: 1},
		"refused, with a time":         &RefillAnswer{Status: RefillRefused, Retry: 1},
		"later, without a time":        &RefillAnswer{Status: RefillLater},
		"refused, with an answer":      &RefillAnswer{Status: RefillRefused, Answer: [RefillAnswerSize]byte{1}},
		"later, with an answer":        &RefillAnswer{Status: RefillLater, Retry: 1, Answer: [RefillAnswerSize]byte{700: 1}},
		"a standing request of nobody": &Standing{Epoch: 20_000},
	} {
		if _, err := wire.Marshal(p); err == nil {
			t.Errorf("%s is written", name)
		}
	}
}

// Whatever is asked and answered is read as it was written, and fits its kind.
func TestPayloadsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		home := rapid.SampledFrom([]ids.Domain{alpha, gamma}).Draw(t, "home")
		epoch := ids.Day(rapid.Uint32().Draw(t, "epoch"))
		fill := func(b []byte, name string) { copy(b, rapid.SliceOfN(rapid.Byte(), len(b), len(b)).Draw(t, name)) }
		refill := &Refill{
			Home: home, Month: rapid.Uint32().Draw(t, "month"), Tier: rapid.Uint8().Draw(t, "tier"), Epoch: epoch,
			Refill: rapid.SliceOfN(rapid.Byte(), 1, MaxRefill).Draw(t, "refill"),
		}
		answer := &RefillAnswer{Status: RefillStatus(rapid.IntRange(int(RefillIssued), int(RefillLater)).Draw(t, "status"))}
		switch answer.Status {
		case RefillIssued:
			fill(answer.Answer[:], "answer")
		case RefillLater:
			answer.Retry = rapid.Uint64Min(1).Draw(t, "retry")
		}
		standing, stamp := &Standing{Home: home, Epoch: epoch}, new(StandingAnswer)
		fill(standing.Standing[:], "standing")
		fill(stamp.Stamp[:], "stamp")
		for _, tt := range []struct {
			p    payload
			most int
		}{
			{refill, KindRefill.MaxPayload()},
			{answer, KindRefill.MaxAnswerPayload()},
			{standing, KindStanding.MaxPayload()},
			{stamp, KindStanding.MaxAnswerPayload()},
		} {
			b := wire.MustMarshal(tt.p)
			got := emptyOf(tt.p)
			if err := wire.Unmarshal(b, got); err != nil || !reflect.DeepEqual(got, tt.p) || len(b) > tt.most {
				t.Fatalf("%T: %d bytes, %v", tt.p, len(b), err)
			}
		}
		if a, b := wire.MustMarshal(answer), wire.MustMarshal(&RefillAnswer{Status: RefillRefused}); len(a) != len(b) {
			t.Fatalf("answers of %d and %d bytes", len(a), len(b))
		}
	})
}
