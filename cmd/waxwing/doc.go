// Command waxwing is the tool of users and operators: it registers an account,
// exchanges messages, shows the whole system at work (demo) and measures it
// (bench).
//
//	waxwing demo                                     two providers, two users, on this machine
//	waxwing register ADDRESS --server HOST:PORT --pin PIN
//	waxwing contact-code                             a code for one new contact, to be passed on
//	waxwing add CODE
//	waxwing send ADDRESS TEXT
//	waxwing inbox [--follow]
//	waxwing chat ADDRESS
//	waxwing block ADDRESS / unblock ADDRESS
//	waxwing contacts / status
//	waxwing verify ADDRESS [--confirm] [--scan TEXT]
//	waxwing history ADDRESS
//	waxwing setting read-receipts on|off
//	waxwing device list|link|join|remove
//	waxwing export FILE [--history] / import FILE
//	waxwing setting anonymous on|off
//	waxwing setting hop DOMAIN|none [--pin PIN]
//	waxwing setting sync INTERVAL
//	waxwing passphrase set|remove
//	waxwing completion SHELL / help exit-codes
//	waxwing admin invite|invites|revoke|stats|health|rotate-keys|drain
//	waxwing peer add|remove|list|status
//	waxwing bench
//
// A profile is one account on one device: a directory that one process uses at
// a time (--profile). Every command takes --json and then prints one JSON
// object per line on standard output, errors included on standard error.
// Progress is shown on a terminal only.
//
// The commands of operators, admin and peer, ask a running server over its
// admin socket, which --data or --socket names; they use no profile.
//
// # Exit codes
//
//	0  done
//	1  failed
//	2  usage: unknown command, flag or value
//	3  in use: another process has the profile, or it exists already
//	4  unreachable: the provider does not answer; what was to be sent is kept
//	5  refused by the provider
//	6  not found: no profile, no such contact, no such account
//
// # One binary
//
// Started under the name waxwingd this program is the server (package
// relay/daemon), which is how demo and bench start theirs; under waxwing-floor
// it is the bare receiver that bench compares with.
//
// A profile without a passphrase is protected by the modes of its files alone:
// whoever reads the directory is the user. Under one (waxwing passphrase set) the
// rest of this machine's memory and the running program still are not.
package main
