package directory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

// wide allows all that a test does.
func wide() *limits.Book {
	return limited(limits.Settings{
		{Name: limits.TargetPrekeys}: gcra.PerSecond(1000, 10000), {Name: limits.PeerPrekeys}: gcra.PerSecond(1000, 10000),
	})
}

func limited(s limits.Settings) *limits.Book {
	b, err := limits.New(s)
	if err != nil {
		panic(err)
	}
	return b
}

func claimant(i int) (c store.Claimant) {
	binary.BigEndian.PutUint32(c[:], uint32(i+1))
	return c
}

func (p *provider) ask(t testing.TB, q Lookup) *LookupAnswer {
	t.Helper()
	a, err := p.Lookup(t.Context(), q, p.clock)
	must(t, err)
	return a
}

func strangerAsks(i int) Lookup { return Lookup{Address: bob, Claimant: claimant(i), Peer: alpha} }

func TestLookup(t *testing.T) {
	p := newProvider(t, Config{Limits: wide()})
	a, auth := reachable(t, p, 2, 40)
	b := wire.MustMarshal(p.ask(t, strangerAsks(1)))
	c, err := VerifyAnswer(b, bob, today)
	must(t, err)
	if !c.Manifest.Equal(a.manifest) || c.MailboxKey.Mailbox() != auth.Mailbox() || len(c.Bundles) != 2 {
		t.Fatalf("contact %+v", c)
	}
	for i, v := range c.Bundles {
		if got := v.Bundle(); got.Device != ids.DeviceID(i+1) || got.OneTime.LastResort || got.OneTime.ID != 1 {
			t.Errorf("bundle of device %d: id %d, last resort %v", got.Device, got.OneTime.ID, got.OneTime.LastResort)
		}
	}
	if again := wire.MustMarshal(p.ask(t, strangerAsks(1))); !bytes.Equal(again, b) {
		t.Error("the same question has another answer")
	}
	if next := wire.MustMarshal(p.ask(t, strangerAsks(2))); bytes.Equal(next, b) {
		t.Error("another question has the same answer")
	}
	if n, _ := p.st.PoolSize(t.Context(), poolKey(bob, 1)); n != 38 {
		t.Errorf("%d prekeys left", n)
	}
}

// An account is unknown until it can be written to.
func TestLookupUnknown(t *testing.T) {
	p := newProvider(t, Config{Limits: wide()})
	n := 0
	unknown := func(when string) {
		t.Helper()
		n++
		before := p.st.writes
		answer := p.ask(t, strangerAsks(n))
		if _, err := VerifyAnswer(wire.MustMarshal(answer), bob, today); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", when, err)
		}
		if p.st.writes != before+1 {
			t.Errorf("%s: %d writes", when, p.st.writes-before)
		}
	}
	unknown("no account")
	a := newAccount(t, bob, 1)
	auth := a.register(t, p)
	unknown("no mailbox key")
	must(t, p.PublishMailboxKey(t.Context(), auth, a.mailboxKey(t, auth.Mailbox(), WeekOf(today)).Bytes(), now))
	unknown("no prekeys")
	m := a.prekeys(1, 1, 30)
	_, err := p.PublishPrekeys(t.Context(), auth, &wire.Prekeys{Signed: m.Signed, OneTime: m.OneTime})
	must(t, err)
	unknown("no last resort")
	_, err = p.PublishPrekeys(t.Context(), auth, &wire.Prekeys{LastResort: m.LastResort})
	must(t, err)
	before := p.st.writes
	if got := p.ask(t, strangerAsks(100)); got.Status != LookupFound || p.st.writes != before+1 {
		t.Errorf("status %d, %d writes", got.Status, p.st.writes-before)
	}
}

