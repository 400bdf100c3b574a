package daemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// overrides are the flags of serve and check-config that override the
// configuration.
type overrides struct {
	data, file string
	endpoints  []string
	peers      []string
	limits     []string
	values     map[string]*string // by key
}

// configFlags adds the flags to a command.
func configFlags(c *cobra.Command) *overrides {
	o := &overrides{values: map[string]*string{}}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "data directory made by init; default: that of the configuration")
	f.StringVar(&o.file, "config", "", "configuration file; default: "+configName+" in the data directory")
	value := func(key, name, choices, what string) {
		v := new(string)
		o.values[key] = v
		f.StringVar(v, name, "", "`"+choices+"`: "+what)
	}
	value("listen", "listen", "HOST:PORT", "UDP address to listen on; default: "+defaultListen)
	value("registration", "registration", "invite|open|closed", "who may register an account; default: invite")
	value("hop", "hop", "on|off", "pass on to peers what anybody asks them without an account; default: off")
	value("metrics", "metrics", "HOST:PORT", "HTTP port with /metrics, /healthz and /readyz; default: none")
	value("admin_socket", "admin-socket", "PATH", "the operator's unix socket, or none; default: "+defaultSocket+" in the data directory")
	value("key_encryption_key_file", "key-encryption-key-file", "PATH", "file with the secret that key files are wrapped under; default: the systemd credential "+credential+", if there is one")
	value("log.format", "log-format", "text|json", "form of the log on standard error; default: text")
	value("log.level", "log-level", "debug|info|warn|error", "least level that is logged; default: info")
	f.StringSliceVar(&o.endpoints, "endpoint", nil, "`HOST:PORT` by which others reach this server; default: the address listened on")
	f.StringArrayVar(&o.peers, "peer", nil, "`DOMAIN=HOST:PORT,PIN` of another provider; repeat for each. They are added to the configured ones")
	f.StringArrayVar(&o.limits, "limit", nil, "`NAME=COUNT/UNIT[,BURST]`: rate limit instead of its default; repeat for each. UNIT is s, m, h or d; NAME one of "+
		strings.Join(limitNames, ", "))
	return o
}

// apply overrides a loaded configuration. The error is problems.
func (o *overrides) apply(c *cobra.Command, l *loaded) error {
	var all problems
	for key, v := range o.values {
		if *v != "" {
			*lookup(key).in(&l.Config) = *v
			l.from[key] = fromCommand
		}
	}
	if len(o.endpoints) > 0 {
		l.Endpoints = o.endpoints
		l.from["endpoints"] = fromCommand
	}
	for _, s := range o.peers {
		p, err := splitPeer(s)
		if err != nil {
			all = append(all, fmt.Errorf("--peer: %w", err))
			continue
		}
		l.Peers = append(l.Peers, p)
		l.from["peers"] = fromCommand
	}
	for _, s := range o.limits {
		name, value, ok := strings.Cut(s, "=")
		if !ok || !slices.Contains(limitNames, name) {
			all = append(all, fmt.Errorf("--limit: no limit %q: want one of %s", name, strings.Join(limitNames, ", ")))
			continue
		}
		key := "limits." + strings.ReplaceAll(name, "-", "_")
		*lookup(key).in(&l.Config) = value
		l.from[key] = fromCommand
	}
	if len(all) > 0 {
		return all
	}
	return nil
}
