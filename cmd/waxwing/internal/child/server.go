package child

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"

	"waxwing/core/keys"
)

// program is the name under which this program is a server.
const program = "waxwingd"

// Provider is a server's identity on disk: everything that stays when its
// process ends and is started again.
type Provider struct {
	Domain string
	Dir    string // data directory
	Log    string // file of the server's log
	Addr   string // UDP address that it listens on
	Pin    keys.Pin
	// Flags are further flags of serve.
	Flags []string
}

// NewProvider makes a provider below the folder root and chooses a free port
// of the loopback interface for it.
func NewProvider(ctx context.Context, root, domain string) (*Provider, error) {
	p := &Provider{Domain: domain, Dir: filepath.Join(root, domain), Log: filepath.Join(root, domain+".log")}
	proc, err := Spawn(p.Log, program, "init", "--json", "--data", p.Dir, domain)
	if err != nil {
		return nil, err
	}
	defer proc.Kill()
	line, err := proc.Line(ctx)
	if err != nil {
		return nil, fmt.Errorf("initialise %s: %w", domain, err)
	}
	var made struct {
		Pin keys.Pin `json:"pin"`
	}
	if err := json.Unmarshal(line, &made); err != nil {
		return nil, fmt.Errorf("initialise %s: not a line of JSON: %w", domain, err)
	}
	p.Pin = made.Pin
	p.Addr, err = freePort()
	return p, err
}

// Ports for servers are below those that systems give to sockets which ask for none
// in particular (from 32768, or 49152): a client's could have the port before the
// server does, also when the server is started again.
const (
	firstPort = 20000
	portRange = 12000
	portTries = 100
)

// freePort returns a UDP address of the loopback interface that is free now.
// Another process can take it before the server does; the server's error then
// says so.
func freePort() (string, error) {
	var failed error
	for range portTries {
		c, err := net.ListenPacket("udp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.N(portRange))))
		if err == nil {
			return c.LocalAddr().String(), c.Close()
		}
		failed = err
	}
	return "", failed
}

// Peer makes p forward to q and take what q forwards.
func (p *Provider) Peer(q *Provider) {
	p.Flags = append(p.Flags, "--peer", fmt.Sprintf("%s=%s,%s", q.Domain, q.Addr, q.Pin))
}

// Server is a running server.
type Server struct {
	*Process
	*Provider
	metrics string // address of the metrics port
}

// Start starts the provider's server and waits until it is ready.
func (p *Provider) Start(ctx context.Context) (*Server, error) {
	args := append([]string{
		program, "serve", "--data", p.Dir, "--listen", p.Addr,
		"--metrics", "127.0.0.1:0", "--exit-with-stdin", "--log-format", "json", "--registration", "open",
	}, p.Flags...)
	proc, err := Spawn(p.Log, args...)
	if err != nil {
		return nil, err
	}
	line, err := proc.Line(ctx)
	if err != nil {
		proc.Kill()
		return nil, fmt.Errorf("start %s: %w", p.Domain, err)
	}
	var ready struct {
		Ready   bool     `json:"ready"`
		Domain  string   `json:"domain"`
		Pin     keys.Pin `json:"pin"`
		Metrics string   `json:"metrics"`
	}
	if err := json.Unmarshal(line, &ready); err != nil || !ready.Ready || ready.Domain != p.Domain || ready.Pin != p.Pin {
		proc.Kill()
		return nil, fmt.Errorf("start %s: unexpected first line %q", p.Domain, line)
	}
	return &Server{proc, p, ready.Metrics}, nil
}

// Metrics reads the server's metrics.
func (s *Server) Metrics(ctx context.Context) (Metrics, error) { return scrape(ctx, s.metrics) }
