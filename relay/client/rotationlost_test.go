package client

import (
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/relay/client/state"
)

// If the device that removed another is lost before it replaced W, or before it told of
// that, those that are left do it after a while, once; if it did, nobody else does.
func TestRotationAfterALostRemover(t *testing.T) {
	for name, lost := range map[string]string{"": "before", "published": "untold", "told": "not at all"} {
		t.Run(name, func(t *testing.T) {
			w, _, bob, bob2 := siblings(t)
			bob3 := bob.link()
			w.agree()
			m, err := bob.without(bob2.device)
			w.must(err)
			bob.do(func(k *work) error { k.ownProfile().Removing = bob2.device; return nil })
			w.must(bob.learn(m))
			bob.box.manifest = m
			if lost != "before" && !bob.rotate() {
				t.Fatal("refused")
			}
			if lost == "not at all" {
				for bob.tick(); bob.queued() > 0; {
					bob.tick()
				}
			}
			w.must(bob3.learn(m))
			bob3.pull()
			due := func() (due bool) {
				bob3.do(func(k *work) (err error) { due, err = k.rotationDue(); return err })
				return due
			}
			if due() {
				t.Fatal("at once, while the other one may do it")
			}
			bob3.reopen()
			w.now = w.now.Add(time.Duration(rotationGrace) * 24 * time.Hour)
			if lost == "not at all" {
				if g, _ := bob3.inUse(); g != 2 {
					t.Errorf("generation %d", g)
				}
				w.now = (lastUnder(ids.DayOf(w.now)) + 1).Start()
				bob3.do(func(k *work) error { return k.sweep() })
				if due() {
					t.Error("a third generation")
				}
				return
			}
			if !due() {
				t.Fatal("nobody does it")
			}
			want := uint32(2)
			if lost == "untold" {
				want = 3
				if bob3.rotate() || due() {
					t.Fatal("over the other one's, or at once again")
				}
				w.now = w.now.Add(time.Duration(rotationGrace) * 24 * time.Hour)
				if !due() {
					t.Fatal("waits for ever")
				}
			}
			if !bob3.rotate() || due() {
				t.Fatal("not rotated")
			}
			if g, _ := bob3.inUse(); g != want {
				t.Errorf("generation %d, not %d", g, want)
			}
		})
	}
}

// Two devices that are left both do it when the time has come, with a crash after any
// step: one is taken, and both have that.
func TestTwoAreLeftAfterALostRemover(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	bob3, bob4 := bob.link(), bob.link()
	w.agree()
	m, err := bob.without(bob2.device)
	w.must(err)
	bob.box.manifest = m // bob is never heard of again
	w.now = w.now.Add(time.Hour)
	for _, u := range []*user{bob3, bob4} {
		w.must(u.learn(m))
		u.reopen()
	}
	w.now = w.now.Add(time.Duration(rotationGrace) * 24 * time.Hour)
	for _, u := range []*user{bob3, bob4} {
		due := false
		u.do(func(k *work) (err error) { due, err = k.rotationDue(); return err })
		if !due {
			t.Fatalf("device %d leaves it to others", u.device)
		}
		u.do(func(k *work) error { return k.beginRotation() })
		u.reopen()
	}
	bob4.strike()
	bob4.reopen()
	if !bob3.goOn() || bob4.goOn() {
		t.Fatal("not the first one was taken")
	}
	bob3.reopen()
	bob4.reopen()
	for range 4 {
		bob3.tick()
		bob4.pull()
	}
	g3, w3 := bob3.inUse()
	if g4, w4 := bob4.inUse(); g3 != 2 || g4 != g3 || w3 != w4 || bob3.rotationNow() != (state.Rotation{}) || bob4.rotationNow() != (state.Rotation{}) {
		t.Errorf("generations %d and %d; left %+v and %+v", g3, g4, bob3.rotationNow(), bob4.rotationNow())
	}
}
