package directory

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/store"
	"waxwing/core/wire"
)

var challenge = Challenge{Exporter: [32]byte{1}, Nonce: [32]byte{2}}

// provider is beta's directory over a store in memory whose clock the test
// moves.
type provider struct {
	*Directory
	st    *flaky
	clock time.Time
}

func newProvider(t testing.TB, c Config) *provider {
	p := &provider{clock: now}
	p.st = &flaky{Memory: store.NewMemory(store.MemoryConfig{Now: func() time.Time { return p.clock }})}
	c.Domain = beta
	d, err := New(p.st, c)
	must(t, err)
	p.Directory = d
	return p
}

// flaky loses the reply of the next mutation after it had its effect, or fails
// it before.
type flaky struct {
	*store.Memory
	mu              sync.Mutex // guards the rest
	loseReply, fail bool
	writes          int
	afterCAS        func() // runs behind every CAS
}

func (f *flaky) before() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	if f.fail {
		f.fail = false
		return store.ErrUnavailable
	}
	return nil
}

func (f *flaky) after(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.loseReply {
		f.loseReply = false
		return store.ErrUnknownOutcome
	}
	return err
}

func (f *flaky) CAS(ctx context.Context, k store.Key, v uint64, b []byte) (uint64, error) {
	if err := f.before(); err != nil {
		return 0, err
	}
	n, err := f.Memory.CAS(ctx, k, v, b)
	answer := f.after(err)
	if f.afterCAS != nil {
		f.afterCAS()
	}
	return n, answer
}

func (f *flaky) Put(ctx context.Context, k store.Key, items []store.Item) error {
	if err := f.before(); err != nil {
		return err
	}
	return f.after(f.Memory.Put(ctx, k, items))
}

func (f *flaky) Take(ctx context.Context, k store.Key, c store.Claimant) (store.Item, int, error) {
	if err := f.before(); err != nil {
		return store.Item{}, 0, err
	}
	item, n, err := f.Memory.Take(ctx, k, c)
	if err = f.after(err); err != nil {
		return store.Item{}, n, err
	}
	return item, n, nil
}

func (a *account) register(t testing.TB, p *provider) *Authenticated {
	t.Helper()
	auth, err := p.Register(t.Context(), a.registration(t, a.manifest), now)
	must(t, err)
	return auth
}

func (a *account) registration(t testing.TB, m *Manifest) *Registration {
	t.Helper()
	r, err := VerifyRegistration(&wire.Register{
		Manifest: m.Bytes(), Signature: SignRegistration(a.identity, m, beta, challenge),
	}, beta, challenge)
	must(t, err)
	return r
}

func (a *account) authenticate(t testing.TB, p *provider, id ids.DeviceID) *Authenticated {
	t.Helper()
	auth, err := p.Authenticate(t.Context(), &wire.Auth{
		Address: a.manifest.Address(), Device: id,
		Signature: SignAuth(a.sign[id-1], a.manifest.Address(), id, beta, challenge),
	}, challenge)
	must(t, err)
	return auth
}

// publish uploads n one-time prekeys from first on, and the other two kinds.
func (a *account) publish(t testing.TB, p *provider, auth *Authenticated, first, n int) (stock int, err error) {
	t.Helper()
	for from := first; ; from += wire.MaxPrekeys {
		m := a.prekeys(auth.Device(), from, min(wire.MaxPrekeys, first+n-from))
		stock, err = p.PublishPrekeys(t.Context(), auth, m)
		if err != nil || from+wire.MaxPrekeys >= first+n {
			return stock, err
		}
	}
}

// prekeys makes an upload: signed and last-resort prekey 1, and one-time ones.
func (a *account) prekeys(id ids.DeviceID, first, n int) *wire.Prekeys {
	key := a.sign[id-1]
	signed, last := ratchet.GenerateSignedPrekey(1, key).Public(), ratchet.GenerateOneTime(1, key, true).Public()
	m := &wire.Prekeys{OneTime: a.oneTime(id, first, n)}
	if first == 1 {
		m.Signed, m.LastResort = wire.MustMarshal(&signed), wire.MustMarshal(&last)
	}
	return m
}

func (a *account) oneTime(id ids.DeviceID, first, n int) (out [][]byte) {
	for i := range n {
		p := ratchet.GenerateOneTime(ratchet.PrekeyID(first+i), a.sign[id-1], false).Public()
		out = append(out, wire.MustMarshal(&p))
	}
	return out
}

// reachable registers an account and publishes all of it.
func reachable(t testing.TB, p *provider, devices, oneTime int) (*account, *Authenticated) {
	t.Helper()
	a := newAccount(t, bob, devices)
	auth := a.register(t, p)
	must(t, p.PublishMailboxKey(t.Context(), auth, a.mailboxKey(t, auth.Mailbox(), WeekOf(today)).Bytes(), now))
	for id := range devices {
		_, err := a.publish(t, p, a.authenticate(t, p, ids.DeviceID(id+1)), 1, oneTime)
		must(t, err)
	}
	return a, auth
}

