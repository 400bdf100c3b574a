package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waxwing/relay/admin"
)

const (
	// adminWait is how long a request to the server may take.
	adminWait = 30 * time.Second
	// socketName is the server's socket in its data directory.
	socketName = "admin.sock"
)

// remote names a running server by its admin socket.
type remote struct {
	// flags
	data   string
	socket string
}

// remoteFlags adds the flags to a command and those below it.
func remoteFlags(c *cobra.Command) *remote {
	r := new(remote)
	c.PersistentFlags().StringVar(&r.data, "data", "", "data directory of the server; default: what WAXWING_DATA says")
	c.PersistentFlags().StringVar(&r.socket, "socket", "", "admin socket of the server; default: "+socketName+" in the data directory")
	return r
}

// path returns the socket.
func (r *remote) path(c *cobra.Command) (string, error) {
	if r.socket != "" {
		return r.socket, nil
	}
	data := cmp.Or(r.data, os.Getenv("WAXWING_DATA"))
	if data == "" {
		return "", usage(c, errors.New("--data is missing: the data directory of a running server, or --socket"))
	}
	return filepath.Join(data, socketName), nil
}

// ask asks the server that the flags name.
func ask[R any](c *cobra.Command, r *remote, m admin.Method, params any) (*R, error) {
	path, err := r.path(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), adminWait)
	defer cancel()
	out, err := admin.Call[R](ctx, path, m, params)
	if err != nil {
		return nil, adminFailure(path, err)
	}
	return out, nil
}

// adminCodes are the exit codes of what a server refuses.
var adminCodes = map[admin.Code]int{
	admin.CodeUsage: exitUsage, admin.CodeNotFound: exitNotFound, admin.CodeExists: exitInUse,
	admin.CodeLimit: exitRefused, admin.CodeFailed: exitFailed, admin.CodeBusy: exitUnreachable,
}

// adminFailure explains an error of the admin socket.
func adminFailure(path string, err error) error {
	var e *admin.Error
	switch {
	case errors.As(err, &e):
		return &failure{code: cmp.Or(adminCodes[e.Code], exitFailed), what: e.What, next: e.Next}
	case errors.Is(err, admin.ErrNoServer):
		return &failure{
			code: exitUnreachable, what: "no server listens on " + path,
			next: "start it with \"waxwingd serve --data " + filepath.Dir(path) + "\", or name another one with --data or --socket",
		}
	case errors.Is(err, admin.ErrDenied):
		return &failure{
			code: exitRefused, what: "the admin socket " + path + " belongs to another user",
			next: "run the command as the user that runs waxwingd",
		}
	case errors.Is(err, admin.ErrProtocol):
		return &failure{
			code: exitFailed, what: "what listens on " + path + " does not speak this version of the admin protocol",
			next: "use waxwing and waxwingd of the same version",
		}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{
			code: exitUnreachable, what: "the server behind " + path + " does not answer",
			next: "look at its log; it may be waiting for a slow disk",
		}
	case errors.Is(err, admin.ErrConfig):
		return &failure{
			code: exitUsage, what: "the socket " + path + " cannot be used", err: err,
			next: "name one with a shorter path with --socket; the server's is set with admin_socket",
		}
	}
	return explain(path, err)
}

func (a *app) adminCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "admin",
		Short: "Ask a running server as its operator: invites, figures, keys, shutdown",
		Args:  arguments(),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	r := remoteFlags(c)
	c.AddCommand(
		a.inviteCommand(r), a.invitesCommand(r), a.revokeCommand(r),
		a.statsCommand(r), a.healthCommand(r), a.rotateCommand(r), a.drainCommand(r),
	)
	return c
}

func (a *app) inviteCommand(r *remote) *cobra.Command {
	var p admin.InviteParams
	c := &cobra.Command{
		Use:   "invite --data DIR",
		Short: "Make an invite: a code with which accounts are registered",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			i, err := ask[admin.InviteResult](c, r, admin.InviteCreate, &p)
			if err != nil {
				return err
			}
			return a.print(i, "%s\nfor %s, until %s; id %s\nnext: the user gives it to \"waxwing register ADDRESS --server HOST:PORT --pin PIN --invite CODE\"; it is not shown again\n",
				i.Code, accounts(i.Uses), i.Expires.Format(time.RFC3339), i.ID)
		},
	}
	c.Flags().IntVar(&p.Uses, "uses", 1, "how many accounts it lets in")
	c.Flags().IntVar(&p.Days, "days", 7, "for how many days")
	return c
}

