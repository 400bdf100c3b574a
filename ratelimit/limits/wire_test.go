package limits

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]gcra.Limit{
		"1/s":           {Burst: 1, Count: 1, Period: time.Second},
		"100/m,5000":    {Burst: 5000, Count: 100, Period: time.Minute},
		"3/h,1":         {Burst: 1, Count: 3, Period: time.Hour},
		"5/d":           {Burst: 5, Count: 5, Period: 24 * time.Hour},
		"1000000/s,100": {Burst: 100, Count: 1000000, Period: time.Second},
	} {
		if got, err := Parse(in); err != nil || got != want {
			t.Errorf("%s is %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "1", "1/y", "x/s", "1/s,x", "0/s", "-1/s", "1/s,0", "1/s,-1", "1/d,1000000", "1/s,1,1", "1/s/s", " 1/s", "9223372036854775808/s"} {
		if _, err := Parse(in); !errors.Is(err, ErrValue) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if l, err := ParseRate("7"); err != nil || l != gcra.PerSecond(7, 7) {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestChangeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Change{Limit: gcra.Limit{
			Burst: rapid.Int64Range(1, 1000).Draw(t, "burst"), Count: rapid.Int64Range(1, 1<<50).Draw(t, "count"),
			Period: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "period")),
		}}
		if ms := rapid.Int64Range(0, MaxUntil).Draw(t, "until"); ms != 0 {
			c.Until = time.UnixMilli(ms)
		}
		var back Change
		b := wire.MustMarshal(&c)
		if err := wire.Unmarshal(b, &back); err != nil || back.Limit != c.Limit || !back.Until.Equal(c.Until) {
			t.Fatalf("%+v is %+v, %v", c, back, err)
		}
		target := Target{Name: Name(rapid.IntRange(0, int(End)-1).Draw(t, "name")), DryRun: rapid.Bool().Draw(t, "dry")}
		if rapid.Bool().Draw(t, "peer") {
			target.Peer = beta
		}
		if back, err := ParseKey(target.Key()); err != nil || back != target {
			t.Fatalf("%+v is %+v, %v", target, back, err)
		}
	})
	good := wire.MustMarshal(&Change{Limit: gcra.PerSecond(5, 5), Until: start})
	for name, b := range map[string][]byte{
		"version":         append([]byte{2}, good[1:]...),
		"count 0":         bytes.Join([][]byte{good[:1], make([]byte, 8), good[9:]}, nil),
		"count too large": bytes.Join([][]byte{good[:1], {0x80}, good[2:]}, nil),
		"period 0":        bytes.Join([][]byte{good[:9], make([]byte, 8), good[17:]}, nil),
		"period negative": bytes.Join([][]byte{good[:9], {0xff}, good[10:]}, nil),
		"burst 0":         bytes.Join([][]byte{good[:17], make([]byte, 8), good[25:]}, nil),
		"burst too large": bytes.Join([][]byte{good[:17], {0x7f}, good[18:]}, nil),
		"until too large": bytes.Join([][]byte{good[:25], {1, 0, 1}, good[28:]}, nil),
		"short":           good[:32],
		"long":            append(bytes.Clone(good), 0),
	} {
		if err := wire.Unmarshal(b, new(Change)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, k := range []string{"", "peer_bytes", "peer_bytes/value", "x/value/", "peer_bytes/x/", "peer_bytes/value/-", "peer_bytes/value/B.example", "peer_bytes/value/b.example/"} {
		if _, err := ParseKey(k); !errors.Is(err, ErrTarget) {
			t.Errorf("%q: %v", k, err)
		}
	}
}

// Whatever parses is encoded to the same bytes.
func FuzzChange(f *testing.F) {
	f.Add(wire.MustMarshal(&Change{Limit: gcra.PerSecond(5, 5)}))
	f.Add(wire.MustMarshal(&Change{Limit: gcra.Limit{Burst: 9, Count: 3, Period: time.Hour}, Until: start}))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := new(Change)
		if wire.Unmarshal(b, c) == nil && !bytes.Equal(wire.MustMarshal(c), b) {
			t.Errorf("%x", b)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("100/m,5000")
	f.Add("1/s")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := Parse(s)
		if err != nil {
			return
		}
		if back, err := Parse(Format(l)); err != nil || back != l {
			t.Errorf("%q: %s is %+v, %v", s, Format(l), back, err)
		}
	})
}
