package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/ids"
	"waxwing/relay"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

// hello is what carol writes to bob.
const hello = "Hello Bob, we do not know each other. I am Carol."

// introduce: carol, whom bob does not know, writes to him.
func (d *demo) introduce(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	carol, err := newUser(ctx, d.root, d.alpha.Provider, "carol")
	if err != nil {
		return err
	}
	// What a modified client will claim to be: one that has used nothing yet.
	if err := carol.close(); err != nil {
		return err
	}
	if err := os.CopyFS(carol.dir+"-modified", os.DirFS(carol.dir)); err != nil {
		return err
	}
	if carol, err = reopened(carol, carol.dir); err != nil {
		return err
	}
	carol.run(ctx)
	for _, part := range []func(context.Context, *user) error{d.asked, d.secondDevice, d.usedUp} {
		if err = part(ctx, carol); err != nil {
			break
		}
	}
	if err := errors.Join(err, carol.close()); err != nil {
		return err
	}
	if err := d.evade(ctx, carol); err != nil {
		return err
	}
	return d.learnt(carol)
}

// asked: the request waits at bob's.
func (d *demo) asked(ctx context.Context, carol *user) error {
	if _, err := introduceTo(ctx, carol, d.bob.address, hello); err != nil {
		return err
	}
	var asked []client.Request
	for len(asked) == 0 {
		var err error
		if asked, err = d.bob.c.Requests(); err != nil {
			return err
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("carol's introduction does not arrive: %w", err)
		}
	}
	r := asked[0]
	return d.check(len(asked) == 1 && r.From == carol.address && r.Text == hello && r.Messages == 1, fmt.Sprintf("%+v", asked),
		"carol introduces herself to bob: a request, from %s, an account of %s: %q", r.From, r.From.Domain(), r.Text)
}

// introduceTo has a user write to somebody who gave it no contact code.
func introduceTo(ctx context.Context, u *user, to ids.Address, text string) (client.MessageID, error) {
	if err := u.c.AddAddress(ctx, to, ""); err != nil {
		return 0, err
	}
	return u.c.Send(ctx, to, text)
}

// usedUp: the client says when the day's introductions are over, and when more come.
func (d *demo) usedUp(ctx context.Context, carol *user) error {
	for _, name := range []string{"erin", "frank", "grace"} {
		u, err := newUser(ctx, d.root, d.beta.Provider, name)
		if err != nil {
			return err
		}
		err = u.c.Sync(ctx) // publishes its keys
		if err := errors.Join(err, u.close()); err != nil {
			return err
		}
		if _, err := introduceTo(ctx, carol, u.address, hello); err != nil {
			return err
		}
	}
	var left []client.Introductions
	for len(left) == 0 || !left[0].Known || left[0].Left > 0 {
		var err error
		if left, err = carol.c.Introductions(); err != nil {
			return err
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("introductions are left: %+v: %w", left, err)
		}
	}
	l := left[0]
	return d.check(l.Waiting == 1 && l.More.After(time.Now()), fmt.Sprintf("%+v", left),
		"she writes to three more people at %s: her first device says that what it had of the day's %d introductions is used up, that one message waits, and that more come at %s",
		l.Provider, l.Limit, l.More.Format(time.RFC3339))
}

// reopened opens a user's profile, or a copy of it, again.
func reopened(u *user, dir string) (*user, error) {
	again := &user{address: u.address, provider: u.provider, dir: dir, stop: func() {}}
	var err error
	again.c, err = client.Open(configOf(dir))
	return again, err
}

