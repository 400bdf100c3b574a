// Package sealedsender hides who sends an envelope from both relays, and shows
// it to the recipient beyond doubt (design section 5).
//
// An envelope carries a head and a body. The body holds the franked frame under
// a key of its own. The head is sealed to the recipient's account and holds
// everything that would name the sender: its certificate, the body key under
// the session with each device, and a deniable tag over the body's hash. A relay
// sees lengths that depend on the size class only, and random bytes.
//
// # Sealing the head
//
// Two ways of one length, unmarked; the ticket's serial tells the recipient
// which it is:
//
//   - First contact: HPKE (RFC 9180) with X-Wing to the mailbox's weekly key,
//     info = "waxwing seal" | provider | mailbox | key id, aad = version | com.
//   - Steady state: AES-256-GCM under HKDF(S, "waxwing seal" | ticket), the same
//     aad, S being the secret that came with the batch of tickets. One key, one
//     head: the ticket is in the key, and a ticket seals one envelope. The nonce
//     is therefore all zero. Whoever seals two heads under one ticket and S loses
//     both: their XOR shows, and heads under that ticket can be forged (not their
//     tags and sessions). So an envelope once sealed is stored before it is
//     sent and never sealed anew, and the tickets of a contact are divided among
//     the sender's devices.
//
// Nobody tries keys: the serial selects S or the weekly key, so GCM's lack of key
// commitment gives no partitioning oracle (one ciphertext that opens under
// many keys tells which of them the recipient has). Nothing in a head is constant
// over a session.
//
// # The body
//
// AES-256-GCM under 32 fresh random bytes that SealBody draws and that encrypt
// nothing else, so the nonce is all zero; aad = com (d for a group).
//
// GCM does not commit to its key either, so a hostile sender could look for one
// body that opens to two plaintexts under the two keys that it hands to two
// devices ("invisible salamanders"). The head's hash and the tag cover the ciphertext and
// would not notice. It gains nothing: every device recomputes com from the kf and
// frame that it decrypted before anything is shown (package franking), and
// com = HMAC(HMAC(kf, mailbox), .. HMAC(.. kf .., F)). Two plaintexts with one com
// have the same kf and F unless HMAC-SHA256 collides, and the same 32 bytes of kf
// under two keys need two equal 32-byte key streams. That covers the control part
// too, which com does not. Content from OpenBody is therefore not for display
// until com was recomputed.
//
// # Order of checks
//
// Types enforce it: OpenHeadWithSecret or OpenHeadFirst gives an OpenedHead;
// CheckBody a BoundHead, after the body's hash; CheckSender a Sender, after
// certificate, self-send and tag; OpenBody a Content, after the session's
// identity key was compared with the certificate's. The header for the session
// comes from a Sender only, so that a one-time prekey is never spent on a
// message whose sender is not known.
//
// # What it does not protect
//
// Relays that collude on timing; what a relay learns from connections and size
// classes. An encapsulation of X-Wing is not quite uniform (an X25519 key's last
// bit is zero), so that a relay can tell first contacts among the 16 and 64 KiB
// classes. Whoever takes the weekly key or S can open heads sealed under
// them until they are erased: they see who wrote, never what was written (the body
// key is under the session). Whoever has the recipient account's X25519 key can
// forge tags to that account, which is what makes them deniable; the session
// still stops it. Certificates are not revoked but short-lived. A batch for own
// devices (kind sync) can be made by any device of the account, under its own
// certificate; its head is under a key of the account, so every device opens it,
// also one that was removed until the roots were drawn anew. The format of groups
// is fixed and refused.
package sealedsender
