package franking

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func attackVerdicts(t *testing.T, w *world) {
	s := w.hello(t)
	m := w.substantiate(t, s.e)
	d := w.decision()
	verdict, err := m.Countersign(d, w.b.countersign, noon)
	if err != nil {
		t.Fatal(err)
	}
	check := func(b []byte, from *Desk, issuer ids.Domain) error {
		_, err := CheckVerdict(b, from, issuer, w.list, noon)
		return err
	}
	w.open(t, verdict)
	c, _ := CheckVerdict(verdict, w.b.desk, alpha, w.list, noon)
	_, err = w.a.openings.Prepare(c, noon)
	wants(t, "replayed", err, FaultReplayed)

	wants(t, "wrong provider", check(verdict, w.b.desk, beta), FaultAddressee)
	gamma := newProvider(t, ids.MustParseDomain("gamma.example"))
	wants(t, "another desk's", check(verdict, gamma.desk, alpha), FaultVerdict)
	// Gamma countersigns what was written to beta.
	resigned := func(key *keys.SigningKey, change func(*VerdictFields)) []byte {
		var v VerdictFields
		if err := wire.Unmarshal(verdict, &v); err != nil {
			t.Fatal(err)
		}
		change(&v)
		b, err := signTrailing(&v, key, keys.ContextVerdict)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	wants(t, "gamma in beta's name", check(resigned(gamma.countersign, func(*VerdictFields) {}), gamma.desk, alpha), FaultAddressee)
	wants(t, "gamma in its own", check(resigned(gamma.countersign, func(v *VerdictFields) { v.Provider = gamma.domain }), gamma.desk, alpha), FaultAuthor)
	wants(t, "a lying desk", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Binding[0] ^= 1 }), w.b.desk, alpha), FaultAuthor)
	wants(t, "another audience", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Audience[0] ^= 1 }), w.b.desk, alpha), FaultAuthor)
	wants(t, "another hour", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Hour++ }), w.b.desk, alpha), FaultAuthor)
	wants(t, "hour of another day", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Hour += 24 }), w.b.desk, alpha), FaultTime)
	wants(t, "from the future", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Made += 3 * msPerDay }), w.b.desk, alpha), FaultTime)
	wants(t, "before the desk's keys", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Made -= 3 * msPerDay }), w.b.desk, alpha), FaultTime)
	wants(t, "another issuer's token", check(resigned(w.b.countersign, func(v *VerdictFields) { v.Token.Issuer = beta }), w.b.desk, alpha), FaultAddressee)
	for bit := range len(verdict) * 8 {
		bad := bytes.Clone(verdict)
		bad[bit/8] ^= 1 << (bit % 8)
		if check(bad, w.b.desk, alpha) == nil {
			t.Fatalf("bit %d of byte %d is not covered", bit%8, bit/8)
		}
	}

	// Without an entry in the log nothing opens.
	_, err = new(Logged).Open(w.a.wrap.Of(today))
	wants(t, "not logged", err, FaultWrap)
	_, err = (&Logged{c: c}).Open(w.a.wrap.Of(today))
	wants(t, "no receipt", err, FaultWrap)
	p, err := w.a.openings.log.Prepare([]byte("something else"))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := w.a.openings.log.Commit(p)
	_, err = (&Logged{c: c, entry: []byte("entry"), r: r}).Open(w.a.wrap.Of(today))
	wants(t, "receipt for something else", err, FaultWrap)
	_, err = w.a.openings.Commit(&PendingOpening{p: p, c: c})
	wants(t, "stale", err, auditlog.ErrStale)

	d.Reviewers[1] = d.Reviewers[0]
	_, err = m.Countersign(d, w.b.countersign, noon)
	wants(t, "one reviewer twice", err, ErrFourEyes)
	d.Consents = 0
	_, err = m.Countersign(d, w.b.countersign, noon)
	wants(t, "without consent", err, ErrConsent)
}

