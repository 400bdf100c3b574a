// Package franking makes messages reportable without telling anyone who wrote
// them: a commitment in the envelope, opened by the recipient alone, and a stamp
// of the delivering relay over it.
//
// It implements the commitment and the stamp of the design's franking section
// ("split certificate"; after Tyagi et al., CRYPTO 2019, and Issa et al.,
// USENIX Security 2022):
//
//	kd    = HMAC(kf, "frame")
//	d     = HMAC(kd, F)
//	com   = HMAC(HMAC(kf, "rcpt" | mailbox), "com" | d | B | mailbox | day)
//	stamp = HMAC(kStamp[day of receipt], "stamp" | mailbox | com | day | received)
//
// The sender draws kf, sends com in clear and kf inside the encryption. The
// recipient recomputes com from the mailbox that it fetched from and from com
// and day of the delivery, never from anything sealed, before it shows F; a
// *Franked exists only after that. The relay stamps what it delivers, knowing
// neither F nor the sender.
//
// Every label and every encoding that enters a MAC or signature stands in
// wire.go, also the labels that are reserved for what this package will do
// next, each in a file of its own:
//
//   - token.go: the franking token T that the sender's provider issues, and
//     its designated-verifier proof and escrow;
//   - author.go: bind, aud and sigma2, the author's signature under T;
//   - verify.go: Verify(evidence), the one decision that the recipient takes
//     before display and trust-and-safety takes on a report; it will take a
//     *Franked in and give the type that display needs out;
//   - report.go: the report, the verdict, and the opening of T.
//
// What it does not protect against yet: without sigma2 a commitment proves
// that somebody sent F to this mailbox on this day, not who. A relay that does
// not stamp, or stamps what nobody sent, harms the reports of its own users and
// no one else. Whoever has kf can test guesses of F and mailbox against com, so
// kf never leaves the encryption and is not given to whoever opens a token.
package franking