func TestRegister(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	first := a.register(t, p)
	again := a.register(t, p)
	if *first != *again || first.Address() != bob || first.Device() != 1 || first.Mailbox() == (ids.MailboxID{}) {
		t.Errorf("registered %+v, then %+v", first, again)
	}
	got, err := p.Account(t.Context(), bob)
	must(t, err)
	if got.Mailbox != first.Mailbox() || !got.Manifest.Equal(a.manifest) || got.Registered != today {
		t.Errorf("account %+v", got)
	}
	thief := newAccount(t, bob, 1)
	if _, err := p.Register(t.Context(), thief.registration(t, thief.manifest), now); !errors.Is(err, ErrExists) {
		t.Errorf("taken address: %v", err)
	}
	// The same identity with another first manifest is not the same request.
	f := a.manifest.Next()
	f.Version, f.Previous, f.Capabilities = 1, [32]byte{}, nil
	if _, err := p.Register(t.Context(), a.registration(t, a.signed(t, f)), now); !errors.Is(err, ErrExists) {
		t.Errorf("another manifest: %v", err)
	}
	if _, err := p.Account(t.Context(), ids.MustParseAddress("carol@beta.example")); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown account: %v", err)
	}
}

// A registration whose reply was lost finds its account again; one that failed
// is made.
func TestRegisterLostReply(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	p.st.fail = true
	if _, err := p.Register(t.Context(), a.registration(t, a.manifest), now); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("failed write: %v", err)
	}
	for range 2 { // X_S, then the account
		p.st.loseReply = true
		if _, err := p.Register(t.Context(), a.registration(t, a.manifest), now); !errors.Is(err, store.ErrUnknownOutcome) {
			t.Fatalf("lost reply: %v", err)
		}
	}
	acct, err := p.Account(t.Context(), bob)
	must(t, err)
	if auth := a.register(t, p); auth.Mailbox() != acct.Mailbox {
		t.Error("a second mailbox")
	}
}

// Of many who want one address at once, one gets it.
func TestRegisterRace(t *testing.T) {
	p := newProvider(t, Config{})
	const racers = 16
	var requests [racers]*Registration
	for i := range requests {
		a := newAccount(t, bob, 1)
		requests[i] = a.registration(t, a.manifest)
	}
	var won [racers]*Authenticated
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			auth, err := p.Register(t.Context(), r, now)
			if err != nil && !errors.Is(err, ErrExists) {
				t.Errorf("%v", err)
			}
			won[i] = auth
		})
	}
	wg.Wait()
	acct, err := p.Account(t.Context(), bob)
	must(t, err)
	winners := 0
	for i, auth := range won {
		if auth != nil {
			winners++
			if auth.Mailbox() != acct.Mailbox || !requests[i].Manifest().Equal(acct.Manifest) {
				t.Error("winner is not the stored account")
			}
		}
	}
	if winners != 1 {
		t.Errorf("%d winners", winners)
	}
}

