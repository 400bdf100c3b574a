package main

import (
	"cmp"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/keys"
	"waxwing/franking"
	"waxwing/relay/admin"
)

// Heads of logs, for who audits them.

func (a *app) reviewHeadsCommand(r *remote) *cobra.Command {
	p := new(admin.HeadsParams)
	c := request(r, "heads --data DIR", "Show what the logs have grown to, and the peers' logs of openings as they last showed them",
		admin.ReportHeads, same(p), func(all *admin.HeadsResult) error {
			if a.json {
				return a.print(all, "")
			}
			head := []string{"provider", "log", "segment", "entries", "root", "signed", "state"}
			return table(a, all.Heads, head, func(h *admin.Head) []any {
				signed := ""
				if !h.Signed.IsZero() {
					signed = h.Signed.Format(time.RFC3339)
				}
				return []any{h.Provider, h.Log, h.Segment, h.Size, h.Root, cmp.Or(signed, "-"), h.State}
			})
		})
	c.Flags().StringVar(&p.Forget, "forget", "", "forget the log of this peer first, whose operator has explained why it is another")
	return c
}

func (a *app) reviewLogCommand(r *remote) *cobra.Command {
	p := new(admin.LogParams)
	var since, out string
	c := request(r, "log --data DIR", "Write the signed head of a log to a file, with the proof that it continues an older one",
		admin.ReportLog, same(p), func(x *admin.ExportResult) error {
			if err := os.WriteFile(out, x.File, 0o600); err != nil {
				return &failure{code: exitFailed, what: "the file " + out + " cannot be written", err: err, next: "name another one with --out"}
			}
			return a.print(struct {
				File string `json:"file"`
			}{out}, "wrote %s\nnext: keep it; verify it with \"waxwing report verify-log\"\n", out)
		})
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if since != "" {
			b, err := readLogFile(since)
			if err != nil {
				return err
			}
			p.Since = b
		}
		return run(c, args)
	}
	c.Flags().StringVar(&p.Log, "log", "openings", "which log: openings or trail")
	c.Flags().StringVar(&since, "since", "", "an older such file, to be shown that nothing in it was changed")
	c.Flags().StringVar(&out, "out", "log.waxwing", "the file")
	return c
}

// maxLogFile bounds a log file, in bytes: a desk, two heads and a proof.
const maxLogFile = 64 << 10

func readLogFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, &failure{code: exitNotFound, what: "there is no file " + path, next: "check its name"}
	}
	if st.Size() > maxLogFile {
		return nil, notLogFile(path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, &failure{code: exitFailed, what: "the file " + path + " cannot be read", err: err, next: "check its mode"}
	}
	return b, nil
}

func notLogFile(path string) error {
	return &failure{
		code: exitFailed, what: path + " is not the head of a log, or was changed",
		next: "have it made again with \"waxwing admin reports log\"",
	}
}

// logLine is a verified log file, as JSON.
type logLine struct {
	Provider  string    `json:"provider"`
	Segment   uint32    `json:"segment"`
	Size      uint64    `json:"size"`
	Signed    time.Time `json:"signed"`
	Continues bool      `json:"continues"` // the older file's log
}

func (a *app) verifyLogCommand() *cobra.Command {
	var pin, since string
	c := &cobra.Command{
		Use:   "verify-log FILE --pin PIN [--since OLDFILE]",
		Short: "Verify the head of a provider's log offline, and that it continues the one in an older file",
		Long: "verify-log checks the desk's signature over what the log had grown to and, with --since, that the\n" +
			"log of the older file is its beginning: nothing was taken out or changed in between. The newer file\n" +
			"has to be made with --since and the same older one. Exit code 0: it holds.",
		Args: arguments("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := keys.ParsePin(pin)
			if err != nil {
				return usage(c, errors.New("--pin is not a provider's pin; \"waxwingd pin\" prints it"))
			}
			return a.verifyLog(args[0], since, p)
		},
	}
	c.Flags().StringVar(&pin, "pin", "", "pin of the provider whose log it is")
	c.Flags().StringVar(&since, "since", "", "an older file of the same log")
	return c
}

func (a *app) verifyLog(path, since string, pin keys.Pin) error {
	head, continued, err := loadLog(path, pin)
	if err != nil {
		return err
	}
	if since != "" {
		old, _, err := loadLog(since, pin)
		if err != nil {
			return err
		}
		if continued == nil || *continued != *old {
			return &failure{
				code: exitFailed, what: path + " is not shown to continue " + since,
				next: "have it made with --since " + since + "; if that is refused, the log is another",
			}
		}
	}
	l := logLine{head.Provider.String(), head.Segment, head.Size, time.UnixMilli(int64(head.At)).UTC(), since != ""}
	text := "segment %d with %d entries of %s, signed %s\n"
	if l.Continues {
		text = "segment %d with %d entries of %s, signed %s; it continues the older one\n"
	}
	return a.print(l, text, l.Segment, l.Size, l.Provider, l.Signed.Format(time.RFC3339))
}

func loadLog(path string, pin keys.Pin) (head, since *franking.LogHead, err error) {
	b, err := readLogFile(path)
	if err != nil {
		return nil, nil, err
	}
	head, since, err = franking.ReadLogFile(b, func(root keys.VerifyKey) bool { return keys.PinOf(root) == pin })
	switch {
	case errors.Is(err, franking.ErrLogRoot):
		return nil, nil, &failure{code: exitFailed, what: path + " is not of the provider that the pin names", next: "check --pin"}
	case err != nil:
		return nil, nil, notLogFile(path)
	}
	return head, since, nil
}
