package child

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

const (
	// readyTime is how long a child may take to print its line: opening a store
	// after a crash on a busy machine, and to spare.
	readyTime = 30 * time.Second
	// stopTime is how long a child may take to drain before it is killed: the
	// server's own limit is five seconds.
	stopTime = 15 * time.Second
	// lineLimit bounds a child's line.
	lineLimit = 64 << 10
	// tailLimit is how much of a child's log an error shows.
	tailLimit = 2 << 10
)

// ErrEnded says that the child ended when it should not have.
var ErrEnded = errors.New("child: ended")

// Process is a child with a pipe to its input and one from its output.
type Process struct {
	// fixed
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan []byte // closed at the end of the output
	log   string      // path of what it wrote to standard error
	done  chan struct{}

	err error // why it ended; valid once done is closed
}

// Spawn starts this program again under another name, args[0], and appends what
// it writes to standard error to the file log.
func Spawn(log string, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the child has its own
	cmd := &exec.Cmd{Path: self, Args: args, Stderr: f}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, stdin: stdin, lines: make(chan []byte, 16), log: log, done: make(chan struct{})}
	go p.read(stdout)
	return p, nil
}

// read passes the child's lines on and collects it when they end.
func (p *Process) read(stdout io.Reader) {
	scan := bufio.NewScanner(stdout)
	scan.Buffer(nil, lineLimit)
	for scan.Scan() {
		select {
		case p.lines <- bytes.Clone(scan.Bytes()):
		default: // nobody asked for it
		}
	}
	close(p.lines)
	p.err = p.cmd.Wait()
	close(p.done)
}

// Line returns the next line that the child prints.
func (p *Process) Line(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	select {
	case line, ok := <-p.lines:
		if ok {
			return line, nil
		}
		<-p.done
		return nil, fmt.Errorf("%w: %v; its log ends with:\n%s", ErrEnded, p.cmd.ProcessState, p.tail())
	case <-ctx.Done():
		return nil, fmt.Errorf("child: no line within %s: %w; its log ends with:\n%s", readyTime, ctx.Err(), p.tail())
	}
}

// Write sends bytes to the child's standard input.
func (p *Process) Write(b []byte) (int, error) { return p.stdin.Write(b) }

// tail returns the end of the child's log.
func (p *Process) tail() []byte {
	b, _ := os.ReadFile(p.log)
	return bytes.TrimSpace(b[max(0, len(b)-tailLimit):])
}

// Running reports whether the child has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the child as kill -9 does and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
	_ = p.stdin.Close()
}

// Stop closes the child's input and waits until it has drained. It returns an
// error if the child did not end by itself with exit code 0.
func (p *Process) Stop() error {
	_ = p.stdin.Close()
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%w: %w; its log ends with:\n%s", ErrEnded, p.err, p.tail())
		}
		return nil
	case <-time.After(stopTime):
		p.Kill()
		return fmt.Errorf("child: did not end within %s and was killed", stopTime)
	}
}
