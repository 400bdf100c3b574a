package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/relay/node"
)

// configure loads and checks the configuration that a command line names.
func configure(c *cobra.Command, flags *overrides) (*loaded, *resolved, error) {
	l, err := environment(flags.data, flags.file).load()
	if err == nil {
		err = flags.apply(c, l)
	}
	if err != nil {
		return nil, nil, configFailure(flags, err)
	}
	if l.Data == "" {
		return nil, nil, usage(c.CommandPath(), errors.New("--data or --config is missing: the directory that holds the provider's keys and messages, or a configuration"))
	}
	// A directory that is not initialised is reported by whoever needs it.
	own, _, err := node.Identify(l.Data)
	if err != nil {
		own = ids.Domain{}
	}
	r, err := l.resolve(own)
	if err != nil {
		return nil, nil, configFailure(flags, err)
	}
	l.warn(r)
	return l, r, nil
}

// configFailure explains what is wrong with a configuration.
func configFailure(flags *overrides, err error) error {
	var all problems
	if errors.As(err, &all) {
		return &failure{ExitUsage, "the configuration cannot be used", "correct the above and try \"waxwingd check-config\"", err}
	}
	f := &failure{ExitFailed, "cannot read the configuration", "check the path and its permissions", err}
	if errors.Is(err, fs.ErrNotExist) && flags.file != "" {
		f.next = "name an existing file with --config, or a data directory with --data"
	}
	return f
}

// warn notes what is allowed and seldom meant.
func (l *loaded) warn(r *resolved) {
	if text := exposed(r.secret); text != "" {
		l.warnings = append(l.warnings, text)
	}
	host, _, _ := net.SplitHostPort(r.node.Listen)
	if ip := net.ParseIP(host); len(l.Endpoints) == 0 && (host == "" || ip != nil && ip.IsUnspecified()) {
		l.warnings = append(l.warnings, "endpoints is not set and the server listens on all addresses: others are not told where it is")
	}
}

// checked is what check-config prints.
type checked struct {
	OK       bool              `json:"ok"`
	File     string            `json:"file,omitempty"`
	Settings map[string]string `json:"settings"` // what is set, and where: value (source)
	Warnings []string          `json:"warnings,omitempty"`
}

func checkCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check-config --data DIR | --config FILE",
		Short: "Check the configuration as serve would read it, and say all that is wrong",
		Args:  noArguments,
	}
	flags := configFlags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, r, err := configure(c, flags)
		if err != nil {
			return err
		}
		if _, err := readSecret(r.secret); err != nil {
			return err
		}
		out := &checked{OK: true, File: l.file, Settings: l.settings(), Warnings: l.warnings}
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(out)
		}
		return out.print(c.OutOrStdout())
	}
	return c
}

// settings describes what is set.
func (l *loaded) settings() map[string]string {
	out := map[string]string{}
	for key, source := range l.from {
		value := ""
		switch key {
		case "endpoints":
			value = strings.Join(l.Endpoints, " ")
		case "peers":
			var names []string
			for _, p := range l.Peers {
				names = append(names, p.Domain)
			}
			value = strings.Join(names, " ")
		default:
			value = *lookup(key).in(&l.Config)
		}
		out[key] = fmt.Sprintf("%s (%s)", value, source)
	}
	l.Limits.told(out)
	return out
}

func (c *checked) print(w io.Writer) error {
	file := c.File
	if file == "" {
		file = "there is no file: defaults"
	}
	text := "ok: " + file + "\n"
	for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
		text += fmt.Sprintf("  %s = %s\n", key, c.Settings[key])
	}
	for _, warning := range c.Warnings {
		text += "warning: " + warning + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
