// Package demo shows the whole system at work on one machine and checks what it
// says: two providers as processes of their own with their stores on disk, two
// users, a contact code, messages both ways, what each relay saw and stored, a
// server killed in the middle of a load, and a blocked sender.
//
// Every claim that is printed has been checked, against the application's view,
// the servers' metrics, or the bytes that the servers left in their
// directories. A search of bytes that should find nothing is accompanied by one
// that should find something, so that it cannot pass by searching the wrong
// thing. The first claim that does not hold ends the demo with an error.
//
// It speaks for the paths that it takes, on the loopback interface with two
// users. What the relays could learn from times and volumes is outside its
// reach, as it is outside the protocol's: see docs/architecture.md.
package demo
