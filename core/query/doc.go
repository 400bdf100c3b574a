// Package query is how a client asks another provider something through its
// own: its provider sees whom it asks, the other what is asked (design section
// 3, "Query"; the construction of RFC 9458, Oblivious HTTP).
//
// A question is sealed to the relay key of the provider that answers, with
// X-Wing HPKE and info "waxwing query" | kind. The answer is encrypted under a
// key that both derive from the HPKE context (RFC 9458 section 4.4):
//
//	secret = Export("waxwing query answer", 32)
//	prk    = HKDF-Extract(salt = enc | response nonce 32, secret)
//	key    = HKDF-Expand(prk, "key", 32)
//	nonce  = HKDF-Expand(prk, "nonce", 12)
//	answer = response nonce 32 | AES-256-GCM(key, nonce, padded payload)
//
// Questions and answers of one kind have one length each. The relay key's id
// is the first byte, so that during a rotation no keys are tried; the key comes
// from the provider's log or pinned descriptor, never on the word of the
// provider in between.
//
// # Replays
//
// The provider in between has every question and can send it again. Answered
// anew under one key and nonce, two answers would show their XOR, and others
// could be forged; answered with further one-time prekeys, each repeat would drain
// the pool of whoever was looked up. So:
//
//   - the response nonce is random and goes into key and nonce;
//   - a repeat gets the same bytes (ReplayCache), as does a client that asks again
//     because the answer was lost;
//   - a question's sealed time may be MaxAge old, and ReplayCache remembers it for
//     longer than that: when it is forgotten, it is stale;
//   - over its limits ReplayCache refuses (ErrBusy) rather than forget something that
//     is not stale yet: otherwise a flood of fresh questions would make room for the
//     repeat. Each asking provider has a share of its own, so that a flood
//     is refused to its source only;
//   - Question.ID is the claimant for everything that is given out once, so that
//     a repeat after a restart, when it is empty, takes nothing more.
//
// # What it does not protect
//
// Times and the number of questions are visible to the provider in between, as
// is their kind. If both providers collude, they know who asked. Who takes the
// relay key can read the questions and answers that were recorded
// until it was replaced: HPKE to a long-lived key has no forward secrecy. An
// answer is authenticated as the key owner's, not signed.
package query
