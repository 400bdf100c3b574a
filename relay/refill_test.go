package relay

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/membership"
)

// member is an account of alpha with a membership of the month.
type member struct {
	k    group.Scalar
	cred *arc.Credential
	m    membership.Membership
}

func (d *door) member(k group.Scalar) *member { return d.memberOf(k, ratelimit.TierMember) }

func (d *door) memberOf(k group.Scalar, tier ratelimit.Tier) *member {
	d.t.Helper()
	m := membership.Membership{Home: alpha, Provider: beta, Month: ratelimit.MonthOf(d.keys.day), Tier: tier}
	asked, err := m.Request(k, d.keys.home.Public())
	must(d.t, err)
	answer, err := m.Issue(d.keys.home, group.Ristretto255().MulGenerator(k), asked.Bytes())
	must(d.t, err)
	cred, err := asked.Finish(answer)
	must(d.t, err)
	return &member{k, cred, m}
}

// refillOf is the payload of a member's question.
func (d *door) refillOf(m *member) (*query.Refill, *membership.Pending) {
	d.t.Helper()
	r := membership.Refill{
		Home: alpha, Provider: beta, Month: m.m.Month, Tier: m.m.Tier, Epoch: d.keys.day,
		Membership: d.keys.home.Public(), Key: d.keys.epoch.Public(),
	}
	p, err := r.Request(m.cred)
	must(d.t, err)
	return &query.Refill{Home: alpha, Month: uint32(m.m.Month), Tier: uint8(m.m.Tier), Epoch: d.keys.day, Refill: p.Bytes()}, p
}

// ask sends a question through a peer, and opens the answer into out.
func (d *door) ask(kind query.Kind, payload func(enc []byte) ([]byte, error), out wire.Schema) *wire.Refusal {
	d.t.Helper()
	key, _ := d.Relay.keys.RelayKey(0)
	sealed, pending, err := query.AskWith(key.Public(), 0, kind, payload, d.now)
	must(d.t, err)
	switch m := d.HandlePeer(context.Background(), d.now, d.peer, &wire.Query{Dest: beta, Kind: uint8(kind), Sealed: sealed}).(type) {
	case *wire.Refusal:
		return m
	case *wire.Answer:
		plain, err := pending.Open(m.Sealed)
		must(d.t, err)
		must(d.t, wire.Unmarshal(plain, out))
	}
	return nil
}

func (d *door) askRefill(q *query.Refill) *query.RefillAnswer {
	d.t.Helper()
	out := new(query.RefillAnswer)
	if ref := d.ask(query.KindRefill, func([]byte) ([]byte, error) { return wire.Marshal(q) }, out); ref != nil {
		d.t.Fatalf("refused: %+v", ref)
	}
	return out
}

func TestQuerySizes(t *testing.T) {
	if query.RefillAnswerSize != membership.AnswerSize() || query.MaxRefill != membership.MaxRefill ||
		query.StandingSize != introduction.StandingSize || query.StampSize != introduction.StampSize {
		t.Error("the formats do not fit together")
	}
}

// A membership becomes a credential of the day: the same from every device, and one
// a day.
func TestRefill(t *testing.T) {
	d := newDoor(t, nil)
	carol := d.member(group.Ristretto255().RandomScalar())
	q, pending := d.refillOf(carol)
	first := d.askRefill(q)
	if first.Status != query.RefillIssued {
		t.Fatalf("status %d", first.Status)
	}
	if _, err := pending.Finish(first.Answer[:]); err != nil {
		t.Fatal(err)
	}
	// Another device's request is the same bytes, in a question of its own.
	if again := d.askRefill(q); again.Answer != first.Answer {
		t.Error("another answer")
	}
	// A modified client asks for a second credential, by a membership of another
	// tier that it was once given.
	other, _ := d.refillOf(d.memberOf(carol.k, ratelimit.TierNew))
	if bytes.Equal(other.Refill, q.Refill) {
		t.Fatal("the same request")
	}
	if got := d.askRefill(other); got.Status != query.RefillRefused {
		t.Errorf("a second credential: %d", got.Status)
	}
}

