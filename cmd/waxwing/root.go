package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// app is one run of the program: its streams and the flags of every command.
type app struct {
	// fixed
	in     io.Reader
	out    io.Writer
	errOut io.Writer

	command string // the command's name, for others who wait for the profile
	profile string // flag; empty means the default directory
	json    bool   // flag

	passphraseFile string // flag; empty means the environment's
	typed          []byte // the passphrase that was typed
}

// run runs one command line, without the program's name, and returns the exit
// code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, errOut: errOut}
	root := &cobra.Command{
		Use:   "waxwing",
		Short: "Messages between providers that do not learn who writes to whom",
		Long: "waxwing registers an account at a provider and exchanges end-to-end encrypted messages\n" +
			"from it. \"waxwing demo\" shows two providers and two users on this machine.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 usage, 3 in use, 4 unreachable, 5 refused, 6 not found;\n" +
			"\"waxwing help exit-codes\" says more.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          arguments(),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentPreRun = func(c *cobra.Command, _ []string) { a.command = c.Name() }
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	root.PersistentFlags().StringVar(&a.profile, "profile", "", "directory of the profile; default: "+profileHint)
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object per line")
	root.PersistentFlags().StringVar(&a.passphraseFile, "passphrase-file", "",
		"file with the profile's passphrase, one line; default: what "+passphraseEnv+" names")
	root.AddCommand(
		a.registerCommand(), a.statusCommand(),
		a.deviceCommand(), a.passphraseCommand(), a.exportCommand(), a.importCommand(),
		a.codeCommand(), a.addCommand(), a.contactsCommand(), a.verifyCommand(), a.blockCommand(), a.unblockCommand(), a.blocksCommand(),
		a.introduceCommand(), a.requestsCommand(), a.policyCommand(),
		a.sendCommand(), a.inboxCommand(), a.historyCommand(), a.reportCommand(), a.settingCommand(), a.chatCommand(),
		a.adminCommand(), a.peerCommand(),
		a.demoCommand(), a.benchCommand(), exitCodesTopic(),
	)
	return a.report(root.ExecuteContext(ctx))
}

// group is a command that only holds others.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  arguments(),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
}

// arguments checks that a command gets exactly the named arguments.
func arguments(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == len(names):
			return nil
		case len(args) < len(names):
			return usage(c, fmt.Errorf("%s is missing", names[len(args)]))
		case c.HasSubCommands():
			return usage(c, fmt.Errorf("there is no command %q", args[0]))
		}
		return usage(c, fmt.Errorf("%q is one argument too many", args[len(names)]))
	}
}

// usage is a failure of the command line itself.
func usage(c *cobra.Command, err error) error {
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	return &failure{
		code: exitUsage, what: "cannot understand the command line", err: err,
		next: "run \"" + c.CommandPath() + " --help\"",
	}
}
