package client

import (
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
)

// MessageID names a message of this profile, sent or received: its position in
// the log.
type MessageID = state.Position

// enqueue appends a message to a conversation. F and kf, and so d, are fixed
// from here on, however often the message is sealed.
func (w *work) enqueue(to ids.Address, text string) (MessageID, error) {
	c := w.find(to)
	switch {
	case w.self == nil || !w.self.Registered:
		return 0, ErrNotRegistered
	case c == nil:
		return 0, ErrUnknownContact
	case c.Blocked:
		return 0, ErrBlocked
	case len(text) > content.MaxText, len(text) > maxIntroduction && w.strange(c):
		return 0, ErrTooLong
	case text == "" || !utf8.ValidString(text):
		return 0, ErrEmpty
	case state.Digests.Count(w.tx) >= state.MaxWaiting:
		return 0, ErrFull
	}
	if c.Pending { // an answer accepts
		if err := w.accept(c); err != nil {
			return 0, err
		}
	}
	w.dirty(c)
	if c.Conversation == ([16]byte{}) {
		c.Conversation = content.NewConversation()
	}
	f := content.Frame{
		Kind: content.KindText, Conversation: c.Conversation, Seq: c.Sequence + 1,
		Sent: uint64(w.now.UnixMilli()), Prev: c.Previous, Text: text,
	}
	frame, err := f.Marshal()
	if err != nil {
		return 0, ErrEmpty
	}
	kf := franking.NewKey()
	d := kf.Digest(frame)
	c.Sequence++
	c.Previous = d
	m := &state.Message{Contact: c.id, Status: state.StatusWaiting, Time: f.Sent, D: d, Key: *kf.Bytes(), Frame: frame}
	pos, err := w.log(c, m)
	if err != nil {
		return 0, err
	}
	w.waiting[c.id]++
	return pos, errors.Join(
		w.tellSent(c, m),
		state.Waiting.Put(w.tx, state.OfContact(c.id, state.U64(pos)), new(state.Ref)),
		state.Digests.Put(w.tx, state.OfContact(c.id, d[:]), &state.Ref{Value: uint64(pos)}),
	)
}

// log appends a message to the log and its conversation. The oldest message
// goes if there are too many.
func (w *work) log(c *contact, m *state.Message) (state.Position, error) {
	n := w.count()
	n.Position++
	if state.Log.Count(w.tx) >= state.MaxLog {
		if err := w.forgetOldest(); err != nil {
			return 0, err
		}
	}
	return n.Position, errors.Join(
		state.Log.Put(w.tx, state.U64(n.Position), m),
		state.Conversations.Put(w.tx, state.OfContact(c.id, state.U64(n.Position)), new(state.Ref)),
	)
}

func (w *work) forgetOldest() error {
	for row, err := range state.Log.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		pos := state.Position(state.ParseU64(row.Key))
		if err := w.settle(pos, row.Record); err != nil {
			return err
		}
		return errors.Join(
			state.Log.Delete(w.tx, row.Key),
			state.Copies.Delete(w.tx, state.OfContact(row.Record.Contact, row.Record.D[:])),
			state.Conversations.Delete(w.tx, state.OfContact(row.Record.Contact, row.Key)),
		)
	}
	return nil
}

// settle removes what waits for a message's end.
func (w *work) settle(pos state.Position, m *state.Message) error {
	w.touched = true
	key := state.OfContact(m.Contact, state.U64(pos))
	if state.Waiting.Has(w.tx, key) {
		w.waiting[m.Contact]--
	}
	return errors.Join(
		state.Waiting.Delete(w.tx, key),
		state.Unconfirmed.Delete(w.tx, state.OfContact(state.ContactID(m.Day), state.U64(pos))),
		state.Digests.Delete(w.tx, state.OfContact(m.Contact, m.D[:])),
	)
}

// pump seals what can be sealed, at most limit envelopes. flush says that
// receipts do not wait for more.
func (w *work) pump(limit int, flush bool) (sealed int, err error) {
	if w.self == nil || !w.self.Registered || w.ownCert() == nil {
		return 0, nil
	}
	for _, id := range w.order() {
		c := w.contacts[id]
		if c == nil || c.Blocked {
			delete(w.attention, id)
			continue
		}
		if w.e.rests.holds(c.id, c.Address.Domain()) {
			continue
		}
		n, err := w.pumpContact(c, limit-sealed, flush)
		if err != nil {
			return 0, err
		}
		if sealed += n; sealed >= limit || state.Outbox.Count(w.tx) >= state.MaxOutbox {
			break
		}
	}
	return sealed, nil
}

// idle reports whether pump and unparkLate have nothing to look at.
func (w *work) idle() bool {
	if len(w.order()) > 0 {
		return false
	}
	for _, c := range w.contacts {
		for _, p := range c.peers {
			if p.ParkedSince != 0 {
				return false
			}
		}
	}
	return true
}

// order lists the contacts for which there may be something to seal.
func (w *work) order() []state.ContactID {
	out := make([]state.ContactID, 0, len(w.attention))
	for id := range w.attention {
		out = append(out, id)
	}
	for id, n := range w.waiting {
		if n > 0 && !w.attention[id] {
			out = append(out, id)
		}
	}
	out = append(out, w.repairs()...)
	slices.Sort(out)
	return slices.Compact(out)
}

