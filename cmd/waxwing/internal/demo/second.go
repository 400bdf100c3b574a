package demo

import (
	"context"
	"errors"
	"fmt"
	"os"

	"waxwing/relay"
	"waxwing/relay/client"
)

// second links another device of a user's account. Nobody is in the middle here, so
// nobody compares digits.
func (u *user) second(ctx context.Context) (*user, error) {
	yes := func(context.Context, string) bool { return true }
	codes, linked := make(chan string, 1), make(chan error, 1)
	go func() {
		_, err := u.c.Link(ctx, func(code string) { codes <- code }, yes)
		linked <- err
	}()
	other := &user{address: u.address, provider: u.provider, dir: u.dir + "-second", stop: func() {}}
	select {
	case err := <-linked:
		return nil, errors.Join(errors.New("demo: no code for the second device"), err)
	case code := <-codes:
		err := os.MkdirAll(other.dir, 0o700)
		if err == nil {
			other.c, err = client.Join(ctx, configOf(other.dir), code, yes)
		}
		if err = errors.Join(err, <-linked); err != nil && other.c != nil {
			err = errors.Join(err, other.c.Close())
		}
		return other, err
	}
}

// secondDevice: bob blocks carol, who links another device and tries from there.
func (d *demo) secondDevice(ctx context.Context, carol *user) error {
	if err := d.bob.c.Block(ctx, carol.address); err != nil {
		return err
	}
	d.say("bob blocks %s: her pseudonym at his mailbox, which no refill, token or device of hers changes", carol.address)
	phone, err := carol.second(ctx)
	if err != nil {
		return err
	}
	phone.run(ctx)
	defer func() { _ = phone.close() }()
	kept, err := carol.c.Introductions()
	if err != nil {
		return err
	}
	given, err := phone.c.Introductions()
	if err != nil {
		return err
	}
	found := fmt.Sprintf("%+v and %+v", kept, given)
	if len(kept) != 1 || len(given) != 1 {
		return d.check(false, found, "carol's devices have introductions at one provider")
	}
	k, g := kept[0], given[0]
	if err := d.check(k.Known && g.Known && k.Left == 2 && g.Left == 1 && k.Limit == 4, found,
		"carol links a second device, which may introduce her today: of the %d that she had left of %d it got %d, and the first one kept %d",
		k.Left+g.Left, k.Limit, g.Left, k.Left); err != nil {
		return err
	}
	blocked, err := d.disposal(ctx, phone, d.bob.address, relay.DisposedBlocked)
	if err != nil {
		return err
	}
	asked, err := d.bob.c.Requests()
	if err != nil {
		return err
	}
	given, err = phone.c.Introductions()
	if err != nil {
		return err
	}
	return all(
		d.check(blocked == answers{acked: 1} && len(asked) == 0, fmt.Sprintf("%+v, %+v", blocked, asked),
			"from there, with submission tokens of that device's own, she writes to bob again: disposed of at beta.example (disposed_blocked), acked alike, never delivered"),
		d.check(given[0].Left == 0, fmt.Sprintf("%+v", given), "the second device's introductions of the day are used up by it: %d left", given[0].Left),
	)
}
