package node

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/attachment"
	frames "waxwing/core/content"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/quicnet"
	"waxwing/relay/reports"
)

// author is a device that franks, and reads what is franked for it.
type author struct {
	*device
	s      *server
	tokens []*franking.OwnToken
	seq    uint64
	prev   franking.Digest
	conv   frames.Conversation
}

func newAuthor(t testing.TB, s *server, address string) *author {
	return &author{device: newDevice(t, s, address), s: s, conv: frames.NewConversation()}
}

func (a *author) xs() group.Element {
	xs := a.manifest.XS()
	e, err := group.Ristretto255().DecodeElement(xs[:])
	must(a.t, err)
	return e
}

func (a *author) published(kind wire.PublicationKind, provider, issuer ids.Domain, id [32]byte) []byte {
	a.t.Helper()
	p, err := quicnet.Ask[*wire.Published](testContext(a.t), a.caller, &wire.Publish{Kind: kind, Provider: provider, Issuer: issuer, ID: id})
	must(a.t, err)
	return p.Document
}

func (a *author) context(epoch ids.Day) franking.IssueContext {
	return franking.IssueContext{
		Issuer: a.s.domain, Account: a.address, XS: a.xs(), Epoch: epoch,
		Binding: reports.Binding(a.conn.Exporter(), a.caller.Hello().Nonce),
	}
}

// fetch asks for tokens of today.
func (a *author) fetch(n int) error {
	a.t.Helper()
	req, mine, err := franking.NewRequest(a.context(today()), n)
	must(a.t, err)
	b, err := wire.Marshal(req)
	must(a.t, err)
	m, err := quicnet.Ask[*wire.IssuedTokens](testContext(a.t), a.caller, &wire.IssueTokens{Tokens: b})
	if err != nil {
		return err
	}
	answer := new(franking.IssueAnswer)
	must(a.t, wire.Unmarshal(m.Tokens, answer))
	list, err := franking.ParseEpochKeys(a.published(wire.PublicationEpochKeys, a.s.domain, a.s.domain, [32]byte{}), a.s.domain, a.s.node.keyring.root.Public(), nil)
	must(a.t, err)
	key, ok := list.Of(today())
	if !ok {
		a.t.Fatal("no key of today")
	}
	got, err := mine.Accept(answer, key)
	must(a.t, err)
	a.tokens = append(a.tokens, got...)
	return nil
}

// franked is a message that its reader has everything of.
type franked struct {
	kf    *franking.Key
	frame []byte
	sig   franking.Signature
	aud   franking.Audience
	token *franking.Token
	hour  ids.Hour
	com   franking.Commitment
}

// write franks a text for somebody, with files if there are, and hands it in under a
// ticket.
func (a *author) write(to *author, m *wire.MintedTicket, text string, files ...attachment.Descriptor) *franked {
	a.t.Helper()
	a.seq++
	f := frames.Frame{Kind: frames.KindText, Conversation: a.conv, Seq: a.seq, Sent: uint64(time.Now().UnixMilli()), Prev: frames.Digest(a.prev), Text: text, Attachments: files}
	if len(files) > 0 {
		f.Kind = frames.KindAttachment
	}
	frame, err := f.Marshal()
	must(a.t, err)
	out := &franked{kf: franking.NewKey(), frame: frame, hour: ids.HourOf(time.Now())}
	d := out.kf.Digest(frame)
	a.prev = d
	target := &franking.Target{Provider: to.s.domain, Reader: to.address}
	purse := franking.NewPurse(a.tokens...)
	own, _, err := purse.For(target, today())
	must(a.t, err)
	out.com, out.sig, err = own.Frank(out.kf, &d, target, to.mailbox, out.hour)
	must(a.t, err)
	out.aud, err = own.Audience(target)
	must(a.t, err)
	out.token = own.Token()
	if ref := a.submit(to.s.domain, franEnvelope(m, out.com)); len(ref) != 0 {
		a.t.Fatalf("refused: %v", ref)
	}
	return out
}

// franEnvelope is an envelope with a commitment; what is sealed inside goes
// another way in these tests.
func franEnvelope(m *wire.MintedTicket, com franking.Commitment) []byte {
	class := wire.Class1K
	e := &wire.Envelope{
		Ticket: &m.Ticket, Binder: new([wire.BinderSize]byte), Com: (*[wire.ComSize]byte)(&com), Day: today(), Class: class,
		TTL: 86400, Head: make([]byte, class.HeadSize()), Body: make([]byte, class.BodySize()),
	}
	rand.Read(e.Head)
	rand.Read(e.Body)
	payload := wire.PayloadHash(e.Head, e.Body)
	bound := ticket.BoundOf(e, &payload)
	key, t := ticket.KeyFrom(&m.Key), ticket.Ticket(m.Ticket)
	*e.Binder = key.Binder(&t, &bound)
	return e.Append(nil)
}

