// Package admin is how an operator talks to a running server: requests and
// answers as lines of JSON over a unix socket in the data directory.
//
//	→ {"v":1,"method":"invite.create","params":{"uses":1,"days":7}}
//	← {"v":1,"result":{"code":"...","id":"...","uses":1,"used":0,...}}
//	← {"v":1,"error":{"code":"not_found","what":"there is no peer gamma.example","next":"..."}}
//
// A connection carries one request after the other. Methods, parameters and
// results are the constants and types of this package; unknown methods and
// fields are refused, and a version other than 1 as well. An error has a code
// of a closed list for programs, and for people what failed and what to do.
//
// The package knows nothing of the server: relay/daemon brings a handler for
// each method. Call is the other end, for the command line.
//
// The socket's mode is 0600 and it lies in a directory of mode 0700: whoever
// may open it may do all that it offers, and could read the server's keys just
// as well. There is no other authentication. Answers name peers and say how
// much goes to each, which logs and metrics do not; they are for the operator's
// eyes.
package admin