func attackWrongWrap(t *testing.T, w *world) {
	s := w.hello(t)
	for name, secret := range map[string]*EpochSecret{
		"another epoch's": w.a.wrap.Of(today + 1), "another provider's": w.b.wrap.Of(today),
		"the signing key": PublishedSecret(SignSecret, today, w.a.wrap.Of(today).secret),
	} {
		_, _, err := secret.unwrap(&s.e.Token)
		wants(t, name, err, FaultWrap)
	}
	// What was wrapped, whoever did it, is an account of this provider.
	for name, change := range map[string]func(*Token) *EpochSecret{
		"foreign account": func(tok *Token) *EpochSecret {
			w.a.wrap.Of(today).wrap(tok, bob, 1)
			return w.a.wrap.Of(today)
		},
		"nothing wrapped": func(*Token) *EpochSecret { return nil },
	} {
		m := *w.substantiate(t, w.hello(t).e)
		c := &CheckedVerdict{f: VerdictFields{Provider: beta, Issuer: alpha, Report: NewReportID(), Token: m.e.Token}}
		secret := change(&c.f.Token)
		p, err := w.a.openings.Prepare(c, noon)
		if err != nil {
			t.Fatal(err)
		}
		l, err := w.a.openings.Commit(p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Open(secret)
		wants(t, name, err, FaultWrap)
	}
}

func attackSplitView(t *testing.T, w *world) {
	other := keys.NewSigningKey().Public()
	req, mine, _ := NewRequest(w.alice.context(today), 1)
	c, err := CheckRequest(w.alice.context(today), req, today)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := c.Take(Allowance{}, 10)
	is, _ := NewIssuer(w.a.sign.Of(today), w.a.wrap.Of(today))
	answer, _ := is.Issue(c, g)
	_, err = mine.Accept(answer, other)
	wants(t, "alice was shown another key", err, ErrIssued)

	fork := *w.list
	fork.Number, fork.Epochs = 2, slices.Clone(fork.Epochs)
	fork.Epochs[0].Key = other
	b, _ := SignEpochKeys(fork, w.a.root)
	_, err = ParseEpochKeys(b, alpha, w.a.root.Public(), w.list)
	wants(t, "another key for an epoch that B knows", err, ErrForked)
	s := w.hello(t)
	sn := w.b.snapshotOf(t, nil, &fork, noon.Add(-time.Hour))
	s.e.Snapshot = sn.ID()
	_, err = Verify(s.e, sn, bob, readFrame)
	wants(t, "bob was shown another key", err, FaultToken)
}

// Forged with what A published: see also TestDeniability. No report of it can be
// made, as its time is over when keys are published.
func attackPublished(t *testing.T, w *world) {
	f := w.forge(t)
	wants(t, "reported on the day of publication", w.examine(f.e, func(c *Case) {
		c.Now = (today + ids.Day(SignSecret.Days()) + 1).Start()
	}), FaultAge)
}

// forge makes a message of alice's with nothing of alice's: with the epoch's
// signing key and j, both published by then, and her public X_S.
func (w *world) forge(t testing.TB) *sent {
	t.Helper()
	g := group.Ristretto255()
	published := PublishedSecret(SignSecret, today, w.a.sign.Of(today).Secret())
	j := PublishedSecret(JoinSecret, today, w.b.join.Of(today).Secret())

	r := g.RandomScalar()
	key := keys.NewSigningKey()
	tok := Token{Issuer: alpha, Epoch: today, Key: key.Public()}
	tok.Identity = [ElementSize]byte(w.alice.xs().Add(g.SecondGenerator().Mul(r)).Bytes())
	copy(tok.Wrapped[:], bytes.Repeat([]byte{7}, wrappedSize))
	msg, _ := unsigned(wire.MustMarshal(&tok))
	copy(tok.Signature[:], published.SigningKey().Sign(keys.ContextToken, msg))

	own := &OwnToken{token: tok, key: key, r: r}
	s := &sent{own: own, target: w.target(w.bob)}
	own.assign(s.target)
	a, _ := own.Audience(s.target)
	aud := a.Hash(bob)
	b := &BundleFields{Token: tok}
	var err error
	if b.Owner, err = proveOwner(&tok, w.alice.sender(), w.bob.recipient(), 0, r); err != nil {
		t.Fatal(err)
	}
	ek, _ := escrowKeysOf(w.snapshot, today, 7, w.bob.recipient())
	b.Escrow = Escrow{
		Generation: 3, Reviewers: 7, E1: [ElementSize]byte(g.MulGenerator(g.RandomScalar()).Bytes()),
		E2: [ElementSize]byte(g.MulGenerator(g.RandomScalar()).Bytes()),
	}
	if err := ek.prove(&tok, &aud, &b.Escrow, 1, j.Scalar()); err != nil {
		t.Fatal(err)
	}
	s.bundle = wire.MustMarshal(b)
	k, f := NewKey(), frame(1, Digest{}, "alice never wrote this")
	d := k.Digest(f)
	com, sig, err := own.Frank(k, &d, s.target, w.bob.mailbox, ids.HourOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	s.e = &Evidence{
		Token: tok, Frame: f, Key: *k, Author: sig, Hour: ids.HourOf(noon), Audience: a, Mailbox: w.bob.mailbox,
		Com: com, Day: today, Received: uint64(noon.UnixMilli()), Snapshot: w.snapshot.ID(),
	}
	return s
}
