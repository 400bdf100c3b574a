package keylist

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/privacypass"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	gamma = ids.MustParseDomain("gamma.example")
)

func tokenKey(t testing.TB) (k [tokenKeySize]byte) {
	t.Helper()
	key, err := privacypass.NewKey(privacypass.Ristretto255)
	if err != nil {
		t.Fatal(err)
	}
	copy(k[:], key.Public().Bytes())
	return k
}

func credentialKey() (k [credentialKeySize]byte) {
	copy(k[:], arc.Ristretto255().NewSecretKey().Public().Bytes())
	return k
}

func example(t testing.TB) Fields {
	return Fields{
		Provider: alpha, Number: 7, Term: 3,
		Tokens:      []TokenKey{{3, tokenKey(t)}, {4, tokenKey(t)}},
		Memberships: []MembershipKey{{beta, 5, credentialKey()}, {beta, 6, credentialKey()}, {gamma, 5, credentialKey()}},
		Credentials: []CredentialKey{{150, credentialKey(), 4, 32}, {151, credentialKey(), 5, 33}},
	}
}

func mustList(t testing.TB, f Fields, root *keys.SigningKey) *List {
	t.Helper()
	b, err := Sign(f, root)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Parse(b, f.Provider, root.Public())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(l.Bytes(), b) {
		t.Error("other bytes")
	}
	return l
}

func TestList(t *testing.T) {
	f, root := example(t), keys.NewSigningKey()
	l := mustList(t, f, root)
	token, ok := l.Token(4)
	if !ok || !bytes.Equal(token.Bytes(), f.Tokens[1].Key[:]) {
		t.Error("token key")
	}
	member, ok := l.Membership(gamma, 5)
	if !ok || !bytes.Equal(member.Bytes(), f.Memberships[2].Key[:]) {
		t.Error("membership key")
	}
	day, ok := l.Credential(150)
	if !ok || !bytes.Equal(day.Bytes(), f.Credentials[0].Key[:]) {
		t.Error("credential key")
	}
	for day, want := range map[ids.Day][2]uint32{149: {}, 150: {4, 32}, 151: {5, 33}, 152: {}} {
		if fresh, member := l.Limits(day); fresh != want[0] || member != want[1] {
			t.Errorf("day %d: limits %d and %d", day, fresh, member)
		}
	}
	if l.Number() != 7 || l.Term() != 3 {
		t.Error("number or term")
	}
	if l.LastDay() != 151 || mustList(t, Fields{Provider: alpha}, root).LastDay() != 0 {
		t.Error("last day")
	}
	_, a := l.Token(5)
	_, b := l.Membership(gamma, 6)
	_, c := l.Membership(alpha, 5)
	_, d := l.Credential(152)
	if a || b || c || d {
		t.Error("a key that is not listed")
	}
}

