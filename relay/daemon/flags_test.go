package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
)

func TestPeersFlag(t *testing.T) {
	pin := strings.Repeat("A", 43)
	var p peersFlag
	if err := p.Set("Beta.Example=[::1]:4433," + pin); err != nil {
		t.Fatal(err)
	}
	if p[0].Domain != ids.MustParseAddress("a@beta.example").Domain() || p[0].Addr != "[::1]:4433" {
		t.Errorf("parsed %v at %s", p[0].Domain, p[0].Addr)
	}
	for name, in := range map[string]string{
		"no domain":     "127.0.0.1:4433," + pin,
		"no pin":        "gamma.example=127.0.0.1:4433",
		"bad domain":    "-=127.0.0.1:4433," + pin,
		"no port":       "gamma.example=127.0.0.1," + pin,
		"port too high": "gamma.example=127.0.0.1:65536," + pin,
		"short pin":     "gamma.example=127.0.0.1:4433," + pin[1:],
		"twice":         "beta.example=127.0.0.1:4434," + pin,
	} {
		if err := p.Set(in); err == nil || len(p) != 1 {
			t.Errorf("%s: %q was taken", name, in)
		}
	}
}

func TestLimitsFlag(t *testing.T) {
	for in, want := range map[string]gcra.Limit{
		"account-envelopes=10/s":      {Burst: 10, Count: 10, Period: time.Second},
		"account-tickets=60/m,7":      {Burst: 7, Count: 60, Period: time.Minute},
		"account-requests=1/h,100":    {Burst: 100, Count: 1, Period: time.Hour},
		"peer-envelopes=5/d":          {Burst: 5, Count: 5, Period: 24 * time.Hour},
		"peer-bytes=1000000/s":        {Burst: 1000000, Count: 1000000, Period: time.Second},
		"peer-requests=2/s,2":         {Burst: 2, Count: 2, Period: time.Second},
		"registrations=1000000/s,100": {Burst: 100, Count: 1000000, Period: time.Second},
	} {
		var l limitsFlag
		if err := l.Set(in); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		name, _, _ := strings.Cut(in, "=")
		for _, other := range limitNames {
			if got := *l.field(other); (other == name) != (got == want) || other != name && !got.IsZero() {
				t.Errorf("%s sets %s to %+v", in, other, got)
			}
		}
	}
	for _, in := range []string{
		"", "nonsense=1/s", "peer-bytes", "peer-bytes=1", "peer-bytes=1/y", "peer-bytes=x/s", "peer-bytes=1/s,x",
		"peer-bytes=0/s", "peer-bytes=-1/s", "peer-bytes=1/d,1000000",
	} {
		if err := new(limitsFlag).Set(in); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}

// exec runs a command line and returns its exit code and outputs.
func exec(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	code, out, errs := exec(t, "init", "--data", dir, "--json", "Alpha.Example")
	var id identity
	if err := json.Unmarshal([]byte(out), &id); code != ExitOK || err != nil || id.Domain != "alpha.example" {
		t.Fatalf("init: %d, %q, %q", code, out, errs)
	}
	if code, out, _ := exec(t, "pin", "--data", dir); code != ExitOK || out != id.Pin.String()+"\n" {
		t.Errorf("pin: %d, %q", code, out)
	}
	if code, _, errs := exec(t, "init", "--data", dir, "alpha.example"); code != ExitInUse || !strings.Contains(errs, dir) {
		t.Errorf("second init: %d, %q", code, errs)
	}
}

func TestMistakesInUse(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"dance"}, ExitUsage, `"dance"`},
		{[]string{"--dance"}, ExitUsage, "--dance"},
		{[]string{"init", "alpha.example"}, ExitUsage, "--data"},
		{[]string{"init", "--data", dir}, ExitUsage, "domain"},
		{[]string{"init", "--data", dir, "alpha_example"}, ExitUsage, "domain"},
		{[]string{"pin"}, ExitUsage, "--data"},
		{[]string{"pin", "--data", dir, "more"}, ExitUsage, `"more"`},
		{[]string{"pin", "--data", dir}, ExitFailed, "waxwingd init"},
		{[]string{"serve"}, ExitUsage, "--data"},
		{[]string{"serve", "--data", dir}, ExitFailed, "waxwingd init"},
		{[]string{"serve", "--data", dir, "--listen", "nowhere"}, ExitUsage, "HOST:PORT"},
		{[]string{"serve", "--data", dir, "--endpoint", "nowhere"}, ExitUsage, "HOST:PORT"},
		{[]string{"serve", "--data", dir, "--registration", "maybe"}, ExitUsage, "invite or open or closed"},
	} {
		code, out, errs := exec(t, tt.args...)
		if code != tt.code || out != "" || !strings.Contains(errs, tt.says) || !strings.Contains(errs, "next: ") {
			t.Errorf("%q: %d, %q, %q", tt.args, code, out, errs)
		}
	}
}
