package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"waxwing/relay/node"
)

// Limits of the metrics port, which is for one scraper and a few people.
const (
	// scrapes bounds the scrapes under way: each gathers every metric.
	scrapes = 4
	// scrapeTime bounds one scrape and one health check.
	scrapeTime = 10 * time.Second
	// headerBytes bounds a request; nothing here needs a long one.
	headerBytes = 16 << 10
	// idleTime is how long a connection may stay open between two scrapes.
	idleTime = 2 * time.Minute
)

// monitor is the HTTP port of the metrics.
type monitor struct {
	listener net.Listener
	server   *http.Server
}

// newMonitor listens on addr and serves until close.
func newMonitor(addr string, n *node.Node, log *slog.Logger) (*monitor, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.Gatherer(), promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapes, Timeout: scrapeTime,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
		defer cancel()
		answer(w, n.Health(ctx))
	})
	m := &monitor{listener, &http.Server{
		Handler: mux, ReadTimeout: scrapeTime, WriteTimeout: 2 * scrapeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: headerBytes,
		ErrorLog: slog.NewLogLogger(discardText{log.Handler()}, slog.LevelDebug),
	}}
	go func() {
		if err := m.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics port failed", "err", err)
		}
	}()
	return m, nil
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (m *monitor) addr() string { return m.listener.Addr().String() }

func (m *monitor) close() { _ = m.server.Close() }

// discardText keeps net/http's own texts, which hold remote addresses, out of
// the log: only that something happened is logged.
type discardText struct{ slog.Handler }

// Handle logs the record without its text.
func (h discardText) Handle(ctx context.Context, r slog.Record) error {
	r.Message = "metrics port: a request failed"
	return h.Handler.Handle(ctx, r)
}
