// Package auditlog is an append-only log whose every state is one hash: a Merkle
// tree over its entries as in RFC 6962 section 2.1, and a hash chain through its
// stored records.
//
// Appending has three steps: Prepare gives the record, the caller stores it
// durably, Commit gives a Receipt. A Receipt cannot be made in another way, so
// an action that takes one cannot happen before its entry is stored. Inclusion
// and consistency proofs let somebody who saw two roots check that nothing was
// taken out or changed between them.
// A log that has grown long goes on in another segment, which begins with the head
// of the one before; proofs go through those links.
//
// It does not protect against who runs the log while nobody keeps its roots: it
// can then begin another one. It holds no secret and hides none: entries are
// what the caller makes of them.
package auditlog
