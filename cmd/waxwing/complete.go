package main

import (
	"strings"

	"github.com/spf13/cobra"

	"waxwing/relay/client"
)

// completeContact completes an argument with the addresses of the contacts. A
// profile that cannot be opened has none: a shell has no use for an error.
func (a *app) completeContact(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	dir, err := a.directory()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	passphrase, err := a.unlocked()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	// Whoever presses a key does not wait for another command to end.
	p, err := client.Open(client.Config{Dir: dir, LockTimeout: completionWait, Passphrase: passphrase})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer p.Close()
	contacts, err := p.Contacts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, k := range contacts {
		if s := k.Address.String(); strings.HasPrefix(s, begun) {
			out = append(out, s)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
