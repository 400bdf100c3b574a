package admission

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
)

// Files is where keys are kept. Put is durable when it returns, and Erase
// overwrites.
type Files interface {
	All(prefix string) ([][]byte, error)
	Put(name string, record []byte) error
	Erase(names ...string) error
}

// place is where and when memberships are shown, or whose they are.
type place struct {
	provider ids.Domain
	month    ratelimit.Month
}

// credential is what a day's credentials are issued and verified with.
type credential struct {
	key    *arc.SecretKey
	limits introduction.Limits
}

// keyring is the provider's secret keys. Its changes are never made twice at once.
type keyring struct {
	// fixed
	files           Files
	domain          ids.Domain
	standing, dummy *keys.Secret

	mu          sync.RWMutex // guards the rest
	credentials map[ids.Day]credential
	issued      map[place]*arc.SecretKey // this provider's, for use at others and here
	received    map[place]*arc.SecretKey // others', for use here
}

func openKeyring(files Files, domain ids.Domain) (*keyring, error) {
	k := &keyring{
		files: files, domain: domain,
		credentials: map[ids.Day]credential{}, issued: map[place]*arc.SecretKey{}, received: map[place]*arc.SecretKey{},
	}
	if err := each(files, prefixCredential, new(credentialRecord), func(r *credentialRecord) error {
		key, err := arc.Ristretto255().ParseSecretKey(r.key[:])
		k.credentials[r.day] = credential{key, r.limits}
		return err
	}); err != nil {
		return nil, err
	}
	for prefix, set := range map[string]map[place]*arc.SecretKey{prefixIssued: k.issued, prefixReceived: k.received} {
		if err := each(files, prefix, new(monthRecord), func(r *monthRecord) error {
			key, err := arc.Ristretto255().ParseSecretKey(r.key[:])
			set[place{r.provider, r.month}] = key
			return err
		}); err != nil {
			return nil, err
		}
	}
	return k, k.openSecrets()
}

// each parses the files with a prefix.
func each[R wire.Schema](files Files, prefix string, r R, do func(R) error) error {
	records, err := files.All(prefix)
	if err != nil {
		return err
	}
	for _, b := range records {
		defer clear(b)
		if wire.Unmarshal(b, r) != nil || do(r) != nil {
			return ErrState
		}
	}
	return nil
}

// openSecrets loads what never changes, or draws it.
func (k *keyring) openSecrets() error {
	found := false
	r := new(secretsRecord)
	defer func() { *r = secretsRecord{} }()
	if err := each(k.files, fileSecrets, r, func(*secretsRecord) error { found = true; return nil }); err != nil {
		return err
	}
	if !found {
		copy(r.standing[:], keys.NewSecret().Bytes())
		copy(r.dummy[:], keys.NewSecret().Bytes())
		if err := k.put(fileSecrets, r); err != nil {
			return err
		}
	}
	var err error
	if k.standing, err = keys.SecretFrom(r.standing[:]); err != nil {
		return err
	}
	k.dummy, err = keys.SecretFrom(r.dummy[:])
	return err
}

func (k *keyring) put(name string, r wire.Schema) error {
	b := wire.MustMarshal(r)
	defer clear(b)
	return k.files.Put(name, b)
}

