package reports

import (
	"context"
	"errors"
	"testing"
	"time"

	"waxwing/core/content"
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/limits"
)

// faults lets one durable step of all fail: the at-th, from 0.
type faults struct {
	at    int
	after bool // the step has its effect, and only its answer is lost
	crash bool // nothing has an effect any more, until the process is started again

	n    int // steps so far
	hit  bool
	dead bool
}

func (f *faults) step(run func() error) error {
	if f.dead {
		return store.ErrUnavailable
	}
	f.n++
	if f.n-1 != f.at {
		return run()
	}
	f.hit, f.dead = true, f.crash
	if f.after {
		if err := run(); err != nil {
			return err
		}
	}
	return store.ErrUnknownOutcome
}

// faultyStore is a store under faults.
type faultyStore struct {
	store.Store
	f *faults
}

func (s *faultyStore) CAS(ctx context.Context, key store.Key, ifVersion uint64, value []byte) (v uint64, err error) {
	err = s.f.step(func() error {
		v, err = s.Store.CAS(ctx, key, ifVersion, value)
		return err
	})
	return v, err
}

func (s *faultyStore) LogAppend(ctx context.Context, log store.Key, size uint64, entries [][]byte) error {
	return s.f.step(func() error { return s.Store.LogAppend(ctx, log, size, entries) })
}

// faultyFiles are key files under faults.
type faultyFiles struct {
	files
	f *faults
}

func (s faultyFiles) Put(name string, b []byte) error {
	return s.f.step(func() error { return s.files.Put(name, b) })
}

func (s faultyFiles) Erase(names ...string) error {
	return s.f.step(func() error { return s.files.Erase(names...) })
}

// server is a provider under faults, with what it has shown to others.
type server struct {
	domain ids.Domain
	root   *keys.SigningKey
	files  files
	raw    *store.Memory
	stamps *franking.StampRing
	*Reports

	suspended int // how often it was told so
	epochs    map[ids.Day]keys.VerifyKey
	lists     map[uint64]bool
	shown     map[string]bool
}

// crashWorld is alice at alpha and bob at beta.
type crashWorld struct {
	t           *testing.T
	f           *faults
	now         time.Time
	alpha, beta *server
	alice, bob  *person
	tokens      []*franking.OwnToken
	received    uint32 // tokens that alice got
}

// person is an account with its secrets.
type person struct {
	address  ids.Address
	identity *keys.SigningKey
	k, w, z  group.Scalar
	mailbox  ids.MailboxID
}

func (p *person) xs() group.Element { return group.Ristretto255().MulGenerator(p.k) }

func (p *person) recipient() *franking.Recipient {
	g := group.Ristretto255()
	return &franking.Recipient{
		Provider: p.address.Domain(), Address: p.address, Mailbox: p.mailbox, Generation: 1, W: g.MulGenerator(p.w), Z: g.MulGenerator(p.z),
	}
}

func newCrashWorld(t *testing.T, f *faults) *crashWorld {
	w := &crashWorld{t: t, f: f, now: begin}
	at := f.at
	f.at = -1 // not yet
	w.alpha, w.beta = w.server("alpha.example"), w.server("beta.example")
	w.alice, w.bob = w.register(w.alpha, "alice@alpha.example"), w.register(w.beta, "bob@beta.example")
	w.reopen()
	must(t, w.meet())
	f.at, f.n = at, 0
	return w
}

func (w *crashWorld) server(domain string) *server {
	s := &server{
		domain: ids.MustParseDomain(domain), root: keys.NewSigningKey(), files: files{}, raw: store.NewMemory(store.MemoryConfig{}),
		epochs: map[ids.Day]keys.VerifyKey{}, lists: map[uint64]bool{}, shown: map[string]bool{},
	}
	var err error
	s.stamps, err = franking.NewStampRing()
	must(w.t, err)
	changes, err := s.stamps.Prepare(dayOf(w.now))
	must(w.t, err)
	for _, c := range changes {
		must(w.t, s.stamps.Commit(c))
	}
	return s
}

