package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay"
	"waxwing/relay/quicnet"
	"waxwing/relay/reports"
)

// attacked is two running providers with alice at alpha, bob and carol at beta.
type attacked struct {
	t                 *testing.T
	alpha, beta       *server
	alice, bob, carol *author
	disk              *loseAppend // beta's
	minted            *wire.Minted
}

// loseAppend is a store that loses the next answers about an appended envelope,
// before or after the envelope is there.
type loseAppend struct {
	store.Store
	before, after atomic.Int32
}

func (s *loseAppend) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	lost := make([]store.AppendRes, len(reqs))
	for i := range lost {
		lost[i].Err = store.ErrUnknownOutcome
	}
	if s.before.Add(-1) >= 0 {
		return lost
	}
	res := s.Store.Append(ctx, reqs)
	if s.after.Add(-1) >= 0 {
		return lost
	}
	return res
}

func newAttacked(t *testing.T) *attacked {
	w := &attacked{t: t, disk: &loseAppend{Store: store.NewMemory(store.MemoryConfig{})}}
	w.alpha, w.beta = newServer(t, "alpha.example"), newServer(t, "beta.example")
	w.alpha.conf.Listen, w.beta.conf.Listen = freeAddr(t), freeAddr(t)
	w.alpha.conf.Peers = []Peer{{w.beta.domain, w.beta.conf.Listen, w.beta.pin}}
	w.beta.conf.Peers = []Peer{{w.alpha.domain, w.alpha.conf.Listen, w.alpha.pin}}
	w.beta.conf.Store = w.disk
	w.alpha.start()
	w.beta.start()
	w.alice = newAuthor(t, w.alpha, "alice@alpha.example")
	w.bob, w.carol = newAuthor(t, w.beta, "bob@beta.example"), newAuthor(t, w.beta, "carol@beta.example")
	snapshotKnown(t, w.beta, w.alpha.domain)
	must(t, w.alice.fetch(4))
	w.minted = w.bob.mint(16)
	return w
}

// restart ends both providers and starts them again.
func (w *attacked) restart() {
	w.t.Helper()
	w.alpha.halt()
	w.beta.halt()
	w.alpha.start()
	w.beta.start()
	w.alice.reconnect(w.alpha)
	w.bob.reconnect(w.beta)
	w.carol.reconnect(w.beta)
	snapshotKnown(w.t, w.beta, w.alpha.domain)
}

// ticket is one of bob's that nobody has used.
func (w *attacked) ticket() *wire.MintedTicket {
	t := w.minted.Tickets[0]
	w.minted.Tickets = w.minted.Tickets[1:]
	return &t
}

// hears has bob read what alice writes.
func (w *attacked) hears(text string) *franking.Evidence {
	w.t.Helper()
	return w.bob.read(w.alice.write(w.bob, w.ticket(), text))[0]
}

// found is what beta says about a report.
func (w *attacked) found(by *author, r *franking.Report) franking.Fault {
	w.t.Helper()
	f := by.report(r)
	if len(f) != 1 {
		w.t.Fatalf("%d findings", len(f))
	}
	return franking.Fault(f[0])
}

// expect compares findings and refusals.
func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// refusalOf is what a request was refused with, 0 if it was not.
func refusalOf(err error) wire.Code {
	var r *quicnet.RefusedError
	if errors.As(err, &r) {
		return r.Code
	}
	return 0
}

// TestAttack runs the numbers of the adversarial list that need running providers
// and what they have stored. The pure ones are in franking.
func TestAttack(t *testing.T) {
	for _, a := range []struct {
		number int
		name   string
		run    func(*testing.T, *attacked)
	}{
		{20, "one report twice, across a restart", attackTwice},
		{21, "another's message, and another's report", attackOwner},
		{24, "verdicts replayed, misdirected and by nobody", attackVerdicts},
		{26, "garbage as reports, requests and verdicts", attackGarbage},
		{41, "an envelope again after both relays started anew", attackReplay},
		{44, "a ticket for another commitment", attackBinder},
		{48, "a crash between stamp and mailbox", attackStampCrash},
		{50, "another list of keys for one of its readers", attackSplitView},
	} {
		t.Run(fmt.Sprintf("%02d %s", a.number, a.name), func(t *testing.T) { a.run(t, newAttacked(t)) })
	}
}

