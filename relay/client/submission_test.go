package client

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/privacypass"
	"waxwing/relay/client/state"
)

// A crash at any point neither loses a token nor spends one for two envelopes, and
// the day's count does not count twice.
func TestTokenCrash(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	i := u.p.issuer()
	u.do(func(k *work) error { return k.takeList(i.list()) })
	request := func() (b *order) {
		u.do(func(k *work) (err error) { b, err = k.begin(); return err })
		return b
	}
	first := request().pending.Bytes()
	u.reopen()
	if !bytes.Equal(request().pending.Bytes(), first) {
		t.Fatal("another request after a crash before it was sent")
	}
	if m, _, _ := i.issue(u.address, first); m == nil {
		t.Fatal("not issued")
	}
	u.reopen() // the answer is lost
	again := request()
	m, _, _ := i.issue(u.address, again.pending.Bytes())
	if m == nil || m.Remaining != i.daily-privacypass.MaxBatch {
		t.Fatalf("counted twice: %+v", m)
	}
	u.do(func(k *work) error { return k.takeSubmissions(again, m) })
	u.reopen()
	if n := u.submission().Tokens; n != privacypass.MaxBatch {
		t.Fatalf("%d tokens", n)
	}
	if bytes.Equal(request().pending.Bytes(), first) {
		t.Error("the same request although its answer was taken")
	}

	u.fill(3)
	stop := errors.New("stop")
	if err := u.try(func(k *work) error { _, err := k.pay(0, 10); return errors.Join(err, stop) }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if n := len(u.tokens()); n != privacypass.MaxBatch || u.submission().Tokens != privacypass.MaxBatch-3 {
		t.Errorf("a transaction that failed took tokens: %d", n)
	}
	before := u.paid()
	free := u.tokens()
	u.reopen() // after the pairing, before anything was sent
	after := u.paid()
	for j := range before {
		if !bytes.Equal(before[j].token, after[j].token) || !bytes.Equal(before[j].bytes, after[j].bytes) {
			t.Error("another pairing after a crash")
		}
		if slices.ContainsFunc(free, func(b []byte) bool { return bytes.Equal(b, before[j].token) }) {
			t.Error("a token that was paired is still free")
		}
		if code := i.take(after[j]); code != 0 {
			t.Errorf("refused: %v", code)
		}
	}
	u.reopen() // sent, the ack is lost
	for _, o := range u.paid() {
		if code := i.take(o); code != 0 {
			t.Errorf("the resend is refused: %v", code)
		}
		u.do(func(k *work) error { return k.accepted([]uint64{o.number}) })
	}
	u.do(func(k *work) error {
		if state.Paid.Count(k.tx) != 0 || k.unpaid() != 0 {
			t.Error("a pairing outlives its envelope")
		}
		return nil
	})
	if len(u.tokens()) != privacypass.MaxBatch-3 || len(i.spent) != 3 {
		t.Errorf("%d free and %d spent", len(u.tokens()), len(i.spent))
	}
}

// The same at random: envelopes, pairings, losses, refusals and crashes in any
// order. The provider never sees a token with two envelopes, and takes every
// envelope in the end.
func TestTokensAtRandom(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	i := u.p.issuer()
	seen := map[string]uint64{}
	made, taken := 0, map[uint64]bool{}
	hand := func(lose int) {
		for _, o := range u.paid() {
			if by, ok := seen[string(o.token)]; ok && by != o.number {
				t.Fatal("a token with two envelopes")
			}
			seen[string(o.token)] = o.number
			switch code := i.take(o); {
			case code == wire.CodeToken:
				u.do(func(k *work) error { return k.unpay(o.number) })
			case code != 0:
				t.Fatal(code)
			case w.r.IntN(10) >= lose: // the ack arrives
				taken[o.number] = true
				u.do(func(k *work) error { return k.accepted([]uint64{o.number}) })
			}
		}
	}
	for range 150 {
		switch w.r.IntN(5) {
		case 0:
			n := 1 + w.r.IntN(4)
			u.fill(n)
			made += n
		case 1:
			hand(5)
		case 2:
			u.paid()
		case 3:
			u.reopen()
		case 4:
			u.stock(i)
			w.advance(time.Duration(w.r.IntN(60)) * time.Minute)
			u.stock(i)
		}
	}
	for range 5 {
		u.stock(i)
		hand(0)
	}
	if len(taken) != made {
		t.Errorf("%d of %d arrived", len(taken), made)
	}
}

// Devices have one seed and numbers of their own: no two requests are the same,
// and no two devices hold one token.
func TestDevicesHaveTheirOwnTokens(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	v := u.link()
	i := u.p.issuer()
	requests, tokens := map[string]bool{}, map[string]bool{}
	var seeds [2][32]byte
	for n, d := range []*user{u, v} {
		d.do(func(k *work) error {
			s, err := k.self.admissionSeed()
			seeds[n] = [32]byte(s.Bytes())
			return err
		})
		for range 3 {
			d.do(func(k *work) error { return k.takeList(i.list()) })
			var b *order
			d.do(func(k *work) (err error) { b, err = k.begin(); return err })
			if requests[string(b.pending.Bytes())] {
				t.Error("two requests are the same")
			}
			requests[string(b.pending.Bytes())] = true
			m, _, _ := i.issue(d.address, b.pending.Bytes())
			d.do(func(k *work) error { return k.takeSubmissions(b, m) })
		}
		for _, b := range d.tokens() {
			if tokens[string(b)] {
				t.Error("two devices hold one token")
			}
			tokens[string(b)] = true
		}
	}
	if seeds[0] != seeds[1] || seeds[0] == [32]byte{} {
		t.Error("the devices have different seeds")
	}
	if len(tokens) != 6*privacypass.MaxBatch || i.rows[u.address].Issued != 6*privacypass.MaxBatch {
		t.Errorf("%d tokens, %d counted", len(tokens), i.rows[u.address].Issued)
	}
}

// Credentials.md 4, 27: whatever would mark what is spent is an alarm. Nothing more
// is asked for, nothing goes another way, and only the user ends it.
func TestAttackIssuer(t *testing.T) {
	swap := func(i *issuer) {
		k, err := privacypass.NewKey(privacypass.Ristretto255)
		i.w.must(err)
		i.keys[privacypass.EpochOf(i.today())] = k
	}
	for name, tt := range map[string]struct {
		attack func(u *user, i *issuer)
		want   state.Alarm
	}{
		"another key in the list, under the same number": {func(u *user, i *issuer) {
			swap(i)
			u.do(func(k *work) error { return k.takeList(i.list()) })
		}, state.AlarmForked},
		"another key in the list, under a new number": {func(u *user, i *issuer) {
			swap(i)
			i.number++
			u.do(func(k *work) error { return k.takeList(i.list()) })
		}, state.AlarmForked},
		"another key than in the list": {func(u *user, i *issuer) {
			var b *order
			u.do(func(k *work) (err error) { b, err = k.begin(); return err })
			pk := *i.key(privacypass.EpochOf(i.today()))
			swap(i)
			other := i.keys[privacypass.EpochOf(i.today())]
			req := b.pending.Bytes()
			req[4] = other.Public().ID()[privacypass.KeyIDSize-1] // the request names the key by its last byte
			m, _, _ := i.issue(u.address, req)
			if m == nil {
				m = &wire.SubmissionIssued{}
			}
			i.keys[privacypass.EpochOf(i.today())] = &pk
			u.do(func(k *work) error { return k.takeSubmissions(b, m) })
		}, state.AlarmProof},
		"an older list": {func(u *user, i *issuer) {
			old := i.list()
			i.number++
			u.do(func(k *work) error { return k.takeList(i.list()) })
			u.do(func(k *work) error { return k.takeList(old) })
		}, state.AlarmNone},
		"a list of somebody else": {func(u *user, i *issuer) {
			other := *i
			other.p = u.w.providers[ids.MustParseDomain("beta.example")]
			if err := u.try(func(k *work) error { return k.takeList(other.list()) }); !errors.Is(err, ErrServer) {
				u.w.t.Errorf("taken: %v", err)
			}
		}, state.AlarmNone},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.user("alice@alpha.example")
			i := u.p.issuer()
			u.stock(i)
			had := len(u.tokens())
			tt.attack(u, i)
			u.reopen()
			if got := u.submission().Alarm; got != tt.want {
				t.Fatalf("alarm %d, want %d", got, tt.want)
			}
			if len(u.tokens()) != had {
				t.Error("tokens came or went")
			}
			if tt.want == state.AlarmNone {
				return
			}
			u.fill(had + 1)
			u.paid()
			w.advance(8 * 24 * time.Hour)
			if u.ask(i) {
				t.Error("it asks although there is an alarm")
			}
			if err := u.try(func(k *work) error { _, err := k.begin(); return err }); !errors.Is(err, errAlarm) {
				t.Errorf("a request is made: %v", err)
			}
			if s := u.submission(); !s.Short() || !s.Anonymous {
				t.Errorf("not told: %+v", s)
			}
			u.do(func(k *work) error { return k.setAnonymous(true) })
			if u.stock(i); u.submission().Alarm != state.AlarmNone || u.submission().Tokens == 0 {
				t.Error("the user's word changes nothing")
			}
		})
	}
}

