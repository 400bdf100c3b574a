// Package state is the client's own crash-safe store: one bbolt file with one
// table for each kind of record.
//
// The sessions, tickets and messages of a client depend on one another: a
// ratchet step, the ticket that it uses and the envelope that it makes are
// durable together or not at all (design sections 3 and 10, whose store
// contract has no transaction over several keys and so does not fit here).
// Update is one such transaction and one fsync; after kill -9 at any moment the
// file holds the state after some completed Update, and all of it.
//
// Every record is laid out in wire.go, or in the package that owns the format,
// and stands behind a checksum over table, key and record. A record that does
// not parse is ErrCorrupt, with the table's name and nothing else.
//
// One process at a time opens a file: a lock on it is held until Close, and
// another process gets ErrInUse. The file has mode 0600, its directory 0700.
//
// A file may be under a passphrase (Options.Passphrase, Rekey): then every record
// is encrypted with AES-256-GCM under a random key, which a key wraps that
// Argon2id (RFC 9106) makes of the passphrase. What stays in clear: the names of
// the tables, how many records of which length each has, and their keys, which
// are numbers, digests and tickets; those that are addresses and domains are
// replaced by an HMAC. It is as strong as the passphrase, against who has the
// file and not the running program.
//
// What it does not protect: without a passphrase, whoever reads the file can
// read what the client can, and pose as it. Deleted records may stay in free
// pages, and in the blocks that a solid-state disk has set aside, until they
// are overwritten: forward secrecy holds against the peer's and the relays'
// view, not against the seizure of a disk. The checksum finds damage, not
// manipulation; under a passphrase a changed record is found, an older one that
// is put back in its place is not. A copy of the whole that is put back (a file system's snapshot, a backup)
// would use tickets and message keys twice; nothing here can notice that.
package state
