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

	"waxwing/relay/daemon"
)

// TestMain lets the test's own binary be the servers.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "waxwingd" {
		os.Exit(daemon.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

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
	if !report.OK || events != len(report.Steps) || len(report.Steps) != 8 {
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