// A provider that lost what was spent says so to everybody by a new term: tokens
// under the keys before are dropped, and it is no alarm.
func TestNewTerm(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	i := u.p.issuer()
	u.stock(i)
	u.fill(1)
	lost := u.paid()[0]
	i.keys = map[privacypass.Epoch]*privacypass.Key{}
	i.term, i.number = 1, 1
	u.do(func(k *work) error { return k.takeList(i.list()) })
	if s := u.submission(); s.Alarm != state.AlarmNone || s.Tokens != 0 || len(u.tokens()) != 0 {
		t.Errorf("%+v with %d tokens", s, len(u.tokens()))
	}
	u.stock(i)
	if i.take(lost) != wire.CodeToken {
		t.Fatal("the old token is taken")
	}
	u.do(func(k *work) error { return k.unpay(lost.number) })
	if o := u.paid()[0]; i.take(o) != 0 || !bytes.Equal(o.bytes, lost.bytes) {
		t.Error("the envelope does not go with another token")
	}
}

// The last days of an epoch: old tokens are good for a week more, new ones are
// asked for at some moment of a day, and what is over is dropped, from envelopes
// too.
func TestEpochBoundary(t *testing.T) {
	w := newWorld(t)
	e := privacypass.EpochOf(ids.DayOf(w.now))
	w.advance(e.Last().Start().Add(time.Hour).Sub(w.now))
	u := w.user("alice@alpha.example")
	i := u.p.issuer()
	u.stock(i)
	old := len(u.tokens())
	w.advance(24 * time.Hour)
	if u.ask(i) {
		t.Error("asked in the first moment of the epoch, with tokens at hand")
	}
	a := u.admission()
	if wait := time.UnixMilli(int64(a.FetchAt)).Sub(w.now); wait <= 0 || wait > renewSpread {
		t.Errorf("asked for in %v", wait)
	}
	u.fill(2)
	o := u.paid()
	if i.take(o[0]) != 0 || u.submission().Tokens != old-2 {
		t.Error("tokens of the epoch before are not used")
	}
	u.do(func(k *work) error { return k.accepted([]uint64{o[0].number}) })
	w.advance(24 * time.Hour)
	if !u.ask(i) || len(u.tokens()) != old-2+privacypass.MaxBatch {
		t.Error("not asked when the moment came")
	}
	// The second envelope waited until its token is over.
	w.advance((e.Last() + privacypass.OverlapDays + 1).Start().Sub(w.now))
	if u.submission().Tokens != privacypass.MaxBatch {
		t.Errorf("%d tokens", u.submission().Tokens)
	}
	later := u.paid()
	if len(later) != 1 || bytes.Equal(later[0].token, o[1].token) || !bytes.Equal(later[0].bytes, o[1].bytes) || i.take(later[0]) != 0 {
		t.Error("the envelope does not get a token that is good")
	}
	u.do((*work).dropPaid)
	for _, b := range u.tokens() {
		if i.take(outgoing{dest: o[0].dest, bytes: make([]byte, 32), token: b}) != 0 {
			t.Error("a token that is over was kept")
			break
		}
	}
}

