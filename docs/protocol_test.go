package docs_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"waxwing/blocklist"
	"waxwing/core/attachment"
	"waxwing/core/content"
	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/linking"
	"waxwing/core/mailbox"
	"waxwing/core/query"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/membership"
	"waxwing/ratelimit/privacypass"
	"waxwing/ratelimit/ticket"
	"waxwing/sealedsender"
)

var update = flag.Bool("update", false, "rewrite the layouts in protocol.md")

// layouts are the tables that protocol.md shows, by the name that stands in the
// marker. Those of structures have fields and bytes.
var layouts = map[string]string{}

func init() {
	for name, s := range map[string]wire.Schema{
		"Envelope": new(wire.Envelope), "Delivery": new(wire.Delivery),
		"Submit": new(wire.Submit), "Forward": new(wire.Forward), "Ack": new(wire.Ack), "Refused": new(wire.Refused),
		"Subscribe": new(wire.Subscribe), "Delivered": new(wire.Delivered), "CaughtUp": new(wire.CaughtUp),
		"Hello": new(wire.Hello), "AuthInput": new(wire.AuthInput),

		"ContentFrame": new(content.Frame), "Piece": new(content.Piece), "Grant": new(ticket.Grant),
		"SignedPrekey": new(ratchet.PublicSignedPrekey), "OneTimePrekey": new(ratchet.PublicOneTime),
		"Bundle": new(ratchet.Bundle), "PrekeyMessage": new(ratchet.PrekeyMessage),
		"Manifest": new(directory.ManifestFields), "MailboxKey": new(directory.MailboxKeyFields),
		"Descriptor":    new(directory.DescriptorFields),
		"LookupRequest": new(directory.LookupRequest), "LookupAnswer": new(directory.LookupAnswer),
		"BlockRequest": new(blocklist.Request), "BlockList": new(blocklist.List),
	} {
		layouts[name] = layout(wire.Layout(s))
	}
	for i := range 256 {
		if m := wire.NewMessage(wire.FrameType(i)); m != nil {
			layouts[strings.TrimPrefix(fmt.Sprintf("%T", m), "*wire.")] = layout(wire.Layout(m))
		}
	}
	certificate, head, body := sealedsender.Layouts()
	layouts["Certificate"], layouts["Head"], layouts["Body"] = layout(certificate), layout(head), layout(body)
	member, refill := membership.Layouts()
	layouts["KeyList"] = layout(keylist.Layout())
	layouts["MembershipRequest"], layouts["Refill"] = layout(member), layout(refill)
	layouts["Introduction"], layouts["StandingRequest"] = layout(wire.Layout(new(introduction.Introduction))), layout(wire.Layout(new(introduction.Standing)))
	layouts["RefillQuestion"], layouts["RefillAnswer"] = layout(wire.Layout(new(query.Refill))), layout(wire.Layout(new(query.RefillAnswer)))
	layouts["StandingQuestion"], layouts["StandingAnswer"] = layout(wire.Layout(new(query.Standing))), layout(wire.Layout(new(query.StandingAnswer)))
	question, answer := query.Layouts()
	layouts["Question"], layouts["QueryAnswer"] = layout(question), layout(answer)
	for name, rows := range franking.Layouts() {
		layouts[name] = layout(rows)
	}
	for name, rows := range linking.Layouts() {
		layouts[name] = layout(rows)
	}
	for name, rows := range devicesync.Layouts() {
		layouts[name] = layout(rows)
	}
	layouts["classes"], layouts["limits"] = classTable(), limitTable()
}

// classTable shows the size classes.
func classTable() string {
	var b strings.Builder
	b.WriteString("| class | envelope | head | body | frame and control part | device headers |\n|---|---|---|---|---|---|\n")
	for c := wire.Class1K; c <= wire.ClassIntroduction; c++ {
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %d |\n", c, c.Size(), c.HeadSize(), c.BodySize(), sealedsender.Room(c), c.Devices())
	}
	return b.String()
}

