// Package docs_test holds the module to its architecture: the floors of its
// packages, their purity, and the form of their files. The tables in this file
// are the whole of it; a row changes together with the reason beside it.
// docs/architecture.md tells the same in prose.
package docs_test

import (
	"os"
	"testing"
)

// architecture is the module's own table.
var architecture = rules{
	// A newcomer finds what only this system does at the top and everything
	// that it is built from in core.
	topFolders: []string{"cmd", "relay", "sealedsender", "franking", "blocklist", "ratelimit", "core", "docs"},

	// A package imports strictly lower floors only. So the packages of one floor
	// are independent of one another, a change can break nothing below it, and
	// whoever reads one floor needs only the ones under it.
	floors: []floor{
		{at: 0, path: "core/ids", why: "the names of things, which enter hashes and so need one form for everyone"},
		{at: 0, path: "core/merkle", why: "a tree of hashes, of whatever they are"},

		{at: 1, path: "core/wire", why: "the one schema: names and primitive types only"},
		{at: 1, path: "core/keys", why: "typed keys and the closed table of signing contexts: names only"},
		{at: 1, path: "ratelimit/gcra", why: "two pure functions from a stored time to a decision; imports nothing"},
		{at: 1, path: "core/auditlog", why: "an append-only log as one hash, and receipts for what is in it: hashes only"},
		{at: 1, path: "core/attachment", why: "sealed files and proofs of their parts: keys and hashes only, below the frame that describes them and the report that reveals them"},
		{at: 1, path: "core/group", why: "strict group decoding and proofs of linear relations: arithmetic only"},
		{
			at: 1, path: "core/store", why: "the contract between state and its engines; knows no record's meaning",
			impure: "the memory engine: its clock by default, and the end of a watch with its context",
			calls:  []string{"time.Now", "context.AfterFunc"},
		},
		{
			at: 1, path: "core/vectors", why: "opens files of known answers for the tests of every package above",
			impure: "reads files", testOnly: true,
		},

		{at: 2, path: "sealedsender", why: "pure protocol; independent of admission and reporting"},
		{at: 2, path: "franking", why: "pure protocol; reporting must not depend on how the sender was hidden"},
		{at: 2, path: "ratelimit", why: "pure protocol: what the capabilities have in common"},
		{at: 2, path: "ratelimit/ticket", why: "pure protocol: sealed-address tickets"},
		{at: 2, path: "ratelimit/arc", why: "pure protocol: credentials on a secret that their issuer does not see"},
		{at: 2, path: "ratelimit/privacypass", why: "pure protocol: submission tokens, which their issuer does not recognise"},
		{at: 2, path: "ratelimit/limits", why: "which limits there are and what is in force of them: names and buckets only"},
		{at: 2, path: "blocklist", why: "pure protocol; who is blocked is decided without knowing who sent"},
		{at: 2, path: "core/ratchet", why: "pairwise sessions: keys and encodings only"},
		{at: 2, path: "core/query", why: "questions sealed to another provider: keys and encodings only"},
		{at: 2, path: "core/linking", why: "how a device lets in a new one: keys and encodings only"},
		{at: 2, path: "core/devicesync", why: "what devices of one account tell each other: encodings only"},
		{at: 2, path: "core/senderkey", why: "group sessions over pairwise ones, which the caller brings"},
		{at: 2, path: "core/mls", why: "group sessions after RFC 9420: keys and encodings only"},
		{at: 2, path: "core/content", why: "what a message says: encodings only"},
		{at: 2, path: "core/call", why: "call frames: keys and encodings only"},
		{
			at: 2, path: "core/store/badgerstore", why: "an engine under the store's contract",
			impure: "it is the disk: files, and the goroutines of its committer",
		},
		{
			at: 2, path: "core/store/storetest", why: "the contract as a test that every engine passes",
			impure: "kills processes and reopens their files", testOnly: true,
		},

		{at: 3, path: "core/archive", why: "an account in a file: what its devices share, in the form in which they tell each other"},
		{at: 3, path: "core/mailbox", why: "state over the store's contract"},
		{at: 3, path: "core/directory", why: "state over the store's contract: accounts, prekeys, descriptors"},
		{at: 3, path: "core/transparency", why: "state over the store's contract: the key log"},
		{at: 3, path: "ratelimit/ledger", why: "state over the store's contract: what was spent, of verified spends only"},
		{at: 3, path: "ratelimit/keylist", why: "pure: what a provider signs of its admission's keys, the same for everybody"},
		{at: 3, path: "ratelimit/membership", why: "pure protocol on credentials: from an account to a pseudonym and a day's credential"},
		{at: 3, path: "ratelimit/introduction", why: "pure protocol on credentials: first contact under a pseudonym, and standing stamps"},
		{at: 3, path: "blocklist/ledger", why: "state over the store's contract: what was struck"},

		{at: 4, path: "relay", why: "the decisions of a relay, pure, so that every one of them can be tested without a network"},

		{at: 4, path: "relay/reports", why: "what a provider does about franked messages: decisions and state over the store's contract"},

		{at: 4, path: "relay/admission", why: "a provider's keys of anonymous admission and their signed list: decisions and state over the store's contract"},

		{at: 5, path: "relay/quicnet", why: "QUIC streams to frames; the first floor with sockets"},
		{at: 5, path: "relay/client/state", why: "the client's own crash-safe store; needs batches over several keys"},

		{at: 6, path: "relay/client", why: "the SDK: sessions and state over a connection"},
		{at: 6, path: "relay/console", why: "reviewers' pages: reads what the relay decided"},

		{at: 7, path: "relay/admin", why: "the operator's requests and answers over a local socket; knows nothing of the server, which the daemon puts behind it"},
		{at: 7, path: "relay/node", why: "the server: goroutines, configuration and metrics around the decisions"},

		{at: 8, path: "relay/daemon", why: "the server's whole main, callable, so that demo and tests run the real one"},

		{at: 9, path: "cmd/waxwingd", why: "the server's binary; alone reads a server's keys"},
		{at: 9, path: "cmd/waxwing", why: "the user's and the operator's binary"},
	},

	// Tests may look sideways and down. Upwards only an external test package
	// may look, and only for the reason given.
	upward: []upwardTest{
		{from: "core/store", to: "core/store/storetest", why: "the memory engine passes the contract's test, which needs the contract"},
	},

	// Floors up to this one take the time as an argument and leave goroutines,
	// sockets, files and logs to those above: the same input gives the same
	// decision, and a test needs no clock.
	pureUpTo: 4,

	// Imports that a pure floor may not have. A trailing slash means the
	// packages below as well.
	impureImports: []string{
		"net/", "os/", "log/", "syscall", "testing/", "crypto/tls", "expvar", "plugin", "io/ioutil",
		"math/rand/", // randomness comes from crypto/rand only
		"golang.org/x/sync/", "golang.org/x/sys/",
	},

	// Functions that read the clock, wait for it or start a goroutine.
	impureCalls: []string{
		"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc",
		"time.Tick", "time.NewTimer", "time.NewTicker",
		"context.WithTimeout", "context.WithTimeoutCause", "context.WithDeadline",
		"context.WithDeadlineCause", "context.AfterFunc",
	},

	// No package may have these: memory safety and a build with only Go.
	banned: []string{"unsafe", "C"},

	// Every module from outside has a row; a new dependency needs a reason.
	dependencies: []dependency{
		{path: "filippo.io/age", in: []string{"core/archive"}, why: "files under a passphrase, in a format that other programs open"},
		{path: "filippo.io/edwards25519", in: []string{"core/keys", "core/group"}, why: "point decoding that the standard library does not export"},
		{path: "github.com/cloudflare/circl/ecc", in: []string{"ratelimit/introduction"}, testOnly: true, why: "a pairing, to measure what is done without"},
		{path: "github.com/cloudflare/circl", in: []string{"core/group", "core/ratchet", "ratelimit/privacypass"}, why: "groups, an ML-KEM whose encapsulation can be split, and the oblivious PRF of submission tokens, behind our own types"},
		{path: "github.com/gtank/ristretto255", in: []string{"core/group"}, why: "ristretto255 with multi-scalar multiplication, over the edwards25519 that we have anyway"},
		{path: "github.com/dgraph-io", in: []string{"core/store/badgerstore"}, why: "the engine is replaceable only while nobody else knows it"},
		{path: "github.com/quic-go/quic-go/testutils/simnet", in: []string{"relay/node", "relay/quicnet"}, testOnly: true, why: "a network inside a test, with the test's clock"},
		{path: "github.com/quic-go/quic-go", in: []string{"relay/quicnet", "cmd/waxwing"}, why: "the transport; and bench's floor is a bare receiver of the same bytes"},
		{path: "github.com/pelletier/go-toml/v2", in: []string{"relay/daemon"}, why: "the configuration file: strict, with line and column of every mistake"},
		{path: "github.com/prometheus", in: []string{"relay/node", "relay/daemon"}, why: "labels are bounded in one place"},
		{path: "go.etcd.io/bbolt", in: []string{"relay/client/state"}, why: "the client's file"},
		{path: "github.com/spf13", in: []string{"cmd", "relay/daemon"}, why: "command lines are the binaries' own matter, and daemon holds the whole main of one"},
		{path: "github.com/skip2/go-qrcode", in: []string{"cmd/waxwing"}, why: "QR codes at a terminal: MIT, no dependencies of its own, frozen since 2020; it only gets text of ours, behind one function"},
		{path: "golang.org/x/term", in: []string{"cmd"}, why: "passphrases and progress at a terminal"},
		{path: "golang.org/x/text", in: []string{"core/ids"}, why: "PRECIS: an address has one canonical form, made in one place"},
		{path: "golang.org/x/net", in: []string{"core/ids", "relay/quicnet"}, why: "IDNA, as above; and reading many UDP packets in one system call"},
		{path: "golang.org/x/crypto", in: []string{"core", "sealedsender", "franking", "ratelimit", "blocklist", "relay"}, why: "primitives that the standard library lacks"},
		{path: "golang.org/x/sync", in: []string{"core/store/badgerstore", "relay", "cmd"}, why: "groups of goroutines, above the pure floors"},
		{path: "golang.org/x/sys", in: []string{"core/store/badgerstore", "relay", "cmd"}, why: "file locks and resource use, above the pure floors"},
		{path: "pgregory.net/rapid", testOnly: true, why: "properties and models"},
		{path: "go.uber.org/goleak", testOnly: true, why: "no goroutine outlives its test"},
		{path: "github.com/rogpeppe/go-internal", in: []string{"cmd", "relay/daemon"}, testOnly: true, why: "scripts against the real binaries"},
	},

	// One noun per file, one thought per function: beyond these sizes a file or
	// a function is split. Tests are tables and may be long.
	maxFileLines: 500,
	maxFuncLines: 90,

	// Files and functions ("file.go:Name" or "file.go:Type.Name") that may be
	// longer, each with its reason: generated code and tables.
	long: map[string]string{},

	// The two commands of a newcomer.
	readme: []string{"go run ./cmd/waxwing demo", "go test ./..."},
}

func TestArchitecture(t *testing.T) {
	m, err := loadModule(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	// The walk found the tree and not an empty folder.
	for _, path := range []string{"core/ids", "docs"} {
		if m.packages[path] == nil {
			t.Fatalf("no package %s in the module", path)
		}
	}
	for _, v := range architecture.check(m) {
		t.Error(v)
	}
}
