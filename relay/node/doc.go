// Package node runs a provider: it accepts connections of clients and peers,
// lets package relay decide, keeps the links to peers, renews keys and counts.
//
// All goroutines of the server are started here or in relay/quicnet. For each
// stream of envelopes there are two: one reads and admits while the other
// settles the batch before, so that reading overlaps with the sync of the
// disk (intake). For each device that listens there are two (delivery), and
// for each peer the same (forwarder), which empties the outbox to it.
//
// A data directory belongs to one process. Keys are files of their own below
// keys/, so that each is erased when its time is over; everything else is in
// the store.
//
// The package does not protect against whoever reads the process's memory, or
// the data directory: with Config.Secret key files are wrapped, the store is
// not. It logs no address, mailbox or provider, and no metric has
// one as a label.
package node
