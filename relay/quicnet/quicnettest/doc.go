// Package quicnettest shows tests the frames that package quicnet reads and
// writes, inside TLS: what a server learns from the network and tells it.
//
// Only tests may import it (docs/arch_test.go). It protects nothing.
package quicnettest
