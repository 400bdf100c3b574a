// Package admission is a provider's own part in anonymous admission (design
// section 8): the keys under which it issues memberships and each day's
// credentials, the signed list that says so to everybody, and memberships for its
// accounts.
//
// Keys of memberships are drawn for each peer and month some days ahead and given
// to the peer, which verifies refills with them. Keys of credentials are drawn for
// each day, one ahead, and kept as long as an envelope of the day may arrive. Both
// are durable before they are listed, and listed before they are used: the list's
// hash goes into an audit log, the list into the store, and then it is shown.
// No two lists have one number. Peers' lists are kept as well, and one that
// contradicts the kept one is refused, so that an account can ask its own provider
// what others were shown.
//
// What was spent of a day must not be forgotten while the day's key is in use: a
// store that was put back begins a new term, with other keys, before anything is
// verified.
//
// What it does NOT protect against: the provider can make up accounts and vouch
// for them; other providers limit it as a whole. Whoever has a membership key can
// vouch for anybody as that provider at that peer until the month is over. A
// whole directory that is put back is noticed only when a peer shows a list that
// it does not know, or if the operator says so (docs/operations.md).
package admission