// Every one-time prekey goes to one question only, however many ask at once,
// and questions are repeated.
func TestLookupExactlyOnce(t *testing.T) {
	p := newProvider(t, Config{Limits: wide()})
	reachable(t, p, 2, PoolCapacity)
	const askers = 120
	var answers, repeated [askers]*LookupAnswer
	var wg sync.WaitGroup
	for i := range askers {
		for _, out := range []*[askers]*LookupAnswer{&answers, &repeated} {
			wg.Go(func() {
				a, err := p.Lookup(t.Context(), strangerAsks(i), now)
				if err != nil {
					t.Errorf("%v", err)
				}
				out[i] = a
			})
		}
	}
	wg.Wait()
	given := map[string]int{}
	oneTime := 0
	for i, a := range answers {
		if a == nil || repeated[i] == nil || !bytes.Equal(wire.MustMarshal(a), wire.MustMarshal(repeated[i])) {
			t.Fatalf("question %d has two answers", i)
		}
		for _, b := range a.Bundles {
			if b.OneTime.LastResort {
				continue
			}
			oneTime++
			key := fmt.Sprint(b.Device, b.OneTime.ID)
			if other, ok := given[key]; ok {
				t.Errorf("prekey %s went to %d and %d", key, other, i)
			}
			given[key] = i
		}
	}
	if want := 2 * (PoolCapacity - PoolReserve); oneTime != want {
		t.Errorf("%d one-time prekeys given, want %d: all but the reserve", oneTime, want)
	}
}

// A lookup whose reply from the store was lost gives the same prekey when it is
// asked again.
func TestLookupLostReply(t *testing.T) {
	p := newProvider(t, Config{Limits: wide()})
	reachable(t, p, 1, 30)
	p.st.loseReply = true
	if _, err := p.Lookup(t.Context(), strangerAsks(1), now); !errors.Is(err, store.ErrUnknownOutcome) {
		t.Fatalf("lost reply: %v", err)
	}
	if got := p.ask(t, strangerAsks(1)); got.Bundles[0].OneTime.ID != 1 || got.Bundles[0].OneTime.LastResort {
		t.Errorf("pair %d", got.Bundles[0].OneTime.ID)
	}
	elsewhere, err := New(p.st, Config{Domain: beta, Limits: wide()}) // restarted
	must(t, err)
	got, err := elsewhere.Lookup(t.Context(), strangerAsks(1), now)
	if err != nil || got.Bundles[0].OneTime.ID != 1 {
		t.Errorf("after a restart: %v", err)
	}
	if n, _ := p.st.PoolSize(t.Context(), poolKey(bob, 1)); n != 29 {
		t.Errorf("%d left", n)
	}
}

// One provider that asks without end gets the target's burst and what comes
// back, never the reserve; the answers differ in nothing but the pair's kind;
// contacts with consent still get one-time prekeys.
func TestDepletion(t *testing.T) {
	p := newProvider(t, Config{})
	a, auth := reachable(t, p, 1, PoolCapacity)
	n, oneTime, size := 0, 0, 0
	attack := func(times int) {
		for range times {
			n++
			before := p.st.writes
			got := p.ask(t, strangerAsks(n))
			if got.Status != LookupFound || len(got.Bundles) != 1 || p.st.writes != before+1 {
				t.Fatalf("status %d, %d bundles, %d writes", got.Status, len(got.Bundles), p.st.writes-before)
			}
			if !got.Bundles[0].OneTime.LastResort {
				oneTime++
			}
			b := wire.MustMarshal(got)
			if size == 0 {
				size = len(b)
			}
			if len(b) != size {
				t.Fatalf("answer of %d bytes, not %d", len(b), size)
			}
			if n%50 == 0 {
				_, err := VerifyAnswer(b, bob, today)
				must(t, err)
			}
		}
	}
	attack(300)
	if want := int(limits.All[limits.TargetPrekeys].Default.Burst); oneTime != want {
		t.Errorf("a burst took %d, want %d", oneTime, want)
	}
	for range 12 { // hours
		p.clock = p.clock.Add(time.Hour)
		attack(60)
	}
	if stock, _ := p.PublishPrekeys(t.Context(), auth, &wire.Prekeys{}); stock != PoolReserve || oneTime != PoolCapacity-PoolReserve {
		t.Errorf("%d left, %d taken", stock, oneTime)
	}
	friend := strangerAsks(100_000)
	friend.Consented = true
	if got := p.ask(t, friend); got.Bundles[0].OneTime.LastResort {
		t.Error("a contact with consent got the last resort")
	}
	p.clock = p.clock.Add(time.Hour)
	for i := range PoolReserve + 5 {
		friend.Claimant = claimant(200_000 + i)
		p.ask(t, friend)
	}
	if got := p.ask(t, friend); !got.Bundles[0].OneTime.LastResort {
		t.Error("an empty stock gave something")
	}
	if stock, err := a.publish(t, p, auth, PoolCapacity+1, 40); err != nil || stock != 40 {
		t.Fatalf("refill %d, %v", stock, err)
	}
	friend.Claimant = claimant(300_000)
	if got := p.ask(t, friend); got.Bundles[0].OneTime.LastResort {
		t.Error("the last resort after a refill")
	}
}

