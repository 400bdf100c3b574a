// Package bench measures what a relay costs per message beside a floor: a bare
// quic-go server that receives the same bytes.
//
// Every round runs three loads after one another, with relays and floor in
// processes of their own (this program, see package child):
//
//	floor      client --> one long QUIC stream --> a receiver that counts and acks
//	one hop    client --> alpha --> client           envelopes of 1 KiB
//	two hops   client --> alpha --> beta --> client  envelopes of 1 KiB
//
// The frames are made beforehand, so that the clients do nothing but send and
// receive: envelopes of the smallest class with random contents, valid tickets
// and correct binders, each under another ticket, through the protocol alone
// and not through the SDK. At most Window of them are unacknowledged at a time.
// What a relay acknowledges it has synced to disk; the receiver acknowledges
// what it gets, so the relay deletes it again within the measured time.
//
// Processor time is that of the server processes alone, the kernel's share
// included, for all that they do meanwhile: of the relay, as its own metrics
// tell; of the floor, by getrusage. For two hops both relays' is added. Rounds
// are interleaved and medians are reported, because machines are shared.
// Processor time per message is the robust figure; messages per second depend on
// what else the machine does, clients of this very process included.
//
// The figures are for one sender and one receiver on the loopback interface:
// they say what a relay adds to QUIC, not how many users it serves.
package bench
