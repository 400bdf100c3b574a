package demo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/relay/daemon"
)

// TestMain lets the test's own binary be the servers.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "waxwingd":
		os.Exit(daemon.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case demoName:
		if _, err := Run(context.Background(), Config{Text: os.Stdout}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// demoName is the name under which the test's binary is the demo.
const demoName = "demo"

func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var text strings.Builder
	events := 0
	report, err := Run(ctx, Config{Messages: 400, Text: &text, Event: func(*Step) { events++ }})
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	t.Logf("%s", text.String())
	if !report.OK || events != len(report.Steps) || len(report.Steps) != 10 {
		t.Errorf("report %+v after %d events", report, events)
	}
	b, err := json.Marshal(report)
	if err != nil || !strings.HasPrefix(string(b), `{"ok":true,"steps":[{"name":"providers","ok":true,`) {
		t.Errorf("%.100s, %v", b, err)
	}
	for _, s := range report.Steps {
		if !s.OK || len(s.Claims) == 0 {
			t.Errorf("step %s: %+v", s.Name, s)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A claim that does not hold ends the demo with an error.
func TestFailedClaim(t *testing.T) {
	var text strings.Builder
	s := stage{text: &text, event: func(*Step) {}, report: &Report{}}
	s.begin("sky", "The sky")
	err := s.end(all(s.check(true, "", "it is there"), s.check(false, "it is blue", "it is green")))
	failed, ok := errors.AsType[*FailedError](err)
	if !ok || failed.Step != "sky" || s.step.OK || len(s.step.Claims) != 2 || s.step.Claims[1].Found != "it is blue" {
		t.Errorf("%v, %+v", err, s.step)
	}
	if !strings.Contains(text.String(), "FAILED") {
		t.Errorf("printed %q", text.String())
	}
}

func TestConfig(t *testing.T) {
	for _, n := range []int{-1, MinMessages - 1, MaxMessages + 1} {
		if report, err := Run(context.Background(), Config{Messages: n}); !errors.Is(err, ErrConfig) || report.OK {
			t.Errorf("%d messages: %v", n, err)
		}
	}
}

// Whoever kills the demo, however, leaves no server behind.
func TestNoOrphans(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p, err := child.Spawn(filepath.Join(t.TempDir(), "log"), demoName)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for {
		line, err := p.Line(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if _, dir, ok := strings.Cut(string(line), "data in "); ok {
			dirs = append(dirs, dir)
		}
		if strings.Contains(string(line), "has the receipt") {
			break
		}
	}
	p.Kill()
	if len(dirs) != 2 {
		t.Fatalf("servers with data in %v", dirs)
	}
	// A server holds a lock in its directory until its process ends.
	end := time.Now().Add(20 * time.Second)
	for _, dir := range dirs {
		for served(t, dir) {
			if time.Now().After(end) {
				t.Fatalf("still served: %s", dir)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// served reports whether a process serves the data directory, by trying to.
func served(t *testing.T, dir string) bool {
	t.Helper()
	p, err := child.Spawn(filepath.Join(t.TempDir(), "log"), "waxwingd", "serve", "--data", dir, "--listen", "127.0.0.1:0", "--exit-with-stdin")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	_, err = p.Line(context.Background())
	if err != nil && !errors.Is(err, child.ErrEnded) {
		t.Fatal(err)
	}
	return err != nil
}