// register registers an account, and publishes what escrows for it are made of.
func (w *crashWorld) register(s *server, address string) *person {
	g := group.Ristretto255()
	p := &person{
		address: ids.MustParseAddress(address), identity: keys.NewSigningKey(),
		k: g.RandomScalar(), w: g.RandomScalar(), z: g.RandomScalar(),
	}
	f := directory.ManifestFields{Address: p.address, Version: 1, Identity: p.identity.Public(), DH: keys.NewDHKey().Public()}
	f.AddDevice(keys.NewSigningKey().Public(), keys.NewDHKey().Public())
	var err error
	f.AccountKey, err = directory.ProveAccountKey(p.k, p.address, p.identity.Public())
	must(w.t, err)
	m, err := directory.SignManifest(f, p.identity)
	must(w.t, err)
	dir, err := directory.New(s.raw, directory.Config{Domain: s.domain})
	must(w.t, err)
	var ch directory.Challenge
	r, err := directory.VerifyRegistration(&wire.Register{
		Manifest: m.Bytes(), Signature: directory.SignRegistration(p.identity, m, s.domain, ch),
	}, s.domain, ch)
	must(w.t, err)
	who, err := dir.Register(w.t.Context(), r, w.now)
	must(w.t, err)
	p.mailbox = who.Mailbox()
	week := directory.WeekOf(dayOf(w.now))
	k := directory.MailboxKeyFields{
		Mailbox: p.mailbox, Address: p.address, Week: week, Key: keys.NewSealKey().Public(), Expiry: ids.Day(week)*7 + 20, Generation: 1,
	}
	k.W, k.Z, err = directory.ProveMailboxKeys(p.w, p.z, p.address, p.mailbox, 1)
	must(w.t, err)
	signed, err := directory.SignMailboxKey(k, p.identity)
	must(w.t, err)
	must(w.t, dir.PublishMailboxKey(w.t.Context(), who, signed.Bytes(), w.now))
	return p
}

// reopen starts both providers anew.
func (w *crashWorld) reopen() {
	w.t.Helper()
	w.f.dead = false
	for _, s := range []*server{w.alpha, w.beta} {
		w.start(s)
	}
}

func (w *crashWorld) start(s *server) {
	w.t.Helper()
	st := &faultyStore{s.raw, w.f}
	dir, err := directory.New(st, directory.Config{Domain: s.domain})
	must(w.t, err)
	book, err := limits.New(nil)
	must(w.t, err)
	for range 3 {
		s.Reports, err = Open(w.t.Context(), Config{
			Domain: s.domain, Root: s.root, Files: faultyFiles{s.files, w.f}, Store: st, Directory: dir, Stamps: s.stamps,
			Limits: book, segment: 3, Suspended: func(ids.Address) { s.suspended++ },
		}, w.now)
		if err == nil {
			return
		}
		if !lost(err) {
			break
		}
		w.f.dead = false // a start that failed is tried again
	}
	w.t.Fatal(err)
}

func lost(err error) bool {
	return errors.Is(err, store.ErrUnknownOutcome) || errors.Is(err, store.ErrUnavailable)
}

// do does something until it succeeds, as its caller would: after a crash the
// providers are started again. The oracle looks after every failure.
func (w *crashWorld) do(what string, run func() error) {
	w.t.Helper()
	for range 4 {
		err := run()
		if err != nil && !lost(err) {
			w.t.Fatalf("%s: %v", what, err)
		}
		if err != nil && w.f.crash {
			w.reopen()
		}
		w.look(what)
		if err == nil {
			return
		}
	}
	w.t.Fatalf("%s: never done", what)
}

// meet has the two learn each other's keys, as links do.
func (w *crashWorld) meet() error {
	ctx := w.t.Context()
	for _, p := range [][2]*server{{w.alpha, w.beta}, {w.beta, w.alpha}} {
		of, by := p[0], p[1]
		list, err := of.Publication(ctx, &wire.Publish{Kind: wire.PublicationEpochKeys, Provider: of.domain}, w.now)
		if err != nil {
			return err
		}
		if err := by.Learn(ctx, of.domain, list, of.root.Public(), w.now); err != nil {
			return err
		}
		desk, err := of.Publication(ctx, &wire.Publish{Kind: wire.PublicationDesk, Provider: of.domain}, w.now)
		if err != nil {
			return err
		}
		if err := by.LearnDesk(ctx, of.domain, desk, of.root.Public()); err != nil {
			return err
		}
	}
	return nil
}

