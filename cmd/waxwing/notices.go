package main

import (
	"context"
	"encoding/hex"
	"fmt"
	stdsync "sync"

	"waxwing/core/wire"
	"waxwing/relay/client"
)

// noticeLine is what the user has to know beside the messages, as JSON: notice is
// "tokens", "introductions" or "request", and the field of that name says the rest
// as "status" and "requests" do; "account key replaced" of a contact, or "account key
// lacking" and "account key there" of the account itself.
type noticeLine struct {
	Notice        string             `json:"notice"`
	Tokens        *submissionLine    `json:"tokens,omitempty"`
	Waiting       int                `json:"waiting,omitempty"` // messages that wait for tokens
	Introductions *introductionsLine `json:"introductions,omitempty"`
	Request       *requestLine       `json:"request,omitempty"`
	Contact       string             `json:"contact,omitempty"`
}

// noticesHelp says what a command that stays open shows beside messages.
const noticesHelp = "It says too when messages wait because submission tokens or a day's introductions are used up, when\n" +
	"more come, who introduced themselves, and whose account key was replaced: with --json in objects with the key \"notice\"."

// lackingText says what a device without the account key's secret does.
const lackingText = "the account key's secret is not on this device, and messages wait: it comes from the device that\n" +
	"replaced it; if that is lost, run \"waxwing device replace-account-key\""

func noticeOf(n client.Notice) (noticeLine, string) {
	switch {
	case n.Submission != nil:
		l := submissionOf(*n.Submission)
		return noticeLine{Notice: "tokens", Tokens: &l, Waiting: n.Submission.Waiting}, l.notice(n.Submission)
	case n.Introductions != nil:
		l := introductionOf(*n.Introductions)
		return noticeLine{Notice: "introductions", Introductions: &l}, l.notice()
	case n.Rekeyed != nil:
		a := n.Rekeyed.String()
		return noticeLine{Notice: "account key replaced", Contact: a},
			fmt.Sprintf("%s has replaced the account key; compare the safety number again: \"waxwing verify %s\"", a, a)
	case n.AccountKey != nil && n.AccountKey.Lacking:
		return noticeLine{Notice: "account key lacking"}, lackingText
	case n.AccountKey != nil:
		return noticeLine{Notice: "account key there"}, "the account key's secret is on this device now; what waited goes out"
	}
	l := requestOf(*n.Request)
	return noticeLine{Notice: "request", Request: &l}, fmt.Sprintf("%s introduced themselves and waits for your answer: \"waxwing requests\"", l.From)
}

// notice says in one line what is amiss, or that nothing is any more.
func (l submissionLine) notice(s *client.Submission) string {
	switch {
	case l.Alarm != "":
		return "WARNING: " + l.Alarm + "; no more submission tokens are asked for: \"waxwing status\""
	case s.Short() && l.Refused == wire.CodeLimit.String():
		return fmt.Sprintf("submission tokens are used up: %d messages wait; more come %s", s.Waiting, moment(l.More))
	case s.Short():
		return fmt.Sprintf("no submission tokens: %d messages wait; the provider gives none (%s) and is asked again %s", s.Waiting, l.Refused, moment(l.More))
	case !l.Anonymous:
		return "messages leave under the account's name"
	}
	return fmt.Sprintf("submission tokens are there again: for %d messages", l.Tokens)
}

func (l introductionsLine) notice() string {
	if l.Left == 0 && l.Waiting > 0 {
		return fmt.Sprintf("introductions at %s are used up: %d messages wait; more come %s", l.Provider, l.Waiting, moment(l.More))
	}
	return fmt.Sprintf("introductions at %s: %d of %d left today", l.Provider, l.Left, l.Limit)
}

func introductionOf(i client.Introductions) introductionsLine {
	return introductionsLine{i.Provider.String(), i.Known, i.Left, i.Limit, i.More, i.Waiting}
}

func requestOf(r client.Request) requestLine {
	return requestLine{r.From.String(), hex.EncodeToString(r.Fingerprint[:]), r.Text, filesOf(r.Attachments), r.Received, r.Messages}
}

// notices shows them as they come until ctx ends, in whole lines between others'.
func (a *app) notices(ctx context.Context, p *client.Client, mu *stdsync.Mutex) error {
	for n, err := range p.Notices(ctx) {
		if err != nil {
			return err
		}
		line, text := noticeOf(n)
		mu.Lock()
		err := a.print(line, "(%s)\n", text)
		mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