// read takes the deliveries of messages, which come in any order, and verifies
// each under the snapshot that it names, as a client does before it shows it.
func (a *author) read(all ...*franked) (out []*franking.Evidence) {
	a.t.Helper()
	deliveries := a.receive(a.last, len(all))
	for _, f := range all {
		i := slices.IndexFunc(deliveries, func(d wire.Delivery) bool { return d.Com == f.com })
		if i < 0 {
			a.t.Fatal("a message did not come")
		}
		out = append(out, a.verify(f, &deliveries[i]))
	}
	return out
}

func (a *author) verify(f *franked, d *wire.Delivery) *franking.Evidence {
	a.t.Helper()
	e := &franking.Evidence{
		Token: *f.token, Frame: f.frame, Key: *f.kf, Author: f.sig, Hour: f.hour, Audience: f.aud, Mailbox: a.mailbox,
		Com: d.Com, Day: d.Day, Received: d.Received, Stamp: d.Stamp, Snapshot: d.Snapshot,
	}
	s, err := franking.ParseSnapshot(a.published(wire.PublicationSnapshot, a.s.domain, f.token.Issuer, d.Snapshot), a.s.domain, a.s.node.keyring.root.Public())
	must(a.t, err)
	_, err = franking.Verify(e, s, a.address, reports.FrameOf)
	must(a.t, err)
	return e
}

// report reports messages and returns what was found.
func (a *author) report(r *franking.Report) []uint8 {
	a.t.Helper()
	desk, err := franking.ParseDesk(a.published(wire.PublicationDesk, a.s.domain, a.s.domain, [32]byte{}), a.s.domain, a.s.node.keyring.root.Public())
	must(a.t, err)
	sealed, err := r.Seal(desk, a.address)
	must(a.t, err)
	found, err := quicnet.Ask[*wire.Reported](testContext(a.t), a.caller, &wire.Report{Sealed: sealed})
	must(a.t, err)
	return found.Findings
}

func newReport(e ...*franking.Evidence) *franking.Report {
	r := &franking.Report{
		ID: franking.NewReportID(), Reason: franking.ReasonThreat, Consents: franking.ConsentOrigin, Note: "please look",
	}
	for _, m := range e {
		r.Messages = append(r.Messages, *m)
	}
	return r
}

// snapshotKnown waits until a provider has the keys of another.
func snapshotKnown(t testing.TB, s *server, issuer ids.Domain) {
	t.Helper()
	until(t, "keys of a peer", func() bool {
		return s.node.reports.SnapshotID(issuer, uint64(time.Now().UnixMilli())) != [32]byte{}
	})
}

func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still no %s", what)
		}
	}
}

