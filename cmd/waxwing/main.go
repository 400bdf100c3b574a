package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"waxwing/cmd/waxwing/internal/bench"
	"waxwing/relay/daemon"
)

func main() {
	switch strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") {
	case "waxwingd":
		os.Exit(server())
	case bench.FloorName:
		os.Exit(bench.FloorMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(user())
}

// server is the program under the name waxwingd.
func server() int { return daemon.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr) }

// user is the program under its own name.
func user() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// After the first signal the default comes back: a second one ends the
	// process at once.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
