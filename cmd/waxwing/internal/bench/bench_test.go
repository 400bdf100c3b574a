package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"waxwing/relay/daemon"
)

// TestMain lets the test's own binary be the servers.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "waxwingd":
		os.Exit(daemon.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case FloorName:
		os.Exit(FloorMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := Run(ctx, Config{Messages: 1000, Rounds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Hops) != 2 {
		t.Fatalf("%d paths", len(r.Hops))
	}
	for i, h := range r.Hops {
		if h.Hops != i+1 || h.RelayPerSecond <= 0 || h.RelayCPU <= 0 || h.FloorPerSecond <= 0 || h.FloorCPU <= 0 ||
			h.Ratio != h.RelayCPU/h.FloorCPU || h.P50 <= 0 || h.P99 < h.P50 {
			t.Errorf("%+v", h)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{Messages: 1}, {Messages: MaxMessages + 1}, {Rounds: -1}, {Rounds: MaxRounds + 1}} {
		if _, err := Run(context.Background(), c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A sender never has more than the window under way, and sends everything.
func TestWindow(t *testing.T) {
	const n, size = 1000, 16
	w := newWindow()
	sent := make(chan int, n)
	go func() {
		for i := range n {
			for len(sent) == 0 {
				time.Sleep(time.Microsecond)
			}
			if got := <-sent; got != i {
				t.Errorf("message %d after %d", got, i)
			}
			w.ack(uint64(i + 1))
		}
	}()
	next := 0
	err := w.send(context.Background(), n, size, func(i int) error {
		if i != next || i-int(w.acked.Load()) >= size {
			t.Errorf("message %d with %d acknowledged", i, w.acked.Load())
		}
		next++
		sent <- i
		return nil
	}, func() error { return nil })
	if err != nil || next != n {
		t.Errorf("sent %d, %v", next, err)
	}
}
