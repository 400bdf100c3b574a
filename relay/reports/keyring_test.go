package reports

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/limits"
)

// files are key files in memory.
type files map[string][]byte

func (f files) All(prefix string) (out [][]byte, err error) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if strings.HasPrefix(name, prefix) {
			out = append(out, bytes.Clone(f[name]))
		}
	}
	return out, nil
}

func (f files) Put(name string, b []byte) error {
	f[name] = bytes.Clone(b)
	return nil
}

func (f files) Erase(names ...string) error {
	for _, n := range names {
		delete(f, n)
	}
	return nil
}

func (f files) count(prefix string) (n int) {
	for name := range f {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// provider is one provider's reports, which can be opened again.
type provider struct {
	t      *testing.T
	domain ids.Domain
	root   *keys.SigningKey
	files  files
	store  store.Store
	*Reports
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newProvider(t *testing.T, domain string, now time.Time) *provider {
	p := &provider{
		t: t, domain: ids.MustParseDomain(domain), root: keys.NewSigningKey(), files: files{},
		store: store.NewMemory(store.MemoryConfig{}),
	}
	p.open(now)
	return p
}

// open opens the reports anew, as a restart does.
func (p *provider) open(now time.Time) {
	p.t.Helper()
	dir, err := directory.New(p.store, directory.Config{Domain: p.domain})
	must(p.t, err)
	stamps, err := franking.NewStampRing()
	must(p.t, err)
	book, err := limits.New(nil)
	must(p.t, err)
	p.Reports, err = Open(p.t.Context(), Config{
		Domain: p.domain, Root: p.root, Files: p.files, Store: p.store, Directory: dir, Stamps: stamps, Limits: book,
	}, now)
	must(p.t, err)
}

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func after(days int) time.Time { return begin.Add(time.Duration(days) * 24 * time.Hour) }

// Signing and join secrets are published when nothing of their day can be reported
// any more, wrapping keys are erased when no verdict can come, and a desk's keys
// when its reports are over. Nothing else goes.
func TestKeyLife(t *testing.T) {
	p := newProvider(t, "alpha.example", begin)
	first := ids.DayOf(begin)
	public := map[ids.Day]keys.VerifyKey{}
	note := func() {
		list, _ := p.keyring.own()
		for _, e := range list.Epochs {
			if k, ok := public[e.Epoch]; ok && k != e.Key {
				t.Fatalf("day %d has another key", e.Epoch)
			}
			public[e.Epoch] = e.Key
		}
	}
	for day := range 200 {
		now := after(day)
		must(t, p.Renew(t.Context(), now))
		must(t, p.Retire(t.Context(), now, false))
		note()
		if day%13 == 0 {
			p.open(now)
			note()
		}
		age := int64(day)
		for kind, ring := range map[franking.SecretKind]int{franking.SignSecret: ringSign, franking.WrapSecret: ringWrap, franking.JoinSecret: ringJoin} {
			kept := p.keyring.secret(ring, first) != nil
			if kept != (age <= kind.Days()) {
				t.Fatalf("after %d days the secret of kind %d is kept: %v", day, kind, kept)
			}
			published, err := p.Published(t.Context(), kind, first)
			if kind.Published() != (err == nil) && !kept {
				t.Fatalf("after %d days kind %d: %v", day, kind, err)
			}
			if kept && err == nil {
				t.Fatalf("published while it is secret, after %d days", day)
			}
			ask := &wire.Publish{Kind: wire.PublicationSecret, Provider: p.domain, ID: [32]byte{0: byte(kind)}}
			binary.BigEndian.PutUint32(ask.ID[28:], uint32(first))
			if _, given := p.Publication(t.Context(), ask, now); (given == nil) != (err == nil) {
				t.Fatalf("published %v, and given to who asks: %v", err, given)
			}
			if err == nil && kind == franking.SignSecret && published.SigningKey().Public() != public[first] {
				t.Fatal("another key was published")
			}
		}
	}
	if n := p.files.count(prefixDesk); n < 2 || n > 3 {
		t.Errorf("%d desks after 200 days", n)
	}
	if n := p.files.count("wrap-key-"); int64(n) > franking.WrapSecret.Days()+3 {
		t.Errorf("%d wrapping keys", n)
	}
}

// Days on which the server did not run have no keys; today's are there at once.
func TestMissedRotation(t *testing.T) {
	p := newProvider(t, "alpha.example", begin)
	p.open(after(5))
	for day, want := range map[ids.Day]bool{0: true, 1: true, 2: false, 4: false, 5: true, 6: true} {
		if got := p.keyring.secret(ringSign, ids.DayOf(begin)+day) != nil; got != want {
			t.Errorf("key of day %d: %v", day, got)
		}
	}
	if p.keyring.current(ids.DayOf(after(5))) == nil {
		t.Error("no desk")
	}
}

// A clock that is months ahead ends nothing until somebody says that it is right;
// one that goes back draws nothing twice.
func TestClockSteps(t *testing.T) {
	p := newProvider(t, "alpha.example", begin)
	if err := p.Retire(t.Context(), after(90), false); !errors.Is(err, franking.ErrClock) {
		t.Fatalf("three months ahead: %v", err)
	}
	before := maps.Clone(p.files)
	must(t, p.Renew(t.Context(), after(-3)))
	for name, b := range before {
		if !bytes.Equal(p.files[name], b) {
			t.Errorf("%s has changed", name)
		}
	}
	if p.files.count("token-key-") != 4 {
		t.Error("the days that it went back to have no keys")
	}
	must(t, p.Retire(t.Context(), after(90), true))
	if p.files.count("token-key-") != 0 || p.files.count("wrap-key-") != 0 {
		t.Error("confirmed, and still there")
	}
	if _, err := p.Published(t.Context(), franking.SignSecret, ids.DayOf(begin)); err != nil {
		t.Error("erased without having been published")
	}
}

// Snapshots stay what they were: their ids survive a restart, a new one counts
// from a moment on, and only something new to say makes one.
func TestSnapshots(t *testing.T) {
	alpha, beta := newProvider(t, "alpha.example", begin), newProvider(t, "beta.example", begin)
	learn := func(now time.Time) error {
		_, list := alpha.keyring.own()
		return beta.Learn(t.Context(), alpha.domain, list, alpha.root.Public(), now)
	}
	at := func(now time.Time) [32]byte { return beta.SnapshotID(alpha.domain, uint64(now.UnixMilli())) }
	if at(begin) != ([32]byte{}) {
		t.Error("a snapshot of a stranger's keys")
	}
	must(t, learn(begin))
	one := at(begin)
	if one == ([32]byte{}) {
		t.Fatal("none")
	}
	for range 3 {
		must(t, learn(begin.Add(time.Hour)))
		must(t, beta.Renew(t.Context(), begin.Add(time.Hour)))
	}
	if len(beta.history(alpha.domain).At(uint64(begin.UnixMilli())).Bytes()) == 0 || at(begin.Add(2*time.Hour)) != one {
		t.Error("a new one with nothing new in it")
	}
	beta.open(begin.Add(3 * time.Hour))
	if at(begin.Add(time.Hour)) != one {
		t.Error("another one after a restart")
	}
	tomorrow := after(1)
	must(t, alpha.Renew(t.Context(), tomorrow))
	must(t, beta.Renew(t.Context(), tomorrow))
	must(t, learn(tomorrow))
	if at(tomorrow.Add(time.Minute)) == one {
		t.Error("the next day's keys are not in it")
	}
	if got := beta.history(alpha.domain).At(uint64(begin.UnixMilli())); got == nil || got.ID() != one {
		t.Error("what was in force is forgotten")
	}
	b, err := beta.Publication(t.Context(), &wire.Publish{Kind: wire.PublicationSnapshot, Provider: beta.domain, Issuer: alpha.domain, ID: one}, tomorrow)
	if err != nil || franking.SnapshotID(one) != mustSnapshot(t, b, beta).ID() {
		t.Error("an old one is not given out")
	}
	// A list of before, or of another root key, is refused.
	if err := beta.Learn(t.Context(), alpha.domain, b, alpha.root.Public(), tomorrow); err == nil {
		t.Error("learnt something else")
	}
	mallory := newProvider(t, "alpha.example", tomorrow)
	_, list := mallory.keyring.own()
	if err := beta.Learn(t.Context(), alpha.domain, list, alpha.root.Public(), tomorrow); !errors.Is(err, keys.ErrSignature) {
		t.Errorf("another root key: %v", err)
	}
}

func mustSnapshot(t *testing.T, b []byte, of *provider) *franking.Snapshot {
	t.Helper()
	s, err := franking.ParseSnapshot(b, of.domain, of.root.Public())
	must(t, err)
	return s
}

// A desk's keys are learnt once under a number; newer ones are added, and three
// are kept.
func TestDesks(t *testing.T) {
	alpha, beta := newProvider(t, "alpha.example", begin), newProvider(t, "beta.example", begin)
	desk := func() []byte {
		b, err := beta.Publication(t.Context(), &wire.Publish{Kind: wire.PublicationDesk, Provider: beta.domain}, begin)
		must(t, err)
		return b
	}
	must(t, alpha.LearnDesk(t.Context(), beta.domain, desk(), beta.root.Public()))
	must(t, alpha.LearnDesk(t.Context(), beta.domain, desk(), beta.root.Public()))
	other := newProvider(t, "beta.example", begin)
	other.root = beta.root
	other.files = files{}
	other.store = store.NewMemory(store.MemoryConfig{})
	other.open(begin)
	b, err := other.Publication(t.Context(), &wire.Publish{Kind: wire.PublicationDesk, Provider: beta.domain}, begin)
	must(t, err)
	if err := alpha.LearnDesk(t.Context(), beta.domain, b, beta.root.Public()); !errors.Is(err, franking.ErrForked) {
		t.Errorf("other keys under one number: %v", err)
	}
	list, err := alpha.desks(t.Context(), beta.domain, beta.root.Public())
	if err != nil || len(list) != 1 {
		t.Errorf("%d desks, %v", len(list), err)
	}
}

// What was stored is read strictly.
func FuzzRecords(f *testing.F) {
	f.Add(wire.MustMarshal(&reportRecord{state: StateOpen, reporter: ids.MustParseAddress("bob@beta.example"), findings: []findingRecord{{}}}))
	f.Add(wire.MustMarshal(&Entry{Act: ActOpened, Peer: ids.MustParseDomain("beta.example")}))
	f.Add(wire.MustMarshal(&answerRecord{answer: []byte{1}}))
	f.Add(wire.MustMarshal(&secretRecord{kind: franking.SignSecret}))
	f.Add(wire.MustMarshal(&deskRecord{number: 1, first: 1, last: 2}))
	f.Add(wire.MustMarshal(&banRecord{issuer: ids.MustParseDomain("beta.example"), opened: 1, reviewers: [2]string{"alice", "carol"}}))
	f.Add(wire.MustMarshal(&seenRecord{day: 1}))
	f.Add(wire.MustMarshal(&revokedRecord{epoch: 1, number: 2}))
	f.Add([]byte(FormatID(franking.ReportID{1})))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, ok := ParseID(string(b)); ok && FormatID(id) != strings.ToLower(string(b)) {
			t.Errorf("%q is the id %s", b, id)
		}
		for _, s := range []wire.Schema{new(reportRecord), new(Entry), new(answerRecord), new(secretRecord), new(deskRecord), new(banRecord), new(seenRecord), new(revokedRecord)} {
			if wire.Unmarshal(b, s) == nil && !bytes.Equal(wire.MustMarshal(s), b) {
				t.Errorf("%T: not canonical", s)
			}
		}
	})
}

// What nobody needs any more goes; what waits for a decision stays.
func TestSweep(t *testing.T) {
	p := newProvider(t, "beta.example", begin)
	alpha := newProvider(t, "alpha.example", begin)
	bob := ids.MustParseAddress("bob@beta.example")
	put := func(key store.Key, rec wire.Schema) { must(t, p.put(t.Context(), key, wire.MustMarshal(rec))) }
	there := func(key store.Key) bool {
		_, err := p.get(t.Context(), key)
		return err == nil
	}
	seen, opened := seenKey(bob, franking.TokenHash{1}, franking.Digest{}), openedKey(alpha.domain, []byte("verdict"))
	decided, open := reportKey(franking.ReportID{1}), reportKey(franking.ReportID{2})
	put(seen, &seenRecord{day: ids.DayOf(begin)})
	put(opened, &answerRecord{day: ids.DayOf(begin), answer: []byte{1}})
	put(decided, &reportRecord{state: StateClosed, reporter: bob, received: uint64(begin.UnixMilli())})
	put(open, &reportRecord{state: StateOpen, reporter: bob, received: uint64(begin.UnixMilli())})
	for day := 0; day <= 400; day += 10 {
		now := after(day)
		must(t, alpha.Renew(t.Context(), now))
		must(t, p.Renew(t.Context(), now))
		_, list := alpha.keyring.own()
		must(t, p.Learn(t.Context(), alpha.domain, list, alpha.root.Public(), now))
		must(t, p.Retire(t.Context(), now, true))
		for name, c := range map[string]struct {
			key  store.Key
			kept int
		}{"seen": {seen, seenKept}, "opened": {opened, answerKept}, "decided": {decided, reportKept}, "open": {open, 1 << 20}} {
			if there(c.key) != (day <= c.kept) {
				t.Fatalf("after %d days %s is there: %v", day, name, there(c.key))
			}
		}
	}
	n := 0
	must(t, p.each(t.Context(), prefixSnapshot, func(*store.KeyDoc) error { n++; return nil }))
	if most := 2*2*(snapshotKept/10+2) + 2; n > most || n < 4 {
		t.Errorf("%d snapshots, at most %d are of use", n, most)
	}
	p.open(after(401))
	if p.history(alpha.domain) == nil || p.waiting != 1 {
		t.Error("what is in use did not survive a restart")
	}
}
