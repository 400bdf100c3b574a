package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/wire"
	"waxwing/relay/client"
	"waxwing/relay/quicnet"
)

// The exit codes, as the command's documentation lists them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInUse       = 3
	exitUnreachable = 4
	exitRefused     = 5
	exitNotFound    = 6
)

// exitCodes is the documentation of the codes; the tests hold it to exitNames.
const exitCodes = `waxwing ends with one of these codes, whatever the command:

  0  done
  1  failed
  2  usage: unknown command, flag or value
  3  in use: another process has the profile, or it exists already
  4  unreachable: the provider does not answer; what was to be sent is kept
  5  refused by the provider
  6  not found: no profile, no such contact, no such account

With --json the error is one object on standard error, with the code's name.
A safety number that differs, and a file that cannot be read or has another
passphrase, are 1.`

// exitCodesTopic is shown by "waxwing help exit-codes".
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodes}
}

// exitNames are the codes for programs that read the errors as JSON.
var exitNames = [...]string{
	exitOK: "ok", exitFailed: "failed", exitUsage: "usage", exitInUse: "in use",
	exitUnreachable: "unreachable", exitRefused: "refused", exitNotFound: "not found",
}

// failure is an error for the user: what happened to what, and what to do next.
type failure struct {
	code int
	what string
	next string
	err  error // the cause, whose text is shown; may be nil
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.what
	}
	return f.what + ": " + f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// report writes err and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = explain("waxwing", err)
	}
	if a.json {
		_ = json.NewEncoder(a.errOut).Encode(struct {
			Error   string `json:"error"`
			Message string `json:"message"`
			Next    string `json:"next,omitempty"`
		}{exitNames[f.code], f.Error(), f.next})
		return f.code
	}
	fmt.Fprintf(a.errOut, "waxwing: %s\n", f.Error())
	if f.next != "" {
		fmt.Fprintf(a.errOut, "  next: %s\n", f.next)
	}
	return f.code
}

// explanation says what an error of the SDK means to the user. what and next
// may hold one %s, for what the command was about.
type explanation struct {
	err        error
	code       int
	what, next string
}

