// Command waxwingd is the server: a messaging provider of one domain. Package
// relay/daemon holds its whole main, its flags and its exit codes.
//
// It alone reads a server's keys; users and operators have the command waxwing.
// What it does not protect against is in relay/daemon and docs/architecture.md.
package main