// A provider over its limit uses up nobody else's.
func TestPeersAreLimitedApart(t *testing.T) {
	p := newProvider(t, Config{Limits: limited(limits.Settings{{Name: limits.PeerPrekeys}: gcra.PerSecond(1, 5)})})
	reachable(t, p, 1, PoolCapacity)
	taken := 0
	for i := range 50 {
		if !p.ask(t, strangerAsks(i)).Bundles[0].OneTime.LastResort {
			taken++
		}
	}
	if taken != 5 {
		t.Errorf("the peer took %d", taken)
	}
	other := Lookup{Address: bob, Claimant: claimant(1000), Peer: ids.MustParseDomain("gamma.example")}
	if p.ask(t, other).Bundles[0].OneTime.LastResort {
		t.Error("another peer got the last resort")
	}
}

func TestMemoIsBounded(t *testing.T) {
	var m memo
	first := m.of(claimant(0), now)
	for i := range memoLookups - 1 {
		m.of(claimant(i+1), now)
	}
	if m.of(claimant(0), now) != first {
		t.Error("forgotten too early")
	}
	m.of(claimant(memoLookups), now)
	if m.of(claimant(0), now) == first || len(m.decisions) != memoLookups || len(m.order) != memoLookups {
		t.Errorf("%d decisions, %d in order", len(m.decisions), len(m.order))
	}
	m.of(claimant(1<<20), now.Add(memoTime))
	if len(m.decisions) != 1 || len(m.order) != 1 {
		t.Errorf("%d decisions after their time", len(m.decisions))
	}
}

// The answer for an account with more devices than one answer holds, each with
// the longest manifest, fits.
func TestLargestAnswerFits(t *testing.T) {
	a := LookupAnswer{
		Status: LookupFound, Manifest: make([]byte, wire.MaxManifest), MailboxKey: make([]byte, wire.MaxSealKey),
	}
	for i := range AnswerDevices {
		a.Bundles = append(a.Bundles, ratchet.Bundle{Device: ids.DeviceID(i + 1)})
	}
	if n := len(wire.MustMarshal(&a)); n > MaxAnswer {
		t.Errorf("%d bytes", n)
	}
	p := newProvider(t, Config{Limits: wide()})
	reachable(t, p, MaxDevices, 1)
	if got := p.ask(t, strangerAsks(1)); len(got.Bundles) != AnswerDevices {
		t.Errorf("%d bundles", len(got.Bundles))
	}
	r := LookupRequest{ids.MustParseAddress("aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef@beta.example")}
	if n := len(wire.MustMarshal(&r)); n > MaxLookup {
		t.Errorf("request of %d bytes", n)
	}
}

