package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	stdsync "sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// terminal is a chat that stays open: what is typed goes in, what it shows is kept.
type terminal struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu  stdsync.Mutex
	out bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.Write(b)
}

func (t *terminal) shown() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.String()
}

type terminalsKey struct{}

func terminals(ts *testscript.TestScript) map[string]*terminal {
	return ts.Value(terminalsKey{}).(map[string]*terminal)
}

// cmdChat opens a chat: chat PROFILE ADDRESS. The profile names it.
func cmdChat(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: chat PROFILE ADDRESS")
	}
	open(ts, args[0], "--profile", args[0], "chat", args[1])
}

// cmdFollow opens an inbox that stays open until the script ends: follow PROFILE FLAG...
// It hears what it shows under the profile's name.
func cmdFollow(ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: follow PROFILE FLAG...")
	}
	open(ts, args[0], append([]string{"--profile", args[0], "inbox", "--follow"}, args[1:]...)...)
}

// open runs a command that stays open, with a name for what it shows.
func open(ts *testscript.TestScript, name string, args ...string) {
	t := &terminal{cmd: exec.Command(waxwingPath(ts), args...)}
	t.cmd.Dir = ts.Getenv("WORK")
	t.cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "PATH="+ts.Getenv("PATH"))
	t.cmd.Stdout, t.cmd.Stderr = t, t
	var err error
	t.in, err = t.cmd.StdinPipe()
	ts.Check(err)
	ts.Check(t.cmd.Start())
	terminals(ts)[name] = t
	ts.Defer(func() {
		_ = t.cmd.Process.Kill()
		_ = t.cmd.Wait()
	})
}

// waxwingPath is the program as the scripts run it.
func waxwingPath(ts *testscript.TestScript) string {
	path, err := exec.LookPath("waxwing")
	if err == nil {
		return path
	}
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		if _, err := os.Stat(dir + "/waxwing"); err == nil {
			return dir + "/waxwing"
		}
	}
	ts.Fatalf("waxwing is not in PATH")
	return ""
}

// cmdSay types a line: say PROFILE TEXT.
func cmdSay(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: say PROFILE TEXT")
	}
	_, err := io.WriteString(terminals(ts)[args[0]].in, args[1]+"\n")
	ts.Check(err)
}

// cmdHears waits until an open chat shows something: hears PROFILE REGEXP.
func cmdHears(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: hears PROFILE REGEXP")
	}
	want, t := regexp.MustCompile("(?m)"+args[1]), terminals(ts)[args[0]]
	for deadline := time.Now().Add(time.Minute); !want.MatchString(t.shown()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not hear %q; it shows\n%s", args[0], args[1], t.shown())
		}
	}
}

// cmdHangUp ends the input of a chat, which must end well: hangup PROFILE.
func cmdHangUp(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: hangup PROFILE")
	}
	t := terminals(ts)[args[0]]
	ts.Check(t.in.Close())
	if err := t.cmd.Wait(); err != nil {
		ts.Fatalf("the chat ended with %v:\n%s", err, t.shown())
	}
}
