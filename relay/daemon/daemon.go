package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/relay/node"
)

// Main runs the server's command line, without the program's name in args, and
// returns the exit code. It handles SIGTERM and SIGINT while it runs.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// After the first signal the default comes back: a second one ends the
	// process without waiting for the drain.
	context.AfterFunc(ctx, stop)
	return run(ctx, args, stdin, stdout, stderr)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "waxwingd",
		Short: "A messaging provider: relay, mailboxes and keys",
		Long: "waxwingd serves one domain: it takes its users' sealed envelopes, passes them to\n" +
			"other providers and keeps what arrives until it is fetched.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 usage, 3 in use.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c.CommandPath(), err) })
	root.AddCommand(initCommand(), pinCommand(), checkCommand(), serveCommand(stdin, stdout, stderr))
	return report(stderr, root.ExecuteContext(ctx))
}

// noArguments is cobra.NoArgs with an error that says what to do.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		return usage(c.CommandPath(), fmt.Errorf("there is no command %q", args[0]))
	}
	return usage(c.CommandPath(), fmt.Errorf("%q is not a flag, and %s takes no arguments", args[0], c.Name()))
}

// identity is what init and pin print.
type identity struct {
	Domain string   `json:"domain"`
	Pin    keys.Pin `json:"pin"`
	Data   string   `json:"data"`
	Config string   `json:"config,omitempty"` // of init
}

func initCommand() *cobra.Command {
	var data, secretPath string
	var asJSON bool
	c := &cobra.Command{
		Use:   "init DOMAIN --data DIR",
		Short: "Make a provider: keys, a commented configuration and an empty data directory",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(c.CommandPath(), errors.New("want one argument: the provider's domain"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			domain, err := ids.ParseDomain(args[0])
			if err != nil {
				return usage(c.CommandPath(), err)
			}
			if err := needData(c, data); err != nil {
				return err
			}
			secret, err := readSecret(initSecret(secretPath))
			if err != nil {
				return err
			}
			pin, err := node.Init(data, domain, secret)
			clear(secret)
			if err != nil {
				return dataFailure("initialise", data, err)
			}
			config, err := writeTemplate(data, domain.String())
			if err != nil {
				return dataFailure("write a configuration into", data, err)
			}
			return (&identity{domain.String(), pin, data, config}).welcome(c.OutOrStdout(), asJSON)
		},
	}
	dataFlags(c, &data, &asJSON)
	c.Flags().StringVar(&secretPath, "key-encryption-key-file", "", "`PATH`: file with the secret that key files are wrapped under; serve needs it as well")
	return c
}

// welcome says what was made and what comes next.
func (id *identity) welcome(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(id)
	}
	_, err := fmt.Fprintf(w, `made the provider %[1]s in %[2]s
pin: %[3]s

next:
  look at the configuration, %[4]s
  waxwingd serve --data %[2]s
  waxwing admin invite --data %[2]s    makes a code with which a user registers:
      waxwing register NAME@%[1]s --server HOST:PORT --pin %[3]s --invite CODE
  waxwing peer add DOMAIN HOST:PORT PIN --data %[2]s    federates with another provider,
      whose operator does the same with this domain, address and pin
`, id.Domain, id.Data, id.Pin, id.Config)
	return err
}

func pinCommand() *cobra.Command {
	var data string
	var asJSON bool
	c := &cobra.Command{
		Use:   "pin --data DIR",
		Short: "Print the pin by which peers and clients know this provider",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needData(c, data); err != nil {
				return err
			}
			domain, pin, err := node.Identify(data)
			if err != nil {
				return dataFailure("read", data, err)
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(&identity{Domain: domain.String(), Pin: pin, Data: data})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", pin)
			return err
		},
	}
	dataFlags(c, &data, &asJSON)
	return c
}

func dataFlags(c *cobra.Command, data *string, asJSON *bool) {
	c.Flags().StringVar(data, "data", "", "data directory (required)")
	c.Flags().BoolVar(asJSON, "json", false, "print one JSON object instead of text")
}

func needData(c *cobra.Command, data string) error {
	if data == "" {
		return usage(c.CommandPath(), errors.New("--data is missing: the directory that holds the provider's keys and messages"))
	}
	return nil
}

// dataFailure explains an error about the data directory.
func dataFailure(verb, dir string, err error) error {
	f := &failure{
		ExitFailed, fmt.Sprintf("cannot %s the data directory %s", verb, dir),
		"check the path and its permissions", err,
	}
	switch {
	case errors.Is(err, node.ErrInitialised):
		f.code, f.next = ExitInUse, "serve it with \"waxwingd serve --data "+dir+"\", or give init another directory"
	case errors.Is(err, node.ErrKeysWrapped):
		f.next = "name the file with their secret: key_encryption_key_file in the configuration, or --key-encryption-key-file"
	case errors.Is(err, node.ErrWrongSecret):
		f.next = "name the file whose secret they were wrapped under first; without it they are lost"
	case errors.Is(err, node.ErrKeyFile):
		f.next = "restore the directory from a backup"
	case errors.Is(err, node.ErrNotInitialised):
		f.next = "make it with \"waxwingd init DOMAIN --data " + dir + "\""
	}
	return f
}
