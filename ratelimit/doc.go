// Package ratelimit is the folder of the capabilities that limit what a
// sender may do without saying who it is.
//
// Package ticket holds the one-time sealed addresses of the steady state,
// package gcra the decisions of rate limits for peers and accounts. Submission
// tokens and introductions will be packages of their own beside them; what
// they share will stand here. There is no code in this package yet.
//
// Nothing here protects a mailbox from a sender that holds tickets and behaves
// badly within its limits: blocking does (package blocklist).
package ratelimit
