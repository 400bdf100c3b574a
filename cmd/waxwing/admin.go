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

// request is a command of one request to the server that the flags name. Its
// arguments are those named in front of the flags in use.
func request[R any](r *remote, use, short string, m admin.Method, params func(args []string) any, show func(*R) error) *cobra.Command {
	words := strings.Fields(strings.SplitN(use, " --", 2)[0])
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  arguments(words[1:]...),
		RunE: func(c *cobra.Command, args []string) error {
			out, err := ask[R](c, r, m, params(args))
			if err != nil {
				return err
			}
			return show(out)
		},
	}
}

// nothing is the parameters of a request without any; same those of one that
// has only flags.
func nothing([]string) any { return nil }

func same(p any) func([]string) any { return func([]string) any { return p } }

func (a *app) adminCommand() *cobra.Command {
	c := group("admin", "Ask a running server as its operator: invites, figures, limits, keys, shutdown")
	r := remoteFlags(c)
	c.AddCommand(
		a.inviteCommand(r), a.invitesCommand(r), a.revokeCommand(r),
		a.statsCommand(r), a.healthCommand(r), a.limitsCommand(r), a.rotateCommand(r), a.drainCommand(r),
		a.reviewCommand(r), a.standingCommand(r),
	)
	return c
}

func (a *app) inviteCommand(r *remote) *cobra.Command {
	p := new(admin.InviteParams)
	c := request(r, "invite --data DIR", "Make an invite: a code with which accounts are registered",
		admin.InviteCreate, same(p), func(i *admin.InviteResult) error {
			return a.print(i, "%s\nfor %s, until %s; id %s\nnext: the user gives it to \"waxwing register ADDRESS --server HOST:PORT --pin PIN --invite CODE\"; it is not shown again\n",
				i.Code, accounts(i.Uses), i.Expires.Format(time.RFC3339), i.ID)
		})
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
	return request(r, "invites --data DIR", "List the invites, with what is used of them",
		admin.InviteList, nothing, func(all *admin.InvitesResult) error {
			return table(a, all.Invites, []string{"id", "state", "used", "expires"}, func(i *admin.Invite) []any {
				return []any{i.ID, i.State, fmt.Sprintf("%d of %d", i.Used, i.Uses), i.Expires.Format(time.RFC3339)}
			})
		})
}

func (a *app) revokeCommand(r *remote) *cobra.Command {
	p := new(admin.IDParams)
	return request(r, "revoke ID --data DIR", "End an invite; accounts that it let in stay",
		admin.InviteRevoke, func(args []string) any { p.ID = args[0]; return p }, func(*admin.Done) error {
			return a.print(struct {
				Revoked string `json:"revoked"`
			}{p.ID}, "revoked %s\n", p.ID)
		})
}

func (a *app) statsCommand(r *remote) *cobra.Command {
	return request(r, "stats --data DIR", "Show connections, queues and counters of the server", admin.Stats, nothing, a.showStats)
}

func (a *app) showStats(s *admin.StatsResult) error {
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
}

func (a *app) healthCommand(r *remote) *cobra.Command {
	return request(r, "health --data DIR", "Say whether the server takes messages; exit code 1 if it does not",
		admin.Health, nothing, func(h *admin.HealthResult) error {
			if !h.Healthy {
				return &failure{
					code: exitFailed, what: "the server is not healthy: " + h.Reason,
					next: "look at its log and its disk, then start it again; nothing acknowledged is lost",
				}
			}
			return a.print(h, "healthy\n")
		})
}

func (a *app) rotateCommand(r *remote) *cobra.Command {
	p := new(admin.RotateParams)
	c := request(r, "rotate-keys --data DIR", "Draw new keys now; what is under way under the old ones stays good",
		admin.KeysRotate, same(p), func(all *admin.RotateResult) error {
			return table(a, all.Keys, []string{"key", "new one used from", ""}, func(k *admin.RotatedKey) []any {
				return []any{k.Kind, cmp.Or(k.From, "-"), k.Reason}
			})
		})
	c.Flags().BoolVar(&p.Credentials, "credentials", false, "those of credentials only: bans count at once, first contacts under way are lost")
	return c
}

func (a *app) drainCommand(r *remote) *cobra.Command {
	return request(r, "drain --data DIR", "Shut the server down: it takes nothing more, settles what it took, and ends",
		admin.Drain, nothing, func(*admin.Done) error {
			return a.print(struct {
				Draining bool `json:"draining"`
			}{true}, "draining\n")
		})
}