// fetch gets alice a token.
func (w *crashWorld) fetch() error {
	x := franking.IssueContext{Issuer: w.alpha.domain, Account: w.alice.address, XS: w.alice.xs(), Epoch: dayOf(w.now), Binding: [32]byte{1}}
	req, mine, err := franking.NewRequest(x, 1)
	must(w.t, err)
	b, err := w.alpha.Issue(w.t.Context(), w.now, w.alice.address, x.Binding, wire.MustMarshal(req))
	if err != nil {
		return err
	}
	answer := new(franking.IssueAnswer)
	must(w.t, wire.Unmarshal(b, answer))
	key, ok := w.alpha.of(w.alpha.domain).list.Of(x.Epoch)
	if !ok {
		w.t.Fatal("no key of today")
	}
	own, err := mine.Accept(answer, key)
	must(w.t, err)
	w.tokens = append(w.tokens, own...)
	w.received++
	return nil
}

// written is a message of alice's that bob has, with its escrow.
type written struct {
	e   *franking.Evidence
	esc franking.Escrow
}

func (w *crashWorld) write(seq uint64, text string) *written {
	w.t.Helper()
	f := content.Frame{Kind: content.KindText, Conversation: content.Conversation{1}, Seq: seq, Sent: uint64(w.now.UnixMilli()), Text: text}
	frame, err := f.Marshal()
	must(w.t, err)
	kf := franking.NewKey()
	d := kf.Digest(frame)
	target := &franking.Target{Provider: w.beta.domain, Reader: w.bob.address}
	own, _, err := franking.NewPurse(w.tokens...).For(target, dayOf(w.now))
	must(w.t, err)
	hour := ids.HourOf(w.now)
	com, sig, err := own.Frank(kf, &d, target, w.bob.mailbox, hour)
	must(w.t, err)
	aud, err := own.Audience(target)
	must(w.t, err)
	out := &written{e: &franking.Evidence{
		Token: *own.Token(), Frame: frame, Key: *kf, Author: sig, Hour: hour, Audience: aud, Mailbox: w.bob.mailbox,
		Com: com, Day: dayOf(w.now), Received: uint64(w.now.UnixMilli()),
	}}
	out.e.Snapshot = w.beta.SnapshotID(w.alpha.domain, out.e.Received)
	out.e.Stamp, err = w.beta.stamps.Stamp(&franking.Receipt{Mailbox: w.bob.mailbox, Com: com, Day: out.e.Day, Received: out.e.Received})
	must(w.t, err)
	s := w.beta.history(w.alpha.domain).Find(out.e.Snapshot)
	from := &franking.Sender{Address: w.alice.address, Identity: w.alice.identity.Public(), XS: w.alice.xs()}
	b, err := franking.MakeBundle(own, target, from, w.bob.recipient(), s, w.alice.k)
	must(w.t, err)
	var fields franking.BundleFields
	must(w.t, wire.Unmarshal(b, &fields))
	out.esc = fields.Escrow
	return out
}

// report is bob's report of messages, with a share of each escrow.
func (w *crashWorld) report(all ...*written) (franking.ReportID, []byte) {
	w.t.Helper()
	r := &franking.Report{ID: franking.NewReportID(), Reason: franking.ReasonThreat, Consents: franking.ConsentOrigin | franking.ConsentBan}
	for i, m := range all {
		r.Messages = append(r.Messages, *m.e)
		v, err := franking.Verify(m.e, w.beta.history(w.alpha.domain).Find(m.e.Snapshot), w.bob.address, FrameOf)
		must(w.t, err)
		share, err := franking.MakeShare(v, &m.esc, w.bob.recipient(), w.bob.z)
		must(w.t, err)
		if i == 0 {
			r.Escrows = append(r.Escrows, franking.EscrowOpening{Message: uint8(i), Escrow: m.esc, Share: *share})
		}
	}
	sealed, err := r.Seal(w.beta.keyring.current(dayOf(w.now)).public, w.bob.address)
	must(w.t, err)
	return r.ID, sealed
}
