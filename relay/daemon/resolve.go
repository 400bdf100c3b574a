package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/relay"
	"waxwing/relay/node"
)

// The defaults of settings that package node does not have.
const (
	defaultListen = ":4433"
	defaultSocket = "admin.sock" // in the data directory
	none          = "none"       // instead of a path
)

// maxPeers bounds the configured peers; package node allows no more.
const maxPeers = node.MaxPeers

// resolved is a checked configuration.
type resolved struct {
	node    node.Config // without logger
	metrics string      // empty for none
	socket  string      // empty for none
	secret  string      // path of what key files are wrapped under; empty for none
	json    bool        // form of the log
	level   slog.Level
}

// checker collects what is wrong.
type checker struct{ all problems }

func (k *checker) fail(key string, err error) {
	if err != nil {
		k.all = append(k.all, fmt.Errorf("%s: %w", key, err))
	}
}

func (k *checker) choice(key, value string, choices ...string) {
	if value != "" && !slices.Contains(choices, value) {
		k.fail(key, fmt.Errorf("%q: want %s", value, strings.Join(choices, " or ")))
	}
}

func (k *checker) address(key, value string) {
	if value != "" {
		k.fail(key, hostPort(value))
	}
}

// resolve checks everything and returns what it means. own is the provider's
// domain, if it is known. The error is problems.
func (c *Config) resolve(own ids.Domain) (*resolved, error) {
	k := new(checker)
	if c.Data == "" {
		k.fail("data", errors.New("missing: the directory that holds the provider's keys and messages"))
	}
	r := &resolved{metrics: c.Metrics, node: node.Config{
		Dir: c.Data, Listen: cmp.Or(c.Listen, defaultListen), Endpoints: c.Endpoints,
	}}
	k.address("listen", c.Listen)
	k.address("metrics", c.Metrics)
	if len(c.Endpoints) > directory.MaxEndpoints {
		k.fail("endpoints", fmt.Errorf("more than %d", directory.MaxEndpoints))
	}
	for _, e := range c.Endpoints {
		k.fail("endpoints", endpoint(e))
	}
	k.choice("registration", c.Registration, "invite", "open", "closed")
	r.node.Registration = registrations[c.Registration]
	k.choice("hop", c.Hop, "on", "off")
	r.node.Hop = c.Hop == "on"
	k.choice("log.format", c.Log.Format, "text", "json")
	r.json = c.Log.Format == "json"
	k.choice("log.level", c.Log.Level, "debug", "info", "warn", "error")
	_ = r.level.UnmarshalText([]byte(cmp.Or(c.Log.Level, "info"))) // a choice
	switch c.AdminSocket {
	case none:
	case "":
		r.socket = filepath.Join(c.Data, defaultSocket)
	default:
		r.socket = c.AdminSocket
	}
	r.secret = secretFile(c.KeyEncryptionKeyFile)
	c.Reports.resolve(k, &r.node)
	r.node.Limits = c.Limits.resolve(k)
	r.node.Peers = c.resolvePeers(k, own)
	if len(k.all) > 0 {
		return nil, k.all
	}
	return r, nil
}

var registrations = map[string]relay.Registration{
	"": relay.RegistrationInvite, "invite": relay.RegistrationInvite,
	"open": relay.RegistrationOpen, "closed": relay.RegistrationClosed,
}

func (c *Config) resolvePeers(k *checker, own ids.Domain) []node.Peer {
	if len(c.Peers) > maxPeers {
		k.fail("peers", fmt.Errorf("more than %d", maxPeers))
		return nil
	}
	var out []node.Peer
	for i, p := range c.Peers {
		peer, err := p.resolve()
		switch {
		case err != nil:
			k.fail("peers", fmt.Errorf("number %d: %w", i+1, err))
			continue
		case peer.Domain == own:
			k.fail("peers", fmt.Errorf("number %d: %s is this provider itself", i+1, own))
		case slices.ContainsFunc(out, func(o node.Peer) bool { return o.Domain == peer.Domain }):
			k.fail("peers", fmt.Errorf("%s is given twice", peer.Domain))
		}
		out = append(out, peer)
	}
	return out
}

func (p *PeerConfig) resolve() (out node.Peer, err error) {
	if out.Domain, err = ids.ParseDomain(p.Domain); err != nil {
		return out, err
	}
	if err := hostPort(p.Address); err != nil {
		return out, err
	}
	out.Addr = p.Address
	if out.Pin, err = keys.ParsePin(p.Pin); err != nil {
		return out, fmt.Errorf("pin of %s: want the 43 characters that its \"waxwingd pin\" prints", out.Domain)
	}
	return out, nil
}

// splitPeer parses DOMAIN=HOST:PORT,PIN.
func splitPeer(s string) (PeerConfig, error) {
	domain, rest, ok := strings.Cut(s, "=")
	addr, pin, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return PeerConfig{}, errors.New("want DOMAIN=HOST:PORT,PIN")
	}
	return PeerConfig{domain, addr, pin}, nil
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

// endpoint checks an address that others are told.
func endpoint(s string) error {
	if err := hostPort(s); err != nil {
		return err
	}
	if !directory.ValidEndpoint(s) {
		return fmt.Errorf("address %q: want a lower-case name or an IP address, and a port above 0", s)
	}
	return nil
}
