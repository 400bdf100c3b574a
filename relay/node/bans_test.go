package node

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/reports"
)

func (a *author) recipient() *franking.Recipient {
	g := group.Ristretto255()
	return &franking.Recipient{
		Provider: a.s.domain, Address: a.address, Mailbox: a.mailbox, Generation: 1, W: g.MulGenerator(a.w), Z: g.MulGenerator(a.z),
	}
}

// escrow is the escrow in the bundle that goes with a's messages to another.
func (a *author) escrow(to *author, f *franked) *franking.Escrow {
	a.t.Helper()
	s, err := franking.ParseSnapshot(a.published(wire.PublicationSnapshot, to.s.domain, a.s.domain, [32]byte{}), to.s.domain, to.s.node.keyring.root.Public())
	must(a.t, err)
	target := &franking.Target{Provider: to.s.domain, Reader: to.address}
	i := slices.IndexFunc(a.tokens, func(o *franking.OwnToken) bool { return o.Token().Hash() == f.token.Hash() })
	from := &franking.Sender{Address: a.address, Identity: a.identity.Public(), XS: a.xs()}
	b, err := franking.MakeBundle(a.tokens[i], target, from, to.recipient(), s, a.k)
	must(a.t, err)
	var fields franking.BundleFields
	must(a.t, wire.Unmarshal(b, &fields))
	return &fields.Escrow
}

// share is a reader's share of an escrow of a message's token.
func (a *author) share(e *franking.Evidence, esc *franking.Escrow, z group.Scalar) *franking.Share {
	a.t.Helper()
	s, err := franking.ParseSnapshot(a.published(wire.PublicationSnapshot, a.s.domain, e.Token.Issuer, e.Snapshot), a.s.domain, a.s.node.keyring.root.Public())
	must(a.t, err)
	v, err := franking.Verify(e, s, a.address, reports.FrameOf)
	must(a.t, err)
	to := a.recipient()
	to.Z = group.Ristretto255().MulGenerator(z)
	out, err := franking.MakeShare(v, esc, to, z)
	must(a.t, err)
	return out
}

// banWorld is a message of alice's that bob reads, and one of carol's.
type banWorld struct {
	t                 *testing.T
	alpha, beta       *server
	alice, carol, bob *author
	minted            *wire.Minted
}

func newBanWorld(t *testing.T) *banWorld {
	w := &banWorld{t: t}
	w.alpha, w.beta = federated(t)
	w.alice, w.carol = newAuthor(t, w.alpha, "alice@alpha.example"), newAuthor(t, w.alpha, "carol@alpha.example")
	w.bob = newAuthor(t, w.beta, "bob@beta.example")
	publish(t, w.bob.device)
	snapshotKnown(t, w.beta, w.alpha.domain)
	must(t, w.alice.fetch(4))
	must(t, w.carol.fetch(4))
	w.minted = w.bob.mint(16)
	return w
}

// hears has bob read a message, and returns its evidence with its escrow.
func (w *banWorld) hears(from *author, text string) (*franking.Evidence, *franking.Escrow) {
	w.t.Helper()
	ticket := w.minted.Tickets[0]
	w.minted.Tickets = w.minted.Tickets[1:]
	f := from.write(w.bob, &ticket, text)
	return w.bob.read(f)[0], from.escrow(w.bob, f)
}

// takes has bob report messages with shares, and returns the report's id.
func (w *banWorld) takes(r *franking.Report) franking.ReportID {
	w.t.Helper()
	for _, f := range w.bob.report(r) {
		if f != 0 {
			w.t.Fatalf("found %v", franking.Fault(f))
		}
	}
	return r.ID
}

func wantBan(r *franking.Report) *franking.Report {
	r.Consents |= franking.ConsentBan
	return r
}

// The pseudonym of who wrote a reported message is opened by two reviewers with the
// recipient's share, across restarts, and by nothing less.
func TestPseudonymIsOpened(t *testing.T) {
	w := newBanWorld(t)
	ctx, now := testContext(t), time.Now()
	e, esc := w.hears(w.alice, "one")
	e2, _ := w.hears(w.alice, "two") // under the same token: the share is of both
	r := wantBan(newReport(e, e2))
	r.Consents = franking.ConsentBan // the sender's provider is not to be told
	r.Escrows = []franking.EscrowOpening{{Escrow: *esc, Share: *w.bob.share(e, esc, w.bob.z)}}
	id := w.takes(r)

	open := func(message int, reviewer string) (*reports.Ban, error) {
		return w.beta.node.Reports().OpenPseudonym(ctx, now, id, message, reviewer)
	}
	again := func() {
		w.beta.halt()
		w.beta.start()
		w.bob.reconnect(w.beta)
	}
	if _, err := open(0, ""); !errors.Is(err, reports.ErrReviewer) {
		t.Errorf("by nobody: %v", err)
	}
	if _, err := open(2, "dora"); !errors.Is(err, reports.ErrUnproven) {
		t.Errorf("a message that is not there: %v", err)
	}
	if _, err := open(1, "dora"); !errors.Is(err, reports.ErrSecond) {
		t.Fatalf("by one: %v", err)
	}
	if _, err := open(0, "dora"); !errors.Is(err, reports.ErrSecond) {
		t.Fatalf("by one, twice: %v", err)
	}
	if list, err := w.beta.node.Reports().Bans(ctx, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("one reviewer opened %v, %v", list, err)
	}
	again()
	// Reviewers may take longer than the stamp's key is kept.
	w.beta.node.keyring.stamps.Expire(today() + franking.StampDays + 2)
	ban, err := open(0, "erin")
	must(t, err)
	want := franking.PlatformBase(w.beta.domain).Mul(w.alice.k).Bytes()
	if !bytes.Equal(ban.Pseudonym, want) || ban.Reviewers != [2]string{"dora", "erin"} || ban.Issuer != w.alpha.domain {
		t.Errorf("opened %+v", ban)
	}
	if _, err := open(1, "frank"); !errors.Is(err, reports.ErrDecided) {
		t.Errorf("opened twice: %v", err)
	}
	again()
	list, err := w.beta.node.Reports().Bans(ctx, 0, 10)
	must(t, err)
	if len(list) != 1 || !bytes.Equal(list[0].Pseudonym, want) || list[0].Report != id {
		t.Errorf("kept %+v", list)
	}
	shown, err := w.beta.node.Reports().Show(ctx, id)
	must(t, err)
	for i := range shown.Findings {
		if b := shown.Findings[i].Ban; b == nil || !bytes.Equal(b.Pseudonym, want) {
			t.Errorf("message %d is shown with %+v", i, b)
		}
	}
	w.trailSays(id, reports.ActTaken, reports.ActEscrowAsked, reports.ActEscrowAsked, reports.ActEscrowOpened)

	// The next report of hers opens to the same, and one of carol's to another.
	for _, c := range []struct {
		from *author
		same bool
	}{{w.alice, true}, {w.carol, false}} {
		e, esc := w.hears(c.from, "three")
		r := wantBan(newReport(e))
		r.Escrows = []franking.EscrowOpening{{Escrow: *esc, Share: *w.bob.share(e, esc, w.bob.z)}}
		id = w.takes(r)
		_, _ = open(0, "dora")
		ban, err := open(0, "erin")
		must(t, err)
		if bytes.Equal(ban.Pseudonym, want) != c.same {
			t.Errorf("%v opens to the first one: %v", c.from.address, !c.same)
		}
	}
}

