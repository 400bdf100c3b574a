package limits

import (
	"time"

	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
)

// Name is one limit.
type Name uint8

// The limits. Their order is that of lists.
const (
	AccountEnvelopes Name = iota
	AccountTickets
	AccountRequests
	AccountSync
	AccountIssues
	AccountReports
	PeerEnvelopes
	PeerBytes
	PeerRequests
	PeerPrekeys
	PeerVerdicts
	PeerIntroductions
	PeerRefills
	HomeAccounts
	MailboxEnvelopes
	TargetPrekeys
	SenderIntroductions
	MailboxIntroductions
	Registrations
	Connections
	PrefixConnections
	Handshakes
	PrefixSubmissions
	HopQuestions
	HopPeer
	TokensDaily
	IntroNew
	IntroMember
	End // how many there are
)

// Scope says what has a bucket of its own under a limit.
type Scope uint8

// The scopes.
const (
	Account  Scope = iota // each account of this provider
	Peer                  // each provider that forwards or asks; may have values of its own
	Mailbox               // each mailbox, or account as others know it
	Provider              // this provider as a whole
	Prefix                // each IPv4 address or IPv6 /64
)

var scopeNames = [...]string{Account: "account", Peer: "peer", Mailbox: "mailbox", Provider: "provider", Prefix: "address prefix"}

// String returns the scope as lists and the documentation have it.
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return "invalid"
}

// Info is what is fixed of a limit.
type Info struct {
	Key     string     // its name in configuration, metrics and commands
	Scope   Scope      // whom it is about
	Unit    string     // what is counted
	Default gcra.Limit // if nothing else is said
	// Least is the smallest burst that a value may have: the largest cost of one
	// request. Under a smaller one such a request could never be let through, and
	// there would be no time to tell.
	Least int64
	What  string // what it limits
	Why   string // the reason of the default
	// Instead is what happens over the limit where that is no refusal.
	Instead string
}

// AtOnce reports whether it bounds how many there are, at one time or of one day,
// and not how fast they come. Its value is a number, the burst of a limit without
// rate; the caller knows how many there are.
func (i *Info) AtOnce() bool { return i.Default.Period == 0 }

// keys bounds the buckets of a scope that are active at once, at some 80 bytes
// each. A bucket that is full again is forgotten, so only those of the last
// minutes count.
var keys = [...]int{
	Account:  gcra.DefaultEntries,
	Peer:     10_000, // several times as many as there may be peers
	Mailbox:  gcra.DefaultEntries,
	Provider: 1,
	Prefix:   gcra.DefaultEntries,
}

