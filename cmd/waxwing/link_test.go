package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// side is one of the two commands that link a device.
type side struct {
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Reader
}

func startSide(ts *testscript.TestScript, args ...string) *side {
	// testscript puts the programs of the scripts in front of the path.
	bin, _, _ := strings.Cut(ts.Getenv("PATH"), string(os.PathListSeparator))
	cmd := exec.Command(filepath.Join(bin, "waxwing"), args...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"), "HOME="+ts.Getenv("HOME"))
	r, in, err := os.Pipe()
	ts.Check(err)
	cmd.Stdin = r
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	r.Close()
	ts.Defer(func() { _ = cmd.Process.Kill() })
	return &side{cmd: cmd, in: in, out: bufio.NewReader(out)}
}

// line is the next that the command prints.
func (s *side) line(ts *testscript.TestScript) (l linkLine) {
	text, err := s.out.ReadString('\n')
	ts.Check(err)
	ts.Check(json.Unmarshal([]byte(text), &l))
	return l
}

// end waits for the command and returns the exit code.
func (s *side) end(ts *testscript.TestScript) int {
	for {
		if _, err := s.out.ReadString('\n'); err != nil {
			break
		}
	}
	err := s.cmd.Wait()
	s.in.Close()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	ts.Check(err)
	return 0
}

// cmdLink links a device: EXISTING NEW ANSWER ANSWER CODE CODE. Both commands
// show the same digits, get their answers and end with their exit codes.
func cmdLink(ts *testscript.TestScript, args []string) {
	old := startSide(ts, "--profile", args[0], "--json", "device", "link")
	code := old.line(ts).Code
	fresh := startSide(ts, "--profile", args[1], "--json", "device", "join", code)
	a, b := old.line(ts).Digits, fresh.line(ts).Digits
	if a != b || len(a) != 6 {
		ts.Fatalf("digits %q and %q", a, b)
	}
	for i, s := range []*side{old, fresh} {
		_, err := s.in.WriteString(args[2+i] + "\n")
		ts.Check(err)
	}
	for i, s := range []*side{old, fresh} {
		want, err := strconv.Atoi(args[4+i])
		ts.Check(err)
		if got := s.end(ts); got != want {
			ts.Fatalf("%s ended with %d, want %d", args[i], got, want)
		}
	}
}
