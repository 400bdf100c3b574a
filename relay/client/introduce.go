package client

import (
	"errors"
	"maps"
	"slices"
	"time"

	"waxwing/core/content"
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/introduction"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// introducing is what an introduction is made with: the day's credential at the
// contact's provider, and where it goes.
type introducing struct {
	row    *state.Credential
	key    []byte // of row
	relay  directory.RelayKey
	door   *directory.MailboxKey
	secret *keys.Secret // a contact code; nil for none
}

// introduces returns what a message to a contact that gave no tickets is
// introduced with; nil if it cannot be now: its keys or the day's credential are
// not here yet, the day's introductions are used up, or it had one today. More than
// one a day would only be disposed of, for the relay's limit of one sender.
func (w *work) introduces(c *contact) (*introducing, error) {
	if wants, err := w.waits(c); err != nil || !wants || c.Introduced == w.today {
		return nil, err
	}
	in := &introducing{key: state.At(w.today, c.Address.Domain())}
	var err error
	if in.row, err = state.Credentials.Get(w.tx, in.key); errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil || in.row.Over || in.row.Share.Left() == 0 || len(c.MailboxKey) == 0 {
		return nil, err
	}
	if in.door, err = directory.ParseMailboxKey(c.MailboxKey, c.Identity); err != nil {
		return nil, &state.CorruptError{Table: "contacts"}
	}
	if !w.opens(c, in.door) {
		return nil, nil // looked up again
	}
	d, _, err := w.descriptor(c.Address.Domain())
	if errors.Is(err, errDescriptor) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ok bool
	if in.relay, ok = d.RelayKey(); !ok {
		return nil, nil
	}
	if c.Code != ([keys.SecretSize]byte{}) {
		in.secret, err = keys.SecretFrom(c.Code[:])
	}
	return in, err
}

// reserve takes the next of the day's introductions. The share goes into the
// transaction of the envelope: a crash loses both, and no nonce is used twice.
func (w *work) reserve(in *introducing) (nonce uint32, err error) {
	if nonce, in.row.Share, err = in.row.Share.Reserve(); err != nil {
		return 0, err // introduces counted at least one
	}
	w.touched = true
	return nonce, state.Credentials.Put(w.tx, in.key, in.row)
}

// introduce puts an envelope together that names its mailbox by an introduction.
func (w *work) introduce(o *sealedsender.Outer, head, body []byte, in *introducing, nonce uint32) ([]byte, error) {
	cred, err := state.ParseCredential("credentials", &in.row.Credential)
	if err != nil {
		return nil, err
	}
	bigW := in.door.W()
	at := introduction.Mailbox{ID: in.door.Mailbox(), Generation: in.door.Generation()}
	if at.W, err = group.Ristretto255().DecodeElement(bigW[:]); err != nil {
		return nil, &state.CorruptError{Table: "contacts"}
	}
	s := introduction.Sender{
		Credential: cred, Home: w.self.Address.Domain(), Provider: in.door.Address().Domain(),
		Tier: in.row.Tier, Epoch: o.Day, Limits: in.row.Limits,
	}
	bound := introduction.Envelope{Com: o.Com, Day: o.Day, Class: o.Class, TTL: wire.MaxTTL, Payload: wire.PayloadHash(head, body)}
	address, err := s.Introduce(in.relay.Key, in.relay.ID, &at, &bound, nonce, in.secret)
	if err != nil {
		return nil, err
	}
	e := wire.Envelope{
		Introduction: (*[wire.IntroductionSize]byte)(address), Com: &o.Com, Day: o.Day, Class: o.Class, TTL: wire.MaxTTL, Head: head, Body: body,
	}
	return e.Append(make([]byte, 0, o.Class.Size())), nil
}

// fitsIntroduction reports whether a message fits into an introduction. One that
// does not waits for tickets.
func (w *work) fitsIntroduction(d *draft) (bool, error) {
	ctl := w.introductionControl(d)
	b, err := ctl.Marshal()
	if err != nil {
		return false, err
	}
	_, err = d.classFor(len(b))
	return err == nil, nil
}

// introductionControl is what an introduction tells beside its message: who wrote it
// and where the answer goes. Everything else waits for an envelope with more room.
func (w *work) introductionControl(d *draft) content.Control {
	ctl := content.Control{Mailbox: w.self.Mailbox}
	if d.beginning() > 0 || d.c.Announced < uint32(w.self.manifest.Version()) {
		ctl.Manifest = w.self.Profile.Manifest
	}
	return ctl
}

// fillIntroduction builds the control part of an introduction: tickets for the
// answer, as many as there is room for.
func (w *work) fillIntroduction(d *draft) error {
	d.control = w.introductionControl(d)
	if err := w.takeGrant(d); err != nil {
		return err
	}
	return d.chooseClass()
}

// waits reports whether messages to a contact wait for an introduction: it never got
// any, or has given no tickets for a while.
func (w *work) waits(c *contact) (bool, error) {
	if w.waiting[c.id] == 0 || c.Blocked || c.Pending {
		return false, nil
	}
	if c.HasFirst && c.FirstExpiry >= w.today {
		return false, nil
	}
	wallet, err := w.walletOf(c)
	if err != nil || wallet.Len(w.today) > 0 {
		return false, err
	}
	if c.Introduced != 0 || c.Sequence == uint64(w.waiting[c.id]) {
		return true, nil
	}
	rows, err := state.Waiting.Rows(w.tx, state.U32(c.id), nil, 1)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	m, err := state.Log.Get(w.tx, state.Rest(rows[0].Key))
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	return err == nil && w.now.Sub(time.UnixMilli(int64(m.Time))) >= introduceAfter, err
}

// Introductions says how many strangers this device may still write to today at a
// provider.
type Introductions struct {
	Provider ids.Domain
	Known    bool      // the day's credential is here; else Left and Limit are unknown
	Left     int       // of this device
	Limit    int       // of the account, all devices together
	More     time.Time // when the next day's are there
	Waiting  int       // messages that wait for one
}

// Introductions returns, for each provider at which the account has a contact,
// what is left of the day's introductions and when more come.
func (c *Client) Introductions() (out []Introductions, err error) {
	err = c.view(func(w *work) error {
		out, err = w.introductions()
		return err
	})
	return out, err
}

func (w *work) introductions() ([]Introductions, error) {
	at := map[ids.Domain]*Introductions{}
	var order []ids.Domain
	for _, id := range slices.Sorted(maps.Keys(w.contacts)) {
		c := w.contacts[id]
		if c.Pending {
			continue
		}
		d := c.Address.Domain()
		if at[d] == nil {
			at[d] = &Introductions{Provider: d, More: w.today.End()}
			order = append(order, d)
		}
		waits, err := w.waits(c)
		if err != nil {
			return nil, err
		}
		if waits {
			at[d].Waiting += w.waiting[c.id]
		}
	}
	out := make([]Introductions, 0, len(order))
	for _, d := range order {
		i := at[d]
		row, err := state.Credentials.Get(w.tx, state.At(w.today, d))
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			limit, _ := row.Limits.Of(row.Tier)
			i.Known, i.Left, i.Limit = true, int(row.Share.Left()), int(limit)
		}
		out = append(out, *i)
	}
	return out, nil
}

// strange reports whether the next message to a contact can only be an
// introduction: it was never written to, and gave neither code nor tickets.
func (w *work) strange(c *contact) bool {
	if c.Sequence > 0 || c.HasFirst {
		return false
	}
	wallet, err := w.walletOf(c)
	return err == nil && wallet.Len(w.today) == 0
}
