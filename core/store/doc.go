// Package store is the contract between the relay's state and the engine that
// keeps it, and an engine in memory for tests.
//
// The contract is written from what a relay needs, not from what an engine
// offers: mailboxes whose append spends a ticket's serial in the same atomic
// step, one-winner sets, pools whose items are given out once, small documents
// with compare-and-swap and watch, append-only logs. Design section 10.
//
// Rules that hold for every operation:
//
//   - A mutation is durable when it returns without error. It is atomic per
//     mailbox, set element, pool, key or log, never across them, so that an
//     engine may spread keys over machines.
//   - Slices of requests go in and slices of results come out in the same
//     order; each element succeeds or fails alone. They are applied in order.
//   - Every mutation may be sent again with the same ids after a lost answer
//     or ErrUnknownOutcome, and has its effect once.
//   - Nothing passed in is kept after the call returns; slices that come out
//     belong to the caller.
//   - A context that has ended before the call has an effect returns its
//     error. One that ends while the answer is awaited returns an error that
//     is both ErrUnknownOutcome and the context's.
//   - An argument beyond a limit of limits.go is ErrInvalid and changes nothing.
//   - After a failed write an engine stops for good: the calls that were in
//     the failed write return ErrUnknownOutcome, all later ones
//     ErrUnavailable, reads included, and Health says why. The process has to
//     be started again, and recovers from what is on the disk.
//   - What lies on the disk, who owns it and which mailboxes exist are not
//     revealed by errors: no error text holds an identifier.
//
// What it does not protect: bodies and documents are stored as they are given;
// whoever reads the disk reads them, and sees when each mailbox is used. An
// engine trusts its own disk to return what was written.
package store
