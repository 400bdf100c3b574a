package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay/admin"
	"waxwing/relay/node"
)

const listLimits = "list them with \"waxwing admin limits\""

// target reads what a request is about.
func (o *operator) target(p *admin.LimitParams) (t limits.Target, err error) {
	var ok bool
	if t.Name, ok = limits.ParseName(strings.ReplaceAll(p.Name, "-", "_")); !ok {
		return t, &admin.Error{Code: admin.CodeNotFound, What: "there is no limit " + p.Name, Next: listLimits}
	}
	t.DryRun = p.DryRun
	t.Peer, err = peerOf(p.Peer)
	return t, err
}

// peerOf reads a domain, if there is one.
func peerOf(domain string) (d ids.Domain, err error) {
	if domain == "" {
		return d, nil
	}
	if d, err = ids.ParseDomain(domain); err != nil {
		return d, badDomain(err)
	}
	return d, nil
}

// limitFailure explains an error about a value.
func limitFailure(t limits.Target, err error) error {
	switch {
	case errors.Is(err, node.ErrNoPeer):
		return noPeer(t.Peer.String())
	case errors.Is(err, node.ErrNoChange):
		return &admin.Error{
			Code: admin.CodeNotFound, What: "nothing was set there by command",
			Next: listLimits + "; what the configuration says is changed there",
		}
	case errors.Is(err, limits.ErrTarget):
		return &admin.Error{
			Code: admin.CodeUsage, What: t.Name.String() + " is no limit of peers and has no values for single ones",
			Next: "leave --peer out",
		}
	case errors.Is(err, limits.ErrDryRun):
		return &admin.Error{
			Code: admin.CodeUsage, What: "cannot try " + t.Name.String() + ": it is promised in the signed list of keys, and nothing is ever asked for over it",
			Next: "leave --dry-run out; a value counts from the next day whose key is drawn",
		}
	case errors.Is(err, limits.ErrValue):
		return &admin.Error{
			Code: admin.CodeUsage, What: "cannot set " + t.Name.String() + ": " + strings.TrimPrefix(err.Error(), limits.ErrValue.Error()+": "),
			Next: "waxwing admin limits set NAME COUNT/UNIT --burst N, with s, m, h or d for the unit; of a limit at once, set NAME COUNT",
		}
	case errors.Is(err, limits.ErrChanges):
		return &admin.Error{
			Code: admin.CodeLimit, What: "as many values were set by command as there may be",
			Next: "reset some, or put them into the configuration",
		}
	}
	return refusal(err)
}

func (o *operator) limits(_ context.Context, p *admin.LimitListParams) (*admin.LimitsResult, error) {
	peer, err := peerOf(p.Peer)
	if err != nil {
		return nil, err
	}
	all, err := o.n.Limits(peer)
	if err != nil {
		return nil, limitFailure(limits.Target{Peer: peer}, err)
	}
	out := &admin.LimitsResult{Limits: []admin.Limit{}}
	for i := range all {
		out.Limits = append(out.Limits, describeLimit(&all[i], peer))
	}
	return out, nil
}

func (o *operator) setLimit(ctx context.Context, p *admin.LimitSetParams) (*admin.Limit, error) {
	t, err := o.target(&p.LimitParams)
	if err != nil {
		return nil, err
	}
	l, err := parseValue(t.Name, p)
	if err == nil && p.Seconds < 0 || p.Seconds > math.MaxInt64/int64(time.Second) {
		err = fmt.Errorf("%w: want a time above 0, or none", limits.ErrValue)
	}
	if err != nil {
		return nil, limitFailure(t, err)
	}
	if err := o.n.SetLimit(ctx, t, limits.Change{Limit: l}, time.Duration(p.Seconds)*time.Second); err != nil {
		return nil, limitFailure(t, err)
	}
	return o.limit(t)
}

// parseValue reads the value of a command.
func parseValue(n limits.Name, p *admin.LimitSetParams) (gcra.Limit, error) {
	if limits.All[n].AtOnce() {
		if p.Burst != 0 {
			return gcra.Limit{}, fmt.Errorf("%w: a limit at once has no burst", limits.ErrValue)
		}
		return n.Parse(p.Rate)
	}
	l, err := limits.ParseRate(p.Rate)
	// Without a burst a low rate still lets through the largest request.
	l.Burst = cmp.Or(p.Burst, max(l.Count, limits.All[n].Least))
	return l, err
}

func (o *operator) resetLimit(ctx context.Context, p *admin.LimitParams) (*admin.Limit, error) {
	t, err := o.target(p)
	if err != nil {
		return nil, err
	}
	if err := o.n.ResetLimit(ctx, t); err != nil {
		return nil, limitFailure(t, err)
	}
	return o.limit(t)
}

// limit describes what is in force after a change. A peer may be gone since.
func (o *operator) limit(t limits.Target) (*admin.Limit, error) {
	s := o.n.Limit(t.Name, t.Peer)
	out := describeLimit(&s, t.Peer)
	return &out, nil
}

func describeLimit(s *limits.Status, peer ids.Domain) admin.Limit {
	i := &limits.All[s.Name]
	out := admin.Limit{
		Name: i.Key, Scope: i.Scope.String(), Unit: i.Unit, What: i.What, Over: cmp.Or(i.Instead, "refused, with the time to try again"),
		Value: describeValue(&s.Value), Active: s.Active, Used: s.Used, Refused: map[string]uint64{}, OverDry: s.Dried, PeersOwn: []string{},
	}
	if !peer.IsZero() {
		out.Peer = peer.String()
	}
	if !s.DryRun.Limit.IsZero() {
		v := describeValue(&s.DryRun)
		out.DryRun = &v
	}
	for c, n := range s.Refused {
		out.Refused[limits.Cause(c).String()] = n
	}
	for _, d := range s.Peers {
		out.PeersOwn = append(out.PeersOwn, d.String())
	}
	return out
}

func describeValue(v *limits.Value) admin.LimitValue {
	rate, _, _ := strings.Cut(limits.Format(v.Limit), ",")
	out := admin.LimitValue{Rate: rate, Burst: v.Limit.Burst, Origin: v.Origin.String()}
	if !v.Until.IsZero() {
		until := v.Until.UTC()
		out.Until = &until
	}
	return out
}