// The whole way of a report between two running providers: tokens, messages, a
// report of two of them, two reviewers, the verdict, the opening, and the end of
// what the account can send.
func TestReportFromEndToEnd(t *testing.T) {
	alpha, beta := federated(t)
	alice, bob, carol := newAuthor(t, alpha, "alice@alpha.example"), newAuthor(t, beta, "bob@beta.example"), newAuthor(t, beta, "carol@beta.example")
	snapshotKnown(t, beta, alpha.domain)
	must(t, alice.fetch(4))
	minted := bob.mint(4)
	first, second := alice.write(bob, &minted.Tickets[0], "one"), alice.write(bob, &minted.Tickets[1], "two")
	both := bob.read(first, second)
	e1, e2 := both[0], both[1]

	// What must not get in.
	forged := *e1
	forged.Frame = append([]byte(nil), e2.Frame...)
	if f := bob.report(newReport(&forged)); len(f) != 1 || franking.Fault(f[0]) != franking.FaultCommitment {
		t.Errorf("a forged report: %v", f)
	}
	if f := carol.report(newReport(e1)); len(f) != 1 || franking.Fault(f[0]) != franking.FaultOwner {
		t.Errorf("a stolen report: %v", f)
	}
	good := newReport(e1, e2)
	if f := bob.report(good); len(f) != 2 || f[0] != 0 || f[1] != 0 {
		t.Fatalf("a report: %v", f)
	}
	if f := bob.report(good); len(f) != 2 || f[0] != 0 {
		t.Errorf("the same report sent again: %v", f)
	}
	if f := bob.report(newReport(e1)); len(f) != 1 || franking.Fault(f[0]) != franking.FaultDuplicate {
		t.Errorf("a replayed report: %v", f)
	}

	ctx := testContext(t)
	desk := beta.node.Reports()
	list, err := desk.List(ctx, reports.StateOpen, 10)
	must(t, err)
	if len(list) != 1 || list[0].Proven != 2 || list[0].Issuer != alpha.domain {
		t.Fatalf("the queue is %+v", list)
	}
	shown, err := desk.Show(ctx, good.ID)
	must(t, err)
	if shown.Findings[0].Text != "one" || shown.Findings[1].Text != "two" || !shown.Findings[1].Linked || shown.Findings[1].Gap {
		t.Errorf("shown as %+v", shown.Findings)
	}
	now := time.Now()
	if err := desk.Decide(ctx, now, good.ID, reports.FirstProven, franking.ActionSuspend, "dora"); !errors.Is(err, reports.ErrSecond) {
		t.Fatalf("one reviewer suspends: %v", err)
	}
	if err := desk.Decide(ctx, now, good.ID, reports.FirstProven, franking.ActionSuspend, "dora"); !errors.Is(err, reports.ErrSecond) {
		t.Fatalf("the same reviewer is two: %v", err)
	}
	must(t, desk.Decide(ctx, now, good.ID, reports.FirstProven, franking.ActionSuspend, "erin"))
	must(t, beta.node.Decided(ctx, alpha.domain))
	if err := desk.Decide(ctx, now, good.ID, reports.FirstProven, franking.ActionWarn, "erin"); !errors.Is(err, reports.ErrDecided) {
		t.Errorf("decided twice: %v", err)
	}
	until(t, "answer", func() bool {
		s, err := desk.Show(ctx, good.ID)
		must(t, err)
		return s.State == reports.StateAnswered && s.Action == franking.ActionSuspend
	})
	if trail, err := alpha.node.Reports().Trail(ctx, 0, 10); err != nil || len(trail) != 1 || trail[0].Act != reports.ActOpened || trail[0].Action != franking.ActionSuspend {
		t.Errorf("alpha's trail is %+v, %v", trail, err)
	}

	// On the connection that she has, and on a new one.
	suspended := func(when string) {
		t.Helper()
		ref := alice.submit(beta.domain, franEnvelope(&minted.Tickets[2], first.com))
		if ref[1].Code != wire.CodeSuspended {
			t.Errorf("%s alice can send: %v", when, ref)
		}
		var r *quicnet.RefusedError
		if err := alice.fetch(1); !errors.As(err, &r) || r.Code != wire.CodeSuspended {
			t.Errorf("%s alice gets tokens: %v", when, err)
		}
	}
	suspended("at once")
	alice.reconnect(alpha)
	suspended("after she comes back")
	alpha.halt()
	alpha.start()
	alice.reconnect(alpha)
	suspended("after alpha comes back")
	if s, err := alpha.node.directory.Standing(ctx, alice.address); err != nil || !s.Suspended(time.Now()) || s.Openings != 1 {
		t.Errorf("standing %+v, %v", s, err)
	}

	// What a reviewer exports stands on its own.
	file, err := desk.Export(ctx, now, good.ID, "erin")
	must(t, err)
	x, err := franking.VerifyExport(file, countersignOf(t, beta), beta.node.keyring.root.Public(), reports.FrameOf)
	must(t, err)
	if len(x.Messages) != 2 || x.Messages[0].Fault != franking.FaultNone || x.Messages[1].Verified == nil {
		t.Errorf("exported as %+v", x.Messages)
	}
}

// countersignOf returns the key that a provider's desk says it signs with.
func countersignOf(t testing.TB, s *server) keys.VerifyKey {
	t.Helper()
	b, err := s.node.Reports().Publication(testContext(t), &wire.Publish{Kind: wire.PublicationDesk, Provider: s.domain}, time.Now())
	must(t, err)
	d, err := franking.ParseDesk(b, s.domain, s.node.keyring.root.Public())
	must(t, err)
	return d.Countersign()
}

// A provider whose users write to each other opens its own desk's verdicts.
func TestReportAtOneProvider(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	alice, bob := newAuthor(t, beta, "alice@beta.example"), newAuthor(t, beta, "bob@beta.example")
	must(t, alice.fetch(1))
	minted := bob.mint(1)
	e := bob.read(alice.write(bob, &minted.Tickets[0], "one"))[0]
	r := newReport(e)
	if f := bob.report(r); len(f) != 1 || f[0] != 0 {
		t.Fatalf("found %v", f)
	}
	ctx := testContext(t)
	must(t, beta.node.Reports().Decide(ctx, time.Now(), r.ID, reports.FirstProven, franking.ActionWarn, "dora"))
	must(t, beta.node.Decided(ctx, beta.domain))
	s, err := beta.node.Reports().Show(ctx, r.ID)
	must(t, err)
	if s.State != reports.StateAnswered || s.Action != franking.ActionWarn {
		t.Errorf("%v, %v", s.State, s.Action)
	}
}

