package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/relay/client"
)

func (a *app) deviceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "device",
		Short: "List, link and remove the devices of the account",
		Args:  arguments(),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.deviceListCommand(), a.deviceLinkCommand(), a.deviceJoinCommand(), a.deviceRemoveCommand(), a.deviceRotateCommand(), a.deviceReplaceCommand())
	return c
}

// deviceLine is what device list prints for each device as JSON.
type deviceLine struct {
	Device ids.DeviceID `json:"device"`
	Own    bool         `json:"this_device"`
}

func (a *app) deviceListCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "list",
		Short: "List the devices, as the provider has them",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				list, err := p.Devices(ctx)
				if err != nil {
					return explain("the devices", err)
				}
				for _, d := range list {
					note := ""
					if d.Own {
						note = ", this one"
					}
					if err := a.print(deviceLine{d.ID, d.Own}, "device %d%s\n", d.ID, note); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	waitFlag(c, &wait)
	return c
}

func (a *app) deviceRotateCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "rotate-mailbox-key",
		Short: "Replace what others make their pseudonyms for, as after a removed device",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				if err := p.RotateMailboxKey(ctx); err != nil {
					return explain("the mailbox key", err)
				}
				g, err := p.MailboxGeneration()
				if err != nil {
					return err
				}
				return a.print(struct {
					Generation uint32 `json:"generation"`
				}{g}, "mailbox key of generation %d\n", g)
			})
		},
	}
	waitFlag(c, &wait)
	return c
}

func (a *app) deviceReplaceCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "replace-account-key",
		Short: "Replace the secret by which contacts and blocklists know the account",
		Long: "Replaces the account's secret k, as when it is lost or a removed device knows it. The provider\n" +
			"allows that once in 90 days and takes the account for a new one until it is older. Contacts are\n" +
			"told and have to compare the safety number again; who has blocked the account has it blocked.",
		Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				err := p.ReplaceAccountKey(ctx)
				if l, ok := errors.AsType[*client.LaterError](err); ok {
					return &failure{
						code: exitRefused, what: "the account key was replaced less than 90 days ago", err: l,
						next: "try again on that day",
					}
				}
				if err != nil {
					return explain("the account key", err)
				}
				return a.print(struct {
					Replaced bool `json:"replaced"`
				}{true}, "replaced the account key; contacts have to compare the safety number again\n")
			})
		},
	}
	waitFlag(c, &wait)
	return c
}

func (a *app) deviceRemoveCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "remove DEVICE",
		Short: "Remove another device of the account, for good",
		Args:  arguments("DEVICE"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil || n == 0 {
				return usage(c, fmt.Errorf("%q is not the number of a device", args[0]))
			}
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				if err := p.RemoveDevice(ctx, ids.DeviceID(n)); err != nil {
					return explain(args[0], err)
				}
				return a.print(struct {
					Removed uint64 `json:"removed"`
				}{n}, "removed device %d\n", n)
			})
		},
	}
	waitFlag(c, &wait)
	return c
}
