// Package reports is what a provider does about franked messages, in both of its
// roles (design section 6): as the sender's provider it issues tokens and, on
// the verdict of another provider's reviewers, finds out which account wrote a
// message and acts; as the recipient's provider it signs snapshots of other
// providers' keys, takes reports, and tells the sender's provider what its
// reviewers decided. Package franking has the protocol; here are its keys, its
// state and the order of durable steps.
//
// It decides and stores; it does not wait, dial or log. Keys are files of the
// caller's, everything else is in the store:
//
//	reports/allowance/ADDRESS/N     tokens that an account has had of a day
//	reports/list/DOMAIN             a provider's newest list of token-signing keys
//	reports/snapshot/DOMAIN/NUMBER  snapshots of its keys, as deliveries named them
//	reports/desk/DOMAIN/NUMBER      keys of its desk
//	reports/secret/KIND-DAY         secrets that were published when their time had come
//	reports/report/ID               a report as it was sealed, and what was decided
//	reports/ban/ID/MESSAGE          a share of an escrow, and the pseudonym that it opened
//	reports/seen/HASH               that a reporter has reported a message
//	reports/pending/DOMAIN/ID       verdicts that the sender's provider has not answered
//	reports/opened/HASH             answers to verdicts that were opened
//	reports/head/DOMAIN             the newest head of a peer's log of openings
//	log reports/openings            every opening, before it happens
//	log reports/audit               what reviewers and this program did
//
// Reports are stored sealed to the desk's key, so that whoever reads the store
// alone does not read what was reported.
//
// What it does not protect: whoever has the desk's key files reads all reports
// that are kept. A provider can refuse to take reports, or to act on verdicts;
// nothing here can make it. The names of reviewers are what the operator's
// tools say they are: two eyes are told from four by name.
package reports
