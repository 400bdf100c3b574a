package client

import (
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/relay/client/state"
)

// chosen is what a device has of the account's choices.
func (u *user) chosen() (i devicesync.Choices) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		c, err := k.choices()
		if err == nil {
			i = *c
		}
		return err
	})
	return i
}

func (u *user) setDoor(p mailbox.Policy, codes ...[32]byte) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		s, err := k.settings()
		if err != nil {
			return err
		}
		s.Policy, s.PolicyKnown = uint8(p), false
		return errors.Join(state.Settings.Put(k.tx, state.Single, s), k.putCodes(codes), k.chose(doorChosen))
	})
}

// What the user chooses on one device holds on all, also on one that comes later: of each
// choice the latest, whichever device it was made on.
func TestChoicesAreTheAccounts(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	gamma, delta := ids.MustParseDomain("gamma.example"), ids.MustParseDomain("delta.example")
	pin := keys.PinOf(keys.NewSigningKey().Public())
	same := func(step string, want func(devicesync.Choices) bool) {
		t.Helper()
		w.agree()
		for _, u := range []*user{bob, bob2} {
			u.reopen()
			if i := u.chosen(); !want(i) {
				t.Errorf("%s: device %d has %+v", step, u.device, i.Hop)
			}
		}
	}
	bob.do(func(k *work) error { return k.setHop(gamma, pin) })
	same("a hop", func(i devicesync.Choices) bool { return i.Hop == gamma })
	bob2.do(func(k *work) error {
		p, err := state.Descriptors.Get(k.tx, []byte(gamma.String()))
		if err == nil && p.Pin != pin {
			t.Error("another pin")
		}
		return err
	})
	w.now = w.now.Add(time.Minute)
	bob2.do(func(k *work) error { return k.setReadReceipts(true) })
	bob.setDoor(mailbox.CodeOnly, [32]byte{1}, [32]byte{2})
	same("on two devices at once", func(i devicesync.Choices) bool {
		return i.Hop == gamma && i.ReadReceipts && i.Policy == uint8(mailbox.CodeOnly) && slices.Equal(i.Codes, [][32]byte{{1}, {2}})
	})
	// A clock that went back does not make a later choice an earlier one.
	w.now = w.now.Add(-time.Hour)
	bob2.do(func(k *work) error { return k.setHop(delta, keys.Pin{}) })
	bob.do(func(k *work) error { return k.setReadReceipts(false) })
	same("a clock that went back", func(i devicesync.Choices) bool { return i.Hop == delta && !i.ReadReceipts })
	bob.do(func(k *work) error { return k.setHop(ids.Domain{}, keys.Pin{}) })
	bob2.setDoor(mailbox.ToRequests)
	same("none", func(i devicesync.Choices) bool { return i.Hop.IsZero() && len(i.Codes) == 0 && i.HopChanged != 0 })
	for _, u := range []*user{bob, bob2} { // the one that made the choice may be gone before it told the provider
		u.do(func(k *work) error {
			s, err := k.settings()
			if err == nil && s.PolicyKnown {
				t.Errorf("device %d does not tell the provider", u.device)
			}
			return err
		})
	}
	bob.do(func(k *work) error { return k.setHop(gamma, pin) })
	bob.setDoor(mailbox.Deliver, [32]byte{3})
	e, err := w.restored(bob.written(false), makeDevice())
	w.must(err)
	v := &user{w: w, e: e}
	if got, want := v.chosen(), bob.chosen(); got.Hop != want.Hop || got.HopChanged != want.HopChanged || got.Policy != want.Policy ||
		got.DoorChanged != want.DoorChanged || !slices.Equal(got.Codes, want.Codes) || got.ReadsChanged != want.ReadsChanged {
		t.Errorf("restored: %+v, not %+v", got.Hop, want.Hop)
	}
	v.do(func(k *work) error { // a file may be old
		s, err := k.settings()
		if err == nil && !s.PolicyKnown {
			t.Error("a restored device takes back what was chosen since")
		}
		return err
	})
}

// What devices tell makes the same of every order and number of times.
func TestAccountChoicesConverge(t *testing.T) {
	w := newWorld(t)
	gamma, delta := ids.MustParseDomain("gamma.example"), ids.MustParseDomain("delta.example")
	all := []devicesync.Choices{
		{HopChanged: 5, Hop: gamma, ReadsChanged: 9, ReadReceipts: true, DoorChanged: 2, Policy: 1},
		{HopChanged: 5, Hop: delta, ReadsChanged: 9, DoorChanged: 2, Policy: 1, Codes: [][32]byte{{1}}},
		{HopChanged: 4, ReadsChanged: 8, ReadReceipts: true, DoorChanged: 2, Policy: 2},
		{HopChanged: 6, Hop: ids.MustParseDomain("beta.example")}, // the own provider is no hop
		{},
	}
	for n := range 10 {
		u := w.user(string(rune('a'+n)) + "@beta.example")
		for _, i := range w.r.Perm(3 * len(all)) {
			item := all[i%len(all)]
			item.Codes = slices.Clone(item.Codes)
			u.do(func(k *work) error { return k.apply(&item) })
		}
		u.reopen()
		i := u.chosen()
		if i.Hop != gamma || i.HopChanged != 5 || i.ReadsChanged != 9 || i.ReadReceipts || i.Policy != 2 || len(i.Codes) != 0 {
			t.Fatalf("%+v", i.Hop)
		}
	}
}
