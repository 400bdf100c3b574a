package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"waxwing/blocklist"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/membership"
)

// admissionKeys are beta's, for one day and alpha's accounts.
type admissionKeys struct {
	home, epoch     *arc.SecretKey
	day             ids.Day
	standing, dummy *keys.Secret
}

func (k *admissionKeys) Credential(d ids.Day) (*arc.SecretKey, bool) { return k.epoch, d == k.day }
func (k *admissionKeys) Limits(ids.Day) introduction.Limits          { return introduction.DefaultLimits }
func (k *admissionKeys) Standing() *keys.Secret                      { return k.standing }
func (k *admissionKeys) Dummy() *keys.Secret                         { return k.dummy }
func (k *admissionKeys) Membership(d ids.Domain, m ratelimit.Month) (*arc.SecretKey, bool) {
	return k.home, d == alpha && m == ratelimit.MonthOf(k.day)
}

// door is a mailbox of a provider that takes introductions.
type door struct {
	*provider
	keys *admissionKeys
	w    group.Scalar
	at   introduction.Mailbox
}

func newDoor(t testing.TB, settings limits.Settings) *door {
	p := newProvider(t, settings)
	return p.withDoor()
}

func (p *provider) withDoor() *door {
	d := &door{provider: p, w: group.Ristretto255().RandomScalar()}
	d.keys = &admissionKeys{arc.Ristretto255().NewSecretKey(), arc.Ristretto255().NewSecretKey(), p.today(), keys.NewSecret(), keys.NewSecret()}
	p.admission = d.keys
	d.at = d.newKey(1, d.w)
	return d
}

// newKey publishes a generation of W.
func (d *door) newKey(generation uint32, w group.Scalar) introduction.Mailbox {
	g := group.Ristretto255()
	enc := [32]byte(g.MulGenerator(w).Bytes())
	must(d.t, d.mailboxes.SetKey(context.Background(), d.mailbox, generation, enc, d.today()+14))
	e, err := g.DecodeElement(enc[:])
	must(d.t, err)
	return introduction.Mailbox{ID: d.mailbox, Generation: generation, W: e}
}

// stranger is an account of alpha that has a credential of the day.
type stranger struct {
	introduction.Sender
	k    group.Scalar
	next uint32
}

func (d *door) stranger() *stranger { return d.holder(group.Ristretto255().RandomScalar()) }

// holder is an account with a secret, after membership and refill.
func (d *door) holder(k group.Scalar) *stranger {
	d.t.Helper()
	tier := ratelimit.TierNew
	m := membership.Membership{Home: alpha, Provider: beta, Month: ratelimit.MonthOf(d.keys.day), Tier: tier}
	asked, err := m.Request(k, d.keys.home.Public())
	must(d.t, err)
	answer, err := m.Issue(d.keys.home, group.Ristretto255().MulGenerator(k), asked.Bytes())
	must(d.t, err)
	member, err := asked.Finish(answer)
	must(d.t, err)
	r := membership.Refill{
		Home: alpha, Provider: beta, Month: m.Month, Tier: tier, Epoch: d.keys.day,
		Membership: d.keys.home.Public(), Key: d.keys.epoch.Public(),
	}
	refill, err := r.Request(member)
	must(d.t, err)
	shown, err := r.Verify(d.keys.home, refill.Bytes())
	must(d.t, err)
	answer, err = shown.Issue(d.keys.epoch)
	must(d.t, err)
	cred, err := refill.Finish(answer)
	must(d.t, err)
	return &stranger{
		Sender: introduction.Sender{
			Credential: cred, Home: alpha, Provider: beta, Tier: tier, Epoch: d.keys.day, Limits: introduction.DefaultLimits,
		},
		k: k,
	}
}

// introduction makes an envelope with the sender's next introduction of the day.
func (d *door) introduction(s *stranger) []byte {
	s.next++
	return d.introduce(s, d.at, s.next-1, nil)
}

func (d *door) introduce(s *stranger, at introduction.Mailbox, nonce uint32, code *keys.Secret) []byte {
	d.t.Helper()
	class := wire.ClassIntroduction
	e := &wire.Envelope{
		Com: new([wire.ComSize]byte), Day: s.Epoch, Class: class, TTL: 86400,
		Head: make([]byte, class.HeadSize()), Body: make([]byte, class.BodySize()),
	}
	rand.Read(e.Com[:])
	bound := introduction.Envelope{Com: *e.Com, Day: e.Day, Class: class, TTL: e.TTL, Payload: wire.PayloadHash(e.Head, e.Body)}
	relayKey, _ := d.Relay.keys.RelayKey(0)
	address, err := s.Introduce(relayKey.Public(), 0, &at, &bound, nonce, code)
	must(d.t, err)
	e.Introduction = (*[wire.IntroductionSize]byte)(address)
	return e.Append(nil)
}

