package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

func (p *provider) invite(t testing.TB, uses int) *InviteCode {
	t.Helper()
	code, i, err := p.NewInvite(context.Background(), uses, p.clock.Add(48*time.Hour), p.clock)
	must(t, err)
	if i.ID != code.ID() || i.Uses != uses || i.Used != 0 || !i.Open(p.clock) {
		t.Fatalf("made %+v", i)
	}
	return code
}

func (p *provider) used(t testing.TB, code *InviteCode) int {
	t.Helper()
	all, err := p.Invites(context.Background())
	must(t, err)
	for _, i := range all {
		if i.ID == code.ID() {
			return i.Used
		}
	}
	t.Fatal("the invite is gone")
	return 0
}

// newcomer returns a registration of an address at beta.
func newcomer(t testing.TB, name string) *Registration {
	a := newAccount(t, ids.MustParseAddress(name+"@beta.example"), 1)
	return a.registration(t, a.manifest)
}

func TestInviteText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := new(InviteCode)
		copy(c.b[:], rapid.SliceOfN(rapid.Byte(), inviteCodeSize, inviteCodeSize).Draw(t, "code"))
		text := c.Text()
		if len(text) != 39 || len(text) > wire.MaxInvite {
			t.Fatalf("%d characters", len(text))
		}
		for _, typed := range []string{text, strings.ToUpper(text), strings.ReplaceAll(text, "-", ""), strings.ReplaceAll(text, "-", " ")} {
			back, err := ParseInvite(typed)
			if err != nil || back.b != c.b {
				t.Fatalf("%q: %v", typed, err)
			}
		}
		// Any one character mistyped.
		i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		r := rapid.SampledFrom([]byte("abcdefghijklmnopqrstuvwxyz234567!\n")).Draw(t, "as")
		if bad := text[:i] + string(r) + text[i+1:]; bad != text {
			if _, err := ParseInvite(bad); !errors.Is(err, ErrInviteText) {
				t.Fatalf("%q: %v", bad, err)
			}
		}
	})
	good := new(InviteCode).Text()
	for _, bad := range []string{"", good[1:], good + "a", good + "\n", strings.Repeat(good, 4)} {
		if _, err := ParseInvite(bad); !errors.Is(err, ErrInviteText) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseInvite(f *testing.F) {
	f.Add(new(InviteCode).Text())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseInvite(s)
		if err != nil {
			return
		}
		if back, err := ParseInvite(c.Text()); err != nil || back.b != c.b {
			t.Errorf("%q parses to something else", s)
		}
	})
}

func TestInviteCodeIsRedacted(t *testing.T) {
	p := newProvider(t, Config{})
	c := p.invite(t, 1)
	if s := fmt.Sprintf("%v %+v %s %#v", c, c, c, c); strings.Contains(s, c.Text()[:9]) || !strings.Contains(s, "redacted") {
		t.Error(s)
	}
	docs, err := p.st.List(context.Background(), prefixInvite, prefixInvite, 0)
	must(t, err)
	if len(docs) != 1 || strings.Contains(string(docs[0].Key)+string(docs[0].Value), string(c.b[:])) {
		t.Error("the store holds the code")
	}
}

func TestInviteRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := inviteRecord{
			uses: uint16(rapid.IntRange(1, MaxInviteUses).Draw(t, "uses")), made: ids.Day(rapid.Uint32().Draw(t, "made")),
			expires: rapid.Uint64Range(0, 1<<40-1).Draw(t, "expires"), revoked: rapid.Bool().Draw(t, "revoked"),
		}
		for range rapid.IntRange(0, min(int(r.uses), 5)).Draw(t, "used") {
			r.used = append(r.used, inviteUse(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "use")))
		}
		b := wire.MustMarshal(&r)
		var back inviteRecord
		if err := wire.Unmarshal(b, &back); err != nil || string(wire.MustMarshal(&back)) != string(b) {
			t.Fatal(err)
		}
		if err := wire.Unmarshal(append(b, 0), &back); !errors.Is(err, wire.ErrMalformed) {
			t.Fatal("trailing byte taken")
		}
	})
	for name, r := range map[string]inviteRecord{
		"no use":        {},
		"too many uses": {uses: MaxInviteUses + 1},
		"overused":      {uses: 1, used: make([]inviteUse, 2)},
	} {
		if _, err := wire.Marshal(&r); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewInviteLimits(t *testing.T) {
	p := newProvider(t, Config{})
	for name, c := range map[string]struct {
		uses    int
		expires time.Time
	}{
		"no use":     {0, now.Add(time.Hour)},
		"negative":   {-1, now.Add(time.Hour)},
		"too many":   {MaxInviteUses + 1, now.Add(time.Hour)},
		"over":       {1, now},
		"for ever":   {1, now.Add(MaxInviteLife + time.Second)},
		"zero value": {},
	} {
		if _, _, err := p.NewInvite(context.Background(), c.uses, c.expires, now); !errors.Is(err, ErrInviteLimits) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A code lets in as many as it says, however many come at once, and each of
// them again without a further use.
func TestInviteUses(t *testing.T) {
	p, ctx := newProvider(t, Config{}), context.Background()
	const uses, comers = 3, 10
	code := p.invite(t, uses)
	regs := make([]*Registration, comers)
	errs := make([]error, comers)
	var wg sync.WaitGroup
	for i := range regs {
		regs[i] = newcomer(t, fmt.Sprintf("user%d", i))
		wg.Go(func() { _, errs[i] = p.RegisterInvited(ctx, regs[i], code, p.clock) })
	}
	wg.Wait()
	in := 0
	for i, err := range errs {
		again, errAgain := p.RegisterInvited(ctx, regs[i], code, p.clock)
		switch {
		case err == nil:
			in++
			if errAgain != nil || again.Address() != regs[i].manifest.Address() {
				t.Errorf("asking again: %v", errAgain)
			}
		case !errors.Is(err, ErrInvite) || !errors.Is(errAgain, ErrInvite):
			t.Errorf("refused with %v, then %v", err, errAgain)
		}
	}
	if in != uses || p.used(t, code) != uses {
		t.Errorf("%d let in, %d used of %d", in, p.used(t, code), uses)
	}
}

func TestInviteRefused(t *testing.T) {
	p, ctx := newProvider(t, Config{}), context.Background()
	revoked, expiring, other := p.invite(t, 5), p.invite(t, 5), new(InviteCode)
	must(t, p.RevokeInvite(ctx, revoked.ID()))
	must(t, p.RevokeInvite(ctx, revoked.ID()))
	first, late := newcomer(t, "carol"), newcomer(t, "dave")
	_, err := p.RegisterInvited(ctx, first, expiring, p.clock)
	must(t, err)
	p.clock = p.clock.Add(48 * time.Hour)
	for name, code := range map[string]*InviteCode{"revoked": revoked, "expired": expiring, "unknown": other} {
		if _, err := p.RegisterInvited(ctx, late, code, p.clock); !errors.Is(err, ErrInvite) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Whose answer was lost is an account, whatever became of the invite.
	for _, code := range []*InviteCode{expiring, revoked, other} {
		if _, err := p.RegisterInvited(ctx, first, code, p.clock); err != nil {
			t.Error(err)
		}
	}
	if err := p.RevokeInvite(ctx, other.ID()); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := p.FindInvite(ctx, []byte(other.Text())); !errors.Is(err, ErrInvite) {
		t.Error(err)
	}
	if _, err := p.FindInvite(ctx, []byte("nonsense")); !errors.Is(err, ErrInvite) {
		t.Error(err)
	}
	if c, err := p.FindInvite(ctx, []byte(revoked.Text())); err != nil || c.ID() != revoked.ID() {
		t.Error(err)
	}
}

// Without an open invite nobody learns whether an address is taken; with one, a
// taken address does not use it up.
func TestInviteAndTakenAddress(t *testing.T) {
	p, ctx := newProvider(t, Config{}), context.Background()
	code, spent := p.invite(t, 2), p.invite(t, 1)
	_, err := p.RegisterInvited(ctx, newcomer(t, "carol"), spent, p.clock)
	must(t, err)
	if _, err := p.RegisterInvited(ctx, newcomer(t, "carol"), spent, p.clock); !errors.Is(err, ErrInvite) {
		t.Errorf("spent invite, taken address: %v", err)
	}
	for range 3 {
		if _, err := p.RegisterInvited(ctx, newcomer(t, "carol"), code, p.clock); !errors.Is(err, ErrExists) {
			t.Errorf("taken address: %v", err)
		}
	}
	if n := p.used(t, code); n != 0 {
		t.Errorf("%d uses gone", n)
	}
}

// The account goes on to its second manifest; the first one comes again, and
// must not free the use that it came with.
func TestInviteUseStaysWithTheAccount(t *testing.T) {
	p, ctx := newProvider(t, Config{}), context.Background()
	code := p.invite(t, 1)
	a := newAccount(t, ids.MustParseAddress("carol@beta.example"), 1)
	reg := a.registration(t, a.manifest)
	who, err := p.RegisterInvited(ctx, reg, code, p.clock)
	must(t, err)
	f := a.manifest.Next()
	must(t, p.UpdateManifest(ctx, who, a.signed(t, f).Bytes()))
	if _, err := p.RegisterInvited(ctx, reg, code, p.clock); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if n := p.used(t, code); n != 1 {
		t.Errorf("%d uses left over", 1-n)
	}
}

// Every write of a registration fails or loses its answer once; asking again
// ends with one account and one use.
func TestInviteThroughFailures(t *testing.T) {
	ctx := context.Background()
	for _, lose := range []bool{true, false} {
		for at := range 3 { // the use, X_S, the account
			p := newProvider(t, Config{})
			code, reg := p.invite(t, 2), newcomer(t, "carol")
			p.st.loseReply, p.st.fail = lose && at == 0, !lose && at == 0
			left := at
			p.st.afterCAS = func() {
				if left--; left == 0 {
					p.st.loseReply, p.st.fail = lose, !lose
				}
			}
			if _, err := p.RegisterInvited(ctx, reg, code, p.clock); err == nil {
				t.Fatal("the failure was not reported")
			}
			if _, err := p.RegisterInvited(ctx, reg, code, p.clock); err != nil {
				t.Errorf("again after write %d: %v", at, err)
			}
			if n := p.used(t, code); n != 1 {
				t.Errorf("%d uses after write %d", n, at)
			}
		}
	}
}

// Invites stay listed for a while after their end and are then removed.
func TestInvitesAreForgotten(t *testing.T) {
	p, ctx := newProvider(t, Config{}), context.Background()
	old := p.invite(t, 1)
	for _, c := range []struct {
		after time.Duration
		kept  int
	}{{48 * time.Hour, 2}, {inviteMemory, 3}, {time.Hour, 3}} {
		p.clock = p.clock.Add(c.after)
		p.invite(t, 1)
		all, err := p.Invites(ctx)
		must(t, err)
		if len(all) != c.kept {
			t.Errorf("%d invites kept, want %d", len(all), c.kept)
		}
	}
	if _, err := p.FindInvite(ctx, []byte(old.Text())); !errors.Is(err, ErrInvite) {
		t.Error(err)
	}
}

func TestDamagedInvite(t *testing.T) {
	p, ctx := newProvider(t, Config{}), context.Background()
	code := p.invite(t, 1)
	doc, err := p.st.Get(ctx, inviteKey(code.ID()))
	must(t, err)
	_, err = p.st.CAS(ctx, inviteKey(code.ID()), doc.Version, []byte("short"))
	must(t, err)
	if _, err := p.Invites(ctx); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	if _, err := p.RegisterInvited(ctx, newcomer(t, "carol"), code, p.clock); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	_, err = p.st.CAS(ctx, prefixInvite+"x", 0, []byte("odd"))
	must(t, err)
	if _, _, err := p.NewInvite(ctx, 1, now.Add(time.Hour), now); !errors.Is(err, ErrState) {
		t.Error(err)
	}
}

func FuzzInviteRecord(f *testing.F) {
	f.Add(wire.MustMarshal(&inviteRecord{uses: 1}))
	f.Add(wire.MustMarshal(&inviteRecord{uses: 3, revoked: true, used: []inviteUse{{1}, {2}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r inviteRecord
		if wire.Unmarshal(b, &r) == nil && string(wire.MustMarshal(&r)) != string(b) {
			t.Errorf("%x", b)
		}
	})
}
