// Package membership turns an account into credentials that do not name it, in
// two steps (credentials on the account's one secret k, package arc).
//
// Membership, once a month and provider: Alice's provider A attests k for use at
// B. A sees the account, and that X_S = k*G is the row's; it does not see what is
// shown later, even with its key. Refill, once a day: Alice shows the membership
// at B through an oblivious hop, reveals her pseudonyms N_B at B and N_L on the
// lists that B subscribes to, and gets the day's credential, on the same k.
//
// Departures from the ARC draft, whose requests hide their context too: here it
// is public, since a client that chose it alone could give itself another month
// or tier; the issuer makes m2*G itself and only m1 is committed to.
//
// Requests are derived from k, credential and statement (wire.go), so that every
// device of an account asks with the same bytes and is answered with the same
// bytes; another statement has other randomness, or two of them would reveal k.
//
// What it does NOT protect against: A can make up accounts, so B limits A as a
// whole; whoever has the membership key of A for B can make credentials for B
// only. B links N_B with the N_L shown beside it. If A is also the oblivious hop
// and colludes with B, the two know who refills.
package membership
