// Package introduction is the first contact: an envelope's address by which
// somebody shows "an account of my provider, within its limit, and this is my
// pseudonym at this mailbox", and neither relay learns who. Standing stamps,
// which show the same once a week, are beside it.
//
// The address is an HPKE to B's relay key, so that A does not see the mailbox.
// It carries a presentation of the day's credential (packages arc, membership)
// with a rate tag, the same for one nonce of one secret in one epoch, and N_R =
// k*W, the same for one secret at one mailbox. The proof's session binds the
// seal (enc), W, mailbox, both providers, epoch and limit, and not the message:
// that is in the HPKE's associated data, which B could seal anew. If the proof
// covered it, B and Bob together could show the world who wrote.
//
// The proof comes before the blocklist, so that time tells nothing; B verifies
// many at once. A mailbox that does not exist has a W as well (DummyW).
//
// What it does NOT protect against: B sees that two introductions at one mailbox
// are of one sender, and which pseudonyms are active weekly. Bob recognises an
// account whose X_S he knows. Spent tags, nonces, counters and blocklists are
// the caller's; so is stopping floods before any group operation. A proof kept
// by B shows with Bob's help that an account addressed Bob, not what it wrote.
package introduction