// A provider that draws another key for a day gives credentials anew: those under
// the first are worth nothing.
func TestRefillUnderAnotherKey(t *testing.T) {
	d := newDoor(t, nil)
	carol := d.member(group.Ristretto255().RandomScalar())
	q, _ := d.refillOf(carol)
	if got := d.askRefill(q); got.Status != query.RefillIssued {
		t.Fatalf("status %d", got.Status)
	}
	d.keys.epoch = arc.Ristretto255().NewSecretKey()
	again, pending := d.refillOf(carol)
	got := d.askRefill(again)
	if got.Status != query.RefillIssued {
		t.Fatalf("under the other key: %d", got.Status)
	}
	if _, err := pending.Finish(got.Answer[:]); err != nil {
		t.Error(err)
	}
	if old := d.askRefill(q); old.Status != query.RefillRefused {
		t.Errorf("under the first: %d", old.Status)
	}
}

// Refills that are refused, each with an answer of the same length.
func TestRefillRefused(t *testing.T) {
	for name, change := range map[string]func(d *door, q *query.Refill){
		"another home":        func(_ *door, q *query.Refill) { q.Home = gamma },
		"another month":       func(_ *door, q *query.Refill) { q.Month++ },
		"another tier":        func(_ *door, q *query.Refill) { q.Tier = uint8(ratelimit.TierNew) },
		"no tier":             func(_ *door, q *query.Refill) { q.Tier = 9 },
		"another day":         func(_ *door, q *query.Refill) { q.Epoch++ },
		"another proof":       func(_ *door, q *query.Refill) { q.Refill[200] ^= 1 },
		"nothing":             func(_ *door, q *query.Refill) { q.Refill = nil },
		"after the month":     func(d *door, _ *query.Refill) { d.now = d.now.Add(40 * 24 * time.Hour); d.rotate() },
		"a key that was lost": func(d *door, _ *query.Refill) { d.keys.epoch = arc.Ristretto255().NewSecretKey() },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, nil)
			q, _ := d.refillOf(d.member(group.Ristretto255().RandomScalar()))
			change(d, q)
			if got := d.askRefill(q); got.Status != query.RefillRefused {
				t.Errorf("status %d", got.Status)
			}
		})
	}
}

// Twenty copies of one question at once, as whoever carries it may send them: one
// answer. Twenty questions with one refill: one credential.
func TestRefillAtOnce(t *testing.T) {
	d := newDoor(t, limits.Settings{{Name: limits.HomeAccounts}: gcra.Limit{Burst: 1, Count: 1, Period: 24 * time.Hour}})
	q, _ := d.refillOf(d.member(group.Ristretto255().RandomScalar()))
	payload, err := wire.Marshal(q)
	must(t, err)
	key, _ := d.Relay.keys.RelayKey(0)
	sealed, _, err := query.Ask(key.Public(), 0, query.KindRefill, payload, d.now)
	must(t, err)
	var wg sync.WaitGroup
	answers := make([]wire.Message, 20)
	for i := range answers {
		wg.Go(func() {
			answers[i] = d.HandlePeer(context.Background(), d.now, d.peer, &wire.Query{Dest: beta, Kind: uint8(query.KindRefill), Sealed: sealed})
		})
	}
	wg.Wait()
	first, ok := answers[0].(*wire.Answer)
	if !ok {
		t.Fatalf("%+v", answers[0])
	}
	for _, a := range answers {
		if again, ok := a.(*wire.Answer); !ok || !bytes.Equal(again.Sealed, first.Sealed) {
			t.Fatalf("another answer to one question: %+v", a)
		}
	}
	// Another device of the account asks for the same: counted once. Another account
	// is one too many.
	if got := d.askRefill(q); got.Status != query.RefillIssued {
		t.Errorf("the same account again: %+v", got)
	}
	other, _ := d.refillOf(d.member(group.Ristretto255().RandomScalar()))
	if got := d.askRefill(other); got.Status != query.RefillLater || got.Retry == 0 {
		t.Errorf("over the home's limit: %+v", got)
	}
}