func attackTwice(t *testing.T, w *attacked) {
	e := w.hears("one")
	r := newReport(e)
	expect(t, "first", w.found(w.bob, r), franking.FaultNone)
	w.restart()
	expect(t, "sent again", w.found(w.bob, r), franking.FaultNone)
	expect(t, "another report of it", w.found(w.bob, newReport(e)), franking.FaultDuplicate)
	later := *e
	later.Snapshot[0] ^= 1 // the desk takes its own
	if f := w.found(w.bob, newReport(&later)); f == franking.FaultNone {
		t.Error("the same message with another snapshot's name counts again")
	}
	list, err := w.beta.node.Reports().List(testContext(t), 0, 10)
	must(t, err)
	expect(t, "reports", len(list), 1)
}

func attackOwner(t *testing.T, w *attacked) {
	e := w.hears("one")
	expect(t, "bob's message", w.found(w.carol, newReport(e)), franking.FaultOwner)
	moved := *e
	moved.Mailbox = w.carol.mailbox
	expect(t, "as if to carol's mailbox", w.found(w.carol, newReport(&moved)), franking.FaultStamp)
	r := newReport(e)
	expect(t, "by bob", w.found(w.bob, r), franking.FaultNone)
	desk, err := franking.ParseDesk(w.carol.published(wire.PublicationDesk, w.beta.domain, w.beta.domain, [32]byte{}), w.beta.domain, w.beta.node.keyring.root.Public())
	must(t, err)
	for name, reporter := range map[string]ids.Address{"under bob's id": w.carol.address, "bob's own": w.bob.address} {
		sealed, err := r.Seal(desk, reporter)
		must(t, err)
		_, err = quicnet.Ask[*wire.Reported](testContext(t), w.carol.caller, &wire.Report{Sealed: sealed})
		expect(t, name, refusalOf(err), wire.CodeForbidden)
	}
}

func attackVerdicts(t *testing.T, w *attacked) {
	ctx := testContext(t)
	r := newReport(w.hears("one"))
	expect(t, "report", w.found(w.bob, r), franking.FaultNone)
	beta, root := w.beta.node.Reports(), w.beta.node.keyring.root.Public()
	w.alpha.halt() // until the verdict is there
	must(t, beta.Decide(ctx, time.Now(), r.ID, reports.FirstProven, franking.ActionWarn, "dora"))
	pending, err := beta.Pending(ctx, w.alpha.domain)
	if err != nil || len(pending) != 1 {
		t.Fatalf("%d verdicts, %v", len(pending), err)
	}
	verdict := pending[0].Verdict
	w.alpha.start()
	w.alice.reconnect(w.alpha)
	until(t, "answer on the connection between them", func() bool {
		must(t, w.beta.node.Decided(ctx, w.alpha.domain))
		s, err := beta.Show(ctx, r.ID)
		must(t, err)
		return s.State == reports.StateAnswered
	})
	open := func(from ids.Domain, root keys.VerifyKey, b []byte) error {
		_, err := w.alpha.node.Reports().OpenVerdict(ctx, time.Now(), from, root, b)
		return err
	}
	openings := func() uint64 {
		return w.alpha.node.Reports().OwnHeads()[franking.LogOpenings].Size
	}
	first, err := w.alpha.node.Reports().OpenVerdict(ctx, time.Now(), w.beta.domain, root, verdict)
	must(t, err)
	w.restart()
	again, err := w.alpha.node.Reports().OpenVerdict(ctx, time.Now(), w.beta.domain, root, verdict)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("the same verdict got another answer, %v", err)
	}
	for i := range verdict {
		bad := bytes.Clone(verdict)
		bad[i] ^= 1
		if open(w.beta.domain, root, bad) == nil {
			t.Fatalf("byte %d is not covered", i)
		}
	}
	if open(w.alpha.domain, w.alpha.node.keyring.root.Public(), verdict) == nil {
		t.Error("as alpha's own")
	}
	if open(ids.MustParseDomain("gamma.example"), keys.NewSigningKey().Public(), verdict) == nil {
		t.Error("from a stranger")
	}
	if _, err := w.beta.node.Reports().OpenVerdict(ctx, time.Now(), w.beta.domain, root, verdict); err == nil {
		t.Error("opened by a provider that did not issue the token")
	}
	expect(t, "openings", openings(), 1)
	s, err := w.alpha.node.directory.Standing(ctx, w.alice.address)
	must(t, err)
	expect(t, "counted", s.Openings, 1)

	// An account is no provider.
	if _, err := quicnet.Ask[*wire.VerdictAnswer](ctx, w.alice.caller, &wire.Verdict{Verdict: verdict}); err == nil {
		t.Error("an account has a verdict opened")
	}
}

