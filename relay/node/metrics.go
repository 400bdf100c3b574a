package node

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"waxwing/relay"
	"waxwing/relay/quicnet"
)

// metrics is everything that the server counts. Labels come from closed
// enumerations; no address, mailbox or provider is ever one, because whoever
// reads the metrics must not learn who writes to whom.
type metrics struct {
	registry *prometheus.Registry

	submitted [relay.ReasonEnd]prometheus.Counter // envelopes from clients, by what became of them
	forwarded [relay.ReasonEnd]prometheus.Counter // envelopes from peers, by what became of them

	failed [quicnet.FailureEnd]prometheus.Counter // handshakes that were not completed, by why

	hop [relay.HopEnd]prometheus.Counter // questions of nobody's that were to be passed on, by what became of them

	pushed      prometheus.Counter // deliveries sent to devices
	relayed     prometheus.Counter // envelopes that a peer acked
	givenUp     prometheus.Counter // envelopes that a peer refused for good
	peerRefused prometheus.Counter // envelopes that a peer refused for now
	batches     prometheus.Histogram
	requests    *prometheus.CounterVec // control requests by type and answer
	connections *prometheus.GaugeVec   // open connections by kind
	links       prometheus.Gauge       // peers connected to
	handshakes  *prometheus.CounterVec // finished handshakes by kind
	reports     *prometheus.CounterVec // reported messages by what was found
	verdicts    *prometheus.CounterVec // verdicts of peers by what became of them
	lists       *prometheus.CounterVec // peers' lists of admission's keys by what became of them
	protocol    prometheus.Counter     // connections closed for breaking the protocol
	stalled     prometheus.Counter     // streams closed because the other side was too slow
}

func newMetrics() *metrics {
	reg := prometheus.NewRegistry()
	m := &metrics{
		registry: reg,
		pushed:   counter("waxwing_deliveries_total", "Deliveries sent to devices, repeats included."),
		relayed:  counter("waxwing_relayed_total", "Envelopes that a peer provider acknowledged."),
		givenUp:  counter("waxwing_given_up_total", "Envelopes that a peer provider refused for good."),
		peerRefused: counter("waxwing_peer_refused_total",
			"Envelopes that a peer provider refused for now and that are sent again."),
		protocol: counter("waxwing_protocol_errors_total", "Streams or connections closed for breaking the protocol."),
		stalled: counter("waxwing_stalled_streams_total",
			"Streams closed because the other side did not read, or did not complete a frame, in time."),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waxwing_settle_batch_size", Help: "Envelopes settled in one commit of one stream.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waxwing_requests_total", Help: "Control requests, by type and answer.",
		}, []string{"type", "answer"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waxwing_connections", Help: "Open connections, from clients and from peers.",
		}, []string{"kind"}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waxwing_reported_messages_total", Help: "Messages that accounts reported, by what was found.",
		}, []string{"finding"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waxwing_verdicts_total", Help: "Verdicts of peers' reviewers, by what became of them.",
		}, []string{"result"}),
		lists: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waxwing_admission_lists_total", Help: "Lists of peers' keys of admission, by what became of them.",
		}, []string{"result"}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waxwing_handshakes_total", Help: "Accepted connections, from clients and from peers.",
		}, []string{"kind"}),
		links: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waxwing_peer_links", Help: "Peer providers that this one is connected to.",
		}),
	}
	reg.MustRegister(m.pushed, m.relayed, m.givenUp, m.peerRefused, m.protocol, m.stalled, m.batches, m.requests,
		m.connections, m.handshakes, m.links, m.reports, m.verdicts, m.lists,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	questions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waxwing_hop_questions_total", Help: "Questions to peers on connections without an account, by what became of them.",
	}, []string{"result"})
	reg.MustRegister(questions)
	for r := range relay.HopEnd {
		m.hop[r] = questions.WithLabelValues(r.String())
	}
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waxwing_failed_handshakes_total", Help: "Handshakes that were begun and not completed, by why.",
	}, []string{"reason"})
	reg.MustRegister(failed)
	for f := range quicnet.FailureEnd {
		m.failed[f] = failed.WithLabelValues(f.String())
	}
	envelopes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waxwing_envelopes_total", Help: "Envelopes by where they came from and what became of them.",
	}, []string{"from", "result"})
	reg.MustRegister(envelopes)
	for r := range relay.ReasonEnd {
		m.submitted[r] = envelopes.WithLabelValues("client", r.String())
		m.forwarded[r] = envelopes.WithLabelValues("peer", r.String())
	}
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}
