// Package ids holds the names of things: addresses, provider domains,
// mailboxes, devices, envelopes, and the UTC days and hours that the protocols
// count in.
//
// It is floor 0: it imports nothing of Waxwing, so that every other package
// can agree on one canonical form of each name. An address has exactly one
// encoding (PRECIS UsernameCaseMapped of RFC 8265 for the local part, IDNA
// A-labels of RFC 5891 for the domain), because names enter hashes: two
// encodings of one name would make a message unreportable.
//
// ParseAddress does not protect against names that only look alike; a provider
// that registers one asks CheckConfusable (UTS 39), which refuses mixed scripts
// and ASCII names in disguise, and does not refuse what is alike within one
// script (rn and m, l and 1), nor whole words of two other scripts that are.
package ids
