package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay/quicnet"
	"waxwing/relay/reports"
)

// limit returns what the server tells of a limit.
func (s *server) limit(t limits.Target) limits.Value {
	st := s.node.Limit(t.Name, t.Peer)
	if t.DryRun {
		return st.DryRun
	}
	return st.Value
}

// What is set by command is in force at once and after restarts, until it is
// reset or its time is over; no log line names a peer.
func TestLimitsByCommand(t *testing.T) {
	ctx := t.Context()
	beta := newServer(t, "beta.example")
	var offset atomic.Int64
	beta.conf.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	log := new(lockedBuffer)
	beta.conf.Logger = slog.New(slog.NewTextHandler(log, nil))
	beta.conf.Store = store.NewMemory(store.MemoryConfig{Now: beta.conf.Now})
	defer beta.conf.Store.Close()
	defer beta.halt()
	gamma := ids.MustParseDomain("gamma-peer.example")
	beta.conf.Peers = []Peer{{gamma, "127.0.0.1:1", keys.Pin{1}}}
	configured := gcra.PerSecond(9, 9)
	beta.conf.Limits = limits.Settings{{Name: limits.Registrations}: configured}
	beta.start()

	all, own := limits.Target{Name: limits.Registrations}, limits.Target{Name: limits.PeerRequests, Peer: gamma}
	dry := limits.Target{Name: limits.AccountEnvelopes, DryRun: true}
	value := func(n int64) limits.Change { return limits.Change{Limit: gcra.PerSecond(n, n)} }
	must(t, beta.node.SetLimit(ctx, all, value(1), 0))
	must(t, beta.node.SetLimit(ctx, own, value(2), time.Hour))
	must(t, beta.node.SetLimit(ctx, dry, value(3), 0))
	check := func(when string, target limits.Target, want gcra.Limit, from limits.Origin) {
		t.Helper()
		if v := beta.limit(target); v.Limit != want || v.Origin != from {
			t.Errorf("%s: %+v is %+v", when, target, v)
		}
	}
	for _, when := range []string{"at once", "after a restart", "after another"} {
		check(when, all, value(1).Limit, limits.FromCommand)
		check(when, own, value(2).Limit, limits.FromCommand)
		check(when, dry, value(3).Limit, limits.FromCommand)
		beta.halt()
		beta.start()
	}
	must(t, beta.node.SetLimit(ctx, all, value(4), 0)) // again
	check("again", all, value(4).Limit, limits.FromCommand)
	must(t, beta.node.ResetLimit(ctx, all))
	check("reset", all, configured, limits.FromConfig)
	offset.Store(int64(time.Hour))
	check("over", own, limits.All[limits.PeerRequests].Default, limits.FromDefault)
	beta.halt()
	beta.start()
	check("reset, after a restart", all, configured, limits.FromConfig)
	check("over, after a restart", own, limits.All[limits.PeerRequests].Default, limits.FromDefault)
	docs, err := beta.conf.Store.List(ctx, prefixLimit, prefixLimit, 0)
	must(t, err)
	if len(docs) != 1 {
		t.Errorf("%d values are stored, want one", len(docs))
	}

	other := ids.MustParseDomain("other.example")
	for name, tt := range map[string]struct {
		err  error
		want error
	}{
		"reset twice":    {beta.node.ResetLimit(ctx, all), ErrNoChange},
		"reset nothing":  {beta.node.ResetLimit(ctx, limits.Target{Name: limits.End}), limits.ErrTarget},
		"unknown peer":   {beta.node.SetLimit(ctx, limits.Target{Name: limits.PeerBytes, Peer: other}, value(1<<20), 0), ErrNoPeer},
		"not of peers":   {beta.node.SetLimit(ctx, limits.Target{Name: limits.Registrations, Peer: gamma}, value(1), 0), limits.ErrTarget},
		"no value":       {beta.node.SetLimit(ctx, all, limits.Change{}, 0), limits.ErrValue},
		"too long":       {beta.node.SetLimit(ctx, all, value(1), limits.MaxSpan+1), limits.ErrValue},
		"negative span":  {beta.node.SetLimit(ctx, all, value(1), -1), limits.ErrValue},
		"list of nobody": {func() error { _, err := beta.node.Limits(other); return err }(), ErrNoPeer},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v", name, tt.err)
		}
	}
	if strings.Contains(log.String(), "gamma-peer") || strings.Count(log.String(), "changed by command") != 4 {
		t.Errorf("log: %s", log)
	}
}

