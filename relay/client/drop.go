package client

import "errors"

// A delivery that fails a check is dropped for one of these reasons, which are
// counted and change nothing else. Numbers index state.Counters.Dropped and are
// never reused.
type dropReason uint8

const (
	dropMalformed   dropReason = 0  // not a delivery
	dropTime        dropReason = 1  // its day does not fit the day of receipt
	dropUsed        dropReason = 2  // something came under its serial before, or it was voided
	dropSeal        dropReason = 3  // its head does not open, or does not fit the body
	dropCertificate dropReason = 4  // its certificate does not verify
	dropBorrowed    dropReason = 5  // its sender is not whom the ticket was given to
	dropSender      dropReason = 6  // its tag does not verify, or it is from the account itself
	dropIdentity    dropReason = 7  // its sender's identity key or X_S is not the pinned one
	dropSession     dropReason = 8  // no session opens it
	dropBody        dropReason = 9  // its body does not open
	dropCommitment  dropReason = 10 // its com is not of this frame, mailbox and day
	dropContent     dropReason = 11 // its frame or control part is malformed
	dropBlocked     dropReason = 12 // its sender is blocked
	dropHeldFull    dropReason = 13 // it could not be held
	dropExpired     dropReason = 14 // it was held too long
	dropContacts    dropReason = 15 // there are too many contacts
	dropDevice      dropReason = 16 // its device is not in the newest known manifest of its account
	dropEntry       dropReason = 17 // it was not sealed to this device
	dropUnproven    dropReason = 18 // it could not be reported: no author's signature, or not the certificate's account
	dropPseudonym   dropReason = 19 // it was introduced by another account than the certificate's, or for a key that is over
	dropRequests    dropReason = 20 // there are too many requests
	dropEnd         dropReason = 21
)

var dropNames = [dropEnd]string{
	"malformed", "time", "used serial", "seal", "certificate", "borrowed ticket", "sender", "identity changed",
	"session", "body", "commitment", "content", "blocked", "held full", "held too long", "contacts full",
	"not a device", "not for this device", "unproven", "pseudonym", "requests full",
}

func (r dropReason) String() string { return dropNames[r] }

// dropError says that a delivery is dropped.
type dropError struct{ reason dropReason }

func (e *dropError) Error() string { return "client: delivery dropped: " + e.reason.String() }

func drop(r dropReason) error { return &dropError{r} }

// dropAfter drops a delivery once what is to be stored with that is: an error of the
// store keeps the delivery.
func dropAfter(err error, r dropReason) error {
	if err != nil {
		return err
	}
	return drop(r)
}

// holdError says that a delivery cannot be judged yet.
type holdError struct{ row holdRow }

func (e *holdError) Error() string { return "client: delivery held" }

// dropped returns the reason if err is a drop.
func dropped(err error) (dropReason, bool) {
	var e *dropError
	if errors.As(err, &e) {
		return e.reason, true
	}
	return 0, false
}
