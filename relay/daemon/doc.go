// Package daemon is the whole main of the server: commands, flags, the ready
// line, signals and the HTTP port of the metrics. cmd/waxwingd calls it, and so
// does waxwing when it is started under the name waxwingd, so that the demo,
// the benchmark and the script tests run the real server out of one binary.
//
//	waxwingd init DOMAIN --data DIR       make a provider: keys, configuration
//	waxwingd pin --data DIR               print its pin again
//	waxwingd check-config --data DIR      check the configuration
//	waxwingd serve --data DIR [flags]     serve until SIGTERM or SIGINT
//
// The configuration is the file waxwing.toml in the data directory, or the one
// that --config names (type Config). It is read strictly: an unknown key is an
// error with its line and column, and all mistakes are listed at once. The
// environment overrides the file (WAXWING_LISTEN for listen, WAXWING_LOG_LEVEL
// for log.level, or WAXWING_LISTEN_FILE for a file with the value), and flags
// override both.
//
// serve prints exactly one line on standard output, when it can be reached,
// and nothing else there:
//
//	{"ready":true,"domain":"alpha.example","addr":"127.0.0.1:4433","pin":"...","metrics":"127.0.0.1:9090"}
//
// While it serves, the operator asks it over a unix socket in the data directory
// (package relay/admin): invites, peers, figures, key rotation, drain. The
// commands for that are in cmd/waxwing.
//
// Logs go to standard error. SIGTERM and SIGINT drain: nothing new is taken,
// what was taken is settled, then the store is closed; a second signal ends the
// process at once, which loses nothing that was acknowledged. With
// --exit-with-stdin the end of standard input drains too, so that a server does
// not outlive the process that started it, however that one ends.
//
// The metrics port serves /metrics (Prometheus), /healthz (the process answers)
// and /readyz (the store takes writes). It is plain HTTP without
// authentication: bind it to a loopback or management address. It tells volumes
// and times, and no names: see package relay/node.
//
// # Exit codes
//
//	0  done; for serve: drained after a signal
//	1  failed
//	2  usage: unknown command, flag or value, or a mistake in the configuration
//	3  in use: the data directory is served by another process, it is already
//	   initialised, or the address is taken
//
// # What it does not protect against
//
// Whoever can read the data directory has the provider's keys, unless they are
// wrapped under a secret that lies elsewhere (key_encryption_key_file, or the
// systemd credential waxwing-key-encryption-key); the package makes it with mode
// 0700. Command lines are visible to other users of the machine, so no flag
// takes a secret, only the path of one.
package daemon
