// Package badgerstore is the embedded engine of package store, on Badger.
//
// One goroutine, the committer, makes all decisions and all writes. The calls
// that wait while a commit is synced become the next group, which is one
// transaction and one sync of the write-ahead log and the value log; Badger by
// itself syncs once per transaction. As nobody else writes, a decision that is
// read and then written (a serial, a claim, a version) needs no lock and no
// transaction ever conflicts.
//
//	caller -> queue -> committer: decide, encode -> Badger: one commit -> answer
//	caller -> cache of heads and recent chunks, else Badger by exact keys   (Fetch)
//	committer -> sieves: is a serial unspent, an id unknown? Nearly all are  (absent.go)
//	maintenance: expired messages, days of spent rows, value log, free space
//
// Any error of a write or sync is final (design section 10): a failed sync may
// have dropped the dirty pages, so that a later one that succeeds proves
// nothing. Badger reports a failed sync of its value log to its logger only;
// therefore every message that it logs as an error counts as one.
//
// What it does not protect: rows are not encrypted. Deleted messages stay on
// the disk until Badger compacts; which serial belongs to which mailbox is
// hidden only from those who have not read the salt in the same place. A disk
// that loses what it said was synced loses messages.
package badgerstore