// trailSays holds beta's audit log, of one report, to its acts; no entry holds more
// of an opening than that and by whom.
func (w *banWorld) trailSays(id franking.ReportID, want ...reports.Act) {
	w.t.Helper()
	entries, err := w.beta.node.Reports().Trail(testContext(w.t), 0, 100)
	must(w.t, err)
	var got []reports.Act
	for _, e := range entries {
		if e.Report == id {
			got = append(got, e.Act)
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the trail says %v, want %v", got, want)
	}
}

// What does not open is told with its reason, and is not opened.
func TestPseudonymStaysShut(t *testing.T) {
	w := newBanWorld(t)
	ctx, now := testContext(t), time.Now()
	e, esc := w.hears(w.alice, "one")
	other, otherEsc := w.hears(w.carol, "two")
	share := w.bob.share(e, esc, w.bob.z)
	changed := *share
	changed.Proof[5] ^= 1
	wrong := *share
	wrong.Key = [franking.ElementSize]byte(group.Ristretto255().MulGenerator(w.bob.w).Bytes())
	bent := *esc
	bent.Proof[7] ^= 1
	stale := *esc
	stale.Generation++
	for _, c := range []struct {
		name     string
		consents franking.Consents
		escrows  []franking.EscrowOpening
		want     error
	}{
		{"no consent", franking.ConsentOrigin, nil, franking.ErrConsent},
		{"consent and no share", franking.ConsentBan, nil, reports.ErrShare},
		{"a share that is not z*E1", franking.ConsentBan, []franking.EscrowOpening{{Escrow: *esc, Share: wrong}}, franking.FaultShare},
		{"a proof that does not hold", franking.ConsentBan, []franking.EscrowOpening{{Escrow: *esc, Share: changed}}, franking.FaultShare},
		{"a share with another z", franking.ConsentBan, []franking.EscrowOpening{{Escrow: *esc, Share: *w.bob.share(e, esc, w.alice.z)}}, franking.FaultShare},
		{"a share of another's escrow", franking.ConsentBan, []franking.EscrowOpening{{Escrow: *esc, Share: *w.bob.share(other, otherEsc, w.bob.z)}}, franking.FaultShare},
		{"the escrow of another token", franking.ConsentBan, []franking.EscrowOpening{{Escrow: *otherEsc, Share: *w.bob.share(other, otherEsc, w.bob.z)}}, franking.FaultEscrow},
		{"an escrow that does not hold", franking.ConsentBan, []franking.EscrowOpening{{Escrow: bent, Share: *share}}, franking.FaultEscrow},
		{"another generation of keys", franking.ConsentBan, []franking.EscrowOpening{{Escrow: stale, Share: *share}}, franking.FaultEscrow},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Reported anew, as the first report of a message counts.
			next, _ := w.hears(w.alice, c.name)
			r := newReport(next)
			r.Consents, r.Escrows = c.consents, c.escrows
			id := w.takes(r)
			for _, reviewer := range []string{"dora", "erin"} {
				if _, err := w.beta.node.Reports().OpenPseudonym(ctx, now, id, 0, reviewer); !errors.Is(err, c.want) {
					t.Errorf("%s gets %v, want %v", reviewer, err, c.want)
				}
			}
			w.trailSays(id, reports.ActTaken)
		})
	}
	if list, err := w.beta.node.Reports().Bans(ctx, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("opened %v, %v", list, err)
	}
	desk, err := franking.ParseDesk(w.bob.published(wire.PublicationDesk, w.beta.domain, w.beta.domain, [32]byte{}), w.beta.domain, w.beta.node.keyring.root.Public())
	must(t, err)
	if _, err := (&franking.Report{
		ID: franking.NewReportID(), Reason: franking.ReasonSpam, Messages: []franking.Evidence{*e},
		Escrows: []franking.EscrowOpening{{Escrow: *esc, Share: *share}},
	}).Seal(desk, w.bob.address); err == nil {
		t.Error("a share leaves without consent")
	}
}
