package daemon

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
	"waxwing/relay"
	"waxwing/relay/node"
	"waxwing/relay/quicnet"
)

// maxPeers bounds the --peer flags; package node allows no more.
const maxPeers = 1024

// peersFlag collects --peer DOMAIN=HOST:PORT,PIN.
type peersFlag []node.Peer

// Type names the value in the help.
func (*peersFlag) Type() string { return "DOMAIN=HOST:PORT,PIN" }

func (p *peersFlag) String() string {
	names := make([]string, len(*p))
	for i, peer := range *p {
		names[i] = peer.Domain.String()
	}
	return strings.Join(names, " ")
}

// Set parses one flag.
func (p *peersFlag) Set(s string) error {
	name, rest, ok := strings.Cut(s, "=")
	addr, pin, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return errors.New("want DOMAIN=HOST:PORT,PIN")
	}
	domain, err := ids.ParseDomain(name)
	if err != nil {
		return err
	}
	if err := hostPort(addr); err != nil {
		return err
	}
	parsed, err := quicnet.ParsePin(pin)
	if err != nil {
		return fmt.Errorf("pin of %s: want the 43 characters that its \"waxwingd pin\" prints", domain)
	}
	if slices.ContainsFunc(*p, func(q node.Peer) bool { return q.Domain == domain }) {
		return fmt.Errorf("peer %s is given twice", domain)
	}
	if len(*p) == maxPeers {
		return fmt.Errorf("more than %d peers", maxPeers)
	}
	*p = append(*p, node.Peer{Domain: domain, Addr: addr, Pin: parsed})
	return nil
}

// hostPort checks the form of an address.
func hostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("address %q: want HOST:PORT", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("address %q: port is not a number below 65536", s)
	}
	return nil
}

// addressFlag is an address of this machine to listen on; empty for none.
type addressFlag string

// Type names the value in the help.
func (*addressFlag) Type() string { return "HOST:PORT" }

func (a *addressFlag) String() string { return string(*a) }

// Set parses the flag.
func (a *addressFlag) Set(s string) error {
	if s != "" {
		if err := hostPort(s); err != nil {
			return err
		}
	}
	*a = addressFlag(s)
	return nil
}

// choiceFlag is one of a few words.
type choiceFlag struct {
	value   string
	choices []string
}

// Type names the value in the help.
func (c *choiceFlag) Type() string { return strings.Join(c.choices, "|") }

func (c *choiceFlag) String() string { return c.value }

// Set parses the flag.
func (c *choiceFlag) Set(s string) error {
	if !slices.Contains(c.choices, s) {
		return fmt.Errorf("want %s", strings.Join(c.choices, " or "))
	}
	c.value = s
	return nil
}

// limitsFlag collects --limit NAME=COUNT/UNIT[,BURST].
type limitsFlag struct{ config relay.LimitConfig }

// limitNames lists the limits in the order of the help.
var limitNames = []string{
	"account-envelopes", "account-tickets", "account-requests",
	"peer-envelopes", "peer-bytes", "peer-requests", "registrations",
}

func (l *limitsFlag) field(name string) *gcra.Limit {
	switch name {
	case "account-envelopes":
		return &l.config.AccountEnvelopes
	case "account-tickets":
		return &l.config.AccountTickets
	case "account-requests":
		return &l.config.AccountRequests
	case "peer-envelopes":
		return &l.config.PeerEnvelopes
	case "peer-bytes":
		return &l.config.PeerBytes
	case "peer-requests":
		return &l.config.PeerRequests
	case "registrations":
		return &l.config.Registrations
	}
	return nil
}

// Type names the value in the help.
func (*limitsFlag) Type() string { return "NAME=COUNT/UNIT[,BURST]" }

func (l *limitsFlag) String() string {
	var set []string
	for _, name := range limitNames {
		if v := l.field(name); !v.IsZero() {
			set = append(set, fmt.Sprintf("%s=%d/%s,%d", name, v.Count, v.Period, v.Burst))
		}
	}
	return strings.Join(set, " ")
}

// Set parses one flag. Without a burst, it is the count.
func (l *limitsFlag) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	field := l.field(name)
	if field == nil {
		return fmt.Errorf("no limit %q: want one of %s", name, strings.Join(limitNames, ", "))
	}
	rate, burst, hasBurst := strings.Cut(value, ",")
	count, unit, ok2 := strings.Cut(rate, "/")
	period, known := periods[unit]
	if !ok || !ok2 || !known {
		return fmt.Errorf("limit %q: want COUNT/s, COUNT/m, COUNT/h or COUNT/d, and perhaps a burst behind a comma", s)
	}
	limit := gcra.Limit{Period: period}
	var err error
	if limit.Count, err = strconv.ParseInt(count, 10, 64); err != nil {
		return fmt.Errorf("limit %q: count is not a number", s)
	}
	limit.Burst = limit.Count
	if hasBurst {
		if limit.Burst, err = strconv.ParseInt(burst, 10, 64); err != nil {
			return fmt.Errorf("limit %q: burst is not a number", s)
		}
	}
	if limit.IsZero() || limit.Validate() != nil {
		return fmt.Errorf("limit %q: count and burst must be positive, and a full burst come back within a year", s)
	}
	*field = limit
	return nil
}

var periods = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}
