package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"waxwing/cmd/waxwing/internal/demo"
)

func (a *app) demoCommand() *cobra.Command {
	var conf demo.Config
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show two providers and two users at work on this machine, and check every claim",
		Long: "demo starts alpha.example and beta.example as two servers of their own on the loopback\n" +
			"interface, with their data in a temporary directory that is removed at the end. It exits\n" +
			"with 0 only if everything that it claims was checked and holds. With --json it prints each\n" +
			"step when it is over and, at the end, one line with all of them.",
		Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			enc := json.NewEncoder(a.out)
			if a.json {
				conf.Event = func(s *demo.Step) { _ = enc.Encode(s) }
			} else {
				conf.Text, conf.TTY = a.out, a.progress()
			}
			report, err := demo.Run(c.Context(), conf)
			if errors.Is(err, demo.ErrConfig) {
				return usage(c, err)
			}
			if a.json {
				if err := enc.Encode(report); err != nil {
					return err
				}
			}
			if err != nil {
				return &failure{
					code: exitFailed, what: "the demo failed", err: err,
					next: "run it with --keep and look at the servers' logs beside their data",
				}
			}
			if a.json {
				return nil
			}
			claims := 0
			for _, s := range report.Steps {
				claims += len(s.Claims)
			}
			_, err = fmt.Fprintf(a.out, "\nAll %d claims were checked and hold. %.1f s.\n", claims, report.Seconds)
			return err
		},
	}
	c.Flags().IntVar(&conf.Messages, "messages", demo.DefaultMessages, "messages of the load")
	c.Flags().BoolVar(&conf.Keep, "keep", false, "leave the servers' data and logs on disk")
	return c
}