// blockIt puts an account on the mailbox's list by what its owner knows of it: X_S.
func (d *door) blockIt(s *stranger) blocklist.EntryID {
	d.t.Helper()
	entry := blocklist.NewEntryID()
	nr := ratelimit.OfAccount(d.w, group.Ristretto255().MulGenerator(s.k))
	req := blocklist.NewRequests(entry, blocklist.Pseudonym{Generation: 1, NR: [32]byte(nr.Bytes())}, nil)[0]
	_, err := d.mailboxes.Block(context.Background(), d.mailbox, req, d.now)
	must(d.t, err)
	return entry
}

func (d *door) policy(p mailbox.Policy, codes ...*keys.Secret) {
	d.t.Helper()
	var all [][32]byte
	for _, c := range codes {
		all = append(all, [32]byte(c.Bytes()))
	}
	must(d.t, d.mailboxes.SetPolicy(context.Background(), d.mailbox, p, all))
}

// An introduction arrives with what the relay verified, once, however often it is
// sent, also after it was fetched.
func TestIntroductionArrives(t *testing.T) {
	d := newDoor(t, nil)
	_, err := d.mailboxes.Open(t.Context(), d.mailbox, 1)
	must(t, err)
	carol := d.stranger()
	raw := d.introduction(carol)
	d.expect("first", d.forward(raw), Delivered)
	d.expect("again", d.forward(raw), Duplicate)
	msgs := d.stored()
	if len(msgs) != 1 {
		t.Fatalf("%d messages", len(msgs))
	}
	var got wire.Delivery
	must(t, wire.Unmarshal(msgs[0].Body, &got))
	in := got.Introduced()
	if got.Origin != wire.ByIntroduction || in.Generation != 1 || in.Code || in.NR != [32]byte(ratelimit.OfAccount(d.w, group.Ristretto255().MulGenerator(carol.k)).Bytes()) {
		t.Errorf("%+v", in)
	}
	if !bytes.Equal(got.Payload, raw[len(raw)-len(got.Payload):]) {
		t.Error("another payload")
	}
	must(t, d.store.Ack(context.Background(), []store.AckReq{{Mailbox: d.mailbox, Reader: 1, UpTo: msgs[0].Cursor}})[0])
	d.expect("after it was fetched", d.forward(raw), Duplicate)
	// The resends have used up nothing of what the limits leave.
	for range 2 {
		d.expect("more", d.forward(d.introduction(carol)), Delivered)
	}
	d.expect("the fourth letter", d.forward(d.introduction(carol)), DisposedSenderLimit)
}

// Room for an envelope is used again: what an introduction counted is not given back
// for the ticket's envelope that comes into its place.
func TestRoomIsUsedAgain(t *testing.T) {
	d := newDoor(t, nil)
	carol, raw := d.stranger(), d.fresh()
	d.expect("a ticket", d.forward(raw), Delivered)
	var a Admitted
	settle := func(b []byte) Reason {
		if ref := d.AdmitForward(d.now, d.peer, b, &a); ref != nil {
			return ref.Reason
		}
		return d.Settle(t.Context(), []*Admitted{&a})[0].Reason
	}
	for range 3 {
		d.expect("carol's", settle(d.introduction(carol)), Delivered)
		d.expect("the ticket's again", settle(raw), Duplicate)
	}
	d.expect("carol's fourth", settle(d.introduction(carol)), DisposedSenderLimit)
}

// The size that the wire format has is that of the address.
func TestIntroductionSize(t *testing.T) {
	if wire.IntroductionSize != introduction.AddressSize || wire.MaxContactCodes != mailbox.MaxCodes || 2*wire.MaxRenewals < blocklist.MaxEntries {
		t.Error("the formats do not fit together")
	}
}

