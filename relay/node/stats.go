package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/relay/quicnet"
)

// Stats is a snapshot of a running provider, for its operator.
type Stats struct {
	Started time.Time
	Load    quicnet.Load
	Links   int // peers connected to
	Clients int // connections of clients
	Peers   int // connections of peers
	Queues  []Queue
	// Counters holds every counter and gauge of the metrics by its name and
	// labels as Prometheus writes them, of histograms the count and the sum.
	Counters map[string]float64
}

// Queue is what waits to be forwarded to a peer. It also counts what expired
// lately; see store.ExpirySlack.
type Queue struct {
	Domain ids.Domain
	store.MailboxStat
}

// Stats takes a snapshot. Errors are the store's.
func (n *Node) Stats(ctx context.Context) (*Stats, error) {
	s := &Stats{Started: n.started, Load: n.listener.Load()}
	for _, l := range n.peers.all() {
		stat, err := n.store.Stat(ctx, l.outbox)
		if err != nil {
			return nil, err
		}
		s.Queues = append(s.Queues, Queue{l.peer.Domain, stat})
	}
	var err error
	if s.Counters, err = n.metrics.values(); err != nil {
		return nil, err
	}
	s.Links = int(s.Counters["waxwing_peer_links"])
	const connections = "waxwing_connections"
	s.Clients = int(s.Counters[connections+`{kind="client"}`])
	s.Peers = int(s.Counters[connections+`{kind="peer"}`])
	return s, nil
}

// values returns the module's own metrics, without those of the Go runtime.
func (m *metrics) values() (map[string]float64, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_") {
			continue
		}
		for _, metric := range f.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			in := ""
			if len(labels) > 0 {
				in = "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case metric.GetCounter() != nil:
				out[f.GetName()+in] = metric.GetCounter().GetValue()
			case metric.GetGauge() != nil:
				out[f.GetName()+in] = metric.GetGauge().GetValue()
			case metric.GetHistogram() != nil:
				out[f.GetName()+"_count"+in] = float64(metric.GetHistogram().GetSampleCount())
				out[f.GetName()+"_sum"+in] = metric.GetHistogram().GetSampleSum()
			}
		}
	}
	return out, nil
}