// Credentials.md 4, 27: what a provider says to one account alone contradicts
// what it says to all.
func TestAttackFork(t *testing.T) {
	f, root := example(t), keys.NewSigningKey()
	known := mustList(t, f, root)
	if err := known.Follows(nil); err != nil {
		t.Error(err)
	}
	if err := mustList(t, f, root).Follows(known); err != nil {
		t.Errorf("the same list: %v", err)
	}
	for name, tt := range map[string]struct {
		number uint32
		change func(*Fields)
		want   error
	}{
		"nothing new":                {8, func(*Fields) {}, nil},
		"an epoch more":              {8, func(f *Fields) { f.Tokens = append(f.Tokens, TokenKey{5, tokenKey(t)}) }, nil},
		"an epoch over":              {8, func(f *Fields) { f.Tokens = f.Tokens[1:] }, nil},
		"other limits of a day":      {8, func(f *Fields) { f.Credentials[1].Member = 16 }, ErrForked},
		"other limits of new ones":   {8, func(f *Fields) { f.Credentials[0].New = 3 }, ErrForked},
		"limits, another term":       {8, func(f *Fields) { f.Credentials[1].Member, f.Term = 16, 4 }, nil},
		"limits of another day":      {8, func(f *Fields) { f.Credentials = append(f.Credentials, CredentialKey{152, credentialKey(), 2, 8}) }, nil},
		"another token key":          {8, func(f *Fields) { f.Tokens[0].Key = tokenKey(t) }, ErrForked},
		"another membership key":     {8, func(f *Fields) { f.Memberships[1].Key = credentialKey() }, ErrForked},
		"another credential key":     {8, func(f *Fields) { f.Credentials[1].Key = credentialKey() }, ErrForked},
		"another key, older number":  {6, func(f *Fields) { f.Credentials[1].Key = credentialKey() }, ErrForked},
		"an older number":            {6, func(*Fields) {}, ErrOld},
		"a key added, unannounced":   {7, func(f *Fields) { f.Tokens = append(f.Tokens, TokenKey{5, tokenKey(t)}) }, ErrForked},
		"another provider's":         {8, func(f *Fields) { f.Provider = beta }, ErrForked},
		"another key, another term":  {8, func(f *Fields) { f.Credentials[1].Key, f.Term = credentialKey(), 4 }, nil},
		"another term, same number":  {7, func(f *Fields) { f.Term = 4 }, ErrForked},
		"another term, older number": {6, func(f *Fields) { f.Term = 4 }, ErrForked},
		"an older term":              {8, func(f *Fields) { f.Term = 2 }, ErrOld},
		"a key removed, unannounced": {7, func(f *Fields) { f.Credentials = nil }, ErrForked},
	} {
		g := f
		g.Tokens, g.Memberships, g.Credentials = slices.Clone(f.Tokens), slices.Clone(f.Memberships), slices.Clone(f.Credentials)
		g.Number = tt.number
		tt.change(&g)
		if err := mustList(t, g, root).Follows(known); !errors.Is(err, tt.want) || err != nil && tt.want == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	f, root := example(t), keys.NewSigningKey()
	good, err := Sign(f, root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if _, err := Parse(bad, alpha, root.Public()); err != ErrMalformed && err != ErrSignature {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	for _, bad := range [][]byte{nil, good[:len(good)-1], append(bytes.Clone(good), 0), make([]byte, MaxSize+1)} {
		if _, err := Parse(bad, alpha, root.Public()); err != ErrMalformed {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	if _, err := Parse(good, beta, root.Public()); err != ErrSignature {
		t.Errorf("as another provider's: %v", err)
	}
	if _, err := Parse(good, alpha, keys.NewSigningKey().Public()); err != ErrSignature {
		t.Errorf("under another key: %v", err)
	}
	for name, change := range map[string]func(*Fields){
		"tokens not ascending":      func(f *Fields) { slices.Reverse(f.Tokens) },
		"an epoch twice":            func(f *Fields) { f.Tokens[1].Epoch = f.Tokens[0].Epoch },
		"memberships not ascending": func(f *Fields) { slices.Reverse(f.Memberships) },
		"credentials not ascending": func(f *Fields) { slices.Reverse(f.Credentials) },
		"too many credentials":      func(f *Fields) { f.Credentials = make([]CredentialKey, MaxCredentials+1) },
	} {
		g := example(t)
		change(&g)
		if _, err := Sign(g, root); err != ErrMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Fields){
		"a token key that is none":      func(f *Fields) { f.Tokens[0].Key = [32]byte{} },
		"a membership key that is none": func(f *Fields) { f.Memberships[0].Key = [96]byte{} },
		"a credential key that is none": func(f *Fields) { f.Credentials[0].Key = [96]byte{} },
	} {
		g := example(t)
		change(&g)
		b, err := Sign(g, root)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(b, alpha, root.Public()); err != ErrMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The largest list fits a frame.
func TestSize(t *testing.T) {
	long := make([]byte, ids.MaxDomain-len(".example"))
	for i := range long {
		long[i] = 'a'
		if i == 40 {
			long[i] = '.' // labels have at most 63 characters
		}
	}
	f := Fields{Provider: ids.MustParseDomain(string(long) + ".example")}
	key := credentialKey()
	for i := range MaxMemberships {
		f.Memberships = append(f.Memberships, MembershipKey{f.Provider, ratelimit.Month(i), key})
	}
	for i := range MaxCredentials {
		f.Credentials = append(f.Credentials, CredentialKey{ids.Day(i), key, 4, 32})
	}
	if b, err := Sign(f, keys.NewSigningKey()); err != nil || len(b) > MaxSize {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func FuzzParse(f *testing.F) {
	root := keys.NewSigningKey()
	b, err := Sign(example(f), root)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := Parse(b, alpha, root.Public()); err == nil && !bytes.Equal(l.Bytes(), b) {
			t.Error("other bytes")
		}
	})
}
