// Package linking is the protocol by which a device of an account lets in a new
// one (design section 5). It is pure: the three messages travel over whatever
// the callers have, which need not be trusted.
//
//	existing device                         new device
//	code: rendezvous, commitment  -- shown, typed or scanned -->
//	                              <-- Join: key, nonce, device keys --
//	opening of the commitment     -->
//	both show six digits, which the users compare and confirm
//	                              <-- confirmation
//	secrets, sealed to the key    -->
//
// The digits are a hash of all that both sides have seen (a short
// authentication string as in Vaudenay, "Secure Communications over Insecure
// Channels Based on Short Authenticated Strings", CRYPTO 2005). Whoever is in
// the middle has to send its Join before it learns the existing device's nonce,
// and its commitment before it learns the new device's: it cannot try values
// until the digits are equal, and has one chance in a million for each time that
// the users link a device. So an Offer answers one Join, ever.
//
// It does not protect against users who confirm digits that they did not
// compare, nor against a new device that is hostile: it gets the account.
// Nothing here is stored; the one key that opens the secrets is erased with its
// Joining, so who records the messages cannot read them later.
package linking
