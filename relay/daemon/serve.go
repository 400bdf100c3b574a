package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"syscall"

	"github.com/spf13/cobra"

	"waxwing/relay"
	"waxwing/relay/node"
	"waxwing/relay/quicnet"
)

// options are the flags of serve.
type options struct {
	data          string
	listen        addressFlag
	endpoints     []string
	peers         peersFlag
	registration  choiceFlag
	metrics       addressFlag
	exitWithStdin bool
	logFormat     choiceFlag
	logLevel      choiceFlag
	limits        limitsFlag
}

func serveCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	o := &options{
		listen:       ":4433",
		registration: choiceFlag{"invite", []string{"invite", "open", "closed"}},
		logFormat:    choiceFlag{"text", []string{"text", "json"}},
		logLevel:     choiceFlag{"info", []string{"debug", "info", "warn", "error"}},
	}
	c := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Serve a provider until SIGTERM or SIGINT",
		Long: "serve prints one line of JSON on standard output when it can be reached and logs to\n" +
			"standard error. SIGTERM and SIGINT drain and exit with 0.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needData(c, o.data); err != nil {
				return err
			}
			for _, e := range o.endpoints {
				if err := hostPort(e); err != nil {
					return usage(c.CommandPath(), err)
				}
			}
			ctx := c.Context()
			if o.exitWithStdin {
				ctx = untilEOF(ctx, stdin)
			}
			return serve(ctx, o, stdout, stderr)
		},
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "data directory made by init (required)")
	f.Var(&o.listen, "listen", "UDP address to listen on")
	f.StringSliceVar(&o.endpoints, "endpoint", nil, "HOST:PORT by which others reach this server; default: the address listened on")
	f.Var(&o.peers, "peer", "another provider; repeat for each")
	f.Var(&o.registration, "registration", "who may register an account")
	f.Var(&o.metrics, "metrics", "address of the HTTP port with /metrics, /healthz and /readyz; default: none")
	f.BoolVar(&o.exitWithStdin, "exit-with-stdin", false, "drain and exit when standard input ends")
	f.Var(&o.logFormat, "log-format", "form of the log on standard error")
	f.Var(&o.logLevel, "log-level", "least level that is logged")
	f.Var(&o.limits, "limit", "rate limit instead of its default; repeat for each. UNIT is s, m, h or d; NAME one of "+
		"account-envelopes, account-tickets, account-requests, peer-envelopes, peer-bytes, peer-requests, registrations")
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
	Ready   bool        `json:"ready"`
	Domain  string      `json:"domain"`
	Addr    string      `json:"addr"`
	Pin     quicnet.Pin `json:"pin"`
	Metrics string      `json:"metrics,omitempty"`
}

func serve(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	domain, _, err := node.Identify(o.data)
	if err != nil {
		return dataFailure("read", o.data, err)
	}
	log := o.logger(stderr)
	unlock, err := lock(o.data)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := node.Open(node.Config{
		Dir: o.data, Listen: string(o.listen), Endpoints: o.endpoints,
		Peers: o.peers, Registration: o.registrationMode(), Limits: o.limits.config, Logger: log,
	})
	if err != nil {
		return openFailure(o, err)
	}
	var metrics *monitor
	if o.metrics != "" {
		if metrics, err = newMonitor(string(o.metrics), n, log); err != nil {
			// Run with an ended context closes what Open opened.
			ended, cancel := context.WithCancel(ctx)
			cancel()
			return errors.Join(&failure{
				ExitInUse, fmt.Sprintf("cannot listen on %s for the metrics", o.metrics),
				"choose another address with --metrics", err,
			}, n.Run(ended))
		}
		defer metrics.close()
	}
	line := ready{Ready: true, Domain: domain.String(), Addr: n.Addr().String(), Pin: n.Pin()}
	if metrics != nil {
		line.Metrics = metrics.addr()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The socket is bound: what arrives before Run begins waits in it.
	if err := json.NewEncoder(stdout).Encode(&line); err != nil {
		cancel()
		err = &failure{ExitFailed, "cannot write the ready line", "give the server an open standard output", err}
		return errors.Join(err, n.Run(ctx))
	}
	log.Info("serving", "peers", len(o.peers))
	if err := n.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return &failure{
			ExitFailed, "the server stopped serving " + domain.String(),
			"nothing acknowledged is lost: look at the disk under " + o.data + ", then start it again", err,
		}
	}
	log.Info("drained")
	return nil
}

func (o *options) registrationMode() relay.Registration {
	switch o.registration.value {
	case "open":
		return relay.RegistrationOpen
	case "closed":
		return relay.RegistrationClosed
	}
	return relay.RegistrationInvite
}

func (o *options) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel.value)); err != nil {
		level = slog.LevelInfo // the flag allows only slog's own names
	}
	opts := &slog.HandlerOptions{Level: level}
	if o.logFormat.value == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// openFailure explains why the server could not start.
func openFailure(o *options, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &failure{
			ExitInUse, fmt.Sprintf("cannot listen on %s", o.listen),
			"stop what listens there, or choose another address with --listen", err,
		}
	case errors.Is(err, node.ErrConfig):
		return &failure{ExitUsage, "cannot serve with these flags", "run \"waxwingd serve --help\"", err}
	}
	return dataFailure("open", o.data, err)
}
