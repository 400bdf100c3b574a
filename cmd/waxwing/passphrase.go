package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"waxwing/relay/client"
)

const (
	// passphraseEnv names the file with the profile's passphrase, as the flag
	// does. There is no variable with the passphrase itself: other processes of
	// the user read the environment.
	passphraseEnv = "WAXWING_PASSPHRASE_FILE"
	// maxPassphrase bounds one, in bytes: what nobody types.
	maxPassphrase = 1024
)

// errNoPassphrase says that a file or a person gave none.
var errNoPassphrase = errors.New("it is empty, or longer than 1024 bytes")

// passphraseFile reads a passphrase: the first line, without its end.
func passphraseFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, passphraseFailure(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPassphrase+2))
	if err != nil {
		return nil, passphraseFailure(path, err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 || len(line) > maxPassphrase {
		return nil, passphraseFailure(path, errNoPassphrase)
	}
	return line, nil
}

func passphraseFailure(path string, err error) error {
	return &failure{code: exitUsage, what: "no passphrase in the file " + path, err: err, next: "write it into the file as one line"}
}

// ask asks the person at the terminal for a passphrase, twice if it is a new
// one. The error is errNoPassphrase where nobody types.
func (a *app) ask(what string, again bool) ([]byte, error) {
	if !a.interactive() {
		return nil, errNoPassphrase
	}
	f, ok := a.in.(*os.File)
	if !ok {
		return nil, errNoPassphrase
	}
	read := func(prompt string) ([]byte, error) {
		fmt.Fprint(a.errOut, prompt)
		defer fmt.Fprintln(a.errOut)
		return term.ReadPassword(int(f.Fd()))
	}
	p, err := read(what + ": ")
	if err != nil {
		return nil, err
	}
	if len(p) == 0 || len(p) > maxPassphrase {
		return nil, errNoPassphrase
	}
	if again {
		q, err := read("again: ")
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(p, q) {
			return nil, &failure{code: exitUsage, what: "the two passphrases differ", next: "try again"}
		}
	}
	return p, nil
}

// unlocked returns the profile's passphrase if one was given, else none.
func (a *app) unlocked() ([]byte, error) {
	path := a.passphraseFile
	if path == "" {
		path = os.Getenv(passphraseEnv)
	}
	if path == "" {
		return a.typed, nil
	}
	return passphraseFile(path)
}

func (a *app) passphraseCommand() *cobra.Command {
	c := group("passphrase", "Put the profile under a passphrase, or take it away")
	c.Long = "Under a passphrase every record of the profile is encrypted. Every command then needs it:\n" +
		"from the file that --passphrase-file or " + passphraseEnv + " names, or typed. Without it the\n" +
		"profile cannot be read by anybody, you included: keep an export (\"waxwing export\")."
	c.AddCommand(a.passphraseSetCommand(), a.passphraseRemoveCommand())
	return c
}

func (a *app) passphraseSetCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "set",
		Short: "Put the profile under a passphrase, or under another one",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			next, err := a.newPassphrase(c, from)
			if err != nil {
				return err
			}
			return a.rekey(next, "set", "the profile is under the passphrase\n")
		},
	}
	newPassphraseFlag(c, &from)
	return c
}

func newPassphraseFlag(c *cobra.Command, from *string) {
	c.Flags().StringVar(from, "new-passphrase-file", "", "file with the new passphrase, one line; asked for if not given")
}

// newPassphrase is what the flag names, or what is typed.
func (a *app) newPassphrase(c *cobra.Command, from string) ([]byte, error) {
	if from != "" {
		return passphraseFile(from)
	}
	p, err := a.ask("new passphrase", true)
	if errors.Is(err, errNoPassphrase) {
		return nil, usage(c, errors.New("no passphrase: name a file with it by the flag, or type one"))
	}
	return p, err
}

func (a *app) passphraseRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove",
		Short: "Take the passphrase away: whoever has the file can read it then",
		Args:  arguments(),
		RunE: func(*cobra.Command, []string) error {
			return a.rekey(nil, "removed", "the profile is under no passphrase\n")
		},
	}
}

func (a *app) rekey(next []byte, done, text string) error {
	dir, err := a.directory()
	if err != nil {
		return err
	}
	err = a.unlocking(func(passphrase []byte) error {
		return client.SetPassphrase(client.Config{Dir: dir, LockTimeout: lockWait, Passphrase: passphrase}, next)
	})
	if errors.Is(err, client.ErrInUse) {
		return heldBy(dir)
	}
	if err != nil {
		return explain("profile "+dir, err)
	}
	return a.print(struct {
		Passphrase string `json:"passphrase"`
	}{done}, "%s", text)
}

// unlocking runs f with the passphrase that was given and, where the profile is
// under one and a person is there, with what that types.
func (a *app) unlocking(f func(passphrase []byte) error) error {
	p, err := a.unlocked()
	if err != nil {
		return err
	}
	err = f(p)
	if !errors.Is(err, client.ErrLocked) {
		return err
	}
	p, asked := a.ask("passphrase of the profile", false)
	if asked != nil {
		return err
	}
	a.typed = p // for another opening by the same command
	return f(p)
}
