// Package vectors opens published known-answer files for tests.
//
// The files are data collected from public sources (Wycheproof, CCTV, ACVP,
// RFC appendices and drafts). They are not part of this module: they lie in a
// folder of their own, named by the environment variable WAXWING_VECTORS or,
// without it, in ../shared/vectors beside the module. A fresh clone without
// them must still pass its tests, so a test that needs a file is skipped with a
// message that says what was looked for; where CI is set (to anything but the
// empty string) the same test fails, because there a skip would hide a check.
// A folder that is there but lacks the file fails everywhere: that is a wrong
// name, not a missing collection.
//
// The tests of this package run the vectors of the standard library's
// primitives on which everything above rests: X25519 (RFC 7748), Ed25519
// (RFC 8032), AES-256-GCM, HMAC-SHA256, HKDF-SHA256 (RFC 5869), ML-KEM
// (FIPS 203) and HPKE with X-Wing (RFC 9180, draft-ietf-hpke-pq). Each counts
// the cases that it ran and fails if they are fewer than the file is known to
// hold, so an emptied or truncated file is noticed.
//
// It is a test helper: only tests import it. It does not verify where the
// files came from; SHA256SUMS in the folder does that for who collects them.
package vectors
