package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own binary be the child.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "echo":
		fmt.Println(os.Args[1])
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	case "fail":
		fmt.Fprintln(os.Stderr, "the disk is on fire")
		os.Exit(7)
	}
	os.Exit(m.Run())
}

func TestProcess(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := Spawn(log, "echo", "hello")
	if err != nil {
		t.Fatal(err)
	}
	if line, err := p.Line(context.Background()); err != nil || string(line) != "hello" {
		t.Errorf("line %q, %v", line, err)
	}
	if !p.Running() {
		t.Error("ended although its input is open")
	}
	if err := p.Stop(); err != nil || p.Running() {
		t.Errorf("stop: %v", err)
	}
}

func TestKilledProcess(t *testing.T) {
	p, err := Spawn(filepath.Join(t.TempDir(), "log"), "echo", "hello")
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if err := p.Stop(); !errors.Is(err, ErrEnded) {
		t.Errorf("stop of a killed child: %v", err)
	}
}

func TestFailedProcessShowsItsLog(t *testing.T) {
	p, err := Spawn(filepath.Join(t.TempDir(), "log"), "fail")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Line(context.Background())
	if !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "on fire") || !strings.Contains(err.Error(), "7") {
		t.Errorf("line: %v", err)
	}
}

func TestParseMetrics(t *testing.T) {
	m, err := parseMetrics(strings.NewReader("# HELP x\nwaxwing_envelopes_total{from=\"peer\",result=\"delivered\"} 3\n" +
		"process_cpu_seconds_total 1.5\nbig 1.2e+06\n"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Envelopes("peer", "delivered") != 3 || m.Envelopes("client", "delivered") != 0 ||
		m.CPU() != 1500*time.Millisecond || m.Value("big") != 1.2e6 {
		t.Errorf("parsed %v", m)
	}
	for _, bad := range []string{"x", "x y"} {
		if _, err := parseMetrics(strings.NewReader(bad + "\n")); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