// pumpContact seals one contact's messages in order, and then what has to be
// told to it without one.
func (w *work) pumpContact(c *contact, limit int, flush bool) (sealed int, err error) {
	if n := w.waiting[c.id]; n > 0 {
		rows, err := state.Waiting.Rows(w.tx, state.U32(c.id), nil, limit)
		if err != nil {
			return 0, err
		}
		for _, row := range rows {
			pos := state.Position(state.ParseU64(state.Rest(row.Key)))
			ok, err := w.sealMessage(c, pos)
			if err != nil {
				return 0, err
			}
			if !ok {
				return sealed, nil // the contact is looked at again when something changes
			}
			sealed++
		}
	}
	n, err := w.repair(c, limit-sealed)
	if err != nil {
		return 0, err
	}
	sealed += n
	for sealed < limit && w.owes(c, flush) {
		ok, err := w.seal(c, nil, 0)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		sealed++
	}
	if c.OwedSince == 0 && w.waiting[c.id] == 0 {
		delete(w.attention, c.id)
	}
	return sealed, nil
}

// owes reports whether a contact is to be told something without a message:
// receipts that waited long enough, or tickets. Nothing is told to a contact
// that was never written to.
func (w *work) owes(c *contact, flush bool) bool {
	if c.Status != state.ContactKnown || !c.reachable() || c.Pending {
		return false
	}
	if c.OwedSince != 0 && (flush || w.now.Sub(time.UnixMilli(int64(c.OwedSince))) >= w.e.delay) {
		return true
	}
	if alone, err := w.stampAlone(c); err != nil || alone {
		return err == nil
	}
	if !w.inStanding(c) {
		return false
	}
	for _, p := range c.peers {
		if n, _ := p.Marks.TopUp(w.now, w.outstandingOf(c, p)); n > 0 && p.Sending != 0 && w.canGive(n) {
			return true
		}
	}
	return false
}

func (w *work) sealMessage(c *contact, pos state.Position) (bool, error) {
	m, err := state.Log.Get(w.tx, state.U64(pos))
	if errors.Is(err, state.ErrNotFound) {
		return true, state.Waiting.Delete(w.tx, state.OfContact(c.id, state.U64(pos)))
	}
	if err != nil {
		return false, err
	}
	return w.seal(c, m, pos)
}

// sealedMessage notes that a message went into an envelope.
func (w *work) sealedMessage(c *contact, m *state.Message, pos state.Position) error {
	w.touched = true
	if m.Status != state.StatusWaiting {
		return w.repaired(c, m, pos)
	}
	m.Status, m.Day, m.Tries, m.Sealed = state.StatusSealed, w.today, m.Tries+1, c.Version
	w.waiting[c.id]--
	return errors.Join(
		state.Log.Put(w.tx, state.U64(pos), m),
		state.Waiting.Delete(w.tx, state.OfContact(c.id, state.U64(pos))),
		state.Unconfirmed.Put(w.tx, state.OfContact(state.ContactID(m.Day), state.U64(pos)), new(state.Ref)),
	)
}

// outgoing is a stored envelope.
type outgoing struct {
	number  uint64
	contact state.ContactID
	dest    ids.Domain
	bytes   []byte
	token   []byte // that pays for it; nil on the account's connection
}

// outbox returns envelopes that the provider has not taken, behind a number, but
// those whose lane rests.
func (w *work) outbox(after uint64, limit int) (out []outgoing, err error) {
	for row, err := range state.Outbox.Scan(w.tx, nil, state.U64(after+1)) {
		if err != nil {
			return nil, err
		}
		o := outgoing{number: state.ParseU64(row.Key), contact: row.Record.Contact, dest: row.Record.Dest, bytes: row.Record.Bytes}
		if w.e.rests.waits(&o) {
			continue
		}
		if out = append(out, o); len(out) >= limit {
			break
		}
	}
	return out, nil
}

// accepted notes that the provider has envelopes durably.
func (w *work) accepted(numbers []uint64) error {
	for _, n := range numbers {
		if err := w.leave(n, func(m *state.Message) {
			if m.Status == state.StatusSealed {
				m.Status = state.StatusAccepted
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// refused notes that the provider will not take an envelope.
func (w *work) refused(number uint64, code wire.Code) error {
	var failed state.Position
	row, err := state.Outbox.Get(w.tx, state.U64(number))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	failed = row.Position
	err = w.leave(number, func(m *state.Message) {
		if m.Status == state.StatusSealed {
			m.Status, m.Failure = state.StatusFailed, uint16(code)
		}
	})
	if err != nil || failed == 0 {
		return err
	}
	m, err := state.Log.Get(w.tx, state.U64(failed))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.settle(failed, m)
}

// leave removes an envelope from the outbox and changes its message.
func (w *work) leave(number uint64, change func(*state.Message)) error {
	row, err := state.Outbox.Get(w.tx, state.U64(number))
	if errors.Is(err, state.ErrNotFound) {
		return nil // acked before
	}
	if err != nil {
		return err
	}
	err = errors.Join(state.Outbox.Delete(w.tx, state.U64(number)), state.Paid.Delete(w.tx, state.U64(number)))
	if err != nil || row.Position == 0 {
		return err
	}
	m, err := state.Log.Get(w.tx, state.U64(row.Position))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	before := m.Status
	if change(m); m.Status != before {
		if err := w.tellStatus(m); err != nil {
			return err
		}
	}
	return state.Log.Put(w.tx, state.U64(row.Position), m)
}
