// Package archive is an account in a file or on its way to a new device: what
// the account's devices share, and nothing that belongs to one device (design
// section 7, migration). It is pure: encodings, and age for the file.
//
//	archive  Account | records of package devicesync, in the order of their ranks | end
//
// In it are the identity key, the account's DH key, k, w and z, the roots of seal
// secrets and the current mailbox keys, contacts with what is pinned of them and
// blocks, the map of serials that were given out, contact codes and, if asked for,
// messages. Not in it, and with no place in the format: session states, prekeys,
// tickets received or in stock, the device's own keys, envelopes. Whoever restores
// a copy of those would use a message key or a ticket twice.
//
// A file is an archive encrypted with age (https://age-encryption.org/v1) to a
// passphrase: scrypt makes the key, and every 64 KiB are authenticated with
// their place and whether they are the last, so that a file that was cut,
// reordered or changed does not open. Any age program opens it, too.
//
// Reading is strict: one archive has one encoding, each list is bounded, and what
// comes after the end is refused.
//
// # What it does not protect
//
// Whoever has the file and guesses the passphrase is the account. What was
// deleted from the account after the export is still in the file, and old seal
// roots in it open old heads (not bodies). A file says how long it is, and so
// roughly how many contacts or messages there are.
package archive