// explanations holds the first match for each error; others fail plainly.
var explanations = []explanation{
	{client.ErrNoProfile, exitNotFound, "there is no account in this profile", "register one with \"waxwing register ADDRESS --server HOST:PORT --pin PIN\", or name its directory with --profile"},
	{client.ErrNotRegistered, exitNotFound, "the profile has no account yet", "finish with \"waxwing register ADDRESS --server HOST:PORT --pin PIN\""},
	{client.ErrExists, exitInUse, "this profile has an account already", "give the other account a profile of its own with --profile DIR"},
	{client.ErrRegistered, exitInUse, "this profile has another account already", "give the new account a profile of its own with --profile DIR"},
	{client.ErrLocked, exitFailed, "the profile is under a passphrase", "name a file with it: --passphrase-file FILE, or " + passphraseEnv},
	{client.ErrPassphrase, exitFailed, "the passphrase is wrong", "check --passphrase-file and " + passphraseEnv},
	{client.ErrInUse, exitInUse, "another process has the profile open", "end the other waxwing command, or use another --profile"},
	{client.ErrUnknownContact, exitNotFound, "%s is not a contact", "ask for a contact code and add it with \"waxwing add CODE\""},
	{client.ErrUnknownDevice, exitNotFound, "the account has no device %s", "see \"waxwing device list\""},
	{client.ErrThisDevice, exitUsage, "device %s is this one, and a device does not remove itself", "run the command on another device of the account"},
	{client.ErrUntold, exitRefused, "the account's other devices cannot be told of the new account key yet", "it is replaced by itself once they are, with \"waxwing inbox\" or \"waxwing chat\""},
	{client.ErrNoAccountKey, exitRefused, "the secret of the account's key is not on this device", "it comes from the device that replaced it; if that is lost, run \"waxwing device replace-account-key\""},
	{client.ErrOvertaken, exitRefused, "another device of the account replaced the mailbox key at the same time", "it is in use here when that device has told; if it is gone for good, try again"},
	{client.ErrDevices, exitRefused, "the account has as many devices as it may have", "remove one with \"waxwing device remove\""},
	{client.ErrLinkCode, exitUsage, "the text is not a code of \"waxwing device link\", or it was mistyped", "copy it again, from \"waxwing-link:\" to its end"},
	{client.ErrLinkMiddle, exitRefused, "what came is not from the device that showed the code: somebody stands between the two", "nothing was handed over; begin again on both, and tell the provider's operator if it happens again"},
	{client.ErrLinkAborted, exitRefused, "linking was given up, or the digits differ; nothing was handed over", "begin again with \"waxwing device link\" on a device of the account"},
	{client.ErrLinkOver, exitFailed, "the time for linking is over", "begin again with \"waxwing device link\" on a device of the account"},
	{client.ErrTooMuch, exitFailed, "the account is too large to be handed over by linking", "use \"waxwing export\" and \"waxwing import\""},
	{client.ErrArchive, exitFailed, "the file is no exported account, or it is damaged", "take another copy of it"},
	{client.ErrKnownContact, exitInUse, "the contact is known and can be written to, so the code was not used", "write with \"waxwing send ADDRESS TEXT\""},
	{client.ErrBlocked, exitRefused, "%s is blocked by you", "run \"waxwing unblock ADDRESS\" first"},
	{client.ErrBadCode, exitUsage, "the text is not a contact code, or it was mistyped", "copy it again, from \"waxwing\" to its end"},
	{client.ErrOwnCode, exitUsage, "the contact code is your own", "pass it to the person who is to write to you"},
	{client.ErrCodeExpired, exitFailed, "the contact code has expired", "ask for a new one: it is made with \"waxwing contact-code\""},
	{client.ErrIdentityChanged, exitFailed, "the identity key of %s is not the one that you know", "compare with the contact in person; it may be another person, or the same one with a new account"},
	{client.ErrKeysUnknown, exitFailed, "the keys of %s are not known yet", "send it a message with \"waxwing send ADDRESS TEXT\"; they come with the first exchange"},
	{client.ErrBadScan, exitUsage, "the text is neither a safety number nor the text of its code", "scan or copy it again: 60 digits, or the text from \"waxwing-verify:\" to its end"},
	{client.ErrMismatch, exitFailed, "the safety numbers differ: this may not be %s", "check that both of you look at the other's number; if so, do not write anything secret, and compare in person"},
	{client.ErrHop, exitUsage, "the hop is your own provider, which is to learn nothing of what you ask", "name another one, or none"},
	{client.ErrInterval, exitUsage, "the interval is not between one second and one hour", "give one such as 30s or 5m"},
	{client.ErrNotReceived, exitUsage, "only messages that you received can be reported", "see their ids with \"waxwing history ADDRESS --json\""},
	{client.ErrTooOld, exitFailed, "the message can no longer be reported: it came more than a month ago, or to another device", "report it from the device that it came to, or report a newer one"},
	{client.ErrNoShare, exitFailed, "a ban cannot be asked for with this message: it was sealed to keys that your account does not have any more", "report it without --ban, or report a newer one"},
	{client.ErrReportSize, exitUsage, "the messages do not fit into one report", "report fewer"},
	{client.ErrUnknownMessage, exitNotFound, "there is no such message", "see their ids with \"waxwing history ADDRESS --json\""},
	{client.ErrTooLong, exitUsage, "the text is too long for one message", "send it in parts"},
	{client.ErrEmpty, exitUsage, "the text is empty, or not UTF-8", "give some text"},
	{client.ErrFull, exitFailed, "a limit of the profile is reached", "wait until messages that are under way are delivered"},
	{client.ErrCorrupt, exitFailed, "the profile's file is damaged", "restore the directory from a backup"},
	{client.ErrNoAccount, exitNotFound, "the account does not exist at its provider", "check the address, and ask for a new contact code"},
	{client.ErrServer, exitFailed, "the provider's answer does not verify", "tell its operator; nothing was taken over"},
	{quicnet.ErrPin, exitRefused, "the server is not the one that the pin names", "check --server and --pin with the provider; its operator prints the pin with \"waxwingd pin\""},
	{quicnet.ErrCertificate, exitRefused, "the server's certificate is not valid for the address's domain", "check that the server is the one of the address's domain"},
	{client.ErrClock, exitFailed, "this machine's clock and the provider's are more than a day apart; nothing was sent or fetched", "set this machine's clock and try again; if it is right, tell the provider's operator"},
	{quicnet.ErrExpired, exitFailed, "the server's certificate is not valid today", "check this machine's clock"},
	{quicnet.ErrTimeout, exitUnreachable, "the provider does not answer", "check the network and --server, then try again; what is stored here goes out with the next command"},
	{quicnet.ErrUnreachable, exitUnreachable, "the provider's address cannot be reached", "check the network and --server, then try again"},
	{quicnet.ErrHandshake, exitUnreachable, "the server does not speak this protocol", "check --server"},
	{quicnet.ErrBusy, exitUnreachable, "the server takes no more connections now", "try again in a minute"},
	{quicnet.ErrClosed, exitUnreachable, "the connection to the provider ended", "try again; what is stored here goes out with the next command"},
	{context.DeadlineExceeded, exitUnreachable, "the provider did not answer in time", "check the network and --server, then try again, perhaps with a longer --wait; what is stored here goes out with the next command"},
	{context.Canceled, exitFailed, "interrupted", "what is stored here goes out with the next command"},
}

