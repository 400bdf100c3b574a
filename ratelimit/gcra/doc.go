// Package gcra decides whether something is within a rate limit, by the
// generic cell rate algorithm (ITU-T I.371, Annex A, in its virtual scheduling
// form): one timestamp per key, the theoretical arrival time, at which the
// bucket will be full again.
//
// Decide is pure: from the time, a limit and the stored timestamp to a
// decision and the next timestamp. Table keeps timestamps for many keys in
// bounded memory.
//
// It does not protect against one owner of many keys: what a key stands for,
// and what a new one costs, is the caller's choice. Tables are lost with the
// process; a restart gives everyone a full bucket.
package gcra
