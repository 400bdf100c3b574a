package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"waxwing/core/attachment"
	"waxwing/core/content"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/relay/client/state"
)

// Who has no ticket introduces itself. The relay verified that an account which the
// sender's provider attests made the introduction, and tells its pseudonym; the
// client checks that it is the account in the certificate. What comes from somebody
// new waits as a request: nothing is answered, no receipt either, until the user
// accepts.

// maxAsks is how many messages of one request are kept: what the relay lets
// through of one sender in two days. More are dropped.
const maxAsks = 6

// openIntroduced checks what the relay tells of an introduction.
func (w *work) openIntroduced(o *opening) error {
	in := o.d.Introduced()
	if w.awaits(in.Generation) {
		return &holdError{holdRow{reason: state.HeldMailboxKeys}}
	}
	o.intro = &in
	return nil
}

// openPseudonym compares the pseudonym of an introduction with the certificate:
// only so does a block of the one meet the other (design section 8).
func (w *work) openPseudonym(o *opening) error {
	if o.intro == nil {
		return nil
	}
	// Of the generation that the introduction was made for, as long as there is one.
	want, err := w.pseudonym(o.sender.Certificate().XS(), o.intro.Generation)
	if err != nil {
		return err
	}
	if want.Generation == 0 || want.NR != o.intro.NR {
		return drop(dropPseudonym)
	}
	return nil
}

// pends reports whether somebody new waits for an answer before it is a contact.
func (w *work) pends(o *opening) (bool, error) {
	if o.intro == nil || o.intro.Code {
		return false, nil
	}
	s, err := w.settings()
	return err == nil && mailbox.Policy(s.Policy) != mailbox.Deliver, err
}

// request keeps a message of somebody who waits for an answer.
func (w *work) request(c *contact, p *peer, f *content.Frame, m *state.Message) error {
	rows, err := state.Requests.Rows(w.tx, state.U32(c.id), nil, maxAsks)
	if err != nil {
		return err
	}
	if len(rows) == maxAsks {
		w.drop(dropRequests)
		return nil
	}
	w.touched = true
	key := append(state.U32(p.device), state.U64(f.Seq)...)
	err = state.Requests.Put(w.tx, state.OfContact(c.id, key), m)
	if errors.Is(err, state.ErrFull) {
		w.drop(dropRequests)
		return nil
	}
	return err
}

// accept makes a contact of who waits for an answer, and its messages appear.
func (w *work) accept(c *contact) error {
	w.dirty(c)
	w.attention[c.id] = true
	c.Pending = false
	w.vouch(c)
	rows, err := state.Requests.Rows(w.tx, state.U32(c.id), nil, 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		f, err := content.ParseFrame(row.Record.Frame)
		p := c.peers[ids.DeviceID(state.ParseU32(state.Rest(row.Key)))]
		switch {
		case err != nil:
			return &state.CorruptError{Table: "requests"}
		case p == nil: // of a device that was removed meanwhile
			_, err = w.log(c, row.Record)
		default:
			err = w.arrange(c, p, f, row.Record)
		}
		if err := errors.Join(err, state.Requests.Delete(w.tx, row.Key)); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) dropRequests(c *contact) error {
	rows, err := state.Requests.Rows(w.tx, state.U32(c.id), nil, 0)
	for _, row := range rows {
		w.touched = true
		err = errors.Join(err, state.Requests.Delete(w.tx, row.Key))
	}
	return err
}

// addStranger makes a contact of an address alone. Its keys are pinned when it is
// first looked up.
func (w *work) addStranger(a ids.Address) (*contact, error) {
	c, err := w.newContact(&state.Contact{Address: a, Status: state.ContactCode})
	if err == nil {
		w.vouch(c)
	}
	return c, err
}

// blockFound blocks an account by its X_S, which was looked up for that.
func (w *work) blockFound(c *contact, m *directory.Manifest) error {
	w.dirty(c)
	c.Identity = m.Identity()
	return w.learnKey(c, m.XS())
}

// Request is somebody who introduced itself and waits for an answer.
type Request struct {
	From        ids.Address // its account, at the provider that vouches for it
	Fingerprint [32]byte    // of its identity key
	Text        string      // the first message; more are there after Accept
	Attachments []attachment.Descriptor
	Received    time.Time
	Messages    int
}

// Requests returns who waits for an answer, the oldest first.
func (c *Client) Requests() (out []Request, err error) {
	err = c.view(func(w *work) error {
		at := map[state.ContactID]int{}
		for row, err := range state.Requests.Scan(w.tx, nil, nil) {
			if err != nil {
				return err
			}
			k := w.contacts[row.Record.Contact]
			f, err := content.ParseFrame(row.Record.Frame)
			if err != nil || k == nil {
				return &state.CorruptError{Table: "requests"}
			}
			if i, ok := at[k.id]; ok {
				out[i].Messages++
				continue
			}
			at[k.id] = len(out)
			out = append(out, Request{
				From: k.Address, Fingerprint: k.Fingerprint, Text: f.Text, Attachments: f.Attachments, Messages: 1,
				Received: time.UnixMilli(int64(row.Record.Stamped)).UTC(),
			})
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b Request) int { return a.Received.Compare(b.Received) })
	return out, err
}

// Accept makes a contact of who waits for an answer: its messages are received, it
// gets receipts, and tickets to write more with. The error is ErrUnknownContact,
// also for a contact that does not wait, and the store's.
func (c *Client) Accept(ctx context.Context, a ids.Address) error {
	err := c.answer(ctx, a, (*work).accept)
	c.nudge()
	return err
}

// Refuse forgets what somebody wrote who waits for an answer. Nothing tells it; a
// later introduction of it is a new request. Errors are those of Accept.
func (c *Client) Refuse(ctx context.Context, a ids.Address) error {
	return c.answer(ctx, a, (*work).dropRequests)
}

func (c *Client) answer(ctx context.Context, a ids.Address, f func(*work, *contact) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.update(func(w *work) error {
		k := w.find(a)
		if k == nil || !k.Pending {
			return ErrUnknownContact
		}
		return f(w, k)
	})
}

// Blocked returns who is blocked, by address.
func (c *Client) Blocked() (out []ids.Address, err error) {
	err = c.view(func(w *work) error {
		for _, k := range w.contacts {
			if k.Blocked {
				out = append(out, k.Address)
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b ids.Address) int { return strings.Compare(a.String(), b.String()) })
	return out, err
}

// AddAddress makes a contact of an address, without a contact code: its keys are
// those that its provider names at the first message, which is an introduction.
// A secret that it gave out for that, if any, is in code. Errors are
// ErrNotRegistered, ErrOwnCode, ErrBlocked, ErrBadCode and ErrFull. A contact that
// is known stays as it is.
func (c *Client) AddAddress(ctx context.Context, a ids.Address, code string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.update(func(w *work) error { return w.addAddress(a, code) })
}

func (w *work) addAddress(a ids.Address, code string) error {
	c := w.find(a)
	var err error
	switch {
	case w.self == nil || !w.self.Registered:
		return ErrNotRegistered
	case a == w.self.Address:
		return ErrOwnCode
	case c == nil:
		if c, err = w.addStranger(a); err != nil {
			return err
		}
	case c.Blocked:
		return ErrBlocked
	case c.Pending:
		if err := w.accept(c); err != nil {
			return err
		}
	}
	if code == "" {
		return nil
	}
	w.dirty(c)
	c.Code, err = parseDoorCode(code)
	return err
}
