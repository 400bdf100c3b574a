package badgerstore

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"
)

// fault is why the engine stopped. Its text names an operation and, if there
// is one, the operating system's error; never what Badger says, which holds
// keys.
type fault struct {
	during string
	errno  error
}

func (f *fault) Error() string {
	if f.errno != nil {
		return "badgerstore: " + f.during + ": " + f.errno.Error()
	}
	return "badgerstore: " + f.during
}

func (f *fault) Unwrap() error { return f.errno }

func newFault(during string, err error) *fault {
	f := &fault{during: during}
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		f.errno = errno
	case errors.Is(err, errCorrupt):
		f.errno = errCorrupt
	}
	return f
}

// badgerLog receives what Badger logs. Errors stop the engine: Badger goes on
// after failed syncs of the value log and failed reads, and says so here only.
type badgerLog struct {
	fail func(error)  // fixed
	to   *slog.Logger // fixed; may be nil
}

func (l *badgerLog) Errorf(format string, args ...any) {
	f := newFault("Badger reported an error", nil)
	for _, a := range args {
		if err, ok := a.(error); ok {
			f = newFault(f.during, err)
		}
	}
	if l.to != nil {
		l.to.Error("storage engine", "message", plain(format), "error", f)
	}
	l.fail(f)
}

func (l *badgerLog) Warningf(format string, _ ...any) {
	if l.to != nil {
		l.to.Warn("storage engine", "message", plain(format))
	}
}

func (l *badgerLog) Infof(string, ...any)  {}
func (l *badgerLog) Debugf(string, ...any) {}

// plain is a message without its arguments, which may be keys.
func plain(format string) string { return strings.TrimSpace(format) }
