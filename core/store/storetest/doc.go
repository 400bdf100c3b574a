// Package storetest is the conformance suite of package store: every engine
// runs it.
//
// It has a test for each sentence of the contract, a comparison with a simple
// model under random operations and restarts (rapid), contested keys, a wrapper
// that loses answers before and after an operation took effect, and a child
// process that is killed while it prints what was acknowledged. The same child
// can be run with a system call that fails (SyncFault) and, by hand, on a file
// system whose power is cut (PowerCut, WAXWING_POWERCUT_ROUNDS).
//
// It does not test that a disposal takes as long as a
// delivery: engines test what they write.
package storetest