func sampleAnswer(t testing.TB) (*LookupAnswer, *account) {
	p := newProvider(t, Config{Limits: wide()})
	a, _ := reachable(t, p, 2, 30)
	return p.ask(t, strangerAsks(1)), a
}

func TestVerifyAnswer(t *testing.T) {
	good, a := sampleAnswer(t)
	_, other := sampleAnswer(t)
	carol := newAccount(t, ids.MustParseAddress("carol@beta.example"), 2)
	for name, c := range map[string]struct {
		change func(*LookupAnswer)
		today  ids.Day
		want   error
	}{
		"good":             {func(*LookupAnswer) {}, today, nil},
		"expired":          {func(*LookupAnswer) {}, today + 30, ErrExpired},
		"early":            {func(*LookupAnswer) {}, today - 20, ErrEarly},
		"another account":  {func(m *LookupAnswer) { m.Manifest = carol.manifest.Bytes() }, today, keys.ErrSignature},
		"another identity": {func(m *LookupAnswer) { m.Manifest = other.manifest.Bytes() }, today, keys.ErrSignature},
		"mailbox key":      {func(m *LookupAnswer) { m.MailboxKey[0] ^= 1 }, today, wire.ErrMalformed},
		"mailbox":          {func(m *LookupAnswer) { m.MailboxKey[3] ^= 1 }, today, keys.ErrSignature},
		"manifest":         {func(m *LookupAnswer) { m.Manifest[len(m.Manifest)-1] ^= 1 }, today, keys.ErrSignature},
		"identity key":     {func(m *LookupAnswer) { m.Bundles[0].Identity = a.dh.Public() }, today, ErrMismatch},
		"unknown device":   {func(m *LookupAnswer) { m.Bundles[1].Device = 3 }, today, ErrMismatch},
		"signed prekey":    {func(m *LookupAnswer) { m.Bundles[0].Signed.ID++ }, today, ratchet.ErrBundle},
		"one-time prekey":  {func(m *LookupAnswer) { m.Bundles[1].OneTime.ID++ }, today, ratchet.ErrBundle},
		"pair of another":  {func(m *LookupAnswer) { m.Bundles[0].OneTime = m.Bundles[1].OneTime }, today, ratchet.ErrBundle},
	} {
		var m LookupAnswer
		must(t, wire.Unmarshal(wire.MustMarshal(good), &m))
		c.change(&m)
		if _, err := VerifyAnswer(wire.MustMarshal(&m), bob, c.today); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := VerifyAnswer(wire.MustMarshal(good), carol.manifest.Address(), today); !errors.Is(err, ErrMismatch) {
		t.Errorf("asked for another: %v", err)
	}
	if _, err := VerifyAnswer(make([]byte, MaxAnswer+1), bob, today); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
	for name, change := range map[string]func(*LookupAnswer){
		"status":          func(m *LookupAnswer) { m.Status = 3 },
		"unknown, filled": func(m *LookupAnswer) { m.Status = LookupUnknown },
		"no manifest":     func(m *LookupAnswer) { m.Manifest = nil },
		"no mailbox key":  func(m *LookupAnswer) { m.MailboxKey = nil },
		"no bundle":       func(m *LookupAnswer) { m.Bundles = nil },
		"order":           func(m *LookupAnswer) { m.Bundles[0].Device = m.Bundles[1].Device },
		"many":            func(m *LookupAnswer) { m.Bundles = make([]ratchet.Bundle, AnswerDevices+1) },
	} {
		m := *good
		m.Bundles = append([]ratchet.Bundle(nil), good.Bundles...)
		change(&m)
		if _, err := wire.Marshal(&m); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing in a record or request is a byte that does not matter.
func TestSmallFormats(t *testing.T) {
	for _, s := range []wire.Schema{
		&LookupRequest{bob}, &LookupAnswer{Status: LookupUnknown},
		&accountRecord{ids.MailboxID{1}, today, today + 3, []byte("manifest"), []ids.DeviceID{2, 5}}, &accountKeyRecord{bob, claimFormer},
		&deviceRecord{}, &deviceRecord{hasSigned: true, hasLast: true},
	} {
		fresh := func() wire.Schema {
			switch s.(type) {
			case *LookupRequest:
				return new(LookupRequest)
			case *LookupAnswer:
				return new(LookupAnswer)
			case *accountRecord:
				return new(accountRecord)
			case *accountKeyRecord:
				return new(accountKeyRecord)
			}
			return new(deviceRecord)
		}
		b := wire.MustMarshal(s)
		must(t, wire.Unmarshal(b, fresh()))
		for i := range b {
			m := bytes.Clone(b)
			m[i] ^= 0x80
			v := fresh()
			if wire.Unmarshal(m, v) == nil && !bytes.Equal(wire.MustMarshal(v), m) {
				t.Errorf("%T: byte %d does not matter", s, i)
			}
			if err := wire.Unmarshal(b[:i], fresh()); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%T cut at %d: %v", s, i, err)
			}
		}
	}
}

func TestLookupAnswerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := LookupAnswer{
			Status:     LookupFound,
			Manifest:   rapid.SliceOfN(rapid.Byte(), 1, wire.MaxManifest).Draw(t, "manifest"),
			MailboxKey: rapid.SliceOfN(rapid.Byte(), 1, wire.MaxSealKey).Draw(t, "mailbox key"),
		}
		for i := range rapid.IntRange(1, AnswerDevices).Draw(t, "bundles") {
			b := ratchet.Bundle{Device: ids.DeviceID(i + 1)}
			b.OneTime.LastResort = rapid.Bool().Draw(t, "last resort")
			copy(b.OneTime.KEM[:], rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "KEM"))
			a.Bundles = append(a.Bundles, b)
		}
		var got LookupAnswer
		b := wire.MustMarshal(&a)
		if err := wire.Unmarshal(b, &got); err != nil || !bytes.Equal(wire.MustMarshal(&got), b) || len(b) > MaxAnswer {
			t.Fatalf("%v, %d bytes", err, len(b))
		}
	})
}