// When a day's tokens are used up, smaller batches are tried, then messages wait,
// the user is told until when, and the next day brings more.
func TestQuotaIsUsedUp(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	i := u.p.issuer()
	i.daily = 128 + 32 + 8 + 7
	sizes := []int{}
	for range 10 {
		before := i.rows[u.address].Issued
		u.stock(i)
		if n := int(i.rows[u.address].Issued - before); n > 0 {
			sizes = append(sizes, n)
		}
		n := u.submission().Tokens
		u.fill(n)
		for _, o := range u.paid() {
			if i.take(o) != 0 {
				t.Fatal("refused")
			}
			u.do(func(k *work) error { return k.accepted([]uint64{o.number}) })
		}
	}
	if !slices.Equal(sizes, []int{128, 32, 8}) {
		t.Errorf("batches of %v", sizes)
	}
	u.fill(1)
	s := u.submission()
	if !s.Anonymous || !s.Short() || s.Code != wire.CodeLimit || s.Remaining != 0 || len(u.paid()) != 0 {
		t.Errorf("%+v", s)
	}
	midnight := ids.DayOf(w.now).End()
	if s.More.Before(midnight) || s.More.After(midnight.Add(refillSpread+time.Second)) {
		t.Errorf("more come at %v", s.More)
	}
	room := 0
	u.do(func(k *work) (err error) { room, err = k.sealable(); return err })
	if room > 0 {
		t.Error("more is sealed without tokens")
	}
	w.advance(midnight.Sub(w.now) - time.Minute)
	if u.ask(i) {
		t.Error("asked before there are any")
	}
	w.advance(refillSpread + 2*time.Minute)
	if u.stock(i); u.submission().Short() || len(u.paid()) != 1 {
		t.Errorf("the next day: %+v", u.submission())
	}
}

