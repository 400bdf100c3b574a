// Package keylist is a provider's signed list of what its anonymous admission is
// verified against: the keys of submission tokens, of memberships and of each
// day's credential, and how many introductions that one is good for.
//
// It is one document for everybody, fetched at times that tell nothing. An
// issuer that used a key or a limit for one account alone would know the account
// again; against the list such an answer does not verify, and a list made
// for one account alone is another list under the same number. Whoever holds two
// of one provider compares them (List.Follows): for one epoch there is one key,
// for ever.
//
// What it does NOT protect against: a provider that shows one account always
// another list than everybody else, until the account's list is compared with
// others'. A transparency log does that for all; until there is one, Hash is what
// people and providers compare.
package keylist