// All is the table.
var All = [End]Info{
	AccountEnvelopes: {
		"account_envelopes", Account, "envelopes", gcra.PerSecond(100, 5000), 1,
		"envelopes that one account hands in",
		"a message to a group of a hundred every second, and what a device kept while it was offline", "",
	},
	AccountTickets: {
		"account_tickets", Account, "tickets", gcra.PerSecond(200, 50_000), wire.MaxMint,
		"tickets that one account mints",
		"thirty contacts at the highest mark at once", "",
	},
	AccountRequests: {
		"account_requests", Account, "requests", gcra.PerSecond(5, 200), 1,
		"other control requests of one account",
		"lookups of a first session with many contacts; each may cost a commit", "",
	},
	AccountSync: {
		"account_sync", Account, "batches", gcra.PerSecond(10, 100), 1,
		"batches between the devices of one account",
		"eight devices at the shortest interval", "",
	},
	AccountIssues: {
		"account_issues", Account, "requests",
		gcra.Limit{Burst: 24, Count: 12, Period: time.Minute},
		1,
		"requests of one account for franking tokens",
		"two days' tokens at once and again after a failure; each request costs dozens of signatures and proofs", "",
	},
	AccountReports: {
		"account_reports", Account, "reports",
		gcra.Limit{Burst: 20, Count: 50, Period: 24 * time.Hour},
		1,
		"reports of one account",
		"more than anybody writes notes for, and a flood of forged ones costs the desk little", "",
	},
	PeerEnvelopes: {
		"peer_envelopes", Peer, "envelopes", gcra.PerSecond(20_000, 200_000), 1,
		"envelopes that one peer forwards",
		"a share of what a relay settles; ten seconds of it after an outage", "",
	},
	PeerBytes: {
		"peer_bytes", Peer, "bytes", gcra.PerSecond(64<<20, 640<<20), wire.MaxEnvelope,
		"bytes of the envelopes that one peer forwards",
		"half of a gigabit link and of a disk; ten seconds of it after an outage", "",
	},
	PeerRequests: {
		"peer_requests", Peer, "requests", gcra.PerSecond(100, 1000), 1,
		"questions that one peer passes on or asks",
		"each costs a decapsulation and a read", "",
	},
	PeerPrekeys: {
		"peer_prekeys", Peer, "prekeys", gcra.PerSecond(10, 600), 1,
		"one-time prekeys given to askers at one provider",
		"ten first contacts a second are many for a large provider", "the last-resort prekey is given",
	},
	PeerVerdicts: {
		"peer_verdicts", Peer, "verdicts",
		gcra.Limit{Burst: 600, Count: 60, Period: time.Minute},
		1,
		"verdicts that one peer's desk sends",
		"one a second is many for reviewers; each costs signatures and three commits", "",
	},
	MailboxEnvelopes: {
		"mailbox_envelopes", Mailbox, "envelopes", gcra.PerSecond(200, 10_000), 1,
		"envelopes under tickets of one mailbox",
		"as many at once as a mailbox holds, then a hundredth of what a relay settles", "",
	},
	PeerIntroductions: {
		"peer_introductions", Peer, "introductions", gcra.PerSecond(50, 1000), 1,
		"introductions that one provider's accounts send, this one's own too",
		"each costs a decapsulation and a proof, about a millisecond; 50 first contacts a second are a large provider's", "",
	},
	PeerRefills: {
		"peer_refills", Peer, "questions", gcra.PerSecond(20, 1000), 1,
		"questions for credentials and standing stamps that one provider passes on",
		"each costs dozens of scalar multiplications; an account asks once a day, and once a week for each contact", "",
	},
	HomeAccounts: {
		"home_accounts", Peer, "accounts",
		gcra.Limit{Burst: 20_000, Count: 100_000, Period: 24 * time.Hour},
		1,
		"accounts of one provider that get a day's credential here",
		"the cost of made-up accounts is their provider's; a large one's users of a day",
		"the sealed answer says when more are taken",
	},
	SenderIntroductions: {
		"sender_introductions", Mailbox, "introductions",
		gcra.Limit{Burst: 3, Count: 3, Period: 24 * time.Hour},
		1,
		"introductions of one pseudonym to one mailbox",
		"who got no answer to three letters waits a day", disposedIntro,
	},
	MailboxIntroductions: {
		"mailbox_introductions", Mailbox, "introductions",
		gcra.Limit{Burst: 50, Count: 100, Period: 24 * time.Hour},
		1,
		"introductions of all senders to one mailbox",
		"a person under attack by many accounts sees a bounded number of requests", disposedIntro,
	},
	TargetPrekeys: {
		"target_prekeys", Mailbox, "prekeys",
		gcra.Limit{Burst: 20, Count: 2, Period: time.Minute},
		1,
		"one-time prekeys of one account given to strangers",
		"a burst of new contacts, then two a minute", "the last-resort prekey is given",
	},
	Registrations: {
		"registrations", Provider, "accounts", gcra.PerSecond(5, 100), 1,
		"new accounts",
		"each costs signatures and a commit, and lasts", "",
	},
	Connections: {
		"connections", Provider, "connections",
		gcra.Limit{Burst: 10_000},
		1,
		"connections at once, of clients and peers, handshakes included",
		"50 to 60 kB of memory each when idle", refusedConn,
	},
	PrefixConnections: {
		"prefix_connections", Prefix, "connections",
		gcra.Limit{Burst: 1024},
		1,
		"connections at once from one address prefix",
		"many users share an address behind a NAT, but no single place takes all that there are", refusedConn,
	},
	Handshakes: {
		"handshakes", Provider, "handshakes",
		gcra.Limit{Burst: 1024},
		1,
		"handshakes at once whose address is proven",
		"about a second of two cores' handshakes; beyond it all would become slow", refusedConn,
	},
	PrefixSubmissions: {
		"prefix_submissions", Prefix, "envelopes", gcra.PerSecond(200, 5000), 1,
		"envelopes under submission tokens from one address prefix",
		"several accounts behind one NAT; each costs a scalar multiplication and a commit, whoever sends it", "",
	},
	HopQuestions: {
		"hop_questions", Prefix, "questions", gcra.PerSecond(5, 200), 1,
		"questions to peers that this provider passes on as a hop, from one address prefix",
		"as many as an account may ask its own provider: who is a hop's client asks it instead", "",
	},
	HopPeer: {
		"hop_peer", Peer, "questions", gcra.PerSecond(5, 250), 1,
		"questions to one peer that this provider passes on as a hop",
		"a quarter of the peer_refills that the peer has for this provider; the rest is for its own accounts", "",
	},
	TokensDaily: {
		"tokens_daily", Account, "tokens",
		gcra.Limit{Burst: 4096},
		1,
		"submission tokens that one account gets in a day, by UTC; above 8192 no more than that",
		"a group of a hundred, forty times; what devices did not use they use later in the week", "refused until the next day",
	},
	IntroNew: {
		"intro_new", Account, "introductions",
		gcra.Limit{Burst: 4},
		2,
		"introductions to mailboxes here of an account of tier 1, whichever its provider, in a day, by UTC; at most 64",
		"a new account, or one with a new secret, meets a few people a day; one that was made to bother people reaches no more", falseProof,
	},
	IntroMember: {
		"intro_member", Account, "introductions",
		gcra.Limit{Burst: 32},
		2,
		"introductions to mailboxes here of an account of tier 2, whichever its provider, in a day, by UTC; at most 64",
		"more people than most ever meet in a day", falseProof,
	},
}

// maxPromised bounds the values of limits that are promised, as
// introduction.MaxLimit does: every address has the length of one under it.
const maxPromised = 64

// Promised reports whether others are told the value, in the signed list of keys,
// and hold it against what they are shown: it counts from the next day whose key
// is drawn. Nothing over it is ever asked for, so that a dry run would count
// nothing.
func (n Name) Promised() bool { return n == IntroNew || n == IntroMember }

// refusedConn is what happens to a connection: QUIC's refusal has no time.
const refusedConn = "the connection is refused"

// disposedIntro is what happens to an introduction over a limit of its sender or
// recipient: an answer would say that there is such a mailbox.
const disposedIntro = "the introduction is disposed of, and acked like a delivery"

// falseProof is what happens to an introduction over the limit of its account's
// tier: a client that counts does not make one.
const falseProof = "there is no true proof for one more; it is disposed of, and acked like a delivery"

// String returns the limit's key.
func (n Name) String() string {
	if n < End {
		return All[n].Key
	}
	return "invalid"
}

// ParseName returns the limit of a key.
func ParseName(key string) (Name, bool) {
	for n := range End {
		if All[n].Key == key {
			return n, true
		}
	}
	return 0, false
}