func attackGarbage(t *testing.T, w *attacked) {
	ctx := testContext(t)
	for _, n := range []int{0, 1, 16, 1000, keys.SealOverhead, 16 << 10, wire.MaxSealedReport} {
		b := make([]byte, n)
		rand.Read(b)
		_, err := quicnet.Ask[*wire.Reported](ctx, w.bob.caller, &wire.Report{Sealed: b})
		if c := refusalOf(err); c != wire.CodeForbidden && c != wire.CodeMalformed && c != wire.CodeLimit {
			t.Errorf("a report of %d random bytes: %v", n, err)
		}
	}
	for _, n := range []int{0, 1, 100, 4 << 10} {
		b := make([]byte, n)
		rand.Read(b)
		_, err := quicnet.Ask[*wire.IssuedTokens](ctx, w.bob.caller, &wire.IssueTokens{Tokens: b})
		if c := refusalOf(err); c != wire.CodeForbidden && c != wire.CodeMalformed && c != wire.CodeLimit {
			t.Errorf("a request of %d random bytes: %v", n, err)
		}
		if _, err := w.alpha.node.Reports().OpenVerdict(ctx, time.Now(), w.beta.domain, w.beta.node.keyring.root.Public(), b); err == nil {
			t.Errorf("a verdict of %d random bytes", n)
		}
	}
	// What is sealed well and is no report.
	desk, err := franking.ParseDesk(w.bob.published(wire.PublicationDesk, w.beta.domain, w.beta.domain, [32]byte{}), w.beta.domain, w.beta.node.keyring.root.Public())
	must(t, err)
	empty := newReport()
	if sealed, err := empty.Seal(desk, w.bob.address); err == nil {
		_, err = quicnet.Ask[*wire.Reported](ctx, w.bob.caller, &wire.Report{Sealed: sealed})
		expect(t, "a report of nothing", refusalOf(err), wire.CodeForbidden)
	}
	expect(t, "and then a good one", w.found(w.bob, newReport(w.hears("one"))), franking.FaultNone)
	list, err := w.beta.node.Reports().List(ctx, 0, 10)
	must(t, err)
	expect(t, "reports", len(list), 1)
}

// envelopes returns alice's messages under their tickets, not handed in yet.
func (w *attacked) envelope(com franking.Commitment) []byte { return franEnvelope(w.ticket(), com) }

func randomCom() (com franking.Commitment) {
	rand.Read(com[:])
	return com
}

func attackReplay(t *testing.T, w *attacked) {
	one, two := randomCom(), randomCom()
	first := w.envelope(one)
	submit := func(what string, b []byte) {
		t.Helper()
		if ref := w.alice.submit(w.beta.domain, b); len(ref) != 0 {
			t.Fatalf("%s: %v", what, ref)
		}
	}
	submit("first", first)
	got := w.bob.receive(w.bob.last, 1)
	if got[0].Com != one {
		t.Fatal("another message")
	}
	w.restart()
	submit("again", first) // alpha takes it for the resend that it may be
	submit("second", w.envelope(two))
	if got := w.bob.receive(w.bob.last, 1); got[0].Com != two {
		t.Error("the first one was delivered and stamped again")
	}
	beta := w.beta.count(relay.Duplicate, "peer")
	if n := w.alpha.count(relay.Duplicate, "client"); n+beta == 0 {
		t.Error("nobody noticed the copy")
	}
}

func attackBinder(t *testing.T, w *attacked) {
	one, two := randomCom(), randomCom()
	good := w.envelope(one)
	bad := bytes.Clone(good)
	copy(bad[bytes.Index(bad, one[:]):], two[:])
	for range 2 {
		w.alice.submit(w.beta.domain, bad) // alpha cannot tell; beta can
	}
	if ref := w.alice.submit(w.beta.domain, good); len(ref) != 0 {
		t.Fatalf("refused: %v", ref)
	}
	if got := w.bob.receive(w.bob.last, 1); got[0].Com != one {
		t.Error("stamped for a commitment that the ticket was not bound to")
	}
	until(t, "disposal", func() bool { return w.beta.count(relay.DisposedBinder, "peer") > 0 })
}

