package ids

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseAddress(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"alice@alpha.example", "alice@alpha.example"},
		{"Alice@Alpha.Example", "alice@alpha.example"},
		{"ａｌｉｃｅ@alpha.example", "alice@alpha.example"}, // full width, RFC 8265 3.3.2
		{"jürgen@bücher.example", "jürgen@xn--bcher-kva.example"},
		{"Σ@a.example", "σ@a.example"},
		{strings.Repeat("a", 54) + "@b.example", strings.Repeat("a", 54) + "@b.example"},
	} {
		a, err := ParseAddress(tt.in)
		if err != nil || a.String() != tt.want {
			t.Errorf("ParseAddress(%q) = %q, %v; want %q", tt.in, a, err, tt.want)
		}
	}
	for _, in := range []string{
		"", "alice", "@alpha.example", "alice@", "a@b@c.example", "al ice@a.example",
		"alice@-a.example", "alice@a..example", "alice@a.example.", "e@\x81", "al/ice@a.example",
		"al\x00ice@a.example", "\xff@a.example", "henry\u2163@a.example", "a@exa_mple.org",
		strings.Repeat("a", 55) + "@b.example", strings.Repeat("x", 1<<20) + "@b.example",
		"a@" + strings.Repeat("b.", 40) + "example",
	} {
		if a, err := ParseAddress(in); !errors.Is(err, ErrAddress) {
			t.Errorf("ParseAddress(%.40q) = %q, %v; want ErrAddress", in, a, err)
		}
	}
}

// A canonical name parses to itself: names enter hashes.
func TestAddressCanonicalIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkStable(t, rapid.String().Draw(t, "local")+"@"+rapid.String().Draw(t, "domain"))
		checkStable(t, rapid.StringMatching(`[\pL\pN]{1,20}@[\pL\pN]{1,20}\.[a-z]{2,9}`).Draw(t, "likely"))
	})
}

func FuzzParseAddress(f *testing.F) {
	f.Add("alice@alpha.example")
	f.Add("ａｌｉｃｅ@bücher.example")
	f.Add("ｅ@\x81") // not UTF-8; once had a canonical form that did not parse
	f.Fuzz(func(t *testing.T, s string) { checkStable(t, s) })
}

func checkStable(t interface{ Fatalf(string, ...any) }, s string) {
	a, err := ParseAddress(s)
	if err != nil {
		return
	}
	b, err := ParseAddress(a.String())
	if err != nil || a != b || len(a.String()) > MaxAddress {
		t.Fatalf("%q: canonical %q parses to %q, %v", s, a, b, err)
	}
	if d, err := ParseDomain(a.Domain().String()); err != nil || d != a.Domain() {
		t.Fatalf("%q: domain %q parses to %q, %v", s, a.Domain(), d, err)
	}
}

func TestInTime(t *testing.T) {
	for age, want := range map[int]bool{-2: false, -1: true, 0: true, MaxDelay: true, MaxDelay + 1: false} {
		if got := InTime(1000, Day(1000+age)); got != want {
			t.Errorf("age %d: %v", age, got)
		}
	}
	if InTime(0xffffffff, 0) || InTime(0, 0xffffffff) {
		t.Error("days wrap around")
	}
}

func TestClock(t *testing.T) {
	at := time.Date(2026, 11, 22, 23, 59, 59, 0, time.UTC)
	if d := DayOf(at); HourOf(at).Day() != d || !d.End().Equal(at.Add(time.Second)) || !d.Start().Equal(at.Truncate(24*time.Hour)) {
		t.Errorf("day %d of %v", d, at)
	}
}
