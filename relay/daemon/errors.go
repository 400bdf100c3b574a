package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The exit codes, as the package documentation lists them.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
	ExitInUse  = 3
)

// failure is an error for the operator: what happened to what, and what to do
// next.
type failure struct {
	code int
	what string
	next string
	err  error // the cause, whose text is shown; may be nil
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.what
	}
	return f.what + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// usage is a failure of the command line itself.
func usage(command string, err error) error {
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	return &failure{ExitUsage, "cannot understand the command line", "run \"" + command + " --help\"", err}
}

// report writes err to w and returns the exit code.
func report(w io.Writer, err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return ExitOK
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{code: ExitFailed, what: "failed", err: err}
	}
	fmt.Fprintf(w, "waxwingd: %s\n", strings.TrimSpace(f.Error()))
	if f.next != "" {
		fmt.Fprintf(w, "  next: %s\n", f.next)
	}
	return f.code
}
