// Package blocklist holds the formats and the pure rules of a mailbox's own
// blocklist: what a user sends to its relay to block or unblock a contact in
// one call, and the list that the relay keeps.
//
// It implements "Blocking" of the design's admission section. A block names an
// entry, drawn at random by the client, and the serials of the tickets that the
// blocked contact still holds. The relay marks those serials as spent, so that
// the next envelope under one of them is disposed of, and adds the entry to the
// list, with the contact's pseudonym N_R for this mailbox, by which introductions
// are disposed of. When the mailbox's key W changes, its owner adds the pseudonyms
// of the new one (ratelimit.Remap). To unblock removes the entry; struck tickets
// stay struck, the contact gets new ones.
//
// Only tickets that are unspent may be struck: a block that named the spent
// ones would tell the relay which past deliveries came from one contact. The
// client knows which those are (ticket.Pool.Unspent). An entry's id says
// nothing about whom it is for.
//
// What it does not hide: the relay learns how many unspent tickets one contact
// held, and that those belong together. It does not keep a blocked contact from
// writing under somebody else's tickets; the client notices that by comparing
// the account that a serial was given to with the certificate. State lies in
// the store, not here.
package blocklist
