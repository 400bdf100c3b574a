// Package child starts servers as child processes: this very program under the
// name waxwingd, which then runs package relay/daemon. So the demo, the
// benchmark and the script tests run the real server and need one binary only.
//
// A child prints one line of JSON when it is ready and ends when its standard
// input does. The parent holds the other end of that pipe, so no child outlives
// it, whether it returns, panics or is killed.
//
// It is for servers on this machine and its own tests; it does not supervise:
// a child that ends stays ended.
package child
