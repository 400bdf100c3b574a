package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"waxwing/relay/client"
)

const (
	// profileHint names the default directory in the help.
	profileHint = "waxwing below the user's data directory"
	// positionFile holds up to where inbox has shown the messages.
	positionFile = "inbox"
	// defaultWait is how long a command waits for the provider: a handshake on a
	// bad network and the peer's answer to a lookup, and to spare.
	defaultWait = 30 * time.Second
)

// directory returns the profile's directory.
func (a *app) directory() (string, error) {
	if a.profile != "" {
		return a.profile, nil
	}
	base, err := dataDirectory(runtime.GOOS)
	if err != nil {
		return "", &failure{
			code: exitUsage, what: "there is no data directory for a profile", err: err,
			next: "name a directory with --profile",
		}
	}
	return filepath.Join(base, "waxwing"), nil
}

// dataDirectory is where a system keeps an application's data: as the XDG base
// directory specification says, or what the library calls configuration on
// systems that keep both in one place.
func dataDirectory(system string) (string, error) {
	switch system {
	case "windows", "darwin", "ios", "plan9":
		return os.UserConfigDir()
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) { // a relative one is to be ignored
		return dir, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "share"), err
}

// with runs f with the open profile and closes it.
func (a *app) with(f func(*client.Client) error) error {
	dir, err := a.directory()
	if err != nil {
		return err
	}
	c, release, err := a.open(dir, client.Open)
	if err != nil {
		return explain("profile "+dir, err)
	}
	defer release()
	return errors.Join(f(c), c.Close())
}

// create makes the profile, or opens the one of a registration that did not
// come to its end.
func (a *app) create() (c *client.Client, release func(), err error) {
	dir, err := a.directory()
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, &failure{
			code: exitFailed, what: "cannot make the profile's directory " + dir, err: err,
			next: "name another one with --profile",
		}
	}
	c, release, err = a.open(dir, client.Create)
	if errors.Is(err, client.ErrExists) {
		c, release, err = a.open(dir, client.Open)
	}
	if err != nil {
		return nil, nil, explain("profile "+dir, err)
	}
	return c, release, nil
}

// sync exchanges with the provider for at most wait.
func sync(ctx context.Context, p *client.Client, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return p.Sync(ctx)
}

// position returns up to where inbox has shown the messages.
func (a *app) position() (uint64, error) {
	dir, err := a.directory()
	if err != nil {
		return 0, err
	}
	b, err := os.ReadFile(filepath.Join(dir, positionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, &failure{
			code: exitFailed, what: "the file " + filepath.Join(dir, positionFile) + " is damaged",
			next: "delete it; \"waxwing inbox\" then shows all messages again",
		}
	}
	return n, nil
}

// setPosition stores up to where inbox has shown the messages. It comes after
// the output: after a crash between the two a message is shown again rather
// than never.
func (a *app) setPosition(n uint64) error {
	dir, err := a.directory()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, positionFile)
	if err := os.WriteFile(path+".new", fmt.Appendf(nil, "%d\n", n), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
