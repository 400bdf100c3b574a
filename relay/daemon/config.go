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
	// Hop is whether questions to the peers are passed on for whoever asks, without
	// an account: "on" or "off". Default: "off".
	Hop string `toml:"hop"`
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

	Log     LogConfig     `toml:"log"`
	Reports ReportsConfig `toml:"reports"`
	Limits  LimitsConfig  `toml:"-"` // the table limits; see LimitsConfig.take
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
var settings = append([]setting{
	{"data", func(c *Config) *string { return &c.Data }},
	{"listen", func(c *Config) *string { return &c.Listen }},
	{"registration", func(c *Config) *string { return &c.Registration }},
	{"hop", func(c *Config) *string { return &c.Hop }},
	{"metrics", func(c *Config) *string { return &c.Metrics }},
	{"admin_socket", func(c *Config) *string { return &c.AdminSocket }},
	{"key_encryption_key_file", func(c *Config) *string { return &c.KeyEncryptionKeyFile }},
	{"log.format", func(c *Config) *string { return &c.Log.Format }},
	{"log.level", func(c *Config) *string { return &c.Log.Level }},
}, append(reportSettings(), limitSettings()...)...)

// variable returns the setting's environment variable.
func (s *setting) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// lookup returns a setting by its key, or nil.
func lookup(key string) *setting {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		return nil
	}
	return &settings[i]
}
