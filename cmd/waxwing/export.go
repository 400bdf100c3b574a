package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"waxwing/relay/client"
)

func (a *app) exportCommand() *cobra.Command {
	var from string
	var history bool
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the account to an encrypted file",
		Long: "The file holds the account: its keys, contacts, blocks and what is needed to read what still\n" +
			"comes; with --history the messages too. It is encrypted to a passphrase in the format of age.\n" +
			"It holds no session and no ticket: it is for a new device (\"waxwing import\"), not a copy of this one.",
		Args: arguments("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			passphrase, err := a.newPassphrase(c, from)
			if err != nil {
				return err
			}
			return a.with(func(p *client.Client) error {
				if err := writeExport(args[0], p, client.ExportConfig{Passphrase: passphrase, History: history}); err != nil {
					return err
				}
				return a.print(struct {
					Exported string `json:"exported"`
				}{args[0]}, "exported to %s\n", args[0])
			})
		},
	}
	c.Flags().StringVar(&from, "file-passphrase-file", "", "file with the passphrase of the export, one line; asked for if not given")
	c.Flags().BoolVar(&history, "history", false, "the messages, too")
	return c
}

// writeExport writes a file that is there only when it is whole.
func writeExport(path string, p *client.Client, e client.ExportConfig) error {
	if _, err := os.Lstat(path); err == nil {
		return &failure{code: exitInUse, what: "there is a file " + path + " already", next: "name another one"}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".waxwing-export-") // mode 0600
	if err != nil {
		return &failure{code: exitFailed, what: "cannot write " + path, err: err, next: "name a file in a directory that you may write to"}
	}
	w := bufio.NewWriter(f)
	err = p.Export(w, e)
	err = errors.Join(err, w.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return explain("the export", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

func (a *app) importCommand() *cobra.Command {
	var from, server string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Make a new device of an exported account",
		Long: "The profile gets the account of the file, as a new device of it; the provider lets it in by the\n" +
			"account's identity key. Other devices stay in the account: remove those that are lost with\n" +
			"\"waxwing device remove\". Contacts give the new device tickets when they learn of it; until then\n" +
			"it can be written to, and writes to whoever gives it a contact code.",
		Args: arguments("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			passphrase, err := a.filePassphrase(c, from)
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return &failure{code: exitNotFound, what: "cannot read " + args[0], err: err, next: "check the name"}
			}
			defer f.Close()
			conf, err := a.newProfile()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), wait)
			defer cancel()
			p, err := client.Import(ctx, conf, bufio.NewReader(f), client.ImportConfig{Passphrase: passphrase, Server: server})
			if err != nil {
				return explain("the import", err)
			}
			own, err := p.Profile()
			if err = errors.Join(err, p.Close()); err != nil {
				return explain("profile", err)
			}
			return a.print(struct {
				Imported string `json:"imported"`
			}{own.Address.String()}, "this is a device of %s now\nnext: see \"waxwing device list\", and remove devices that are lost\n", own.Address)
		},
	}
	c.Flags().StringVar(&from, "file-passphrase-file", "", "file with the passphrase of the export, one line; asked for if not given")
	c.Flags().StringVar(&server, "server", "", "UDP address of the provider's server, HOST:PORT, if not as in the file")
	waitFlag(c, &wait)
	return c
}

// filePassphrase is what the flag names, or what is typed.
func (a *app) filePassphrase(c *cobra.Command, from string) ([]byte, error) {
	if from != "" {
		return passphraseFile(from)
	}
	p, err := a.ask("passphrase of the file", false)
	if errors.Is(err, errNoPassphrase) {
		return nil, usage(c, errors.New("no passphrase: name a file with --file-passphrase-file, or type one"))
	}
	return p, err
}
