// Package group is arithmetic in two groups of prime order, with strict
// decoding, and proofs of knowledge about it.
//
// Groups: ristretto255 (RFC 9496) for everything that Waxwing runs, P-256
// (SEC 1 compressed, FIPS 186-5) for the published answers of ARC. Group is
// closed: there are these two and no others. An Element that was decoded has
// exactly one encoding and is not the identity, a decoded Scalar is reduced and
// not zero, unless the method's name allows it; both checks stand in one place
// (suite.go) for both groups.
//
// Proofs: a Statement is a list of equations P_i = sum_j x_s(i,j)*G_i,j between
// public elements and secret scalars. Its Prove and Verify are the sigma
// protocol for linear relations (Maurer 2009, "Unifying zero-knowledge proofs
// of knowledge"; draft-irtf-cfrg-sigma-protocols), made non-interactive by the
// Fiat-Shamir transform over session, statement and commitments
// (draft-irtf-cfrg-fiat-shamir). A Disjunction proves one of several
// statements without telling which (Cramer, Damgard, Schoenmakers 1994). All
// bytes are described in wire.go.
//
// Nothing is proven beyond the session: a proof verifies for its own label and
// context only, and binds a message only if that is part of the context. A
// linear relation says nothing about its solutions except that they are known;
// whether an equation restrains anything (independent generators, no base that
// the prover chose) is the concern of whoever writes it.
//
// What it does NOT protect against: arithmetic on P-256 scalars is that of
// math/big and runs in variable time, so secrets that matter belong to
// ristretto255. Proofs are sound and zero-knowledge in the random oracle model
// against classical adversaries only; a discrete logarithm computed later
// opens every Element of today. Erase is best effort, as Go may have copied a
// value before. Proofs can be transferred to third parties unless they are a
// Disjunction with a branch that the recipient could have proven.
package group