// evade: a modified client forgets what it has used, while bob blocks carol.
func (d *demo) evade(ctx context.Context, carol *user) error {
	mallory, err := reopened(carol, carol.dir+"-modified")
	if err != nil {
		return err
	}
	mallory.run(ctx)
	defer func() { _ = mallory.close() }()
	grace, err := ids.ParseAddress("grace@" + d.beta.Domain)
	if err != nil {
		return err
	}
	forced, err := d.disposal(ctx, mallory, grace, relay.DisposedTag)
	if err != nil {
		return err
	}
	if err := d.check(forced == answers{acked: 1}, fmt.Sprintf("%+v", forced),
		"a modified client of hers, which forgets what it used and gets the day's credential again, forces one more: beta.example disposes of it (disposed_tag) and acks it like a delivery"); err != nil {
		return err
	}
	blocked, err := d.disposal(ctx, mallory, d.bob.address, relay.DisposedBlocked)
	if err != nil {
		return err
	}
	dave, err := newUser(ctx, d.root, d.alpha.Provider, "dave")
	if err != nil {
		return err
	}
	dave.run(ctx)
	defer func() { _ = dave.close() }()
	before, err := d.beta.Metrics(ctx)
	if err != nil {
		return err
	}
	if _, err := introduceTo(ctx, dave, d.bob.address, "Hello Bob, I am Dave."); err != nil {
		return err
	}
	arrived, err := d.arrived(ctx, before)
	if err != nil {
		return err
	}
	var names []string
	for end := time.Now().Add(settleTime); len(names) == 0 || time.Now().Before(end); {
		asked, err := d.bob.c.Requests()
		if err != nil {
			return err
		}
		names = names[:0]
		for _, r := range asked {
			names = append(names, r.From.Local())
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("dave's introduction does not arrive: %w", err)
		}
	}
	return all(
		d.check(blocked == answers{acked: 1}, fmt.Sprintf("%+v", blocked),
			"from that installation too, with a new refill and new submission tokens, she tries bob again: disposed of at beta.example (disposed_blocked), acked alike, never delivered"),
		d.check(arrived && strings.Join(names, " ") == "dave", fmt.Sprint(arrived, names), "dave's introduction arrives: bob's requests are %v", names),
	)
}

// disposal has a user introduce itself and returns what beta answered, once it has
// disposed of the envelope for a reason.
func (d *demo) disposal(ctx context.Context, u *user, to ids.Address, why relay.Reason) (answers, error) {
	a0, b0, err := d.settled(ctx)
	if err != nil {
		return answers{}, err
	}
	id, err := introduceTo(ctx, u, to, "Let me in.")
	if err != nil {
		return answers{}, err
	}
	if _, err := u.reaches(ctx, id, state.StatusAccepted); err != nil {
		return answers{}, err
	}
	if _, err := d.arrived(ctx, b0); err != nil {
		return answers{}, err
	}
	a1, b1, err := d.settled(ctx)
	if err != nil {
		return answers{}, err
	}
	if n := b1.Envelopes("peer", why.String()) - b0.Envelopes("peer", why.String()); n != 1 {
		return answers{}, fmt.Errorf("%s disposed of %d envelopes as %v", d.beta.Domain, n, why)
	}
	return answersOf(a1).since(answersOf(a0)), nil
}

// learnt: what the providers have of it.
func (d *demo) learnt(carol *user) error {
	patterns := []pattern{
		patternOf("carol", []byte(carol.address.String())), patternOf("bob", []byte(d.bob.address.String())), patternOf("hello", []byte(hello)),
	}
	find := func(s *child.Server) ([]int, error) {
		hits, _, err := search(patterns, s.Dir, s.Log)
		return hits, err
	}
	a, err := find(d.alpha)
	if err != nil {
		return err
	}
	b, err := find(d.beta)
	if err != nil {
		return err
	}
	d.say("alpha.example learnt: carol has an account, was vouched for at beta.example this month, and asked it something; and that somebody sent envelopes there")
	d.say("beta.example learnt: an account of alpha.example took the day's credential; a pseudonym, good for bob's mailbox alone, wrote to it and is blocked")
	return all(
		d.check(a[0] > 0 && a[1] == 0 && a[2] == 0, fmt.Sprint(a), "alpha.example has nothing of bob, and no word of what she wrote"),
		d.check(b[0] == 0 && b[1] > 0 && b[2] == 0, fmt.Sprint(b), "beta.example has nothing of carol, and no word of what she wrote"),
	)
}

// dirOf is where a user's profile is.
func dirOf(root string, a ids.Address) string { return filepath.Join(root, a.String()) }
