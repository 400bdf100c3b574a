// Package ledger is what a provider keeps of anonymous admission, over the
// contract of core/store: which submission tokens and tags were spent, who
// refilled in an epoch, and what each account took of its quota. It takes
// verified spends only (packages privacypass, introduction, membership); it
// verifies nothing.
//
// Every spend is one-winner: of all who claim a token, a tag or a refill at the
// same time one wins, and the same claimant wins again whenever it asks, so that
// a lost answer costs nothing. Sets are named by purpose and period and end with
// the last day on which what they hold would verify.
//
// A store that was restored from a copy has forgotten what was spent since:
// whoever restores one begins the period anew, with another key
// (docs/operations.md). Nothing here protects against that.
//
// What it does NOT protect: whoever reads the disk sees how many tokens each
// account took on its last day, and hashes of pseudonyms; neither leads from an
// account to a pseudonym.
package ledger