// renew draws the keys of today and tomorrow, with the limits of their days, and
// those of memberships for the own provider and others, and reports whether there
// were any to draw. Each is durable before it can be used.
func (k *keyring) renew(today ids.Day, others []ids.Domain, limits func(ids.Day) introduction.Limits) (drew bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, day := range []ids.Day{today, today + 1} {
		if k.credentials[day].key != nil {
			continue
		}
		c := credential{arc.Ristretto255().NewSecretKey(), limits(day)}
		if err := k.put(credentialName(day), &credentialRecord{day, [secretKeySize]byte(c.key.Bytes()), c.limits}); err != nil {
			return drew, err
		}
		k.credentials[day], drew = c, true
	}
	now := ratelimit.MonthOf(today)
	for _, m := range []ratelimit.Month{now, now + 1} {
		if !issuing(m, today) {
			continue
		}
		have := 0
		for p := range k.issued {
			if p.month == m {
				have++
			}
		}
		for _, d := range slices.Concat([]ids.Domain{k.domain}, others) {
			p := place{d, m}
			if k.issued[p] != nil || have >= maxPlaces {
				continue
			}
			key := arc.Ristretto255().NewSecretKey()
			if err := k.putMonth(prefixIssued, p, key); err != nil {
				return drew, err
			}
			k.issued[p], drew = key, true
			have++
		}
	}
	return drew, nil
}

func (k *keyring) putMonth(prefix string, p place, key *arc.SecretKey) error {
	return k.put(monthName(prefix, p), &monthRecord{p.provider, p.month, [secretKeySize]byte(key.Bytes())})
}

// expire erases what is over.
func (k *keyring) expire(today ids.Day) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var over []string
	for day := range k.credentials {
		if int64(today) > int64(day)+credentialKept {
			over = append(over, credentialName(day))
			delete(k.credentials, day)
		}
	}
	for prefix, set := range map[string]map[place]*arc.SecretKey{prefixIssued: k.issued, prefixReceived: k.received} {
		for p := range set {
			if int64(today) > int64(lastDay(p.month))+membershipKept {
				over = append(over, monthName(prefix, p))
				delete(set, p)
			}
		}
	}
	if len(over) == 0 {
		return nil
	}
	return k.files.Erase(over...)
}

// anew erases every day's key: of what was shown under them it is not known any
// more what was spent.
func (k *keyring) anew() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var over []string
	for day := range k.credentials {
		over = append(over, credentialName(day))
	}
	if err := k.files.Erase(over...); err != nil {
		return err
	}
	// They are gone. A crash now is noticed again, since nothing was marked.
	clear(k.credentials)
	return nil
}

// take keeps a key that another provider issues memberships with.
func (k *keyring) take(p place, key *arc.SecretKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.received[p]; known != nil && bytes.Equal(known.Public().Bytes(), key.Public().Bytes()) {
		return nil
	}
	if err := k.putMonth(prefixReceived, p, key); err != nil {
		return err
	}
	k.received[p] = key
	return nil
}

func (k *keyring) credential(day ids.Day) (credential, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	c, ok := k.credentials[day]
	return c, ok
}

func (k *keyring) issuer(p place) (*arc.SecretKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key := k.issued[p]
	return key, key != nil
}

func (k *keyring) membership(p place) (*arc.SecretKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	set := k.received
	if p.provider == k.domain {
		set = k.issued
	}
	key := set[p]
	return key, key != nil
}

// empty reports whether the keyring holds no day's key: it was never used.
func (k *keyring) empty() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.credentials) == 0
}

// describe fills in the keys of a day's list.
func (k *keyring) describe(f *keylist.Fields, today ids.Day) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, day := range slices.Sorted(maps.Keys(k.credentials)) {
		if int64(day)+credentialKept >= int64(today) && day <= today+1 {
			c := k.credentials[day]
			f.Credentials = append(f.Credentials, keylist.CredentialKey{
				Day: day, Key: [96]byte(c.key.Public().Bytes()), New: c.limits.New, Member: c.limits.Member,
			})
		}
	}
	for p, key := range k.issued {
		if listed(p.month, today) {
			f.Memberships = append(f.Memberships, keylist.MembershipKey{At: p.provider, Month: p.month, Key: [96]byte(key.Public().Bytes())})
		}
	}
	slices.SortFunc(f.Memberships, func(a, b keylist.MembershipKey) int {
		return cmp.Or(cmp.Compare(a.At.String(), b.At.String()), cmp.Compare(a.Month, b.Month))
	})
}