func TestVerifyRegistration(t *testing.T) {
	a := newAccount(t, bob, 1)
	good := wire.Register{Manifest: a.manifest.Bytes(), Signature: SignRegistration(a.identity, a.manifest, beta, challenge)}
	second := a.signed(t, a.manifest.Next())
	for name, c := range map[string]struct {
		m      wire.Register
		server ids.Domain
		ch     Challenge
		want   error
	}{
		"good":             {good, beta, challenge, nil},
		"garbage":          {wire.Register{Manifest: []byte("x")}, beta, challenge, wire.ErrMalformed},
		"another exporter": {good, beta, Challenge{[32]byte{9}, challenge.Nonce}, ErrUnauthenticated},
		"another nonce":    {good, beta, Challenge{challenge.Exporter, [32]byte{9}}, ErrUnauthenticated},
		"another server":   {good, alpha, challenge, ErrForeign},
		"later manifest": {
			wire.Register{Manifest: second.Bytes(), Signature: SignRegistration(a.identity, second, beta, challenge)},
			beta, challenge, ErrConflict,
		},
		"the device's key": {
			wire.Register{Manifest: a.manifest.Bytes(), Signature: SignRegistration(a.sign[0], a.manifest, beta, challenge)},
			beta, challenge, ErrUnauthenticated,
		},
		"as authentication": {
			wire.Register{Manifest: a.manifest.Bytes(), Signature: SignAuth(a.identity, bob, 1, beta, challenge)},
			beta, challenge, ErrUnauthenticated,
		},
	} {
		if _, err := VerifyRegistration(&c.m, c.server, c.ch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := good
	for i := range bad.Signature {
		bad.Signature[i] ^= 4
		if _, err := VerifyRegistration(&bad, beta, challenge); !errors.Is(err, ErrUnauthenticated) {
			t.Fatalf("signature byte %d: %v", i, err)
		}
		bad.Signature[i] ^= 4
	}
}

func TestAuthenticate(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 2)
	registered := a.register(t, p)
	auth := a.authenticate(t, p, 2)
	if auth.Device() != 2 || auth.Address() != bob || auth.Mailbox() != registered.Mailbox() {
		t.Errorf("authenticated %+v", auth)
	}
	good := wire.Auth{Address: bob, Device: 1, Signature: SignAuth(a.sign[0], bob, 1, beta, challenge)}
	for name, c := range map[string]struct {
		change func(*wire.Auth, *Challenge)
		want   error
	}{
		"good":             {func(*wire.Auth, *Challenge) {}, nil},
		"no address":       {func(m *wire.Auth, _ *Challenge) { m.Address = ids.Address{} }, ErrUnauthenticated},
		"unknown account":  {func(m *wire.Auth, _ *Challenge) { m.Address = alice }, ErrUnauthenticated},
		"other device":     {func(m *wire.Auth, _ *Challenge) { m.Device = 2 }, ErrUnauthenticated},
		"unknown device":   {func(m *wire.Auth, _ *Challenge) { m.Device = 3 }, ErrUnauthenticated},
		"signature":        {func(m *wire.Auth, _ *Challenge) { m.Signature[63] ^= 1 }, ErrUnauthenticated},
		"another exporter": {func(_ *wire.Auth, ch *Challenge) { ch.Exporter[0] ^= 1 }, ErrUnauthenticated},
		"another nonce":    {func(_ *wire.Auth, ch *Challenge) { ch.Nonce[31] ^= 1 }, ErrUnauthenticated},
		"another server":   {func(m *wire.Auth, _ *Challenge) { m.Signature = SignAuth(a.sign[0], bob, 1, alpha, challenge) }, ErrUnauthenticated},
		"as registration": {func(m *wire.Auth, _ *Challenge) {
			m.Signature = SignRegistration(a.sign[0], a.manifest, beta, challenge)
		}, ErrUnauthenticated},
	} {
		m, ch := good, challenge
		c.change(&m, &ch)
		if _, err := p.Authenticate(t.Context(), &m, ch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	key, err := p.DeviceKey(t.Context(), bob, 2)
	if err != nil || key != a.sign[1].Public() {
		t.Errorf("device key: %v", err)
	}
	if _, err := p.DeviceKey(t.Context(), bob, 3); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown device: %v", err)
	}
}

func TestUpdateManifest(t *testing.T) {
	p := newProvider(t, Config{})
	a, auth := reachable(t, p, 2, 30)
	f := a.manifest.Next()
	f.RemoveDevice(2)
	v2 := a.signed(t, f)
	removed := a.authenticate(t, p, 2)
	must(t, p.UpdateManifest(t.Context(), auth, v2.Bytes()))
	must(t, p.UpdateManifest(t.Context(), auth, v2.Bytes())) // a lost reply
	if _, err := p.DeviceKey(t.Context(), bob, 2); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed device: %v", err)
	}
	if _, err := p.PublishPrekeys(t.Context(), removed, a.prekeys(2, 31, 1)); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("removed device publishes: %v", err)
	}
	if n, _ := p.st.PoolSize(t.Context(), poolKey(bob, 2)); n != 0 {
		t.Errorf("%d prekeys of the removed device", n)
	}
	if _, err := p.st.Get(t.Context(), deviceKey(bob, 2)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("record of the removed device: %v", err)
	}
	left, err := p.Account(t.Context(), bob)
	must(t, err)
	if len(left.Removed) != 1 || left.Removed[0] != 2 {
		t.Errorf("to settle: %v", left.Removed)
	}
	must(t, p.Settle(t.Context(), left))
	if err := p.Settle(t.Context(), left); !errors.Is(err, ErrConflict) {
		t.Errorf("settled from an old state: %v", err)
	}
	f = v2.Next()
	f.Version++
	gap := a.signed(t, f)
	stranger := newAccount(t, alice, 1)
	thief := a.resigned(t, v2.Next())
	f = v2.Next()
	other := newAccount(t, bob, 1)
	other.identity = a.identity
	f.AccountKey = other.accountKey(t, bob)
	changed := a.signed(t, f)
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"old":              {a.manifest.Bytes(), ErrConflict},
		"gap":              {gap.Bytes(), ErrConflict},
		"another account":  {stranger.manifest.Bytes(), ErrMismatch},
		"another identity": {thief.Bytes(), ErrMismatch},
		"another X_S":      {changed.Bytes(), ErrAccountKeyChanged},
		"garbage":          {[]byte{1, 2, 3}, wire.ErrMalformed},
	} {
		if err := p.UpdateManifest(t.Context(), auth, c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	acct, err := p.Account(t.Context(), bob)
	must(t, err)
	if !acct.Manifest.Equal(v2) || acct.Mailbox != auth.Mailbox() || len(acct.Removed) != 0 {
		t.Error("a refused manifest changed the account")
	}
}

// Of two manifests that follow the same one, sent at once, one is stored.
func TestUpdateManifestRace(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	auth := a.register(t, p)
	var next [8]*Manifest
	for i := range next {
		f := a.manifest.Next()
		f.Capabilities = [][]byte{{byte(i + 1)}}
		next[i] = a.signed(t, f)
	}
	var errs [len(next)]error
	var wg sync.WaitGroup
	for i, m := range next {
		wg.Go(func() { errs[i] = p.UpdateManifest(t.Context(), auth, m.Bytes()) })
	}
	wg.Wait()
	acct, err := p.Account(t.Context(), bob)
	must(t, err)
	for i, err := range errs {
		if stored := acct.Manifest.Equal(next[i]); stored != (err == nil) || err != nil && !errors.Is(err, ErrConflict) {
			t.Errorf("manifest %d: %v, stored %v", i, err, stored)
		}
	}
}

func TestPublishMailboxKey(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	auth := a.register(t, p)
	week := WeekOf(today)
	k := a.mailboxKey(t, auth.Mailbox(), week)
	must(t, p.PublishMailboxKey(t.Context(), auth, k.Bytes(), now))
	must(t, p.PublishMailboxKey(t.Context(), auth, k.Bytes(), now))
	stranger := newAccount(t, bob, 1)
	other := newAccount(t, alice, 1)
	other.identity = a.identity
	for name, c := range map[string]struct {
		key  []byte
		want error
	}{
		"another key":      {a.mailboxKey(t, auth.Mailbox(), week).Bytes(), ErrConflict},
		"older":            {a.mailboxKey(t, auth.Mailbox(), week-1).Bytes(), ErrConflict},
		"too early":        {a.mailboxKey(t, auth.Mailbox(), week+2).Bytes(), ErrEarly},
		"expired":          {a.mailboxKey(t, auth.Mailbox(), week-4).Bytes(), ErrExpired},
		"another mailbox":  {a.mailboxKey(t, ids.MailboxID{1}, week).Bytes(), ErrMismatch},
		"another account":  {other.mailboxKey(t, auth.Mailbox(), week).Bytes(), ErrMismatch},
		"another identity": {stranger.mailboxKey(t, auth.Mailbox(), week).Bytes(), keys.ErrSignature},
		"garbage":          {[]byte{1}, wire.ErrMalformed},
	} {
		if err := p.PublishMailboxKey(t.Context(), auth, c.key, now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	next := a.mailboxKey(t, auth.Mailbox(), week+1)
	must(t, p.PublishMailboxKey(t.Context(), auth, next.Bytes(), now))
	stored, err := p.get(t.Context(), mailboxKeyKey(bob))
	if err != nil || !bytes.Equal(stored, next.Bytes()) {
		t.Errorf("stored: %v", err)
	}
}

// What is cached is used only for the stored version.
func TestCacheFollowsTheStore(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	auth := a.register(t, p)
	_, err := p.Account(t.Context(), bob)
	must(t, err)
	elsewhere, err := New(p.st, Config{Domain: beta}) // another process
	must(t, err)
	v2 := a.signed(t, a.manifest.Next())
	must(t, elsewhere.UpdateManifest(t.Context(), auth, v2.Bytes()))
	acct, err := p.Account(t.Context(), bob)
	must(t, err)
	if !acct.Manifest.Equal(v2) {
		t.Error("stale account")
	}
	for i := range cacheAccounts + 10 {
		p.cache.put(ids.MustParseAddress(string(rune('a'+i%26))+"x"+string(rune('a'+i/26%26))+string(rune('a'+i/676))+"@beta.example"), acct)
	}
	if n := len(p.cache.accounts); n > cacheAccounts {
		t.Errorf("%d accounts cached", n)
	}
	doc, err := p.st.Get(t.Context(), accountKey(bob))
	must(t, err)
	_, err = p.st.CAS(t.Context(), accountKey(bob), doc.Version, doc.Value[1:])
	must(t, err)
	if _, err := p.Account(t.Context(), bob); !errors.Is(err, ErrState) {
		t.Errorf("corrupt record: %v", err)
	}
}

func TestConfig(t *testing.T) {
	if _, err := New(store.NewMemory(store.MemoryConfig{}), Config{}); err == nil {
		t.Error("no domain")
	}
}
