// Package mailbox is what a provider keeps of a mailbox beside its messages:
// which serials of tickets were given out, and whom its owner blocked. Design
// sections 4 and 10.
//
// Messages, readers and spent serials are the store's (core/store), and relays
// use it for them directly; the mailbox's seal key is the directory's, because
// lookups answer with it. Here is what takes more than one operation of the
// store: reserving serials so that none is ever minted twice, and blocking,
// which strikes serials and lists an entry in one call.
//
// What it does not protect: whoever reads the provider's disk sees how many
// tickets each mailbox minted and how many entries its blocklist has, though
// not whom they are for. Callers show by an authenticated session that they own
// the mailbox; nothing here checks it.
package mailbox
