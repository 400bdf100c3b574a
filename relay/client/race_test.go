//go:build race

package client

// underRace: the race detector looks on, which has nothing to see where one
// goroutine does everything.
const underRace = true