// explain turns an error into one for the user. about is the address or thing
// that the command was about.
func explain(about string, err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if r, ok := errors.AsType[*client.RefusedError](err); ok {
		return refused(about, r.Code, time.Duration(r.RetryAfter)*time.Millisecond)
	}
	if r, ok := errors.AsType[*quicnet.RefusedError](err); ok {
		return refused(about, r.Code, r.RetryAfter)
	}
	if u, ok := errors.AsType[*client.UnfinishedError](err); ok {
		return &failure{
			code: exitFailed, what: fmt.Sprintf("device %d is in the account, but did not get it", u.Device), err: u.Err,
			next: fmt.Sprintf("run \"waxwing device remove %d\", then link again", u.Device),
		}
	}
	if l, ok := errors.AsType[*client.LaterError](err); ok {
		return &failure{
			code: exitRefused, what: about + " was replaced already", err: l,
			next: "what came before is still used by contacts; try again on that day",
		}
	}
	for _, e := range explanations {
		if errors.Is(err, e.err) {
			return &failure{code: e.code, what: strings.ReplaceAll(e.what, "%s", about), next: e.next}
		}
	}
	return &failure{code: exitFailed, what: about, err: err, next: "see the message above; \"waxwing status\" shows the profile's state"}
}

// refused explains a refusal of the provider.
func refused(about string, code wire.Code, retry time.Duration) *failure {
	f := &failure{code: exitRefused, what: "the provider refused " + about + ": " + code.String()}
	switch code {
	case wire.CodeExists:
		f.what, f.next = "the address "+about+" is taken", "choose another name"
	case wire.CodeConfusable:
		f.what, f.next = "the name "+about+" mixes scripts or looks like another", "choose a name in one script"
	case wire.CodeSuspended:
		f.what, f.next = "the provider has suspended this account", "ask its operator; what comes can still be read with \"waxwing inbox\""
	case wire.CodeForbidden:
		f.next = "ask the provider's operator: registration may be closed, or need an invite that is still good (--invite CODE)"
	case wire.CodeUnauthenticated:
		f.next = "this device may have been removed from its account: see \"waxwing device list\" on another one"
	case wire.CodeUnknownProvider:
		f.what, f.next = "the provider does not know the provider of "+about, "ask its operator to configure that peer"
	case wire.CodeUnreachable, wire.CodeBusy:
		f.code, f.next = exitUnreachable, "try again later"
	case wire.CodeNotFound:
		f.code, f.next = exitNotFound, "check the address"
	default:
		f.next = "try again later"
	}
	if retry > 0 {
		f.next = "try again in " + retry.Round(time.Second).String()
	}
	return f
}
