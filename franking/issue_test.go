package franking

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// A request holds for its account, connection, epoch and issuer only.
func TestRequestsAreBound(t *testing.T) {
	w := newWorld(t)
	x := w.alice.context(today)
	req, _, err := NewRequest(x, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CheckRequest(x, req, today); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*IssueContext, *IssueRequest){
		"account":          func(x *IssueContext, _ *IssueRequest) { x.Account = ids.MustParseAddress("mallory@alpha.example") },
		"X_S":              func(x *IssueContext, _ *IssueRequest) { x.XS = w.bob.xs() },
		"connection":       func(x *IssueContext, _ *IssueRequest) { x.Binding[0]++ },
		"epoch":            func(x *IssueContext, r *IssueRequest) { x.Epoch++; r.Epoch++ },
		"epoch, outside":   func(x *IssueContext, _ *IssueRequest) { x.Epoch++ },
		"issuer":           func(x *IssueContext, _ *IssueRequest) { x.Issuer = beta },
		"no X_S":           func(x *IssueContext, _ *IssueRequest) { x.XS = group.Element{} },
		"possession":       func(_ *IssueContext, r *IssueRequest) { r.Items[1].Possession[0] ^= 1 },
		"proof":            func(_ *IssueContext, r *IssueRequest) { r.Items[1].Proof[0] ^= 1 },
		"another's proof":  func(_ *IssueContext, r *IssueRequest) { r.Items[1].Proof = r.Items[0].Proof },
		"another identity": func(_ *IssueContext, r *IssueRequest) { r.Items[1].Identity = r.Items[0].Identity },
		"one key twice":    func(_ *IssueContext, r *IssueRequest) { r.Items[1] = r.Items[0] },
		"none":             func(_ *IssueContext, r *IssueRequest) { r.Items = nil },
		"a key of small order": func(_ *IssueContext, r *IssueRequest) {
			r.Items[1].Key = keys.VerifyKey{1}
		},
		"identity is X_S": func(_ *IssueContext, r *IssueRequest) {
			copy(r.Items[1].Identity[:], w.alice.xs().Bytes())
		},
	} {
		x, r := x, &IssueRequest{Epoch: req.Epoch, Items: append([]IssueItem(nil), req.Items...)}
		change(&x, r)
		_, err := CheckRequest(x, r, today)
		wants(t, name, err, ErrRequest)
	}
	foreign := x
	foreign.Account = bob
	theirs, _, err := NewRequest(foreign, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = CheckRequest(foreign, theirs, today)
	wants(t, "another provider's account", err, ErrRequest)
	for _, n := range []int{0, -1, MaxIssue + 1} {
		_, _, err := NewRequest(x, n)
		wants(t, "number", err, ErrRequest)
	}
}

// A key that another account made cannot be had in a token: whoever asks shows
// that it has it.
func TestTokenKeyNeedsPossession(t *testing.T) {
	w := newWorld(t)
	req, _, _ := NewRequest(w.alice.context(today), 1)
	mallory := newPerson(ids.MustParseAddress("mallory@alpha.example"))
	theirs, _, _ := NewRequest(mallory.context(today), 1)
	theirs.Items[0].Key, theirs.Items[0].Possession = req.Items[0].Key, req.Items[0].Possession
	_, err := CheckRequest(mallory.context(today), theirs, today)
	wants(t, "alice's key", err, ErrRequest)
}

func TestAllowance(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Uint32Range(0, MaxAllowance+10).Draw(t, "limit")
		var a Allowance
		given := uint32(0)
		for range rapid.IntRange(1, 20).Draw(t, "requests") {
			n := rapid.IntRange(1, MaxIssue).Draw(t, "n")
			c := &CheckedRequest{x: w.alice.context(today), req: IssueRequest{Epoch: today, Items: make([]IssueItem, n)}}
			g, err := c.Take(a, limit)
			if err != nil {
				if !errors.Is(err, ErrAllowance) || given+uint32(n) <= min(limit, MaxAllowance) {
					t.Fatalf("%d of %d given, %d refused: %v", given, limit, n, err)
				}
				continue
			}
			if g.first != given {
				t.Fatal("serials are not distinct")
			}
			given += uint32(n)
			a = g.Next
		}
		if given > min(limit, MaxAllowance) {
			t.Fatalf("%d given of %d", given, limit)
		}
		// A new day begins anew; a corrupt document gives nothing more.
		c := &CheckedRequest{x: w.alice.context(today + 1), req: IssueRequest{Items: make([]IssueItem, 1)}}
		if _, err := c.Take(a, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Take(Allowance{Epoch: today + 1, Taken: ^uint32(0)}, limit); !errors.Is(err, ErrAllowance) {
			t.Fatal(err)
		}
	})
}

