package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

// Each limit reaches its target, from the file, the dry run's table, a peer's
// table and --limit.
func TestLimitsReachTheirTargets(t *testing.T) {
	beta := ids.MustParseDomain("beta.example")
	var text, own, dry, ownDry strings.Builder
	want := limits.Settings{}
	for n := range limits.End {
		for i, place := range []struct {
			b *strings.Builder
			t limits.Target
		}{
			{&text, limits.Target{Name: n}},
			{&dry, limits.Target{Name: n, DryRun: true}},
			{&own, limits.Target{Name: n, Peer: beta}},
			{&ownDry, limits.Target{Name: n, Peer: beta, DryRun: true}},
		} {
			if place.t.Check(limits.All[n].Default) != nil {
				continue // not of single peers, or not to be tried
			}
			count := 100_000 + 10*int64(n) + int64(i)
			if n.Promised() {
				count = int64(n)
			}
			if limits.All[n].AtOnce() {
				fmt.Fprintf(place.b, "%s = \"%d\"\n", n, count)
				want[place.t] = gcra.Limit{Burst: count}
				continue
			}
			fmt.Fprintf(place.b, "%s = \"%d/m,%d\"\n", n, count, count+1)
			want[place.t] = gcra.Limit{Count: count, Period: time.Minute, Burst: count + 1}
		}
	}
	path := writeConfig(t, "[limits]\n"+text.String()+"[limits.dry_run]\n"+dry.String()+
		"[limits.peer.\"Beta.Example\"]\n"+own.String()+"[limits.peer.\"Beta.Example\".dry_run]\n"+ownDry.String())
	l, err := from("", path).load()
	must(t, err)
	r, err := l.resolve(ids.Domain{})
	must(t, err)
	if fmt.Sprint(r.node.Limits) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", r.node.Limits, want)
	}
	if _, err := limits.New(r.node.Limits); err != nil {
		t.Error(err)
	}
	args := []string{"check-config", "--config", path, "--json"}
	flag := func(n int) string {
		if limits.Name(n).Promised() {
			return fmt.Sprint(n + 1)
		}
		if limits.All[n].AtOnce() {
			return fmt.Sprint(200_000 + n)
		}
		return fmt.Sprintf("%d/h", 200_000+n)
	}
	for n, name := range limitNames {
		args = append(args, "--limit", name+"="+flag(n))
	}
	code, out, errs := exec(t, args...)
	var c checked
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != ExitOK {
		t.Fatalf("%d, %q, %q", code, out, errs)
	}
	for n := range limits.End {
		if got, want := c.Settings["limits."+n.String()], flag(int(n))+" (command line)"; got != want {
			t.Errorf("%s is %q, want %q", n, got, want)
		}
	}
	if got := c.Settings["limits.peer.beta.example.peer_bytes"]; !strings.HasSuffix(got, " (file)") {
		t.Errorf("a peer's value is told as %q", got)
	}
}

// What is wrong with the limits of a file is told with its place and its key.
func TestMistakesInLimits(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"unknown":             {"[limits]\npeer_byte = \"1/s\"\n", ":2:1: limits.peer_byte: there is no such limit"},
		"unknown in dry run":  {"[limits]\n[limits.dry_run]\nx = \"1/s\"\n", ":3:1: limits.dry_run.x: there is no such limit"},
		"unknown of a peer":   {"[limits.peer.\"b.example\"]\nx = \"1/s\"\n", ":2:1: limits.peer.b.example.x: there is no such limit"},
		"dotted":              {"limits.dry_run.x = \"1/s\"\n", ":1:16: limits.dry_run.x: there is no such limit"},
		"inline":              {"[limits]\npeer.\"b.example\" = { x = \"1/s\" }\n", ":2:22: limits.peer.b.example.x: there is no such limit"},
		"number":              {"[limits]\npeer_bytes = 5\n", ":2:1: limits.peer_bytes: want a string"},
		"no unit":             {"[limits]\npeer_envelopes = \"5\"\n", ":2:1: limits.peer_envelopes: "},
		"zero":                {"[limits]\npeer_envelopes = \"0/s\"\n", ":2:1: limits.peer_envelopes: "},
		"burst too small":     {"[limits]\npeer_bytes = \"1000/s\"\n", ":2:1: limits.peer_bytes: limits: not a usable value: the burst must be at least 65536"},
		"rate at once":        {"[limits]\nconnections = \"5/s\"\n", ":2:1: limits.connections: "},
		"tried in vain":       {"[limits.dry_run]\nintro_new = \"5\"\n", ":2:1: limits.dry_run.intro_new: limits: no dry run of this limit: it is promised"},
		"promised too much":   {"[limits]\nintro_member = \"65\"\n", ":2:1: limits.intro_member: limits: not a usable value: want a number from 2 to 64"},
		"promised to a peer":  {"[limits.peer.\"b.example\"]\nintro_new = \"5\"\n", ":2:1: limits.peer.b.example.intro_new: it is no limit of peers"},
		"not of peers":        {"[limits.peer.\"b.example\"]\nregistrations = \"5/s\"\n", ":2:1: limits.peer.b.example.registrations: it is no limit of peers"},
		"not a domain":        {"[limits.peer.\"-\"]\npeer_bytes = \"1000000/s\"\n", ":1:14: limits.peer.-: not the domain"},
		"twice":               {"[limits.peer.\"b.example\"]\n[limits.peer.\"B.example\"]\n", ":1:14: limits.peer.b.example: the domain is given twice"},
		"dry run is no table": {"[limits]\ndry_run = \"1/s\"\n", ":2:1: limits.dry_run: want a table"},
		"peer is no table":    {"[limits]\npeer = 1\n", ":2:1: limits.peer: want a table"},
		"a peer is no table":  {"[limits]\npeer.\"b.example\" = 1\n", ":2:6: limits.peer.b.example: want a table"},
	} {
		path := writeConfig(t, tt.text)
		_, err := from("", path).load()
		var all problems
		if !errors.As(err, &all) || !strings.Contains(err.Error(), path+tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := writeConfig(t, "[limits]\na = 1\n[limits.peer.\"b.example\"]\nc = 2\n")
	var all problems
	if _, err := from("", path).load(); !errors.As(err, &all) || len(all) != 2 {
		t.Errorf("not all mistakes: %v", err)
	}
	l, err := from(t.TempDir(), "", "WAXWING_LIMITS_DRY_RUN_PEER_BYTES=1/s").load()
	must(t, err)
	if _, err = l.resolve(ids.Domain{}); err == nil || !strings.Contains(err.Error(), "limits.dry_run.peer_bytes: ") {
		t.Errorf("a wrong value in the environment: %v", err)
	}
}