func accounts(n int) string {
	if n == 1 {
		return "1 account"
	}
	return fmt.Sprintf("%d accounts", n)
}

func (a *app) invitesCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "invites --data DIR",
		Short: "List the invites, with what is used of them",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := ask[admin.InvitesResult](c, r, admin.InviteList, nil)
			if err != nil {
				return err
			}
			return table(a, all.Invites, []string{"id", "state", "used", "expires"}, func(i *admin.Invite) []any {
				return []any{i.ID, i.State, fmt.Sprintf("%d of %d", i.Used, i.Uses), i.Expires.Format(time.RFC3339)}
			})
		},
	}
}

// table prints rows as lines of JSON, or in columns for people.
func table[T any](a *app, rows []T, head []string, cells func(*T) []any) error {
	if a.json {
		for i := range rows {
			if err := a.print(&rows[i], ""); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for i := range rows {
		var line []string
		for _, cell := range cells(&rows[i]) {
			line = append(line, fmt.Sprint(cell))
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	return w.Flush()
}

func (a *app) revokeCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID --data DIR",
		Short: "End an invite; accounts that it let in stay",
		Args:  arguments("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := ask[admin.Done](c, r, admin.InviteRevoke, &admin.IDParams{ID: args[0]}); err != nil {
				return err
			}
			return a.print(struct {
				Revoked string `json:"revoked"`
			}{args[0]}, "revoked %s\n", args[0])
		},
	}
}

func (a *app) statsCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "stats --data DIR",
		Short: "Show connections, queues and counters of the server",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := ask[admin.StatsResult](c, r, admin.Stats, nil)
			if err != nil {
				return err
			}
			if a.json {
				return a.print(s, "")
			}
			health := "healthy"
			if !s.Healthy {
				health = "NOT HEALTHY"
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintf(w, "%s, %s, up %s\n", s.Domain, health, time.Duration(s.Uptime)*time.Second)
			fmt.Fprintf(w, "connections: %d of clients, %d of peers, %d to peers, %d handshakes, %d refused\n",
				s.Clients, s.Peers, s.Links, s.Handshakes, s.Refused)
			for _, q := range s.Queues {
				fmt.Fprintf(w, "waiting for %s: %d envelopes, %d bytes\n", q.Domain, q.Messages, q.Bytes)
			}
			for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
				if v := s.Counters[name]; v != 0 {
					fmt.Fprintf(w, "%s\t%.f\n", name, v)
				}
			}
			return w.Flush()
		},
	}
}

func (a *app) healthCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "health --data DIR",
		Short: "Say whether the server takes messages; exit code 1 if it does not",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := ask[admin.HealthResult](c, r, admin.Health, nil)
			if err != nil {
				return err
			}
			if !h.Healthy {
				return &failure{
					code: exitFailed, what: "the server is not healthy: " + h.Reason,
					next: "look at its log and its disk, then start it again; nothing acknowledged is lost",
				}
			}
			return a.print(h, "healthy\n")
		},
	}
}

func (a *app) rotateCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-keys --data DIR",
		Short: "Draw new keys of every kind now; what is under way under the old ones stays good",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := ask[admin.RotateResult](c, r, admin.KeysRotate, nil)
			if err != nil {
				return err
			}
			return table(a, all.Keys, []string{"key", "new one used from", ""}, func(k *admin.RotatedKey) []any {
				return []any{k.Kind, cmp.Or(k.From, "-"), k.Reason}
			})
		},
	}
}

func (a *app) drainCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "drain --data DIR",
		Short: "Shut the server down: it takes nothing more, settles what it took, and ends",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := ask[admin.Done](c, r, admin.Drain, nil); err != nil {
				return err
			}
			return a.print(struct {
				Draining bool `json:"draining"`
			}{true}, "draining\n")
		},
	}
}
