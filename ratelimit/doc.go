// Package ratelimit is what the capabilities that limit a sender without saying
// who it is have in common: the names that go into credentials (tiers, months,
// weeks, providers), the bases of pseudonyms, and the pseudonyms.
//
// Package ticket holds the one-time sealed addresses of the steady state,
// privacypass submission tokens, arc credentials on an account's secret k,
// membership and introduction what is done with them, gcra the decisions of rate
// limits for peers and accounts, ledger what was spent.
//
// A pseudonym is k*base (pseudonym.go): the same whatever credentials an account
// takes, and unlinkable between bases for whoever knows neither k nor the
// logarithm of a base (decisional Diffie-Hellman). So bases are hashed, or come
// with a proof of possession from whom they identify senders to: Bob's W.
//
// What it does NOT protect against: Bob knows w and so which account is behind a
// pseudonym at his own mailbox, once he has its X_S; a provider links the
// pseudonyms of one refill with each other. Nothing here resists a quantum
// computer.
package ratelimit
