package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/content"
	"waxwing/core/keys"
	"waxwing/franking"
	"waxwing/relay/reports"
)

// maxEvidence bounds an evidence file, in bytes: its parts with their names.
const maxEvidence = franking.MaxParts * (franking.MaxPart + 256)

// evidenceLine is one message of an evidence file, as JSON.
type evidenceLine struct {
	Message  int        `json:"message"`
	Proven   bool       `json:"proven"`
	Stated   string     `json:"stated"`  // what the desk found; "none" is proven
	Finding  string     `json:"finding"` // what this program found
	Text     string     `json:"text,omitempty"`
	Sent     time.Time  `json:"sent,omitzero"` // as the sender claims
	Files    []fileLine `json:"attachments,omitempty"`
	Provider string     `json:"provider,omitempty"`
}

func (a *app) reportVerifyCommand() *cobra.Command {
	var pin string
	c := &cobra.Command{
		Use:   "verify FILE --pin PIN",
		Short: "Verify an exported evidence file offline, with nothing but the pin of the provider that exported it",
		Long: "verify checks the desk's signature over the file, and for each message that some account of the\n" +
			"sender's provider signed it for the reader. That it was delivered, when, and to whom the mailbox\n" +
			"belonged, the desk states: nobody else can check it. Exit code 0: every message is proven.",
		Args: arguments("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := keys.ParsePin(pin)
			if err != nil {
				return usage(c, errors.New("--pin is not a provider's pin; \"waxwingd pin\" prints it"))
			}
			return a.verifyEvidence(args[0], p)
		},
	}
	c.Flags().StringVar(&pin, "pin", "", "pin of the provider that exported the file")
	return c
}

func (a *app) verifyEvidence(path string, pin keys.Pin) error {
	st, err := os.Stat(path)
	if err != nil {
		return &failure{code: exitNotFound, what: "there is no file " + path, next: "check its name"}
	}
	if st.Size() > maxEvidence {
		return notEvidence(path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return &failure{code: exitFailed, what: "the file " + path + " cannot be read", err: err, next: "check its mode"}
	}
	x, err := franking.ReadExport(b, func(root keys.VerifyKey) bool { return keys.PinOf(root) == pin }, reports.FrameOf)
	switch {
	case errors.Is(err, franking.ErrExportRoot):
		return &failure{code: exitFailed, what: "the file is not of the provider that the pin names", next: "check --pin"}
	case err != nil:
		return notEvidence(path)
	}
	if !a.json {
		if err := a.print(nil, "evidence of %s for report %s, made %s, reported by %s\n", x.Manifest.Provider,
			hex.EncodeToString(x.Manifest.Report[:]), time.UnixMilli(int64(x.Manifest.Made)).UTC().Format(time.RFC3339), x.Manifest.Reader); err != nil {
			return err
		}
	}
	unproven := 0
	for i := range x.Messages {
		l := lineOfEvidence(i+1, &x.Messages[i])
		if !l.Proven {
			unproven++
		}
		text := "NOT PROVEN: " + l.Finding + ", the desk says " + l.Stated
		if l.Proven {
			text = withFiles("proven, by some account of "+l.Provider, l.Files) + ": " + plain(l.Text)
		}
		if err := a.print(&l, "message %d: %s\n%s", l.Message, text, l.parts()); err != nil {
			return err
		}
	}
	if unproven > 0 || len(x.Messages) == 0 {
		return &failure{
			code: exitFailed, what: fmt.Sprintf("%d of %d messages are not proven", unproven, len(x.Messages)),
			next: "do not act on those; the others stand",
		}
	}
	return nil
}

// parts says which parts of attachments are proven; --json has their content.
func (l *evidenceLine) parts() string {
	var b strings.Builder
	for i := range l.Files {
		for _, p := range l.Files[i].Proven {
			fmt.Fprintf(&b, "  proven of %s: %d bytes at %d\n", &l.Files[i], len(p.Content), p.Offset)
		}
	}
	return b.String()
}

func lineOfEvidence(n int, m *franking.ExportedMessage) evidenceLine {
	l := evidenceLine{Message: n, Stated: m.Stated.String(), Finding: m.Fault.String()}
	l.Proven = m.Stated == franking.FaultNone && m.Fault == franking.FaultNone && m.Verified != nil
	if !l.Proven {
		return l
	}
	e := m.Verified.Evidence()
	l.Provider, l.Files = e.Token.Issuer.String(), provenFiles(m.Verified)
	if f, err := content.ParseFrame(e.Frame); err == nil {
		l.Text, l.Sent = f.Text, time.UnixMilli(int64(f.Sent)).UTC()
	}
	return l
}

func notEvidence(path string) error {
	return &failure{
		code: exitFailed, what: path + " is not an evidence file, or was changed",
		next: "have it exported again with \"waxwing admin reports export\"",
	}
}