func attackStampCrash(t *testing.T, w *attacked) {
	for name, lose := range map[string]*atomic.Int32{"before": &w.disk.before, "after": &w.disk.after} {
		// Bob waits already: whatever becomes of the first attempt, he is told.
		s := w.bob.stream(wire.StreamDeliver)
		must(t, s.WriteFrame(wire.TypeSubscribe, &wire.Subscribe{After: w.bob.last}))
		must(t, s.Flush())
		lose.Store(1)
		f := w.alice.write(w.bob, w.ticket(), "stamped "+name+" the crash")
		e := w.bob.verify(f, w.bob.next(s))
		if f := w.found(w.bob, newReport(e)); f != franking.FaultNone {
			t.Errorf("lost %s: shown, and its report is %v", name, f)
		}
		if lose.Load() > 0 {
			t.Errorf("lost %s: nothing was lost", name)
		}
		next := w.alice.write(w.bob, w.ticket(), "next")
		if d := w.bob.next(s); d.Com != next.com {
			t.Errorf("lost %s: delivered twice", name)
		}
		s.Cancel(quicnet.CodeNone)
	}
}

// next waits for a delivery on a stream, and acks it.
func (d *device) next(s *quicnet.Stream) *wire.Delivery {
	d.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { s.Cancel(quicnet.CodeNone) })
	defer timer.Stop()
	for {
		typ, body, err := s.ReadFrame()
		must(d.t, err)
		if typ != wire.TypeDelivery {
			continue
		}
		seq, raw, err := wire.ParseDelivered(body)
		must(d.t, err)
		out := new(wire.Delivery)
		must(d.t, wire.Unmarshal(raw, out))
		d.last = seq
		must(d.t, s.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: seq}))
		must(d.t, s.Flush())
		return out
	}
}

func attackSplitView(t *testing.T, w *attacked) {
	e := w.hears("one")
	ctx, beta := testContext(t), w.beta.node.Reports()
	b := w.alice.published(wire.PublicationEpochKeys, w.alpha.domain, w.alpha.domain, [32]byte{})
	root := w.alpha.node.keyring.root
	shown, err := franking.ParseEpochKeys(b, w.alpha.domain, root.Public(), nil)
	must(t, err)
	before := beta.SnapshotID(w.alpha.domain, uint64(time.Now().UnixMilli()))
	for name, number := range map[string]uint64{"under the same number": shown.Number, "under a later one": shown.Number + 1} {
		other := franking.EpochKeys{Issuer: shown.Issuer, Number: number}
		for _, k := range shown.Epochs {
			other.Epochs = append(other.Epochs, franking.EpochKey{Epoch: k.Epoch, Key: keys.NewSigningKey().Public()})
		}
		forged, err := franking.SignEpochKeys(other, root)
		must(t, err)
		if err := beta.Learn(ctx, w.alpha.domain, forged, root.Public(), time.Now()); !errors.Is(err, franking.ErrForked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if beta.SnapshotID(w.alpha.domain, uint64(time.Now().UnixMilli())) != before {
		t.Error("a refused list is in force")
	}
	// What bob sees and what the desk sees is one snapshot, named by its hash.
	other := *e
	other.Snapshot = franking.SnapshotID{1}
	var r *quicnet.RefusedError
	if _, err := quicnet.Ask[*wire.Published](ctx, w.bob.caller, &wire.Publish{
		Kind: wire.PublicationSnapshot, Provider: w.beta.domain, Issuer: w.alpha.domain, ID: other.Snapshot,
	}); !errors.As(err, &r) || r.Code != wire.CodeNotFound {
		t.Errorf("a snapshot that beta never signed: %v", err)
	}
	if f := w.found(w.bob, newReport(&other)); f == franking.FaultNone {
		t.Error("verified under a snapshot that beta never signed")
	}
	expect(t, "under its own", w.found(w.bob, newReport(e)), franking.FaultNone)
}
