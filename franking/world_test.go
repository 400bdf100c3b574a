package franking

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"waxwing/core/attachment"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	alice = ids.MustParseAddress("alice@alpha.example")
	bob   = ids.MustParseAddress("bob@beta.example")
	carol = ids.MustParseAddress("carol@beta.example")
	noon  = today.Start().Add(12 * time.Hour)
)

// frame and readFrame stand in for the content's package: 0xF1 | conversation 16
// | seq 8 | prev 32 | text; fileFrame: 0xF2, and for text size 8 | root 32 of each.
func frame(seq uint64, prev Digest, text string) []byte {
	b := append([]byte{0xF1}, make([]byte, 16)...)
	b = binary.BigEndian.AppendUint64(b, seq)
	return append(append(b, prev[:]...), text...)
}

func readFrame(b []byte) (p Position, err error) {
	if len(b) < 57 || b[0] != 0xF1 && b[0] != 0xF2 {
		return p, errors.New("no frame")
	}
	for rest := b[57:]; b[0] == 0xF2 && len(rest) >= 40; rest = rest[40:] {
		p.Attachments = append(p.Attachments, attachment.Descriptor{Size: binary.BigEndian.Uint64(rest), Root: attachment.Hash(rest[8:])})
	}
	copy(p.Conversation[:], b[1:])
	p.Seq = binary.BigEndian.Uint64(b[17:])
	copy(p.Prev[:], b[25:])
	return p, nil
}

// provider is one provider with all its keys.
type provider struct {
	domain      ids.Domain
	root        *keys.SigningKey
	sign, wrap  *EpochRing
	join        *EpochRing
	reviewers   group.Scalar
	stamps      *StampRing
	seal        *keys.SealKey
	countersign *keys.SigningKey
	answer      *keys.SigningKey
	desk        *Desk
	openings    *Openings
}

