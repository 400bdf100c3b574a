package client

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/linking"
	"waxwing/ratelimit/introduction"
	"waxwing/relay/client/state"
)

// strangersAt has people at a provider that a user may write to.
func (u *user) strangersAt(domain string, names ...string) (out []*user) {
	u.w.t.Helper()
	for _, name := range names {
		v := u.w.user(name + "@" + domain)
		u.do(func(k *work) error { return k.addAddress(v.address, "") })
		out = append(out, v)
	}
	return out
}

// A device that is linked has half of what is left of the day, at once, and the one
// that let it in has that no more. The next day both divide by the manifest.
func TestLinkedDeviceIntroduces(t *testing.T) {
	w, carol, bob := strangers(t)
	carol.send(bob, "hello")
	w.settle()
	phone := carol.link()
	if carol.left(bob.p) != 2 || phone.left(bob.p) != 1 {
		t.Fatalf("%d and %d left", carol.left(bob.p), phone.left(bob.p))
	}
	others := phone.strangersAt("beta.example", "dave", "erin")
	first, second := phone.send(others[0], "from the new device"), phone.send(others[1], "one too many")
	w.settle()
	if phone.status(first) != state.StatusAccepted || phone.status(second) != state.StatusWaiting || len(others[0].requests()) != 1 {
		t.Fatalf("%v, %v, %v", phone.status(first), phone.status(second), others[0].requests())
	}
	// What it stores is what it has, also after a crash and another credential.
	phone.reopen()
	phone.credit(bob.p)
	if phone.left(bob.p) != 0 {
		t.Errorf("%d left after it was used", phone.left(bob.p))
	}
	for _, u := range carol.strangersAt("beta.example", "frank", "grace") {
		carol.send(u, "hello")
	}
	w.settle()
	if carol.left(bob.p) != 0 || len(bob.p.door().tags) != 4 {
		t.Errorf("%d left, %d tags", carol.left(bob.p), len(bob.p.door().tags))
	}
	w.advance(24 * time.Hour)
	carol.credit(bob.p)
	phone.credit(bob.p)
	if carol.left(bob.p) != 2 || phone.left(bob.p) != 2 {
		t.Errorf("the next day: %d and %d", carol.left(bob.p), phone.left(bob.p))
	}
	w.nothingDropped()
}

// Where the existing device has nothing yet, both have their halves once they do.
func TestLinkedBeforeCredential(t *testing.T) {
	w := newWorld(t)
	carol, bob := w.user("carol@alpha.example"), w.user("bob@beta.example")
	carol.do(func(k *work) error { return k.addAddress(bob.address, "") })
	phone := carol.link()
	tablet := phone.link()
	for u, want := range map[*user]int{carol: 2, phone: 1, tablet: 1} {
		u.credit(bob.p)
		if u.left(bob.p) != want {
			t.Errorf("device %d has %d, not %d", u.device, u.left(bob.p), want)
		}
	}
	// Until the account was asked for on a new day nothing is divided.
	w.advance(24 * time.Hour)
	carol.do(func(k *work) error {
		if due, err := k.refills(); err != nil || len(due) != 0 || k.divided() {
			t.Errorf("%v, %v, divided: %v", due, err, k.divided())
		}
		return nil
	})
}

// Who has one left, or none, keeps it; the new device says so.
func TestNothingToGive(t *testing.T) {
	w, carol, bob := strangers(t)
	for _, u := range append(carol.strangersAt("beta.example", "dave", "erin"), bob) {
		carol.send(u, "hello")
	}
	w.settle()
	for _, left := range []int{1, 0} {
		if left == 0 {
			carol.send(carol.strangersAt("beta.example", "frank")[0], "hello")
			w.settle()
		}
		phone := carol.link()
		phone.do(func(k *work) error {
			all, err := k.introductions()
			if err != nil || len(all) != 1 || !all[0].Known || all[0].Left != 0 || all[0].Limit != 4 || all[0].More != k.today.End() {
				t.Errorf("of %d: %+v, %v", left, all, err)
			}
			return nil
		})
		if carol.left(bob.p) != left {
			t.Errorf("%d left, not %d", carol.left(bob.p), left)
		}
	}
}