// standingOf asks for a stamp with a nonce of the week.
func (d *door) standingOf(s *stranger, at introduction.Mailbox, nonce uint32) [query.StampSize]byte {
	d.t.Helper()
	var out query.StandingAnswer
	if ref := d.ask(query.KindStanding, func(enc []byte) ([]byte, error) {
		b, err := s.AskStanding(enc, &at, nonce)
		if err != nil {
			return nil, err
		}
		return wire.Marshal(&query.Standing{Home: alpha, Epoch: s.Epoch, Standing: [query.StandingSize]byte(b)})
	}, &out); ref != nil {
		d.t.Fatalf("refused: %+v", ref)
	}
	return out.Stamp
}

// A stamp is for one sender, mailbox and week. What gets none gets bytes that are
// as long, after the same work.
func TestStandingStamp(t *testing.T) {
	d := newDoor(t, nil)
	carol, dave := d.stranger(), d.stranger()
	key := introduction.StandingKey(d.keys.standing, d.mailbox)
	nr := func(s *stranger) [32]byte {
		return [32]byte(ratelimit.OfAccount(d.w, group.Ristretto255().MulGenerator(s.k)).Bytes())
	}
	good := func(s *stranger, stamp [query.StampSize]byte) bool {
		return introduction.CheckStamp(key, nr(s), d.today(), stamp)
	}
	stamp := d.standingOf(carol, d.at, 0)
	if !good(carol, stamp) || good(dave, stamp) {
		t.Error("the stamp is not carol's")
	}
	if good(carol, d.standingOf(carol, d.at, 0)) {
		t.Error("a spent nonce got a stamp")
	}
	d.blockIt(carol)
	if !good(carol, d.standingOf(carol, d.at, 1)) {
		t.Error("whoever is blocked learns it by the stamp")
	}
	at := d.at
	at.ID = ids.NewMailboxID()
	if good(dave, d.standingOf(dave, at, 0)) {
		t.Error("a stamp of an unknown mailbox is good here")
	}
	d.peer = PeerOf(gamma) // any hop may carry it: the proof names the home
	if !good(dave, d.standingOf(dave, d.at, 1)) {
		t.Error("no stamp over another hop")
	}
	// Introductions and stamps have budgets of their own.
	d.peer = PeerOf(alpha)
	d.expect("introduction", d.forward(d.introduce(dave, d.at, 1, nil)), Delivered)
}

// A credential of the week's last day gets no stamp of the next week, however long its
// key is kept: a ban would end a week later.
func TestAttackStandingOfLastWeek(t *testing.T) {
	d := newDoor(t, nil)
	for d.today()%7 != 6 {
		d.now = d.now.Add(24 * time.Hour)
	}
	d.rotate()
	d.keys.day = d.today()
	carol := d.stranger()
	nr := [32]byte(ratelimit.OfAccount(d.w, group.Ristretto255().MulGenerator(carol.k)).Bytes())
	key := introduction.StandingKey(d.keys.standing, d.mailbox)
	if !introduction.CheckStamp(key, nr, d.today(), d.standingOf(carol, d.at, 0)) {
		t.Fatal("no stamp on the last day")
	}
	d.now = d.now.Add(24 * time.Hour)
	d.rotate()
	if introduction.CheckStamp(key, nr, d.today(), d.standingOf(carol, d.at, 1)) {
		t.Error("a stamp on the next day")
	}
}

// A provider without anonymous admission answers no question of its kinds.
func TestQuestionsWithoutAdmission(t *testing.T) {
	d := newDoor(t, nil)
	q, _ := d.refillOf(d.member(group.Ristretto255().RandomScalar()))
	d.admission = nil
	ref := d.ask(query.KindRefill, func([]byte) ([]byte, error) { return wire.Marshal(q) }, new(query.RefillAnswer))
	if ref == nil || ref.Code == wire.CodeBusy {
		t.Errorf("answered: %+v", ref)
	}
}
