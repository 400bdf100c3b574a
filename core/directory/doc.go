// Package directory is what a provider publishes about itself and about its
// accounts, and the state behind it.
//
// A provider is described by a Descriptor, signed by its root key, which peers
// and clients pin. An account is a Manifest: its identity key signs a versioned
// list of devices, each version naming the hash of the one before. The
// mailbox's weekly seal key (MailboxKey) is signed by the identity key, prekeys
// by the device they belong to (package ratchet). Directory keeps them over the
// store contract and answers lookups, each one-time prekey going to exactly one
// of them. Design sections 4, 5 and 7.
//
// A manifest carries the account key X_S = k*G, a mailbox key the elements W =
// w*G and Z = z*G, which credentials, pseudonyms and escrows are built on (design
// section 8); each with a proof that its maker knew the secret, bound to the
// address it is for. Of all accounts of a provider one has an X_S, and keeps it.
//
// Parsing is verifying: a Manifest, MailboxKey or Descriptor exists only if its
// signature and proofs were checked, an Authenticated only if a device proved its
// key on this connection.
//
// Registration may be by invite: a random code that lets a number of manifests
// in until a day. The store holds hashes of codes and of uses, so that it tells
// neither a code that still works nor who came with which.
//
// Draining the one-time prekeys of an account would take away the forward
// secrecy of first messages to it ("Prekey Pogo", arXiv 2504.07323). Against
// that, lookups are limited per target and per asking provider, and a share of
// the stock is kept for contacts with consent. Over a limit the answer carries
// the last-resort prekey: it looks the same from outside, and nobody learns the
// state of the stock.
//
// What it does not protect: a provider that signs two manifests for one account
// with a key of its own is found out by comparing fingerprints or, later, by
// transparency, not here. A proof shows that somebody knew a secret when it was
// made, not that nobody else does. Who looks up an address learns whether it exists, and
// how many devices it has; only the provider in between does not. The limits
// are kept in memory and start anew with the process.
package directory
