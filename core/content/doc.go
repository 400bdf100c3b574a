// Package content holds the two plaintexts of a message: the content frame F,
// which is franked, shown and can be reported, and the control part, which is
// none of these.
//
// It implements "What travels where" of the design for F and control. F is
// canonical: one content has one encoding, because its hash d names the
// message, commits to it and is what others refer to. It never holds the
// sender's name, or anything derived from it: a report shows F to reviewers who
// must not learn who wrote it. The conversation's id is random and known to its
// members only; references to other messages are their d. A message that
// carries control alone (receipts, tickets) has a frame of zero bytes, which is
// not parsed and not shown. Files are not in F: it describes them and commits to
// what they are (package attachment).
//
// A control part is a list of typed items, each at most once, types ascending.
// No item at all is zero bytes. What items hold (a grant, a certificate, a
// manifest) belongs to other packages and is opaque here.
//
// Both are strict: an unknown version, kind or type is refused, not skipped. A
// sender must know what its recipient shows and does, and a reviewer must see
// what the recipient saw. New kinds of frames, and new item types, come with a
// new capability in the device manifest: a sender uses them only towards
// devices that announce it, and numbers are never used again. A change of the
// layout raises the version. ErrUnsupported tells a client that the sender
// broke that rule or that the client is old.
//
// What it does not do: a frame that parses is well formed, not authentic;
// package franking verifies it first. Text is valid UTF-8 and otherwise as the
// sender made it: whoever shows it deals with control characters, direction
// marks and look-alikes. seq, sent and prev are the sender's claims; they
// inform, and nothing is refused because of them.
package content
