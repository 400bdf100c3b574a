// Package ticket makes, opens and keeps sealed-address tickets: one-time
// capabilities that stand for "the owner of this mailbox gave this to me".
//
// It implements the tickets of the design's admission section. The relay side
// is the Ring of minting keys: it mints tickets for a mailbox, opens the one in
// an envelope and checks the binder that ties the envelope to it. The client
// side is the Pool of tickets minted for the own mailbox, handed out at random;
// the Grant in which they travel to a contact; the Wallet of tickets received;
// and the decisions when to mint and to top up. All of it is pure: the caller
// stores the rows and says what day it is.
//
//	owner's client                relay                    contact's client
//	Pool.Add  <----- tickets ---- Ring.Mint
//	Pool.Draw ---------------- Grant, end-to-end encrypted ---> Wallet.Add
//	                                                            Wallet.Take
//	              Ring.Open <---- ticket | binder ------------- Key.Binder
//	              Opened.Check
//	Pool.Owner <--- serial
//
// The sender's provider sees 58 random bytes, the version and the number of
// the minting key, which tells on which day the ticket was minted; it cannot
// use the ticket, because it has no ticket key.
//
// What it does not do: it does not remember which serials are spent (the store
// does, atomically with the append); whoever holds ticket and key may use it,
// so that a borrowed ticket shows only when the client compares the account
// that a serial was given to with the sender's certificate; and the relay that
// minted a ticket can link it to nothing but its mailbox and the time of
// minting, provided that the owner's client hands serials out at random from a
// stock that is large enough.
package ticket
