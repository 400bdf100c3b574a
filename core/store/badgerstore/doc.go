// Package badgerstore is the embedded engine of package store, on Badger.
//
// One goroutine, the committer, makes all decisions. The calls that wait while a
// commit is synced become the next group, which is one write and one sync. As nobody
// else decides, what is read and then written (a serial, a claim, a version) needs no
// lock and no transaction ever conflicts.
//
// Rows of mailboxes and spent rows, which change with every message, are made durable
// in a journal of the engine's own (journal.go), stay in memory, and go to Badger many
// commits at a time (drain.go): most messages are fetched and acked before that, and
// never get there, and neither do the heads of mailboxes that change all the time
// (carry.go). All other rows are written to Badger at once, in one transaction
// of the group.
//
//	caller -> queue -> committer: decide, encode -> journal: one record -> answer
//	                                             -> Badger: one commit for the other rows
//	journal's tables in memory -> drain -> Badger, while the other segment is written
//	caller -> cache of heads, then the tables for chunks, else Badger, by exact keys (Fetch)
//	committer -> sieves: is a serial unspent, an id unknown? Nearly all are  (absent.go)
//	maintenance: expired messages, days of spent rows, value log, free space
//
// Any error of a write or sync is final (design section 10): a failed sync may
// have dropped the dirty pages, so that a later one that succeeds proves
// nothing. Badger reports a failed sync of its value log to its logger only;
// therefore every message that it logs as an error counts as one.
//
// What it does not protect: rows are not encrypted. Deleted messages stay on the disk
// until Badger compacts, and until their place in the journal is written again; which serial belongs to which mailbox is
// hidden only from those who have not read the salt in the same place. A disk
// that loses what it said was synced loses messages.
package badgerstore
