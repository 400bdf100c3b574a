// Package franking makes messages reportable without telling anyone who wrote
// them: a recipient proves to its provider's reviewers what it was sent, and only
// the sender's provider can say who sent it, on the reviewers' signed verdict.
//
// It implements the design's franking section ("split certificate"; after Tyagi
// et al., CRYPTO 2019, and Issa et al., USENIX Security 2022). docs/franking.md
// states what is claimed and why; every label and layout stands in wire.go.
// A is the sender's provider, B the recipient's.
//
//   - commit.go, stamp.go: the commitment com in the envelope, which the recipient
//     opens, and the relay's stamp over it;
//   - token.go, issue.go, purse.go: the token T that A issues to an account for
//     one audience and day, with a key that the client made;
//   - author.go: bind, aud and sigma2, the author's signature under T;
//   - snapshot.go: whose token keys B held for true when it delivered;
//   - verify.go: Verify, the one decision that the recipient takes before it
//     shows a message and that reviewers take on a report;
//   - owner.go, escrow.go, bundle.go: the proof to the recipient alone that T is
//     of the account in the certificate, and the sender's pseudonym at B sealed
//     to recipient and reviewers together;
//   - desk.go, report.go, verdict.go, opening.go: report, countersigned verdict,
//     the logged opening at A, and its answer;
//   - export.go: evidence for reviewers offline;
//   - schedule.go: the life of the keys, up to the publication of those under
//     which anybody can then forge.
//
// Types keep wrong orders from compiling: a message is Attributed only with a
// Verified and a checked Bundle; a verdict is made of a Substantiated, which is
// delivered and verified evidence; an account is named by a Logged only, whose
// entry is in the log of openings; tokens are issued on a CheckedRequest and a
// Granted allowance.
//
// What it does not protect against: A can open a token that it gets hold of
// without a verdict, as it issued it; procedure and the log stand against that,
// and that tokens are on no relay's wire. A can vouch for accounts that nobody
// has. A relay that does not stamp, or stamps what nobody sent, harms the
// reports of its own users and no one else. In the window a token proves that
// some account of A wrote a message; afterwards nothing does. Whoever has kf can
// test guesses of F and mailbox against com, so kf never leaves the encryption
// but in a report, and is not given to whoever opens a token.
package franking
