package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"waxwing/relay/client"
)

const (
	// holderFile names who has the profile open. It only informs: what excludes
	// another process is the lock on the profile's file, which ends with the
	// process, however it ends.
	holderFile = "holder"
	// lockWait is how long a command waits for another one to end.
	lockWait = 5 * time.Second
	// completionWait is how long completion waits.
	completionWait = 100 * time.Millisecond
	// maxHolder bounds what is read of the file, in bytes.
	maxHolder = 256
)

// hold says in the directory that this process has the profile. command is one
// of the program's own words, never what the user typed after it. It returns
// what takes it back.
func hold(dir, command string) func() {
	path := filepath.Join(dir, holderFile)
	// A failure costs the other process a name in its message, nothing else.
	_ = os.WriteFile(path, fmt.Appendf(nil, "%d %s\n", os.Getpid(), command), 0o600)
	return func() { _ = os.Remove(path) }
}

// heldBy explains that a profile is in use, and by whom.
func heldBy(dir string) *failure {
	f := explain("profile "+dir, client.ErrInUse)
	b, err := os.ReadFile(filepath.Join(dir, holderFile))
	if err != nil || len(b) > maxHolder {
		return f
	}
	pid, command, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	if _, err := strconv.Atoi(pid); err != nil {
		return f
	}
	f.what = "\"waxwing " + plain(command) + "\" (process " + pid + ") has the profile open"
	f.next = "end it, or use another --profile"
	return f
}

// open opens the profile for a command and says so to others.
func (a *app) open(dir string, open func(client.Config) (*client.Client, error)) (*client.Client, func(), error) {
	var c *client.Client
	err := a.unlocking(func(passphrase []byte) (err error) {
		c, err = open(client.Config{Dir: dir, LockTimeout: lockWait, Passphrase: passphrase})
		return err
	})
	if errors.Is(err, client.ErrInUse) {
		return nil, nil, heldBy(dir)
	}
	if err != nil {
		return nil, nil, err
	}
	return c, hold(dir, a.command), nil
}
