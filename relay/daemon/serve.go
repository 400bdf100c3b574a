package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"waxwing/core/keys"
	"waxwing/relay/node"
)

func serveCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	var exitWithStdin bool
	c := &cobra.Command{
		Use:   "serve --data DIR | --config FILE",
		Short: "Serve a provider until SIGTERM or SIGINT",
		Long: "serve prints one line of JSON on standard output when it can be reached and logs to\n" +
			"standard error. SIGTERM and SIGINT drain and exit with 0. Flags override the environment,\n" +
			"and that the configuration file.",
		Args: noArguments,
	}
	flags := configFlags(c)
	c.Flags().BoolVar(&exitWithStdin, "exit-with-stdin", false, "drain and exit when standard input ends")
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, r, err := configure(c, flags)
		if err != nil {
			return err
		}
		ctx := c.Context()
		if exitWithStdin {
			ctx = untilEOF(ctx, stdin)
		}
		s := &server{conf: r, stdout: stdout, log: r.logger(stderr)}
		for _, w := range l.warnings {
			s.log.Warn(w)
		}
		return s.serve(ctx)
	}
	return c
}

// untilEOF returns a context that ends when r does.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	// Reading cannot be interrupted; the goroutine ends with the process.
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, r)
	}()
	return ctx
}

// ready is the one line on standard output.
type ready struct {
	Ready   bool     `json:"ready"`
	Domain  string   `json:"domain"`
	Addr    string   `json:"addr"`
	Pin     keys.Pin `json:"pin"`
	Metrics string   `json:"metrics,omitempty"`
	Admin   string   `json:"admin,omitempty"` // path of the admin socket
}

// server is one run of serve.
type server struct {
	// fixed
	conf   *resolved
	stdout io.Writer
	log    *slog.Logger
}

func (s *server) serve(ctx context.Context) error {
	dir := s.conf.node.Dir
	domain, _, err := node.Identify(dir)
	if err != nil {
		return dataFailure("read", dir, err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	conf := s.conf.node
	conf.Logger = s.log
	if conf.Secret, err = readSecret(s.conf.secret); err != nil {
		return err
	}
	n, err := node.Open(conf)
	clear(conf.Secret)
	if err != nil {
		return s.openFailure(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	line := ready{Ready: true, Domain: domain.String(), Addr: n.Addr().String(), Pin: n.Pin()}
	stop, err := s.beside(n, cancel, &line)
	defer stop()
	if err == nil {
		// The socket is bound: what arrives before Run begins waits in it.
		if err = json.NewEncoder(s.stdout).Encode(&line); err != nil {
			err = &failure{ExitFailed, "cannot write the ready line", "give the server an open standard output", err}
		}
	}
	if err != nil {
		cancel() // Run with an ended context closes what Open opened
		return errors.Join(err, n.Run(ctx))
	}
	s.log.Info("serving", "peers", len(conf.Peers))
	if err := n.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return &failure{
			ExitFailed, "the server stopped serving " + domain.String(),
			"nothing acknowledged is lost: look at the disk under " + dir + ", then start it again", err,
		}
	}
	s.log.Info("drained")
	return nil
}

// beside starts what listens beside the node. drain ends the server; stop is
// never nil.
func (s *server) beside(n *node.Node, drain context.CancelFunc, line *ready) (stop func(), err error) {
	var started []func()
	stop = func() {
		for _, f := range slices.Backward(started) {
			f()
		}
	}
	if s.conf.metrics != "" {
		metrics, err := newMonitor(s.conf.metrics, n, s.log)
		if err != nil {
			return stop, &failure{
				ExitInUse, fmt.Sprintf("cannot listen on %s for the metrics", s.conf.metrics),
				"choose another address with --metrics", err,
			}
		}
		started = append(started, metrics.close)
		line.Metrics = metrics.addr()
	}
	if s.conf.socket != "" {
		operators, err := listenAdmin(s.conf.socket, n, drain, s.log)
		if err != nil {
			return stop, &failure{
				ExitFailed, "cannot make the admin socket " + s.conf.socket,
				"choose another path with --admin-socket, or none", err,
			}
		}
		started = append(started, operators.Close)
		line.Admin = s.conf.socket
	}
	return stop, nil
}

func (r *resolved) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: r.level}
	if r.json {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// openFailure explains why the server could not start.
func (s *server) openFailure(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &failure{
			ExitInUse, fmt.Sprintf("cannot listen on %s", s.conf.node.Listen),
			"stop what listens there, or choose another address with --listen", err,
		}
	case errors.Is(err, node.ErrConfig):
		return &failure{ExitUsage, "cannot serve with this configuration", "run \"waxwingd check-config\" with the same flags", err}
	}
	return dataFailure("open", s.conf.node.Dir, err)
}
