// Package merkle is the tree of RFC 6962, section 2.1, over leaf hashes that its
// users make: packages core/auditlog, whose leaves are entries, and
// core/attachment, whose leaves are chunks of a file.
//
// A user puts LeafPrefix before what it hashes to a leaf; then no leaf can be shown
// as a node, nor a node as a leaf.
//
// A path shows where a leaf is under a root. That a root is the right one, and of a
// tree of the size that was said, is the user's to know: the root does not tell the
// size.
package merkle