// lockedBuffer is written to by the server's goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// What a store holds that this version cannot use is left alone, and nothing
// else is lost by it; what is damaged stops the start.
func TestStoredLimitsOfOtherVersions(t *testing.T) {
	ctx := context.Background()
	beta := newServer(t, "beta.example")
	beta.conf.Store = store.NewMemory(store.MemoryConfig{})
	defer beta.conf.Store.Close()
	defer beta.halt()
	good := wire.MustMarshal(&limits.Change{Limit: gcra.PerSecond(7, 7)})
	put := func(key string, value []byte) uint64 {
		v, err := beta.conf.Store.CAS(ctx, prefixLimit+store.Key(key), 0, value)
		must(t, err)
		return uint64(v)
	}
	put("limit_of_tomorrow/value/", good)
	put("peer_bytes/value/", good) // below what one envelope needs
	put("registrations/value/", good)
	beta.start()
	if v := beta.limit(limits.Target{Name: limits.Registrations}); v.Limit != gcra.PerSecond(7, 7) {
		t.Errorf("%+v", v)
	}
	if v := beta.limit(limits.Target{Name: limits.PeerBytes}); v.Origin != limits.FromDefault {
		t.Errorf("%+v", v)
	}
	beta.halt()
	put("peer_requests/value/", good[:10])
	if n, err := Open(beta.conf); err == nil {
		n.close()
		t.Error("a damaged value is taken")
	}
}

// A dry run refuses nothing on the wire and shows in the metrics; the same value
// in force refuses, and shows there.
func TestDryRunOnTheWire(t *testing.T) {
	beta := newServer(t, "beta.example")
	strict := gcra.Limit{Burst: 1, Count: 1, Period: time.Hour}
	beta.conf.Limits = limits.Settings{{Name: limits.AccountEnvelopes, DryRun: true}: strict}
	beta.start()
	alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
	counted := func() (over, dry float64) {
		v, err := beta.node.metrics.values()
		must(t, err)
		return v[`waxwing_limit_over_total{cause="rate",limit="account_envelopes"}`], v[`waxwing_limit_dry_run_total{limit="account_envelopes"}`]
	}
	if r := send(alice, bob, beta.domain, 4); len(r) != 0 {
		t.Errorf("refused: %v", r)
	}
	if over, dry := counted(); over != 0 || dry != 3 {
		t.Errorf("%v over the limit, %v over the dry run", over, dry)
	}
	bob.receive(0, 4)
	must(t, beta.node.SetLimit(t.Context(), limits.Target{Name: limits.AccountEnvelopes}, limits.Change{Limit: strict}, 0))
	r := send(alice, bob, beta.domain, 2)
	if len(r) == 0 {
		t.Error("not refused")
	}
	for _, ref := range r {
		if ref.Code != wire.CodeLimit || ref.RetryAfter == 0 {
			t.Errorf("%+v", ref)
		}
	}
	if over, _ := counted(); over != float64(len(r)) {
		t.Errorf("%v over the limit, want %d", over, len(r))
	}
}

// How many connections there may be changes while they come; those that are
// there stay.
func TestConnectionsByCommand(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	newDevice(t, beta, "alice@beta.example")
	dial := func() error {
		c, err := quicnet.Dial(t.Context(), quicnet.DialConfig{Addr: beta.conf.Listen, Domain: beta.domain, Pin: beta.pin})
		if err == nil {
			t.Cleanup(func() { c.Close(quicnet.CodeNone) })
		}
		return err
	}
	conns := limits.Target{Name: limits.Connections}
	there := beta.node.Limit(conns.Name, conns.Peer).Used
	if there == 0 {
		t.Fatal("no connection is counted")
	}
	must(t, beta.node.SetLimit(t.Context(), conns, limits.Change{Limit: gcra.Limit{Burst: there}}, 0))
	if err := dial(); !errors.Is(err, quicnet.ErrBusy) {
		t.Errorf("above the limit: %v", err)
	}
	if s := beta.node.Limit(conns.Name, conns.Peer); s.Refused[limits.OverRate] == 0 || s.Used != there {
		t.Errorf("%+v", s)
	}
	must(t, beta.node.ResetLimit(t.Context(), conns))
	must(t, beta.node.SetLimit(t.Context(), limits.Target{Name: conns.Name, DryRun: true}, limits.Change{Limit: gcra.Limit{Burst: there}}, 0))
	must(t, dial())
	if s := beta.node.Limit(conns.Name, conns.Peer); s.Dried == 0 {
		t.Errorf("%+v", s)
	}
}

// What is refused about reports for now says when to try again, however soon.
func TestReportAnswersTellWhen(t *testing.T) {
	for name, err := range map[string]error{
		"at once":     &reports.Limited{RetryAfter: 1},
		"later":       &reports.Limited{RetryAfter: time.Hour},
		"never":       &reports.Limited{RetryAfter: gcra.Never},
		"allowance":   franking.ErrAllowance,
		"full":        reports.ErrFull,
		"unreachable": errUnreachable,
		"store":       store.ErrUnavailable,
	} {
		if r := reportAnswer(err); r.RetryAfter == 0 {
			t.Errorf("%s: %v without a time", name, r.Code)
		}
	}
}