// Whatever step ends in a crash, what was given is in one hand or in none.
func TestGiveAfterCrash(t *testing.T) {
	w, carol, bob := strangers(t)
	w.must(carol.learn(carol.box.manifest))
	failed := errors.New("disk")
	give := func() (h linking.Handover, err error) {
		err = carol.try(func(k *work) error { return k.give(&h) })
		return h, err
	}
	// Before it is durable: nothing left this device.
	if err := carol.try(func(k *work) error {
		return errors.Join(k.give(new(linking.Handover)), failed)
	}); !errors.Is(err, failed) || carol.left(bob.p) != 4 {
		t.Fatalf("%v, %d left", err, carol.left(bob.p))
	}
	// After it, before it was sent: nobody has it.
	lost, err := give()
	w.must(err)
	carol.reopen()
	if carol.left(bob.p) != 2 || len(lost.Credentials) != 1 || lost.Credentials[0].Next != 2 || lost.Credentials[0].End != 4 {
		t.Fatalf("%d left, gave %+v", carol.left(bob.p), lost.Credentials)
	}
	// Linked again: of the rest.
	phone := carol.link()
	if carol.left(bob.p) != 1 || phone.left(bob.p) != 1 {
		t.Errorf("%d and %d left", carol.left(bob.p), phone.left(bob.p))
	}
	phone.do(func(k *work) error {
		if p := k.self.Part; p.Period != uint32(k.today) || p.To > lost.From {
			t.Errorf("a part %+v, of which some was given before: %d to %d", p, lost.From, lost.To)
		}
		return nil
	})
	// The new device stores all of it, or nothing.
	e, err := w.restored(carol.written(false), makeDevice())
	w.must(err)
	again, err := give()
	w.must(err)
	if err := e.store.Update(func(tx *state.Tx) error {
		return errors.Join(given(tx, &again), failed)
	}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	w.must(e.store.View(func(tx *state.Tx) error {
		p, err := state.Profiles.Get(tx, state.Single)
		if err == nil && (p.Part != introduction.Part{} || state.Credentials.Count(tx) != 0) {
			t.Error("half of it is there")
		}
		return err
	}))
}

// What is handed over is checked before it is stored.
func TestGivenIsChecked(t *testing.T) {
	w, carol, _ := strangers(t)
	for name, change := range map[string]func(*linking.Handover){
		"a part backwards":             func(h *linking.Handover) { h.From = h.To + 1 },
		"more than the day":            func(h *linking.Handover) { h.To = 1 << 63 },
		"a tier that does not exist":   func(h *linking.Handover) { h.Credentials[0].Tier = 9 },
		"a limit that does not exist":  func(h *linking.Handover) { h.Credentials[0].New = 0 },
		"a share backwards":            func(h *linking.Handover) { h.Credentials[0].Next = h.Credentials[0].End + 1 },
		"a share beyond all limits":    func(h *linking.Handover) { h.Credentials[0].End = 1 << 20 },
		"a part of the week backwards": func(h *linking.Handover) { h.WeekFrom = h.WeekTo + 1 },
		"more than the week":           func(h *linking.Handover) { h.WeekTo = 1 << 63 },
		"a share of the week backwards": func(h *linking.Handover) {
			h.Standings = []linking.Standing{{Provider: carol.p.domain, Next: 2, End: 1}}
		},
		"more stamps than there are": func(h *linking.Handover) {
			h.Standings = []linking.Standing{{Provider: carol.p.domain, Next: 2, End: 1 << 20}}
		},
		"no credential": func(h *linking.Handover) { clear(h.Credentials[0].Credential[:]) },
	} {
		var h linking.Handover
		w.must(carol.learn(carol.box.manifest))
		carol.do(func(k *work) error { return k.give(&h) })
		change(&h)
		e, err := w.restored(carol.written(false), makeDevice())
		w.must(err)
		if err := e.store.Update(func(tx *state.Tx) error { return given(tx, &h) }); !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fleet is a model of an account's devices over days.
type fleet struct {
	day      ids.Day
	versions [][]ids.DeviceID // from 1 at 0
	last     ids.DeviceID
	seen     map[ids.DeviceID]int // the version that a device knows
	since    map[ids.DeviceID]ids.Day
	parts    map[ids.DeviceID]introduction.Part // of the day
}

func (f *fleet) now() manifests { return f.at(len(f.versions)) }

func (f *fleet) at(version int) manifests {
	return manifests{uint64(version), f.versions[version-1]}
}

// ask is a device that asks for the account.
func (f *fleet) ask(d ids.DeviceID) {
	if _, has := f.parts[d]; !has && f.since[d] < f.day {
		f.parts[d] = partOf(uint32(f.day), d, f.at(f.seen[d]), f.now())
	}
	f.seen[d] = len(f.versions)
}

// Devices that come and go while others are away for days never overlap, and those
// that are there every day have all of it once nothing changed for a day.
func TestPartsOfDevices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fleet{
			day: 100, versions: [][]ids.DeviceID{{1}}, last: 1, seen: map[ids.DeviceID]int{1: 1},
			since: map[ids.DeviceID]ids.Day{1: 0}, parts: map[ids.DeviceID]introduction.Part{},
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			devices := f.versions[len(f.versions)-1]
			d := rapid.SampledFrom(devices).Draw(t, "device")
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				f.day++
				clear(f.parts)
			case 1:
				f.ask(d)
				if len(devices) == introduction.MaxShares {
					break
				}
				f.last++
				mine, theirs := f.parts[d].Give()
				f.versions = append(f.versions, append(slices.Clone(devices), f.last))
				f.seen[d], f.seen[f.last] = len(f.versions), len(f.versions)
				f.parts[d], f.since[f.last] = mine, f.day
				if rapid.Bool().Draw(t, "linked") { // else restored
					f.parts[f.last] = theirs
				}
			case 2:
				f.ask(d)
				if len(devices) > 1 {
					other := rapid.SampledFrom(slices.DeleteFunc(slices.Clone(devices), func(o ids.DeviceID) bool { return o == d })).Draw(t, "other")
					f.versions = append(f.versions, slices.DeleteFunc(slices.Clone(devices), func(o ids.DeviceID) bool { return o == other }))
					f.seen[d] = len(f.versions)
				}
			default:
				f.ask(d)
			}
			f.disjoint(t)
		}
		for range 2 {
			f.day++
			clear(f.parts)
			for _, d := range f.versions[len(f.versions)-1] {
				f.ask(d)
			}
			f.disjoint(t)
		}
		sum := uint32(0)
		for _, p := range f.parts {
			s, err := p.Share(32)
			if err != nil {
				t.Fatal(err)
			}
			sum += s.Left()
		}
		if sum != 32 {
			t.Fatalf("%d of 32 are somebody's", sum)
		}
	})
}

func (f *fleet) disjoint(t *rapid.T) {
	for _, limit := range []uint32{4, 32} {
		owner := map[uint32]ids.DeviceID{}
		for d, p := range f.parts {
			s, err := p.Share(limit)
			if err != nil {
				t.Fatal(err)
			}
			for nonce := s.Next; nonce < s.End; nonce++ {
				if owner[nonce] != 0 {
					t.Fatal(fmt.Sprintf("nonce %d of %d is of devices %d and %d", nonce, limit, owner[nonce], d))
				}
				owner[nonce] = d
			}
		}
	}
}