// Attacks on introductions that need the relay's state, by the number that
// docs/admission.md gives them (reference numbers of credentials, 4).
func TestAttackIntroduction(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(d *door)
	}{
		{"3 a crash between tag and append", func(d *door) {
			carol := d.stranger()
			raw, good := d.introduction(carol), d.store
			d.Relay.store = failing{good, store.ErrUnknownOutcome}
			d.expect("crash", d.forward(raw), RefusedStore)
			d.Relay.store = good
			d.expect("another envelope", d.forward(d.introduce(carol, d.at, 0, nil)), DisposedTag)
			d.expect("resend", d.forward(raw), Delivered)
		}},
		{"6 one nonce, two envelopes", func(d *door) {
			carol := d.stranger()
			d.expect("first", d.forward(d.introduce(carol, d.at, 2, nil)), Delivered)
			d.expect("second", d.forward(d.introduce(carol, d.at, 2, nil)), DisposedTag)
		}},
		{"6 one nonce, two envelopes of one batch", func(d *door) {
			carol := d.stranger()
			var a, b Admitted
			if d.AdmitForward(d.now, d.peer, d.introduce(carol, d.at, 2, nil), &a) != nil || d.AdmitForward(d.now, d.peer, d.introduce(carol, d.at, 2, nil), &b) != nil {
				d.t.Fatal("not admitted")
			}
			s := d.Settle(context.Background(), []*Admitted{&a, &b})
			d.expect("first", s[0].Reason, Delivered)
			d.expect("second", s[1].Reason, DisposedTag)
		}},
		{"8 replay at another provider", func(d *door) {
			other := newDoor(d.t, nil)
			d.expect("there", other.forward(d.introduction(d.stranger())), DisposedSealed)
		}},
		{"9 another day", func(d *door) {
			carol := d.stranger()
			carol.Epoch--
			d.keys.day--
			late := d.holder(carol.k)
			raw := d.introduction(late)
			d.keys.day++
			d.expect("of a day without a key", d.forward(raw), RefusedKeys)
		}},
		{"10 the seal on another envelope", func(d *door) {
			one, two := d.introduction(d.stranger()), d.introduction(d.stranger())
			copy(two[2:], one[2:2+wire.IntroductionSize])
			d.expect("moved", d.forward(two), DisposedSealed)
		}},
		{"13 forwarded by another provider", func(d *door) {
			raw := d.introduction(d.stranger())
			d.peer = PeerOf(gamma)
			d.expect("by gamma", d.forward(raw), DisposedProof)
		}},
		{"21 evasion of a block", func(d *door) {
			carol, dave := d.stranger(), d.stranger()
			d.expect("before", d.forward(d.introduction(carol)), Delivered)
			raw := d.introduction(carol) // under way while the block is made
			d.blockIt(carol)
			d.expect("in flight", d.forward(raw), DisposedBlocked)
			d.expect("next", d.forward(d.introduction(carol)), DisposedBlocked)
			d.expect("after a refill, from a new device", d.forward(d.introduction(d.holder(carol.k))), DisposedBlocked)
			d.expect("somebody else", d.forward(d.introduction(dave)), Delivered)
		}},
		{"21 a block before any contact", func(d *door) {
			carol := d.stranger()
			entry := d.blockIt(carol)
			d.expect("blocked", d.forward(d.introduction(carol)), DisposedBlocked)
			must(d.t, d.mailboxes.Unblock(context.Background(), d.mailbox, entry))
			d.expect("unblocked", d.forward(d.introduction(carol)), Delivered)
		}},
		{"21 a block outlives W", func(d *door) {
			carol := d.stranger()
			entry := d.blockIt(carol)
			next := group.Ristretto255().RandomScalar()
			moved, err := ratelimit.Remap(d.w, next, ratelimit.OfAccount(d.w, group.Ristretto255().MulGenerator(carol.k)))
			must(d.t, err)
			must(d.t, d.mailboxes.Renew(context.Background(), d.mailbox, []blocklist.Renewal{{Entry: entry, Pseudonym: blocklist.Pseudonym{Generation: 2, NR: [32]byte(moved.Bytes())}}}))
			at := d.newKey(2, next)
			d.expect("under the new W", d.forward(d.introduce(carol, at, 0, nil)), DisposedBlocked)
			d.expect("under the old one", d.forward(d.introduce(carol, d.at, 1, nil)), DisposedBlocked)
			dave := d.stranger()
			d.expect("dave, old", d.forward(d.introduce(dave, d.at, 0, nil)), Delivered)
			d.expect("dave, new", d.forward(d.introduce(dave, at, 1, nil)), Delivered)
			d.now = d.now.Add(25 * 24 * time.Hour)
			d.rotate()
			d.keys.day = d.today()
			d.expect("under a W that is over", d.forward(d.introduce(d.stranger(), d.at, 0, nil)), DisposedUnknown)
		}},
		{"22 unknown mailbox", func(d *door) {
			at := d.at
			at.ID = ids.NewMailboxID()
			d.expect("unknown", d.forward(d.introduce(d.stranger(), at, 0, nil)), DisposedUnknown)
			at = d.at
			at.Generation = 7
			d.expect("no such W", d.forward(d.introduce(d.stranger(), at, 0, nil)), DisposedUnknown)
		}},
		{"38 a flood of introductions", func(d *door) {
			must(d.t, d.limits.Set(limits.Target{Name: limits.PeerIntroductions}, &limits.Change{Limit: gcra.Limit{Burst: 1, Count: 1, Period: time.Minute}}))
			garbage := d.introduction(d.stranger())
			garbage[100] ^= 1
			d.expect("one", d.forward(garbage), DisposedSealed)
			d.expect("the next, unopened", d.forward(garbage), RefusedPeer)
			d.expect("tickets go on", d.forward(d.fresh()), Delivered)
		}},
		{"6 a relay key that was erased", func(d *door) {
			raw := d.introduction(d.stranger())
			raw[2] = 9 // the first byte of the address names the key
			d.expect("erased", d.forward(raw), RefusedStale)
		}},
		{"6 no snapshot of keys for what comes now", func(d *door) {
			raw := d.introduction(d.stranger())
			d.snapshots = noSnapshots{}
			d.expect("none", d.forward(raw), RefusedKeys)
			d.snapshots = nil
			d.expect("later", d.forward(raw), Delivered)
		}},
		{"7 a provider that takes none", func(d *door) {
			raw := d.introduction(d.stranger())
			d.admission = nil
			d.expect("it", d.forward(raw), RefusedMalformed)
			d.expect("tickets go on", d.forward(d.fresh()), Delivered)
		}},
		{"code: alone, and of another mailbox", func(d *door) {
			code, carol := keys.NewSecret(), d.stranger()
			d.policy(mailbox.CodeOnly, code, keys.NewSecret())
			d.expect("without", d.forward(d.introduce(carol, d.at, 0, nil)), DisposedPolicy)
			d.expect("another", d.forward(d.introduce(carol, d.at, 1, keys.NewSecret())), DisposedPolicy)
			d.expect("with", d.forward(d.introduce(carol, d.at, 2, code)), Delivered)
			d.blockIt(carol)
			d.expect("a code opens nothing for the blocked", d.forward(d.introduce(carol, d.at, 3, code)), DisposedBlocked)
			d.policy(mailbox.Refuse, code)
			d.expect("none", d.forward(d.introduce(d.stranger(), d.at, 0, code)), DisposedPolicy)
			d.policy(mailbox.ToRequests)
			d.expect("all again", d.forward(d.introduce(d.stranger(), d.at, 0, nil)), Delivered)
		}},
		{"the blocked use up nobody's limit", func(d *door) {
			must(d.t, d.limits.Set(limits.Target{Name: limits.MailboxIntroductions}, &limits.Change{Limit: gcra.Limit{Burst: 1, Count: 1, Period: time.Hour}}))
			carol := d.stranger()
			d.blockIt(carol)
			for range 3 {
				d.expect("blocked", d.forward(d.introduction(carol)), DisposedBlocked)
			}
			d.expect("dave", d.forward(d.introduction(d.stranger())), Delivered)
			d.expect("the mailbox's limit", d.forward(d.introduction(d.stranger())), DisposedMailboxLimit)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(newDoor(t, nil)) })
	}
}

// Every byte of an introduction's envelope, changed, keeps it from arriving, and
// whatever it is changed into is refused for its form or acked.
func TestIntroductionEveryByte(t *testing.T) {
	d := newDoor(t, limits.Settings{{Name: limits.PeerIntroductions}: gcra.PerSecond(1e6, 1e6)})
	raw := d.introduction(d.stranger())
	for i := 0; i < len(raw); i += 97 {
		bad := bytes.Clone(raw)
		bad[i] ^= 1 << (i % 8)
		if got := d.forward(bad); got == Delivered || got == Duplicate {
			t.Fatalf("byte %d: %v", i, got)
		}
	}
	d.expect("as it was", d.forward(raw), Delivered)
}
