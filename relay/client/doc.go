// Package client is the client's side of Waxwing for app developers: register
// an account, add contacts by a code, send, receive, block.
//
// Create or Open a profile, which is one directory and one device of an
// account. Register once. Run keeps a connection in the background; Sync does one
// exchange and returns, for commands. Send returns as soon as the message is
// durable here; Status tells what became of it. Receive yields what came, from
// a durable log with stable positions: an app that stores the position of what
// it has handled sees each message exactly once, also after kill -9.
//
// # Inside
//
// Every decision of the protocol is a method of engine, which knows no network
// and no clock: it turns (state, delivery, now) and (state, message, now) into
// new state, in one transaction of package state. The rest is connections.
//
// Sending (engine.pump): ticket, control part, commitment, body, ratchet step,
// head and binder become one stored envelope in one transaction. Only then it
// leaves; it is sent again with the same bytes until the provider acked it, and
// it is never sealed anew under the same ticket. A message without a receipt
// after ids.MaxDelay days is sealed again under another ticket with the same F
// and kf, so the same d, and shows once.
//
// Receiving (engine.receive, open.go): a delivery goes through the checks in the
// order that package sealedsender's types enforce, its com is recomputed from the
// own mailbox, and all that it changes (session, prekey, serial, tickets,
// receipts, log, cursor) is one transaction, after which it is acked. A
// delivery that fails a check is counted and its serial noted as spent; no
// session, prekey or log entry changes. One under a ticket that was lent out also
// voids the lender's tickets, and one under another identity key marks the
// contact. The application gets *Opened, which only that path makes.
//
// Providers shuffle what they pass on; a message that overtook another waits for
// it, durably, for parkTime at most (park.go).
//
// Tickets: contacts are topped up inside messages. The last reserveTickets
// tickets of a contact are used only for messages that bring it new ones, so
// that two who write at the same moment do not run dry together. The high half
// of a batch's number is its generation: striking a contact's tickets begins a
// new one, and who gets a grant of a new generation drops what it holds of
// earlier ones. So a contact that was blocked can see so after it was unblocked,
// and loses no messages to dead tickets.
//
// Standing: tickets go to who is in standing only (stamps.go): the user let it in, it
// introduced itself this week, or a message of it brought this week's stamp. Each
// device asks contacts' providers for its own, at times that do not follow from what
// is written (standing.go). So the tickets of who is banned end, and nobody is told.
//
// Bundles: what a message is proven with (offer.go, prove.go) goes ahead of its day
// in the padding of messages and receipts (ahead.go), and is gathered and confirmed
// by the other side (gather.go). A message that names one which is not here is held,
// and its sender asked for it.
//
// Submission (submission.go, bearer.go): envelopes leave with submission tokens
// (package ratelimit/privacypass) on a connection of their own that never
// authenticates. Tokens are asked for on the account's connection, at moments
// that do not follow from what is sent, under keys that are compared with those
// listed before; what contradicts them is an alarm, and nothing more is asked. A
// token leaves the bucket in the transaction that pairs it with an envelope,
// before anything is sent, so that no crash spends one for two. Without tokens
// messages wait, and the user is told (Submissions); nothing but the user's word
// has them leave on the account's connection.
//
// Devices: everything that depends on a contact's device is kept for each of them
// apart (peers.go): session, order of messages, tickets given to it, certificate
// confirmed by it. A message has an entry for each device that there is a session
// with; one that was sealed before a device was known is sealed again when a
// device of the contact says so (repair.go). The own account's other devices are
// peers of a contact that is never listed.
//
// # What it does not protect
//
// See package state about the file. A provider is pinned by the contact code or
// at first use. A contact whose identity key changed is not shown; there is no
// verification of devices beyond the code yet. The own provider sees from which
// network address envelopes come, and when; two connections from one address
// that is nobody else's are one person's. With SetAnonymous(false) it sees which
// account submits, and to which provider. Without SetHop it sees which account asks
// which provider something, and when.
package client
