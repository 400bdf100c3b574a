// Package ratchet is the end-to-end encryption between two devices, native
// profile: a post-quantum handshake and a double ratchet with header
// encryption.
//
// # Handshake
//
// PQXDH (Signal, "The PQXDH Key Agreement Protocol", revision 3) with X25519,
// ML-KEM-1024 (FIPS 203) and SHA-256. A device publishes an identity key, a
// signed prekey and prekey pairs (X25519 and ML-KEM-1024 under one id), of
// which each but the last resort is used once. The initiator's first messages
// carry a PrekeyMessage each, until a reply arrives; the responder derives the
// same secrets from it and opens the message. Everything that both sides must
// agree on (version, suite, both addresses, devices, identity keys and
// manifest versions, both lists of capabilities, the prekeys, the
// encapsulation) is hashed into the transcript, which enters the key
// derivation and every tag, so that no part of it can be exchanged and no
// better suite be hidden: there is no silent downgrade.
//
// # Ratchet
//
// The Double Ratchet (Signal, "The Double Ratchet Algorithm", revision 4,
// section 4: header encryption) with X25519, HKDF-SHA256, HMAC-SHA256. Three
// things differ from the text, none of them visible to the peer: a new ratchet
// key is drawn when something is sent and not when something is received (the
// old private key is then already erased, and the new one is younger); nothing
// changes until the message's tag verified; and too many missing messages at
// the end of a chain are given up, while the text refuses what comes after.
//
// Header plaintexts have one size; a sealed header is a random nonce, 96
// encrypted bytes and a tag, and holds no constant of the session. Bodies are
// AES-256-CTR under a key of their own, then HMAC-SHA256 with the whole
// 32-byte tag, which commits to key, header, body and associated data.
//
// # Post-quantum ratchet
//
// The handshake protects against recorded traffic and a later quantum
// computer; the ratchet steps are X25519 only. The place for the sparse
// post-quantum ratchet is prepared: the handshake derives its seed, which the
// session keeps, the header has room for its message, and message keys take
// its output as HKDF salt. Suite 1 uses none of it.
//
// # What the caller does
//
// A Session is a value in memory. After Encrypt, store Marshal before the
// ciphertext leaves; after Decrypt or AcceptSession, store Marshal (and the
// consumed prekey) in one batch with the plaintext, before the message is
// acknowledged. A crash before the batch leaves the old state, under which the
// message opens again.
//
// A contact's device may have several sessions, a handful at most (the caller
// bounds them). An incoming message is tried on each with CanOpenHeader, which
// costs a microsecond; when none of them knows it and it comes with a
// PrekeyMessage, AcceptSession makes a new one. The caller sends on the session
// that last received something.
//
// Both sides may initiate at once, so that each has its own unacknowledged
// session when it accepts the other's. Both keep both sessions for receiving;
// for sending each asks Crossed, which answers alike on both sides. The next
// reply settles it, and the session that was not chosen is dropped after some
// days without messages.
//
// # What it does not protect
//
// The state of a session opens the messages that are still to come, until the
// peer has answered a message sent after the theft; it does not open old ones.
// Messages in one direction without an answer do not heal. A handshake with a
// last-resort pair can be opened by whoever takes that pair while it is kept
// (Used.LastResort tells). Lengths of plaintexts are visible; callers send
// plaintexts of one length (32 bytes: the key of the real body). Erasing memory
// is best effort, as Go may have copied a value before.
//
// Nothing here knows who may write to whom or shows that an identity key
// belongs to an address: the caller brings keys from a verified manifest.
package ratchet
