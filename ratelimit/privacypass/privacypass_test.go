package privacypass

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cloudflare/circl/group"
	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	today = ids.Day(20000)
)

func newKey(t testing.TB, typ Type) *Key {
	t.Helper()
	k, err := NewKey(typ)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fetch runs a batch of the smallest size.
func fetch(t testing.TB, k *Key, c *Challenge) []Token {
	t.Helper()
	pd, err := k.Public().Request(c, Sizes[0])
	if err != nil {
		t.Fatal(err)
	}
	answer, err := k.Issue(pd.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := pd.Finish(answer)
	if err != nil || len(tokens) != Sizes[0] {
		t.Fatalf("%d tokens, %v", len(tokens), err)
	}
	return tokens
}

func ringOf(t testing.TB, epochs ...Epoch) (*Ring, map[Epoch]*Key) {
	t.Helper()
	r, ks := NewRing(alpha), map[Epoch]*Key{}
	for _, e := range epochs {
		ks[e] = newKey(t, Ristretto255)
		if err := r.Add(e, ks[e]); err != nil {
			t.Fatal(err)
		}
	}
	return r, ks
}

func TestSingle(t *testing.T) {
	for _, typ := range []Type{P384, Ristretto255} {
		k := newKey(t, typ)
		c := &Challenge{Type: typ, Issuer: "alpha.example"}
		pd, err := k.Public().RequestOne(c)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := k.IssueOne(pd.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := pd.Finish(answer)
		if err != nil || len(tokens[0].Bytes()) != TokenSize(typ) {
			t.Fatal(err)
		}
		digest, _ := c.Digest()
		if err := k.Redeem(&tokens[0], digest); err != nil {
			t.Error(err)
		}
	}
	if TokenSize(2) != 0 {
		t.Error("size of an unknown type")
	}
}

// Several devices, or one after a crash: the same bytes ask and answer.
func TestIssuanceIsIdempotent(t *testing.T) {
	k, c, seed := newKey(t, Ristretto255), SubmissionChallenge(alpha, 7), keys.NewSecret()
	request := func(pk *PublicKey, seed *keys.Secret, batch uint64, c *Challenge, n int) *Pending {
		pd, err := pk.RequestSeeded(seed, batch, c, n)
		if err != nil {
			t.Fatal(err)
		}
		return pd
	}
	one, two := request(k.Public(), seed, 3, c, 8), request(k.Public(), seed, 3, c, 8)
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Fatal("two requests for one batch")
	}
	a, err := k.Issue(one.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	b, _ := k.Issue(two.Bytes())
	if !bytes.Equal(a, b) {
		t.Error("two answers to one request")
	}
	x, _ := one.Finish(a)
	y, err := two.Finish(b)
	if err != nil || !bytes.Equal(x[7].Bytes(), y[7].Bytes()) {
		t.Error("different tokens")
	}
	for name, other := range map[string]*Pending{
		"batch":     request(k.Public(), seed, 4, c, 8),
		"seed":      request(k.Public(), keys.NewSecret(), 3, c, 8),
		"key":       request(newKey(t, Ristretto255).Public(), seed, 3, c, 8),
		"challenge": request(k.Public(), seed, 3, SubmissionChallenge(alpha, 8), 8),
		"size":      request(k.Public(), seed, 3, c, 32),
	} {
		if other.tokens[0].Nonce == one.tokens[0].Nonce || bytes.Equal(other.Bytes()[5:37], one.Bytes()[5:37]) {
			t.Errorf("another %s, the same tokens", name)
		}
	}
}

// The misuse of issuance and redemption, by the numbers of docs/admission.md.
func TestAttack(t *testing.T) {
	ring, ks := ringOf(t, EpochOf(today)-1, EpochOf(today))
	epoch := EpochOf(today)
	k, c := ks[epoch], SubmissionChallenge(alpha, epoch)
	tokens := fetch(t, k, c)
	spend, err := ring.Redeem(&tokens[0], today)
	if err != nil {
		t.Fatal(err)
	}
	id := ids.EnvelopeID{1}

	t.Run("1 and 2 one token, one envelope", func(t *testing.T) {
		again, err := ring.Redeem(&tokens[0], today)
		if err != nil || again != spend {
			t.Error("one token, two names in the set of spent ones")
		}
		if other, _ := ring.Redeem(&tokens[1], today); other.ID == spend.ID {
			t.Error("two tokens, one name")
		}
		first, retry := Claimant(alpha, id), Claimant(alpha, ids.EnvelopeID{1})
		if first != retry {
			t.Error("a retry is another claimant")
		}
		for name, other := range map[string][32]byte{
			"envelope": Claimant(alpha, ids.EnvelopeID{2}), "destination": Claimant(beta, id),
		} {
			if other == Claimant(alpha, id) {
				t.Errorf("one claimant for another %s", name)
			}
		}
	})
	t.Run("4 another relay", func(t *testing.T) {
		other := NewRing(beta)
		if err := other.Add(epoch, k); err != nil { // even with the same key
			t.Fatal(err)
		}
		if _, err := other.Redeem(&tokens[0], today); err != ErrToken {
			t.Errorf("at another provider: %v", err)
		}
		third, _ := ringOf(t, epoch)
		if _, err := third.Redeem(&tokens[0], today); err != ErrKey {
			t.Errorf("under another key: %v", err)
		}
	})
	t.Run("6 and 24 epochs", func(t *testing.T) {
		for day, want := range map[ids.Day]error{
			epoch.First() - 1: ErrKey, epoch.First(): nil, epoch.Last(): nil, epoch.Last() + 1: nil,
			epoch.Last() + OverlapDays: nil, epoch.Last() + OverlapDays + 1: ErrKey, today + 365: ErrKey,
		} {
			if _, err := ring.Redeem(&tokens[0], day); err != want {
				t.Errorf("day %+d: %v", int(day)-int(epoch.First()), err)
			}
		}
		// A key under another epoch's number redeems nothing of its own.
		moved := NewRing(alpha)
		if err := moved.Add(epoch+1, k); err != nil {
			t.Fatal(err)
		}
		if _, err := moved.Redeem(&tokens[0], (epoch + 1).First()); err != ErrToken {
			t.Errorf("epoch renamed: %v", err)
		}
		if _, err := ring.Issuing(epoch.Last() + 1); err != ErrKey {
			t.Errorf("issuing without a key: %v", err)
		}
		if got, err := ring.Issuing(epoch.Last()); err != nil || got != k {
			t.Errorf("issuing: %v", err)
		}
	})
	t.Run("7 guessed, cut, unknown", func(t *testing.T) {
		good := tokens[0].Bytes()
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			tok, err := ParseToken(bad)
			if err == nil {
				_, err = ring.Redeem(tok, today)
			}
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrKey) && !errors.Is(err, ErrToken) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
		for _, bad := range [][]byte{nil, good[:len(good)-1], append(bytes.Clone(good), 0)} {
			if _, err := ParseToken(bad); err != ErrMalformed {
				t.Errorf("%d bytes: %v", len(bad), err)
			}
		}
	})
	t.Run("27 a key for one client", func(t *testing.T) {
		pd, err := k.Public().Request(c, 8)
		if err != nil {
			t.Fatal(err)
		}
		es, _ := k.parseBatch(pd.Bytes())
		answer, err := newKey(t, Ristretto255).issueBatch(pd.Bytes(), es)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pd.Finish(answer); err != ErrIssuance {
			t.Errorf("an unlogged key: %v", err)
		}
	})
	t.Run("41 requests", func(t *testing.T) {
		pd, _ := k.Public().Request(c, 8)
		good := pd.Bytes()
		if n, err := k.BatchSize(good); n != 8 || err != nil {
			t.Errorf("size %d, %v", n, err)
		}
		identity := bytes.Clone(good)
		clear(identity[5:37])
		for name, tt := range map[string]struct {
			request []byte
			want    error
		}{
			"nothing":            {nil, ErrKey},
			"another type":       {append([]byte{0, 1}, good[2:]...), ErrKey},
			"another key":        {append([]byte{0, 5, good[2] + 1}, good[3:]...), ErrKey},
			"no elements":        {append(bytes.Clone(good[:3]), 0), ErrMalformed},
			"identity":           {identity, ErrMalformed},
			"length not minimal": {append(append(bytes.Clone(good[:3]), 0x80, 0, 1, 0), good[5:]...), ErrMalformed},
			"cut":                {good[:len(good)-1], ErrMalformed},
			"longer":             {append(bytes.Clone(good), 0), ErrMalformed},
			"a size of its own":  {append(append(bytes.Clone(good[:3]), 32), good[5:37]...), ErrBatch},
			"far too many":       {append(append(bytes.Clone(good[:3]), 0x80, 0, 0x20, 0), bytes.Repeat(good[5:37], 256)...), ErrMalformed},
		} {
			if _, err := k.Issue(tt.request); err != tt.want {
				t.Errorf("%s: %v", name, err)
			}
			if n, err := k.BatchSize(tt.request); err == nil && name != "identity" || n != 0 && name != "identity" {
				t.Errorf("%s: size %d, %v", name, n, err)
			}
		}
		for _, n := range []int{0, 1, 7, 9, MaxBatch + 1, 65536} {
			if _, err := k.Public().Request(c, n); err != ErrBatch {
				t.Errorf("asked for %d: %v", n, err)
			}
		}
		if _, err := k.Public().Request(&Challenge{Type: P384}, 8); err != ErrMalformed {
			t.Errorf("challenge of another type: %v", err)
		}
	})
	t.Run("41 answers", func(t *testing.T) {
		pd, _ := k.Public().Request(c, 8)
		good, err := k.Issue(pd.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(good); i += 3 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			if _, err := pd.Finish(bad); err != ErrIssuance && err != ErrMalformed {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
		swapped := bytes.Clone(good)
		copy(swapped[2:34], good[34:66])
		copy(swapped[34:66], good[2:34])
		if _, err := pd.Finish(swapped); err != ErrIssuance {
			t.Errorf("elements swapped: %v", err)
		}
		identity := bytes.Clone(good)
		clear(identity[2:34])
		for name, bad := range map[string][]byte{"identity": identity, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "none": nil} {
			if _, err := pd.Finish(bad); err != ErrMalformed {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := pd.Finish(good); err != nil {
			t.Errorf("after all that: %v", err)
		}
	})
	t.Run("41 encodings that circl takes", func(t *testing.T) {
		p, _ := P384.params()
		g := group.P384.Generator()
		long, err := g.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{"uncompressed": long, "identity": {0}, "zeros": make([]byte, 49)} {
			if _, err := p.decodeElement(b); err != ErrMalformed {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, typ := range []Type{P384, Ristretto255} {
			p, _ := typ.params()
			zero, ones := make([]byte, p.scalar), bytes.Repeat([]byte{0xff}, p.scalar)
			for _, b := range [][]byte{zero, ones, zero[1:]} {
				if _, err := ParseKey(typ, b); err != ErrMalformed {
					t.Errorf("key: %v", err)
				}
			}
			if _, err := p.decodeProof(append(zero, ones...)); err != ErrMalformed {
				t.Errorf("proof: %v", err)
			}
		}
		for _, err := range []error{second(ParseKey(2, nil)), second(ParsePublicKey(2, nil)), second(NewKey(2))} {
			if err != ErrKey {
				t.Errorf("unknown type: %v", err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestRingRefuses(t *testing.T) {
	r, _ := ringOf(t, 1, 2, 3)
	if err := r.Add(3, newKey(t, Ristretto255)); err != ErrKey {
		t.Errorf("a second key of one epoch: %v", err)
	}
	if err := r.Add(4, newKey(t, P384)); err != ErrKey {
		t.Errorf("another type: %v", err)
	}
	if err := r.Add(4, newKey(t, Ristretto255)); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(5, newKey(t, Ristretto255)); err != ErrKey {
		t.Errorf("too many: %v", err)
	}
}

// Never more than the quota in a day, the same request counted once, and a
// stored row is the row.
func TestQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		daily := rapid.Uint32Range(0, 400).Draw(t, "daily")
		now := today.Start().Add(time.Duration(rapid.Int64Range(0, 86399).Draw(t, "second")) * time.Second)
		var row Row
		issued := map[ids.Day]uint32{}
		counted := map[string]bool{}
		for step := range rapid.IntRange(1, 80).Draw(t, "steps") {
			if rapid.IntRange(0, 19).Draw(t, "move") == 0 {
				now = now.Add(time.Duration(rapid.Int64Range(-30, 30).Draw(t, "hours")) * time.Hour)
			}
			request := fmt.Sprint(rapid.IntRange(0, step).Draw(t, "request"))
			n := Sizes[rapid.IntRange(0, 2).Draw(t, "size")]
			g, next := Quota(row, daily, []byte(request), n, now)
			if next.Day != row.Day {
				clear(counted)
			}
			if g.Repeated != counted[request] || g.Repeated && !g.Allowed {
				t.Fatalf("request %s repeated %v", request, g.Repeated)
			}
			if g.Allowed && !g.Repeated {
				issued[next.Day] += uint32(n)
				counted[request] = true
			}
			if issued[next.Day] > daily || g.Remaining != daily-issued[next.Day] || next.Day < row.Day || !g.Refill.Equal(next.Day.End()) {
				t.Fatalf("%d of %d, %+v", issued[next.Day], daily, g)
			}
			var again Row
			if err := wire.Unmarshal(wire.MustMarshal(&next), &again); err != nil || again.Day != next.Day || again.Issued != next.Issued || !slices.Equal(again.Requests, next.Requests) {
				t.Fatalf("stored: %+v, %v", again, err)
			}
			row = next
		}
	})
	full := Row{Day: today, Requests: make([][requestHashSize]byte, MaxRequests)}
	if g, _ := Quota(full, MaxDaily, []byte("x"), 8, today.Start()); g.Allowed {
		t.Error("more requests than a row holds")
	}
	if g, _ := Quota(Row{}, MaxDaily+1, []byte("x"), MaxBatch+1, today.Start()); g.Allowed || g.Remaining != MaxDaily {
		t.Error("a batch that is too large")
	}
}

func TestChallengeRefuses(t *testing.T) {
	good, _ := SubmissionChallenge(alpha, 1).Bytes()
	if _, err := ParseChallenge(good); err != nil {
		t.Fatal(err)
	}
	for i, bad := range [][]byte{nil, good[:len(good)-1], append(bytes.Clone(good), 0)} {
		if _, err := ParseChallenge(bad); err != ErrMalformed {
			t.Errorf("%d: %v", i, err)
		}
	}
	for _, c := range []*Challenge{{Context: make([]byte, 31)}, {Issuer: string(make([]byte, MaxName+1))}, {Origin: string(make([]byte, MaxName+1))}} {
		if _, err := c.Digest(); err != ErrMalformed {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestRedacted(t *testing.T) {
	k := newKey(t, Ristretto255)
	pd, _ := k.Public().Request(SubmissionChallenge(alpha, 1), 8)
	for _, v := range []any{k, pd} {
		if text := fmt.Sprintf("%v %+v %#v", v, v, v); !bytes.Contains([]byte(text), []byte("redacted")) {
			t.Errorf("%T prints as %s", v, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	k, _ := NewKey(Ristretto255)
	c := SubmissionChallenge(alpha, 1)
	challenge, _ := c.Bytes()
	pd, _ := k.Public().Request(c, 8)
	answer, _ := k.Issue(pd.Bytes())
	tokens, _ := pd.Finish(answer)
	for _, seed := range [][]byte{challenge, pd.Bytes(), answer, tokens[0].Bytes(), wire.MustMarshal(&Row{Day: 1, Issued: 8, Requests: make([][16]byte, 1)})} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseChallenge(b); err == nil {
			if again, err := c.Bytes(); err != nil || !bytes.Equal(again, b) {
				t.Error("challenge")
			}
		}
		if tok, err := ParseToken(b); err == nil && !bytes.Equal(tok.Bytes(), b) {
			t.Error("token")
		}
		if es, err := k.parseBatch(b); err == nil {
			again := appendElements(append(bytes.Clone(b[:3]), appendVarint(nil, 32*len(es))...), es)
			if !bytes.Equal(again, b) {
				t.Error("request")
			}
		}
		var row Row
		if err := wire.Unmarshal(b, &row); err == nil && !bytes.Equal(wire.MustMarshal(&row), b) {
			t.Error("row")
		}
		pd.Finish(b)
	})
}

func FuzzParseKey(f *testing.F) {
	for _, typ := range []Type{Ristretto255, P384} {
		k := newKey(f, typ)
		f.Add(uint16(typ), k.Bytes())
		f.Add(uint16(typ), k.Public().Bytes())
	}
	f.Fuzz(func(t *testing.T, typ uint16, b []byte) {
		if k, err := ParseKey(Type(typ), b); err == nil && !bytes.Equal(k.Bytes(), b) {
			t.Error("key")
		} else if err != nil && err != ErrKey && err != ErrMalformed {
			t.Errorf("untyped error %v", err)
		}
		if k, err := ParsePublicKey(Type(typ), b); err == nil && !bytes.Equal(k.Bytes(), b) {
			t.Error("public key")
		} else if err != nil && err != ErrKey && err != ErrMalformed {
			t.Errorf("untyped error %v", err)
		}
	})
}
