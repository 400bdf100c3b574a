package demo

import (
	"context"
	"errors"
	"fmt"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

const codeExists = wire.CodeExists

func pinOf(p *child.Provider) keys.Pin { return p.Pin }

// codeShown is how much of a contact code is printed.
const codeShown = 60

func (d *demo) contact(ctx context.Context) (err error) {
	ctx, cancel := within(ctx)
	defer cancel()
	if d.code, err = d.bob.c.ContactCode(ctx, 0); err != nil {
		return err
	}
	d.say("%.*s...  (%d characters)", codeShown, d.code, len(d.code))
	d.say("address, identity fingerprint, provider's pin, mailbox, one ticket with its key; one use, 7 days")
	// One character differs, somewhere in the middle.
	wrong := []byte(d.code)
	wrong[len(wrong)/2] ^= 'A' ^ 'B'
	_, err = d.alice.c.Add(ctx, string(wrong))
	if err := d.check(errors.Is(err, client.ErrBadCode), fmt.Sprint("Add returned ", err), "a code with one wrong character is refused"); err != nil {
		return err
	}
	address, err := d.alice.c.Add(ctx, d.code)
	if err != nil {
		return err
	}
	contacts, err := d.alice.c.Contacts()
	if err != nil {
		return err
	}
	bob, err := d.bob.c.Profile()
	if err != nil {
		return err
	}
	ok := address == d.bob.address && len(contacts) == 1 && contacts[0].Address == address && contacts[0].Fingerprint == bob.Fingerprint
	return d.check(ok, fmt.Sprintf("%d contacts, %s", len(contacts), address), "alice has bob as a contact, with the fingerprint of his identity key")
}

func (d *demo) messages(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	turns := []struct {
		from, to *user
		text     string
	}{
		{d.alice, d.bob, "Hello Bob, this goes over two providers. Neither learns that we talk."},
		{d.bob, d.alice, "Hello Alice! Mine knows that I got something, not from whom."},
		{d.alice, d.bob, "And mine knows that I sent something to your provider, not to whom there."},
	}
	counts := map[*user]int{}
	for _, t := range turns {
		id, err := t.from.c.Send(ctx, t.to.address, t.text)
		if err != nil {
			return err
		}
		counts[t.to]++
		got, err := t.to.await(ctx, counts[t.to], func(int) {})
		if err != nil {
			return err
		}
		last := got[len(got)-1]
		d.texts = append(d.texts, t.text)
		err = d.check(len(got) == counts[t.to] && last.From() == t.from.address && last.Text() == t.text,
			fmt.Sprintf("%d messages, the last one %q", len(got), last.Text()),
			"%s reads, from %s: %q", t.to.address.Local(), t.from.address, t.text)
		if err != nil {
			return err
		}
		e, err := t.from.reaches(ctx, id, state.StatusDelivered)
		if err != nil {
			return err
		}
		err = d.check(e.Status == state.StatusDelivered, fmt.Sprintf("its status is %d", e.Status),
			"%s has the receipt, which came inside the encrypted session", t.from.address.Local())
		if err != nil {
			return err
		}
	}
	return nil
}