func ringOf(t testing.TB, kind SecretKind, day ids.Day) *EpochRing {
	t.Helper()
	r, err := NewEpochRing(kind)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := r.Prepare(day)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if err := r.Commit(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func newProvider(t testing.TB, d ids.Domain) *provider {
	t.Helper()
	p := &provider{
		domain: d, root: keys.NewSigningKey(), sign: ringOf(t, SignSecret, today), wrap: ringOf(t, WrapSecret, today),
		join: ringOf(t, JoinSecret, today), reviewers: group.Ristretto255().RandomScalar(),
		seal: keys.NewSealKey(), countersign: keys.NewSigningKey(), answer: keys.NewSigningKey(),
	}
	p.stamps, _ = newStampRing(t)
	desk, err := SignDesk(DeskFields{
		Provider: d, Number: 1, First: today - 1, Last: today + DeskDays, Seal: p.seal.Public().Bytes(),
		Countersign: p.countersign.Public(), Answer: p.answer.Public(),
	}, p.root)
	if err != nil {
		t.Fatal(err)
	}
	p.desk = desk
	if p.openings, err = LoadOpenings(); err != nil {
		t.Fatal(err)
	}
	return p
}

// epochKeys is the provider's signed list of its token keys, parsed.
func (p *provider) epochKeys(t testing.TB) *EpochKeys {
	t.Helper()
	list := EpochKeys{Issuer: p.domain, Number: 1}
	for _, day := range []ids.Day{today, today + 1} {
		list.Epochs = append(list.Epochs, EpochKey{Epoch: day, Key: p.sign.Of(day).SigningKey().Public()})
	}
	b, err := SignEpochKeys(list, p.root)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseEpochKeys(b, p.domain, p.root.Public(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// snapshotOf is p's snapshot of another's list, in force from a day before noon.
func (p *provider) snapshotOf(t testing.TB, old *Snapshot, list *EpochKeys, now time.Time) *Snapshot {
	t.Helper()
	var joins []ProvenKey
	for _, day := range []ids.Day{today, today + 1} {
		j, err := ProveJoin(p.domain, p.join.Of(day))
		if err != nil {
			t.Fatal(err)
		}
		joins = append(joins, j)
	}
	ts, err := ProveReviewers(p.domain, 7, p.reviewers)
	if err != nil {
		t.Fatal(err)
	}
	if old != nil {
		joins, ts = old.f.Joins, old.f.Reviewers[0]
	}
	f, _ := NextSnapshot(old, p.domain, list, joins, []ProvenKey{ts}, now)
	s, err := SignSnapshot(f, p.root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// person is an account with its secrets.
type person struct {
	address  ids.Address
	k, w, z  group.Scalar
	identity keys.VerifyKey
	mailbox  ids.MailboxID
}

func newPerson(a ids.Address) *person {
	g := group.Ristretto255()
	return &person{
		address: a, k: g.RandomScalar(), w: g.RandomScalar(), z: g.RandomScalar(),
		identity: keys.NewSigningKey().Public(), mailbox: ids.NewMailboxID(),
	}
}

func (p *person) xs() group.Element { return group.Ristretto255().MulGenerator(p.k) }

func (p *person) sender() *Sender {
	return &Sender{Address: p.address, Identity: p.identity, XS: p.xs()}
}

func (p *person) recipient() *Recipient {
	g := group.Ristretto255()
	return &Recipient{
		Provider: p.address.Domain(), Address: p.address, Mailbox: p.mailbox, Generation: 3,
		W: g.MulGenerator(p.w), Z: g.MulGenerator(p.z),
	}
}

func (p *person) context(epoch ids.Day) IssueContext {
	return IssueContext{Issuer: p.address.Domain(), Account: p.address, XS: p.xs(), Epoch: epoch, Binding: [32]byte{9}}
}

// world is alice at A, bob and carol at B.
type world struct {
	a, b              *provider
	alice, bob, carol *person
	list              *EpochKeys
	snapshot          *Snapshot
	history           *History
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		a: newProvider(t, alpha), b: newProvider(t, beta),
		alice: newPerson(alice), bob: newPerson(bob), carol: newPerson(carol),
	}
	w.list = w.a.epochKeys(t)
	w.snapshot = w.b.snapshotOf(t, nil, w.list, noon.Add(-11*time.Hour))
	w.history = new(History)
	if err := w.history.Add(w.snapshot); err != nil {
		t.Fatal(err)
	}
	return w
}

// tokens issues n tokens to somebody at A.
func (w *world) tokens(t testing.TB, p *person, epoch ids.Day, n int) []*OwnToken {
	t.Helper()
	req, mine, err := NewRequest(p.context(epoch), n)
	if err != nil {
		t.Fatal(err)
	}
	checked, err := CheckRequest(p.context(epoch), req, today)
	if err != nil {
		t.Fatal(err)
	}
	g, err := checked.Take(Allowance{}, MaxAllowance)
	if err != nil {
		t.Fatal(err)
	}
	is, err := NewIssuer(w.a.sign.Of(epoch), w.a.wrap.Of(epoch))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := is.Issue(checked, g)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := w.list.Of(epoch)
	own, err := mine.Accept(answer, key)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

func (w *world) target(p *person) *Target {
	return &Target{Provider: p.address.Domain(), Reader: p.address}
}

// sent is one message on its way, with everything that its parties know.
type sent struct {
	own    *OwnToken
	target *Target
	bundle []byte
	e      *Evidence
}

// send franks a message from somebody at A and delivers it.
func (w *world) send(t testing.TB, own *OwnToken, from, to *person, f []byte) *sent {
	t.Helper()
	s := &sent{own: own, target: w.target(to)}
	if !own.assigned {
		own.assign(s.target)
	}
	k := NewKey()
	d := k.Digest(f)
	com, sig, err := own.Frank(k, &d, s.target, to.mailbox, ids.HourOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	if s.bundle, err = MakeBundle(own, s.target, from.sender(), to.recipient(), w.snapshot, from.k); err != nil {
		t.Fatal(err)
	}
	a, err := own.Audience(s.target)
	if err != nil {
		t.Fatal(err)
	}
	s.e = w.deliver(t, &Evidence{
		Token: own.token, Frame: f, Key: *k, Author: sig, Hour: ids.HourOf(noon), Audience: a,
		Mailbox: to.mailbox, Com: com, Day: own.token.Epoch, Received: uint64(noon.UnixMilli()),
	})
	return s
}

// deliver stamps as B does.
func (w *world) deliver(t testing.TB, e *Evidence) *Evidence {
	t.Helper()
	if s := w.history.At(e.Received); s != nil {
		e.Snapshot = s.ID()
	}
	st, err := w.b.stamps.Stamp(e.receipt())
	if err != nil {
		t.Fatal(err)
	}
	e.Stamp = st
	return e
}

// hello is alice's first message to bob.
func (w *world) hello(t testing.TB) *sent {
	t.Helper()
	return w.send(t, w.tokens(t, w.alice, today, 1)[0], w.alice, w.bob, frame(1, Digest{}, "hello"))
}

// show is what bob's client does.
func (w *world) show(s *sent, from, to *person) (*Attributed, error) {
	v, err := Verify(s.e, w.snapshot, to.address, readFrame)
	if err != nil {
		return nil, err
	}
	b, err := CheckBundle(s.bundle, from.sender(), to.recipient(), &s.e.Audience, w.snapshot)
	if err != nil {
		return nil, err
	}
	return v.Attribute(b, from.sender(), nil, noon.Add(time.Hour))
}

// desk is B's case for a reporter.
func (w *world) desk(reporter *person) *Case {
	return &Case{
		Reporter: reporter.address, Stamps: w.b.stamps, Frame: readFrame, Now: noon.Add(time.Hour),
		Owner: func(m ids.MailboxID, _ uint64) *Ownership {
			for _, p := range []*person{w.bob, w.carol} {
				if p.mailbox == m {
					return &Ownership{Account: p.address, Mailbox: m}
				}
			}
			return nil
		},
		Snapshots: func(d ids.Domain) *History {
			if d == alpha {
				return w.history
			}
			return nil
		},
	}
}

// substantiate is what B's desk does with one reported message.
func (w *world) substantiate(t testing.TB, e *Evidence) *Substantiated {
	t.Helper()
	f := w.desk(w.bob).Examine(&Report{Messages: []Evidence{*e}})[0]
	if f.Fault != FaultNone {
		t.Fatal(f.Fault)
	}
	return f.Message
}

func (w *world) decision() *Decision {
	return &Decision{
		Report: NewReportID(), Reason: ReasonThreat, Asked: ActionSuspend, Consents: ConsentOrigin,
		Reviewers: [2]string{"dave", "erin"},
	}
}

// TestWhole runs a message from issuance to the answer.
func TestWhole(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	shown, err := w.show(s, w.alice, w.bob)
	if err != nil || shown.Sender() != alice {
		t.Fatal(err)
	}
	share, err := MakeShare(shown.Verified, &mustBundle(t, w, s).f.Escrow, w.bob.recipient(), w.bob.z)
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{
		ID: NewReportID(), Reason: ReasonThreat, Consents: allConsents, Note: "please look",
		Messages: []Evidence{*s.e}, Escrows: []EscrowOpening{{Escrow: mustBundle(t, w, s).f.Escrow, Share: *share}},
	}
	sealed, err := r.Seal(w.b.desk, bob)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenReport(sealed, w.b.seal, w.b.desk, bob)
	if err != nil {
		t.Fatal(err)
	}
	finding := w.desk(w.bob).Examine(got)[0]
	if finding.Fault != FaultNone {
		t.Fatal(finding.Fault)
	}
	n, err := finding.Message.OpenEscrow(&got.Escrows[0], w.bob.recipient(), w.b.reviewers)
	if err != nil {
		t.Fatal(err)
	}
	if want := PlatformBase(beta).Mul(w.alice.k); string(n.Bytes()) != string(want.Bytes()) {
		t.Error("not alice's pseudonym")
	}
	d := w.decision()
	d.Report, d.Consents = got.ID, got.Consents
	verdict, err := finding.Message.Countersign(d, w.b.countersign, noon.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	opened := w.open(t, verdict)
	if opened.Account() != alice || opened.Asked() != ActionSuspend || opened.Reason() != ReasonThreat {
		t.Errorf("opened %v", opened.Asked())
	}
	answer, err := opened.Answer(ActionSuspend, w.a.answer, noon.Add(3*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ParseAnswer(answer, verdict, w.a.desk); err != nil || a.Action != ActionSuspend {
		t.Error(err)
	}
}

func mustBundle(t testing.TB, w *world, s *sent) *Bundle {
	t.Helper()
	b, err := CheckBundle(s.bundle, w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open is what A does with a verdict.
func (w *world) open(t testing.TB, verdict []byte) *Opened {
	t.Helper()
	c, err := CheckVerdict(verdict, w.b.desk, alpha, w.list, noon.Add(3*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.a.openings.Prepare(c, noon.Add(3*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	l, err := w.a.openings.Commit(p)
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.Open(w.a.wrap.Of(c.f.Token.Epoch))
	if err != nil {
		t.Fatal(err)
	}
	return o
}
