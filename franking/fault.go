package franking

import "fmt"

// Fault is the reason why evidence, or what depends on it, is refused. It is an
// error; callers compare it with errors.Is. It names the first check that
// failed, never a value.
type Fault uint8

// The faults, in the order of the checks that find them.
const (
	FaultNone         Fault = iota
	FaultAge                // received in the future, or too long ago to be reported
	FaultOwner              // the mailbox was not the reader's when the message was received
	FaultStamp              // not the relay's stamp over this delivery
	FaultDuplicate          // the same message was reported before, or twice
	FaultSnapshot           // not the key snapshot that was in force at receipt
	FaultIssuer             // the token's provider was not federated, or not the snapshot's
	FaultTime               // hour, day, epoch and receipt do not fit together
	FaultFrame              // F is not canonical
	FaultCommitment         // com is not of this key, frame and place
	FaultEpoch              // no key of the token's epoch was known
	FaultRevoked            // the token's epoch was revoked before receipt
	FaultAuthor             // sigma2 is not by the token's key over this
	FaultToken              // sigma1 is not by the provider's key of the epoch
	FaultLeaf               // a revealed chunk is not of the frame's attachment
	FaultConversation       // the messages of a report are of several conversations
	FaultIdentity           // the token is not of the account that the certificate names
	FaultEscrow             // the escrow is not the token's, or not for these keys
	FaultShare              // the recipient's share is not of the escrow
	FaultBundle             // the bundle is not the message's
	FaultWithheld           // too late to be shown: it could not be reported any more
	FaultVerdict            // the verdict is not by the provider's countersigning key
	FaultAddressee          // the verdict is for another provider, or by one for another's message
	FaultDisclosure         // the content given along is not what was signed
	FaultReplayed           // a verdict on this report was opened before
	FaultWrap               // the token does not open under the epoch's wrapping key
	FaultAnswer             // the answer is not by the provider, or to another verdict
	faultEnd
)

var faultNames = [faultEnd]string{
	"none", "age", "owner", "stamp", "duplicate", "snapshot", "issuer", "time", "frame", "commitment",
	"epoch", "revoked", "author", "token", "leaf", "conversation", "identity", "escrow", "share", "bundle",
	"withheld", "verdict", "addressee", "disclosure", "replayed", "wrap", "answer",
}

// String returns the fault's name, for metrics and for reviewers.
func (f Fault) String() string {
	if f >= faultEnd {
		return fmt.Sprintf("fault(%d)", uint8(f))
	}
	return faultNames[f]
}

// Error returns the name with the package's in front.
func (f Fault) Error() string { return "franking: refused: " + f.String() }