func FuzzLookupAnswer(f *testing.F) {
	a, _ := sampleAnswer(f)
	f.Add(wire.MustMarshal(a))
	f.Add(wire.MustMarshal(&LookupAnswer{Status: LookupUnknown}))
	fuzzCanonical(f, func(b []byte) (wire.Schema, error) {
		_, err := VerifyAnswer(b, bob, today)
		if errors.Is(err, ErrMismatch) || errors.Is(err, ErrExpired) || errors.Is(err, ErrEarly) || errors.Is(err, ratchet.ErrBundle) {
			err = nil
		}
		if err != nil && !typed(err) && !errors.Is(err, ErrUnknown) {
			return nil, err
		}
		var v LookupAnswer
		return &v, wire.Unmarshal(b, &v)
	})
}

func FuzzLookupRequest(f *testing.F) {
	f.Add(wire.MustMarshal(&LookupRequest{bob}))
	fuzzCanonical(f, func(b []byte) (wire.Schema, error) {
		var v LookupRequest
		return &v, wire.Unmarshal(b, &v)
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(wire.MustMarshal(&accountRecord{ids.MailboxID{1}, today, today + 3, []byte("manifest"), []ids.DeviceID{2, 5}}), false)
	f.Add(wire.MustMarshal(&deviceRecord{hasSigned: true, hasLast: true}), true)
	f.Fuzz(func(t *testing.T, b []byte, device bool) {
		var s wire.Schema = new(accountRecord)
		if device {
			s = new(deviceRecord)
		}
		if err := wire.Unmarshal(b, s); err == nil {
			if again, err := wire.Marshal(s); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("not canonical: %v", err)
			}
		} else if !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