// A verdict that is refused for now waits, as long as it was asked to within bounds, and
// is opened the next time.
func TestVerdictIsBroughtAgain(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	alice, bob := newAuthor(t, beta, "alice@beta.example"), newAuthor(t, beta, "bob@beta.example")
	must(t, alice.fetch(1))
	r := newReport(bob.read(alice.write(bob, &bob.mint(1).Tickets[0], "one"))[0])
	bob.report(r)
	ctx := testContext(t)
	must(t, beta.node.Reports().Decide(ctx, time.Now(), r.ID, reports.FirstProven, franking.ActionWarn, "dora"))
	for told, want := range map[time.Duration]time.Duration{
		time.Millisecond: verdictRetry, 5 * time.Second: 5 * time.Second, time.Hour: verdictPause,
	} {
		asked := 0
		again, err := beta.node.bring(ctx, beta.domain, func(context.Context, []byte) ([]byte, error) {
			asked++
			return nil, &quicnet.RefusedError{Code: wire.CodeBusy, RetryAfter: told}
		})
		if asked != 1 || again != want || err != nil {
			t.Errorf("asked %d times, told %v: again in %v, %v; want %v", asked, told, again, err, want)
		}
	}
	must(t, beta.node.Decided(ctx, beta.domain))
	if s, err := beta.node.Reports().Show(ctx, r.ID); err != nil || s.State != reports.StateAnswered {
		t.Errorf("%v, %v", s.State, err)
	}
	again, err := beta.node.bring(ctx, beta.domain, func(context.Context, []byte) ([]byte, error) {
		return nil, errors.New("nothing waits")
	})
	if again != verdictPause || err != nil {
		t.Errorf("with nothing to bring: again in %v, %v", again, err)
	}
}

// The configured policy decides, by the verdict's reason.
func TestPolicyOfReasons(t *testing.T) {
	beta := newServer(t, "beta.example")
	beta.conf.Policy = &franking.Policy{
		Steps: franking.Steps{Suspend: 1}, Reasons: map[franking.Reason]franking.Steps{franking.ReasonSpam: {Limit: 2}},
	}
	beta.start()
	alice, bob := newAuthor(t, beta, "alice@beta.example"), newAuthor(t, beta, "bob@beta.example")
	must(t, alice.fetch(1))
	minted := bob.mint(3)
	ctx := testContext(t)
	for i, c := range []struct {
		reason franking.Reason
		want   franking.Action
	}{{franking.ReasonSpam, franking.ActionNone}, {franking.ReasonSpam, franking.ActionLimit}, {franking.ReasonFraud, franking.ActionSuspend}} {
		r := newReport(bob.read(alice.write(bob, &minted.Tickets[i], "one"))[0])
		r.Reason = c.reason
		bob.report(r)
		for _, reviewer := range []string{"dora", "erin"} {
			if err := beta.node.Reports().Decide(ctx, time.Now(), r.ID, reports.FirstProven, franking.ActionSuspend, reviewer); err != nil && !errors.Is(err, reports.ErrSecond) {
				t.Fatal(err)
			}
		}
		must(t, beta.node.Decided(ctx, beta.domain))
		s, err := beta.node.Reports().Show(ctx, r.ID)
		must(t, err)
		if s.Action != c.want {
			t.Errorf("the verdict number %d, for %v, leads to %v", i+1, c.reason, s.Action)
		}
	}
}

// An account has so many tokens of a day, whichever days it asks for in turns,
// and whatever it does to the server.
func TestAllowance(t *testing.T) {
	beta := newServer(t, "beta.example")
	beta.conf.Allowance = 5
	beta.start()
	alice := newAuthor(t, beta, "alice@beta.example")
	must(t, alice.fetch(3))
	must(t, alice.fetch(2))
	beta.halt()
	beta.start()
	alice.reconnect(beta)
	var r *quicnet.RefusedError
	if err := alice.fetch(1); !errors.As(err, &r) || r.Code != wire.CodeLimit || r.RetryAfter == 0 {
		t.Fatalf("a sixth token: %v", err)
	}
	// Bound to the account and the connection.
	stolen, _, err := franking.NewRequest(alice.context(today()), 1)
	must(t, err)
	bob := newAuthor(t, beta, "bob@beta.example")
	for _, d := range []*author{bob, alice} {
		if d == alice {
			alice.reconnect(beta)
		}
		_, err = quicnet.Ask[*wire.IssuedTokens](testContext(t), d.caller, &wire.IssueTokens{Tokens: wire.MustMarshal(stolen)})
		if !errors.As(err, &r) || r.Code != wire.CodeForbidden {
			t.Errorf("another's request: %v", err)
		}
	}
}