func TestIssueTakesOneGrantOnce(t *testing.T) {
	w := newWorld(t)
	x := w.alice.context(today)
	req, mine, _ := NewRequest(x, 2)
	c, err := CheckRequest(x, req, today)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := c.Take(Allowance{}, 10)
	is, err := NewIssuer(w.a.sign.Of(today), w.a.wrap.Of(today))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := is.Issue(c, g)
	if err != nil {
		t.Fatal(err)
	}
	_, err = is.Issue(c, g)
	wants(t, "a grant twice", err, ErrRequest)
	other, _ := NewIssuer(w.a.sign.Of(today+1), w.a.wrap.Of(today+1))
	g2, _ := c.Take(Allowance{}, 10)
	_, err = other.Issue(c, g2)
	wants(t, "another epoch's issuer", err, ErrRequest)
	_, err = NewIssuer(w.a.sign.Of(today), w.a.wrap.Of(today+1))
	wants(t, "mixed epochs", err, ErrRequest)
	_, err = NewIssuer(w.a.wrap.Of(today), w.a.sign.Of(today))
	wants(t, "kinds", err, ErrRequest)

	key, _ := w.list.Of(today)
	for name, change := range map[string]func(*IssueAnswer){
		"fewer":     func(a *IssueAnswer) { a.Tokens = a.Tokens[:1] },
		"swapped":   func(a *IssueAnswer) { a.Tokens[0], a.Tokens[1] = a.Tokens[1], a.Tokens[0] },
		"signature": func(a *IssueAnswer) { a.Tokens[1].Signature[0] ^= 1 },
		"wrapped":   func(a *IssueAnswer) { a.Tokens[1].Wrapped[20] ^= 1 },
		"epoch":     func(a *IssueAnswer) { a.Tokens[1].Epoch++ },
		"issuer":    func(a *IssueAnswer) { a.Tokens[1].Issuer = beta },
	} {
		bad := IssueAnswer{Tokens: append([]Token(nil), answer.Tokens...)}
		change(&bad)
		_, err := mine.Accept(&bad, key)
		wants(t, name, err, ErrIssued)
	}
	own, err := mine.Accept(answer, key)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range own {
		account, serial, err := w.a.wrap.Of(today).unwrap(o.Token())
		if err != nil || account != alice || serial != uint64(i) {
			t.Errorf("token %d is of %d: %v", i, serial, err)
		}
	}
	if bytes.Contains(wire.MustMarshal(answer), []byte("alice")) {
		t.Error("tokens show the account")
	}
}

// Tokens of accounts with names of any length have one length.
func TestTokensDoNotShowTheName(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmn"} {
		p := newPerson(ids.MustParseAddress(name + "@alpha.example"))
		tok := w.tokens(t, p, today, 1)[0].token
		if n := len(wire.MustMarshal(&tok)); n != tokenFixed+len("alpha.example") {
			t.Errorf("%d bytes", n)
		}
		if a, _, err := w.a.wrap.Of(today).unwrap(&tok); err != nil || a != p.address {
			t.Error(err)
		}
	}
}

func TestOwnTokenIsStored(t *testing.T) {
	w := newWorld(t)
	o := w.tokens(t, w.alice, today, 1)[0]
	target := w.target(w.bob)
	for range 2 {
		b := o.Marshal()
		got, err := ParseOwnToken(b)
		if err != nil || !bytes.Equal(got.Marshal(), b) || got.assigned != o.assigned {
			t.Fatal(err)
		}
		s := w.send(t, got, w.alice, w.bob, frame(1, Digest{}, "after a restart"))
		if _, err := w.show(s, w.alice, w.bob); err != nil {
			t.Fatal(err)
		}
		o.assign(target)
	}
	b := o.Marshal()
	b[len(wire.MustMarshal(&o.token))+1] ^= 1
	_, err := ParseOwnToken(b)
	wants(t, "another seed", err, wire.ErrMalformed)
}

func TestPurse(t *testing.T) {
	w := newWorld(t)
	p := NewPurse(w.tokens(t, w.alice, today, 2)...)
	p.Add(w.tokens(t, w.alice, today+1, 3)...)
	if p.Free(today) != 2 || p.Free(today+1) != 3 || p.Free(today+2) != 0 {
		t.Error("free")
	}
	o, _, err := p.For(w.target(w.bob), today)
	if err != nil || p.Free(today) != 1 || o.token.Epoch != today {
		t.Fatal(err)
	}
	if gone := p.Expire(today); len(gone) != 0 {
		t.Error("erased on their own day")
	}
	gone := p.Expire(today + 1)
	if len(gone) != 2 || p.Free(today+1) != 3 || !bytes.Equal(o.key.Seed(), make([]byte, 32)) || !o.r.IsZero() {
		t.Error("not erased when the day is over")
	}
	p.Add(make([]*OwnToken, MaxPurse)...)
	if len(p.tokens) != MaxPurse {
		t.Errorf("%d tokens", len(p.tokens))
	}
}

// When tokens are fetched depends on nothing that the account does.
func TestFetchAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := keys.SecretFrom(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret"))
		if err != nil {
			t.Fatal(err)
		}
		day := ids.Day(rapid.Uint32Range(1, 100_000).Draw(t, "epoch"))
		at := FetchAt(s, day)
		if at.Before((day - 1).Start()) || !at.Before((day - 1).Start().Add(fetchHours*time.Hour)) || !at.Equal(FetchAt(s, day)) {
			t.Fatalf("%v", at)
		}
	})
	s := keys.NewSecret()
	if FetchAt(s, 10).Add(24*time.Hour).Equal(FetchAt(s, 11)) && FetchAt(s, 11).Add(24*time.Hour).Equal(FetchAt(s, 12)) {
		t.Error("at the same time every day")
	}
}
