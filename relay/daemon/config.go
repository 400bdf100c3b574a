package daemon

import (
	"slices"
	"strings"
)

// configName is the configuration's file in a data directory.
const configName = "waxwing.toml"

// Config is a server's configuration as it is written down: in the file, in
// the environment or on the command line, each of which overrides the one
// before it. Its zero value is a usable configuration; resolve checks it once
// and says all that is wrong with it.
type Config struct {
	// Data is the data directory. Default: the directory of the file.
	Data string `toml:"data"`
	// Listen is the UDP address to listen on, HOST:PORT; an empty host means
	// all addresses. Default: ":4433".
	Listen string `toml:"listen"`
	// Endpoints is where others reach the server, HOST:PORT each, in order of
	// preference. Default: the address that is listened on.
	Endpoints []string `toml:"endpoints"`
	// Registration is who may register an account: "invite", "open" or
	// "closed". Default: "invite".
	Registration string `toml:"registration"`
	// Metrics is the address of the HTTP port with /metrics, /healthz and
	// /readyz, HOST:PORT; it has no authentication. Default: none.
	Metrics string `toml:"metrics"`
	// AdminSocket is the path of the operator's unix socket, or "none".
	// Default: admin.sock in the data directory.
	AdminSocket string `toml:"admin_socket"`
	// KeyEncryptionKeyFile is the path of a file with the secret that the key
	// files are wrapped under: 16 bytes or more. Default: the systemd credential
	// waxwing-key-encryption-key, if there is one; else they are not wrapped.
	KeyEncryptionKeyFile string `toml:"key_encryption_key_file"`

	Log    LogConfig    `toml:"log"`
	Limits LimitsConfig `toml:"limits"`
	// Peers are the providers to federate with, besides those that "waxwing
	// peer add" added. An entry that was added or removed by command wins over
	// one in the configuration.
	Peers []PeerConfig `toml:"peers"`
}

// LogConfig is the form of the log on standard error.
type LogConfig struct {
	// Format is "text" or "json". Default: "text".
	Format string `toml:"format"`
	// Level is the least level that is logged: "debug", "info", "warn" or
	// "error". Default: "info".
	Level string `toml:"level"`
}

// LimitsConfig is how much accounts and peers may do. Each is written
// COUNT/UNIT,BURST, with s, m, h or d for the unit; without a burst it is the
// count. Defaults are those of relay.LimitConfig.
type LimitsConfig struct {
	AccountEnvelopes string `toml:"account_envelopes"` // envelopes that one account hands in
	AccountTickets   string `toml:"account_tickets"`   // tickets that one account mints
	AccountRequests  string `toml:"account_requests"`  // other requests of one account
	AccountSync      string `toml:"account_sync"`      // batches between the devices of one account
	PeerEnvelopes    string `toml:"peer_envelopes"`    // envelopes that one peer forwards
	PeerBytes        string `toml:"peer_bytes"`        // bytes of those
	PeerRequests     string `toml:"peer_requests"`     // queries that one peer passes on
	Registrations    string `toml:"registrations"`     // new accounts of the whole provider
}

// PeerConfig is one provider to federate with.
type PeerConfig struct {
	Domain  string `toml:"domain"`
	Address string `toml:"address"` // UDP address of its server, HOST:PORT
	Pin     string `toml:"pin"`     // what its "waxwingd pin" prints
}

// setting is one value of a Config that has a name of its own.
type setting struct {
	key string // in the file; with a dot in a table
	in  func(*Config) *string
}

// settings lists them all. The environment variable of log.format is
// WAXWING_LOG_FORMAT, and so on.
var settings = []setting{
	{"data", func(c *Config) *string { return &c.Data }},
	{"listen", func(c *Config) *string { return &c.Listen }},
	{"registration", func(c *Config) *string { return &c.Registration }},
	{"metrics", func(c *Config) *string { return &c.Metrics }},
	{"admin_socket", func(c *Config) *string { return &c.AdminSocket }},
	{"key_encryption_key_file", func(c *Config) *string { return &c.KeyEncryptionKeyFile }},
	{"log.format", func(c *Config) *string { return &c.Log.Format }},
	{"log.level", func(c *Config) *string { return &c.Log.Level }},
	{"limits.account_envelopes", func(c *Config) *string { return &c.Limits.AccountEnvelopes }},
	{"limits.account_tickets", func(c *Config) *string { return &c.Limits.AccountTickets }},
	{"limits.account_requests", func(c *Config) *string { return &c.Limits.AccountRequests }},
	{"limits.account_sync", func(c *Config) *string { return &c.Limits.AccountSync }},
	{"limits.peer_envelopes", func(c *Config) *string { return &c.Limits.PeerEnvelopes }},
	{"limits.peer_bytes", func(c *Config) *string { return &c.Limits.PeerBytes }},
	{"limits.peer_requests", func(c *Config) *string { return &c.Limits.PeerRequests }},
	{"limits.registrations", func(c *Config) *string { return &c.Limits.Registrations }},
}

// variable returns the setting's environment variable.
func (s *setting) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// limitNames lists the limits as the command line calls them.
var limitNames = func() (names []string) {
	for _, s := range settings {
		if name, ok := strings.CutPrefix(s.key, "limits."); ok {
			names = append(names, strings.ReplaceAll(name, "_", "-"))
		}
	}
	return names
}()

// lookup returns a setting by its key, or nil.
func lookup(key string) *setting {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		return nil
	}
	return &settings[i]
}
