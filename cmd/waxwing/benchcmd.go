package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"waxwing/cmd/waxwing/internal/bench"
)

func (a *app) benchCommand() *cobra.Command {
	var conf bench.Config
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure what a relay costs per message, beside a bare QUIC receiver of the same bytes",
		Long: "bench starts two relays and a floor on this machine and sends envelopes of 1 KiB over one\n" +
			"and two durable hops with at most 256 unacknowledged. Processor time per message is the\n" +
			"robust figure; messages per second depend on what else the machine does.",
		Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			watch := a.progress()
			conf.Progress = func(what string) { fmt.Fprintf(watch, "\r\x1b[K%s", what) }
			r, err := bench.Run(c.Context(), conf)
			fmt.Fprint(watch, "\r\x1b[K")
			switch {
			case errors.Is(err, bench.ErrConfig):
				return usage(c, err)
			case err != nil:
				return &failure{code: exitFailed, what: "the measurement failed", err: err, next: "run it again with fewer --messages"}
			case a.json:
				return json.NewEncoder(a.out).Encode(r)
			}
			return r.Write(a.out)
		},
	}
	c.Flags().IntVar(&conf.Messages, "messages", bench.DefaultMessages, "messages of each load")
	c.Flags().IntVar(&conf.Rounds, "rounds", bench.DefaultRounds, "rounds, whose medians are printed")
	return c
}