// limitTable shows the limits that both sides of the protocol have to know.
// Their reasons stand beside the constants.
func limitTable() string {
	var b strings.Builder
	b.WriteString("| limit | value | of what |\n|---|---|---|\n")
	for _, l := range []struct {
		name  string
		value int
		of    string
	}{
		{"core/ids.MaxAddress", ids.MaxAddress, "bytes of an address"},
		{"core/ids.MaxDomain", ids.MaxDomain, "bytes of a domain"},
		{"core/ids.MaxDelay", ids.MaxDelay, "D: days from the sender's day to the day of receipt"},
		{"core/ids.MaxTicketDays", ids.MaxTicketDays, "days from the minting of a ticket to its last day"},
		{"core/wire.MaxFrame", wire.MaxFrame, "bytes of a frame's body"},
		{"core/wire.MaxEnvelope", wire.MaxEnvelope, "bytes of an envelope"},
		{"core/wire.MaxTTL", wire.MaxTTL, "seconds that a relay keeps an envelope"},
		{"core/wire.MaxMint", wire.MaxMint, "tickets in one answer"},
		{"core/wire.MaxPrekeys", wire.MaxPrekeys, "one-time prekeys in one upload"},
		{"core/wire.MaxManifest", wire.MaxManifest, "bytes of a manifest"},
		{"core/wire.MaxSealKey", wire.MaxSealKey, "bytes of a mailbox key"},
		{"core/wire.MaxCertificate", wire.MaxCertificate, "bytes of a certificate on a control stream"},
		{"core/wire.MaxDescriptor", wire.MaxDescriptor, "bytes of a descriptor"},
		{"core/wire.MaxBlock", wire.MaxBlock, "bytes of a block request"},
		{"core/directory.MaxDevices", directory.MaxDevices, "devices of an account"},
		{"core/directory.PoolCapacity", directory.PoolCapacity, "one-time prekeys that wait for one device"},
		{"core/directory.PoolReserve", directory.PoolReserve, "of them kept for askers with consent"},
		{"core/directory.MailboxKeyDays", directory.MailboxKeyDays, "days from the beginning of its week to the last day of a mailbox key"},
		{"core/query.KindLookup", query.KindLookup.QuestionSize(), "bytes of every sealed lookup"},
		{"core/query.KindLookup", query.KindLookup.AnswerSize(), "bytes of every sealed answer to it"},
		{"core/query.MaxAge", int(query.MaxAge.Seconds()), "seconds for which a question is answered"},
		{"core/query.MaxAhead", int(query.MaxAhead.Seconds()), "seconds that a question may be ahead of the answering clock"},
		{"ratelimit/introduction.MaxLimit", introduction.MaxLimit, "introductions in an epoch"},
		{"ratelimit/introduction.StandingLimit", introduction.StandingLimit, "standing stamps in a week"},
		{"ratelimit/introduction.AddressSize", introduction.AddressSize, "bytes of an introduction's address"},
		{"ratelimit/membership.MaxRefill", membership.MaxRefill, "bytes of a refill"},
		{"ratelimit/privacypass.MaxBatch", privacypass.MaxBatch, "submission tokens in one batch"},
		{"ratelimit/ticket.MaxGrant", ticket.MaxGrant, "tickets in one grant"},
		{"ratelimit/ticket.MaxPerKey", ticket.MaxPerKey, "tickets under one minting key"},
		{"ratelimit/ticket.KeyDays", ticket.KeyDays, "days after its own for which a minting key is kept"},
		{"franking.StampDays", franking.StampDays, "days after its own for which a stamp key is kept"},
		{"franking.ReportDays", franking.ReportDays, "days after its receipt for which a message can be reported, and shown"},
		{"franking.ReviewDays", franking.ReviewDays, "days that reviewers may take until their verdict comes to the sender's provider"},
		{"franking.SkewDays", franking.SkewDays, "days that two providers' clocks may be apart before a key is published"},
		{"franking.MaxIssue", franking.MaxIssue, "tokens in one request"},
		{"franking.MaxAllowance", franking.MaxAllowance, "tokens of one account and day, at most"},
		{"franking.MaxToken", franking.MaxToken, "bytes of a franking token"},
		{"franking.MaxBundle", franking.MaxBundle, "bytes of a token bundle"},
		{"franking.MaxMessages", franking.MaxMessages, "messages in one report"},
		{"franking.MaxNote", franking.MaxNote, "bytes of a reporter's note"},
		{"franking.MaxReport", franking.MaxReport, "bytes of a sealed report"},
		{"sealedsender.MaxEntries", sealedsender.MaxEntries, "device headers of one head"},
		{"sealedsender.MaxPrekeyEntries", sealedsender.MaxPrekeyEntries, "of them that begin a session"},
		{"sealedsender.MaxLifetimeDays", sealedsender.MaxLifetimeDays, "days from the day of sending to a certificate's last"},
		{"core/ratchet.LimitMaxJump", ratchet.LimitMaxJump, "highest setting for the missing messages before one"},
		{"core/ratchet.DefaultMaxJump", ratchet.DefaultMaxJump, "its default"},
		{"core/ratchet.MaxSkippedKeys", ratchet.MaxSkippedKeys, "keys of missing messages in one session"},
		{"core/ratchet.MaxSkippedSets", ratchet.MaxSkippedSets, "chains that these belong to"},
		{"core/content.MaxText", content.MaxText, "bytes of a text"},
		{"core/content.MaxCaption", content.MaxCaption, "bytes of a text with attachments"},
		{"core/content.MaxAttachments", content.MaxAttachments, "attachments of one frame"},
		{"core/attachment.MaxSize", attachment.MaxSize, "bytes of an attachment"},
		{"core/attachment.ChunkSize", attachment.ChunkSize, "bytes of a chunk"},
		{"franking.MaxLeaves", franking.MaxLeaves, "chunks that one message's evidence reveals"},
		{"core/content.MaxControl", content.MaxControl, "bytes of a control part"},
		{"core/content.MaxReceipts", content.MaxReceipts, "messages in one list of receipts"},
		{"core/content.MaxWhole", content.MaxWhole, "bytes of what goes in pieces"},
		{"core/content.MaxWanted", content.MaxWanted, "token bundles that one message asks for"},
		{"core/devicesync.MaxRecord", devicesync.MaxRecord, "bytes of what one device tells the others at once"},
		{"core/devicesync.MaxParts", devicesync.MaxParts, "parts of one sync batch"},
		{"blocklist.MaxSerials", blocklist.MaxSerials, "serials in one block request"},
		{"blocklist.MaxEntries", blocklist.MaxEntries, "entries of one mailbox's blocklist"},
		{"core/mailbox.Quota", mailbox.Quota.Messages, "messages that wait in one mailbox"},
		{"core/mailbox.SyncQuota", mailbox.SyncQuota.Messages, "of them above which no sync batch is added"},
		{"core/mailbox.SyncQuota", int(mailbox.SyncQuota.Bytes), "bytes of them above which none is"},
		{"core/mailbox.Quota", int(mailbox.Quota.Bytes), "bytes of them"},
	} {
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", l.name, l.value, l.of)
	}
	return b.String()
}

var marker = regexp.MustCompile(`(?s)(<!-- layout (\w+) -->\n).*?(<!-- end -->)`)

// The byte layouts in protocol.md are those of the code.
func TestProtocolLayouts(t *testing.T) {
	raw, err := os.ReadFile("protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	want := marker.ReplaceAllStringFunc(string(raw), func(block string) string {
		m := marker.FindStringSubmatch(block)
		text, ok := layouts[m[2]]
		if !ok {
			t.Errorf("protocol.md shows a layout %s that the code does not have", m[2])
			return block
		}
		shown[m[2]] = true
		return m[1] + text + m[3]
	})
	for name := range layouts {
		if !shown[name] {
			t.Errorf("protocol.md lacks <!-- layout %s -->", name)
		}
	}
	if want == string(raw) {
		return
	}
	if !*update {
		t.Fatal("the layouts in protocol.md are not those of the code; run: go test ./docs -run ProtocolLayouts -update")
	}
	if err := os.WriteFile("protocol.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// layout shows a structure field by field.
func layout(rows []wire.Row) string {
	var b strings.Builder
	b.WriteString("| field | bytes | |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Name, r.Size, r.Note)
	}
	return b.String()
}
