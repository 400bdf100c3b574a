// Package relay decides: what a submission, a forwarded envelope or a control
// request may do, what is stored for it, and what is answered.
//
// It is the whole policy of a provider without any of its machinery. Every
// decision takes the time as an argument and returns values; goroutines,
// sockets and clocks are in relay/quicnet and relay/node.
//
//	client                 this package, at A            this package, at B
//	Submit ──────────────▶ AdmitSubmit ─┐
//	                       Settle ◀─────┘ (outbox, or own mailbox)
//	        ◀── Ack ──────
//	                       ── Forward ─────────────────▶ AdmitForward ─┐
//	                                                     Settle ◀──────┘ (mailbox + serial)
//	                       ◀──────────────── Ack ───────
//
// The order of checks is cheap to costly with the destructive step last: form
// and age of the envelope, limits of the account or peer, the ticket and its
// binder, the limit of the mailbox, the stamp, and only then, in one atomic step
// of the store, spending the serial and appending the message. Settle takes only
// an *Admitted, which only the Admit functions make.
//
// An envelope that this provider disposes of (forged, expired, borrowed or
// struck ticket, wrong binder, full or unknown mailbox) goes through the same
// settlement as one that is delivered and is acked alike, in bytes and in
// time, so that no sender or forwarder learns of a block. What is refused with
// an answer depends on the form of the envelope and on the limits of the
// account or peer only, and with a good ticket on how much comes for its mailbox,
// whatever becomes of that. Reason numbers every case.
//
// A hop (hop.go) also passes questions on for who is nobody here, if the operator
// wants that.
//
// The package does not hide timing or volume from someone who watches both
// providers, and an operator who changes the program learns what this one
// forgets: see docs/architecture.md.
package relay
