// Package arc is anonymous rate-limited credentials: an issuer attests a secret
// m1 that it does not see, and its holder shows the credential up to L times
// per context, unlinkably. The issuer's key also verifies (keyed verification).
//
// It follows draft-ietf-privacypass-arc-crypto (March 2026; the revision of the
// published vectors): an algebraic MAC (x0 + x1*m1 + x2*m2)*U (Chase,
// Meiklejohn, Zaverucha 2014), the tag (m1 + nonce)^-1 * T (Camenisch et al.
// 2006, "How to win the clone wars"), and a range proof on the committed nonce.
// P256 is that draft's suite, byte for byte. Ristretto255 is the same protocol
// for production, with committed proofs (core/group), sessions of the caller's,
// and pseudonyms beside the tag.
//
// Where the draft is silent or open:
//
//   - A limit below 2 is refused (its base would be 0, without an inverse).
//   - With limit 2 the only bit's commitment is the nonce's, and is one element
//     of the statement, as in the published proofs.
//   - A tag does not depend on the limit, so whoever uses the package puts the
//     limit into the presentation context.
//   - The nonce is hidden and stands nowhere in the clear.
//   - The session of a proof is hashed as it is, as in the published proofs.
//
// What it does NOT protect against: whoever presents one nonce twice is refused
// (same tag); storing tags and counting nonces is the caller's. An issuer that
// uses a key for one client alone recognises it: clients take keys from a log.
// Arithmetic on P-256 scalars is not constant time. Nothing here resists a
// quantum computer: recorded presentations could be linked by one. The
// composition with pseudonyms has no published proof (docs/admission.md).
package arc
