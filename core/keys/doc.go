// Package keys holds the typed keys of the protocols and the one closed table
// of signing contexts.
//
// Every signature of Waxwing is Ed25519 (RFC 8032) over a label from that
// table followed by the message, so that a signature made for one purpose
// never verifies for another. Key agreement is X25519 (RFC 7748); sealing to a
// public key is HPKE (RFC 9180) with the X-Wing hybrid KEM
// (draft-connolly-cfrg-xwing-kem, KEM 0x647a), HKDF-SHA256 and AES-256-GCM.
//
// Private keys print redacted, cannot be compared with ==, and can be erased.
//
// It does not protect keys at rest: whoever stores the bytes that it marshals
// does. Erasing is best effort, as Go may have copied a value before.
package keys
