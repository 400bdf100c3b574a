package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxwing/relay/admin"
)

func (a *app) limitsCommand(r *remote) *cobra.Command {
	p := new(admin.LimitListParams)
	c := request(r, "limits --data DIR", "List the limits: values and where they come from, use, and what was over them",
		admin.LimitList, same(p), func(all *admin.LimitsResult) error {
			return table(a, all.Limits, []string{"limit", "of each", "value", "from", "used", "over", "dry run", "over it", ""}, limitCells)
		})
	c.Long = "limits lists what is in force. \"used\" is how much of its burst the busiest account, peer\n" +
		"or mailbox has spent, \"over\" how often one was over the limit since the server's start.\n" +
		"With --peer it is about that provider alone."
	c.Flags().StringVar(&p.Peer, "peer", "", "`DOMAIN`: the limits of this provider alone, with its values and use")
	c.AddCommand(a.limitsSetCommand(r), a.limitsResetCommand(r))
	return c
}

// limitCells are the columns of a limit.
func limitCells(l *admin.Limit) []any {
	of, note := l.Scope, ""
	if l.Peer != "" {
		of = l.Peer
	}
	if len(l.PeersOwn) > 0 {
		note = "own values: " + strings.Join(l.PeersOwn, ", ")
	}
	var over uint64
	for _, n := range l.Refused {
		over += n
	}
	dry, overDry := "-", "-"
	if l.DryRun != nil {
		dry, overDry = valueText(l.DryRun), fmt.Sprint(l.OverDry)
	}
	return []any{l.Name, of, valueText(&l.Value), originText(&l.Value), fmt.Sprintf("%d of %d", l.Used, l.Value.Burst), over, dry, overDry, note}
}

func valueText(v *admin.LimitValue) string {
	if !strings.Contains(v.Rate, "/") {
		return v.Rate // at once
	}
	return fmt.Sprintf("%s,%d", v.Rate, v.Burst)
}

func originText(v *admin.LimitValue) string {
	if v.Until == nil {
		return v.Origin
	}
	return v.Origin + " until " + v.Until.Format(time.RFC3339)
}

// targetFlags adds the flags that say which value of a limit is meant.
func targetFlags(c *cobra.Command, p *admin.LimitParams) {
	c.Flags().StringVar(&p.Peer, "peer", "", "`DOMAIN`: for this provider alone")
	c.Flags().BoolVar(&p.DryRun, "dry-run", false, "the value that nothing is refused by, only counted")
}

func (a *app) limitsSetCommand(r *remote) *cobra.Command {
	p := new(admin.LimitSetParams)
	var span time.Duration
	var c *cobra.Command
	c = request(r, "set NAME RATE --data DIR", "Change a limit from now on, also after a restart",
		admin.LimitSet, func(args []string) any {
			p.Name, p.Rate = args[0], args[1]
			if p.Seconds = int64((span + time.Second - 1) / time.Second); p.Seconds <= 0 && c.Flags().Changed("for") {
				p.Seconds = -1 // the server says what is wrong with it
			}
			return p
		}, a.showLimit)
	c.Long = "set changes a limit from now on, also after a restart. RATE is COUNT/UNIT with s, m, h or d\n" +
		"for the unit, or a count per second; of connections and handshakes how many at once, and of\n" +
		"tokens_daily, intro_new and intro_member how many a day. A value for one provider (--peer)\n" +
		"wins over one for all, and what is set here over the configuration. With --dry-run the value\n" +
		"is tried: nothing is refused by it, but counted, and the one in force stays. intro_new and\n" +
		"intro_member count from the first day whose key is not drawn yet, the day after tomorrow by UTC."
	c.Flags().Int64Var(&p.Burst, "burst", 0, "how much at once; default: the count, or more if one request may need more")
	c.Flags().DurationVar(&span, "for", 0, "`DURATION` (such as 2h30m) after which what was there before comes back")
	targetFlags(c, &p.LimitParams)
	return c
}

func (a *app) limitsResetCommand(r *remote) *cobra.Command {
	p := new(admin.LimitParams)
	c := request(r, "reset NAME --data DIR", "Take back what was set by command",
		admin.LimitReset, func(args []string) any { p.Name = args[0]; return p }, a.showLimit)
	targetFlags(c, p)
	return c
}

// showLimit says what is in force after a change.
func (a *app) showLimit(l *admin.Limit) error {
	of := ""
	if l.Peer != "" {
		of = " of " + l.Peer
	}
	text := fmt.Sprintf("%s%s is %s (%s)\n", l.Name, of, valueText(&l.Value), originText(&l.Value))
	if l.DryRun != nil {
		text += fmt.Sprintf("dry run: %s (%s)\n", valueText(l.DryRun), originText(l.DryRun))
	}
	return a.print(l, "%s", text)
}
