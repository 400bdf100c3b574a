// Package privacypass is submission tokens: a provider gives its accounts
// tokens that it recognises as its own later, but not as whose.
//
// The structures are those of RFC 9577, issuance is that of RFC 9578 for token
// type 0x0001 (VOPRF over P-384, for conformance) and
// draft-ietf-privacypass-batched-tokens, amortised, for 0x0005 (ristretto255,
// in production): the verifiable oblivious PRF of RFC 9497, one proof for a
// whole batch. The arithmetic is circl's; whatever comes from outside is decoded
// here, strictly (element.go), because circl takes more than one encoding and
// the identity.
//
// A key is one week's (epoch.go), and clients take it from the provider's log:
// under a key for one client alone the answer's proof does not verify. A batch
// has one of the sizes of Sizes, so that sizes mark nobody. The same request
// gets the same answer, without state, and a request can be derived from a seed
// that an account's devices share: lost answers cost nothing. A token is spent
// with Claimant, so that it pays for one envelope to one provider.
//
// What it does NOT protect against: spending twice (ratelimit/ledger stores what
// was spent); a client that sends right after it fetched, over one connection;
// whoever sells tokens. Tokens say nothing about who may write to whom.
package privacypass
