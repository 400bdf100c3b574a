package admission

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/membership"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	gamma = ids.MustParseDomain("gamma.example")
	alice = ids.MustParseAddress("alice@alpha.example")
	dave  = ids.MustParseAddress("dave@alpha.example")

	// month begins ten days before start.
	month = ratelimit.Month(690)
	start = (ids.Day(month)*ratelimit.MonthDays + 10).Start().Add(9 * time.Hour)
	today = ids.DayOf(start)
)

// files is a key directory in memory.
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
	for _, name := range names {
		delete(f, name)
	}
	return nil
}

// provider is one with its disk.
type provider struct {
	*Admission
	t      testing.TB
	domain ids.Domain
	root   *keys.SigningKey
	files  files
	st     store.Store
	roots  map[ids.Domain]keys.VerifyKey
	peers  []ids.Domain
	limits introduction.Limits // of days whose keys are drawn from now on
	dir    *directory.Directory
}

func newProvider(t testing.TB, domain ids.Domain, peers ...ids.Domain) *provider {
	t.Helper()
	p := &provider{
		t: t, domain: domain, root: keys.NewSigningKey(), files: files{}, st: store.NewMemory(store.MemoryConfig{Now: clockOf}),
		roots: map[ids.Domain]keys.VerifyKey{}, peers: peers,
	}
	t.Cleanup(func() { _ = p.st.Close() })
	p.open()
	p.renew(start)
	return p
}

// open starts the provider anew on the disk that it has.
func (p *provider) open() {
	p.t.Helper()
	var err error
	p.dir, err = directory.New(p.st, directory.Config{Domain: p.domain})
	must(p.t, err)
	p.Admission, err = Open(p.t.Context(), Config{
		Domain: p.domain, Root: p.root, Files: p.files, Store: p.st, Ledger: ledger.New(p.st), Directory: p.dir,
		Roots: func(d ids.Domain) (keys.VerifyKey, bool) { k, ok := p.roots[d]; return k, ok },
	})
	must(p.t, err)
}

func (p *provider) renew(now time.Time) {
	p.t.Helper()
	must(p.t, p.Renew(p.t.Context(), now, Due{Peers: p.peers, Limits: p.limits, Settled: true}))
}

// copyStore returns a store with what Admission keeps in another one, and without
// what was spent.
func (p *provider) copyStore() store.Store {
	p.t.Helper()
	ctx, to := p.t.Context(), store.NewMemory(store.MemoryConfig{Now: clockOf})
	p.t.Cleanup(func() { _ = to.Close() })
	docs, err := p.st.List(ctx, "admission/", "admission/", 0)
	must(p.t, err)
	for _, d := range docs {
		_, err := to.CAS(ctx, d.Key, 0, d.Value)
		must(p.t, err)
	}
	records, err := p.st.LogRead(ctx, keyAudit, 0, 0)
	must(p.t, err)
	if len(records) > 0 {
		must(p.t, to.LogAppend(ctx, keyAudit, 0, records))
	}
	return to
}

// list returns the newest own list.
func (p *provider) list() *keylist.List {
	p.t.Helper()
	l, err := p.List(p.t.Context(), p.domain)
	must(p.t, err)
	return l
}

// clockOf is the clock of stores: nothing in them expires.
func clockOf() time.Time { return start }

func days(n int) time.Time { return start.Add(time.Duration(n) * 24 * time.Hour) }

// account is a registered account with its secret.
type account struct {
	p        *provider
	address  ids.Address
	identity *keys.SigningKey
	k        group.Scalar
	manifest *directory.Manifest
	who      *directory.Authenticated
}

// account registers an account with the secret k.
func (p *provider) account(address ids.Address, k group.Scalar, now time.Time) *account {
	p.t.Helper()
	a := &account{p: p, address: address, identity: keys.NewSigningKey(), k: k}
	key, err := directory.ProveAccountKey(k, address, a.identity.Public())
	must(p.t, err)
	f := directory.ManifestFields{Address: address, Version: 1, DH: keys.NewDHKey().Public(), AccountKey: key}
	f.AddDevice(keys.NewSigningKey().Public(), keys.NewDHKey().Public())
	a.manifest, err = directory.SignManifest(f, a.identity)
	must(p.t, err)
	var ch directory.Challenge
	r, err := directory.VerifyRegistration(&wire.Register{
		Manifest: a.manifest.Bytes(), Signature: directory.SignRegistration(a.identity, a.manifest, p.domain, ch),
	}, p.domain, ch)
	must(p.t, err)
	a.who, err = p.dir.Register(p.t.Context(), r, now)
	must(p.t, err)
	return a
}

// replace gives the account another secret.
func (a *account) replace(k group.Scalar, now time.Time) error {
	a.p.t.Helper()
	f := a.manifest.Next()
	var err error
	f.AccountKey, err = directory.ProveAccountKey(k, a.address, a.identity.Public())
	must(a.p.t, err)
	m, err := directory.SignManifest(f, a.identity)
	must(a.p.t, err)
	if err := a.p.dir.ReplaceAccountKey(a.p.t.Context(), a.who, m.Bytes(), now); err != nil {
		return err
	}
	a.k, a.manifest = k, m
	return nil
}

// ask asks for a membership under the listed key.
func (a *account) ask(at ids.Domain, m ratelimit.Month, tier ratelimit.Tier, now time.Time) (*arc.Credential, *wire.MembershipIssued, error) {
	a.p.t.Helper()
	key, ok := a.p.list().Membership(at, m)
	if !ok {
		key = arc.Ristretto255().NewSecretKey().Public()
	}
	ms := membership.Membership{Home: a.p.domain, Provider: at, Month: m, Tier: tier}
	pending, err := ms.Request(a.k, key)
	must(a.p.t, err)
	answer, err := a.p.Issue(a.p.t.Context(), now, a.address, &wire.IssueMembership{
		Provider: at, Month: uint32(m), Tier: uint8(tier), Membership: [wire.MembershipRequestSize]byte(pending.Bytes()),
	})
	if err != nil {
		return nil, nil, err
	}
	c, err := pending.Finish(answer.Membership[:])
	return c, answer, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
