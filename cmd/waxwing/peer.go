package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waxwing/relay/admin"
)

func (a *app) peerCommand() *cobra.Command {
	c := group("peer", "Say with which providers a running server federates")
	r := remoteFlags(c)
	c.AddCommand(a.peerAddCommand(r), a.peerListCommand(r), a.peerStatusCommand(r), a.peerRemoveCommand(r))
	return c
}

func (a *app) peerAddCommand(r *remote) *cobra.Command {
	p := new(admin.PeerAddParams)
	c := request(r, "add DOMAIN HOST:PORT PIN --data DIR", "Federate with a provider from now on; its operator has to add this one as well",
		admin.PeerAdd, func(args []string) any {
			p.Domain, p.Address, p.Pin = args[0], args[1], args[2]
			return p
		}, func(*admin.Done) error {
			return a.print(struct {
				Added string `json:"added"`
			}{p.Domain}, "added %s\nnext: see with \"waxwing peer status %s\" whether the two connect\n", p.Domain, p.Domain)
		})
	c.Long = "add federates with a provider from now on, also after restarts. Its operator prints the\n" +
		"pin with \"waxwingd pin\" and has to add this provider in the same way. Get the pin by\n" +
		"another way than the network."
	c.Flags().BoolVar(&p.Replace, "replace", false, "take the new pin instead of the one that is there, and forget the old descriptor")
	return c
}

func (a *app) peerRemoveCommand(r *remote) *cobra.Command {
	p := new(admin.PeerRemoveParams)
	c := request(r, "remove DOMAIN --data DIR", "End the federation with a provider; what waits for it is kept until it expires",
		admin.PeerRemove, func(args []string) any { p.Domain = args[0]; return p }, func(*admin.Done) error {
			return a.print(struct {
				Removed string `json:"removed"`
			}{p.Domain}, "removed %s\n", p.Domain)
		})
	c.Flags().BoolVar(&p.Drop, "drop-queue", false, "drop what waits for it as well; also for a provider that was removed before")
	return c
}

func (a *app) peerListCommand(r *remote) *cobra.Command {
	return request(r, "list --data DIR", "List the peers, with what waits for them",
		admin.PeerList, nothing, func(all *admin.PeersResult) error {
			return table(a, all.Peers, []string{"domain", "address", "state", "waiting", ""}, func(p *admin.Peer) []any {
				why := ""
				if p.State == admin.PeerDown {
					why = p.Error
				}
				return []any{p.Domain, p.Address, p.State, p.Messages, why}
			})
		})
}

func (a *app) peerStatusCommand(r *remote) *cobra.Command {
	c := request(r, "status [DOMAIN] --data DIR", "Say all about one peer, or each: connection, last error and what to do about it",
		admin.PeerList, func(args []string) any {
			var p admin.PeerListParams
			if len(args) == 1 {
				p.Domain = args[0]
			}
			return &p
		}, func(all *admin.PeersResult) error {
			if a.json {
				return table(a, all.Peers, nil, nil)
			}
			for i := range all.Peers {
				if err := writePeer(a.out, &all.Peers[i]); err != nil {
					return err
				}
			}
			return nil
		})
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return arguments("DOMAIN")(c, args)
	}
	return c
}

// writePeer writes all about one peer for people.
func writePeer(out io.Writer, p *admin.Peer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, "  "+name+"\t"+format+"\n", args...) }
	fmt.Fprintf(w, "%s is %s\n", p.Domain, p.State)
	line("address", "%s", p.Address)
	line("pin", "%s", p.Pin)
	switch {
	case p.Differs:
		line("from", "a command; the configuration says something else, which does not count")
	case p.Configured:
		line("from", "the configuration")
	default:
		line("from", "a command")
	}
	if p.Since != nil {
		line("connected since", "%s", p.Since.Format(time.RFC3339))
	}
	line("its connections", "%d", p.Incoming)
	line("waiting for it", "%d envelopes, %d bytes", p.Messages, p.Bytes)
	if p.Sequence > 0 {
		line("descriptor", "number %d, valid until %s", p.Sequence, p.Expires)
	}
	counts(line, "it refused", p.RefusedByPeer)
	counts(line, "it forwarded", p.Forwarded)
	if p.ErrorAt != nil {
		line("last error", "%s, at %s", p.Error, p.ErrorAt.Format(time.RFC3339))
	}
	if p.Next != "" {
		line("next", "%s", p.Next)
	}
	return w.Flush()
}

func counts(line func(name, format string, args ...any), name string, values map[string]uint64) {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(values)) {
		out = append(out, fmt.Sprintf("%d %s", values[k], strings.ReplaceAll(k, "_", " ")))
	}
	line(name, "%s", cmp.Or(strings.Join(out, ", "), "nothing"))
}