// Tokens are asked for at moments that what is sent does not choose: not when the
// supply runs low, but some time after, and differently each time.
func TestFetchMoments(t *testing.T) {
	w := newWorld(t)
	moments := map[time.Duration]bool{}
	for n, name := range []string{"alice", "carol", "dave", "erin"} {
		u := w.user(name + "@alpha.example")
		i := u.p.issuer()
		u.stock(i)
		for u.submission().Tokens >= bucketLow {
			if u.ask(i) || u.admission().FetchAt != 0 {
				t.Fatal("asked, or a moment fixed, while there are enough")
			}
			u.fill(1 + n)
			u.paid()
		}
		if u.ask(i) {
			t.Error("asked at once")
		}
		at := time.UnixMilli(int64(u.admission().FetchAt))
		if wait := at.Sub(w.now); wait < 0 || wait > fetchSpread {
			t.Errorf("asked for in %v", wait)
		}
		moments[at.Sub(w.now)] = true
		for u.submission().Tokens > 1 { // sending does not move it
			u.fill(1)
			u.paid()
			if u.ask(i) && w.now.Before(at) {
				t.Fatal("asked because something is sent")
			}
		}
		if u.reopen(); time.UnixMilli(int64(u.admission().FetchAt)) != at {
			t.Error("the moment moved")
		}
		// A clock that was set back does not make it wait for ever.
		u.do(func(k *work) error {
			a, err := k.admission()
			a.FetchAt = uint64(w.now.Add(100 * 24 * time.Hour).UnixMilli())
			return errors.Join(err, k.putAdmission(a))
		})
		u.ask(i)
		if at := time.UnixMilli(int64(u.admission().FetchAt)); at.Sub(w.now) > fetchSpread {
			t.Errorf("waits until %v", at)
		}
	}
	if len(moments) < 3 {
		t.Error("the moments are not random")
	}
}
