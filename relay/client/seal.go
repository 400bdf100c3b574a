package client

import (
	"errors"
	"slices"
	"time"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// minMix is the stock from which tickets may be given out.
const minMix = ticket.MinMix

// admission is what admits one envelope: a ticket with its batch's secret, that of
// a contact code, or an introduction.
type admission struct {
	held  ticket.Held
	first bool
	nonce uint32 // of an introduction
}

// draft is an envelope in the making.
type draft struct {
	c       *contact
	m       *state.Message // nil for control only
	frame   []byte
	key     *franking.Key
	frank   *franker // nil for control only
	to      []recipient
	cert    *sealedsender.VerifiedCertificate
	first   bool
	intro   *introducing // nil for one under a ticket
	control content.Control
	grantee *peer // the device that control brings tickets for
	grant   int   // how many
	alone   bool  // it goes for the stamp only
	class   wire.Class
	com     franking.Commitment
}

// seal makes and stores the next envelope for a contact: with a message, or of
// control alone. False says that it cannot be made now: no ticket, or no
// session yet.
func (w *work) seal(c *contact, m *state.Message, pos state.Position) (bool, error) {
	d, err := w.draft(c, m)
	if d == nil || err != nil {
		return false, err
	}
	// From here on something is used up: it goes into one transaction with the
	// envelope, or nothing of it does.
	w.dirty(c)
	fill := w.fillControl
	if d.intro != nil {
		fill = w.fillIntroduction
	}
	if err := fill(d); err != nil {
		return false, err
	}
	if err := w.fillPadding(d); err != nil {
		return false, err
	}
	a, err := w.takeTicket(d)
	if err != nil {
		return false, err
	}
	envelope, err := w.buildEnvelope(d, a)
	if err != nil {
		return false, err
	}
	n := w.count()
	n.Outbox++
	row := &state.Envelope{Contact: c.id, Position: pos, Dest: c.Address.Domain(), Day: w.today, Bytes: envelope}
	if err := state.Outbox.Put(w.tx, state.U64(n.Outbox), row); err != nil {
		return false, err
	}
	if m == nil {
		return true, nil
	}
	return true, w.sealedMessage(c, m, pos)
}

// draft decides whether an envelope can be made, without changing anything.
func (w *work) draft(c *contact, m *state.Message) (*draft, error) {
	if w.self.lacksAccountKey() || c.Status != state.ContactKnown || !c.reachable() || c.Blocked || c.Pending || state.Outbox.Count(w.tx) >= state.MaxOutbox {
		return nil, nil
	}
	d := &draft{c: c, m: m, cert: w.ownCert()}
	wallet, err := w.walletOf(c)
	if err != nil || d.cert == nil {
		return nil, err
	}
	if d.to, err = w.recipients(c); err != nil || len(d.to) == 0 {
		return nil, err
	}
	have := wallet.Len(w.today)
	if have == 0 {
		if m == nil {
			return nil, nil
		}
		if d.first = c.HasFirst && c.FirstExpiry >= w.today && len(c.SealKey) > 0; !d.first {
			if d.intro, err = w.introduces(c); d.intro == nil || err != nil {
				return nil, err
			}
			d.first = true
		}
	}
	w.chooseGrantee(d)
	if m == nil && d.grant == 0 && c.OwedSince == 0 {
		if d.alone, err = w.stampAlone(c); err != nil || !d.alone {
			return nil, err
		}
	}
	if have <= reserveTickets && d.grant == 0 && d.intro == nil {
		if hold, err := w.holdsBack(c, m); err != nil || hold {
			return nil, err
		}
	}
	if m != nil {
		d.frame = m.Frame
		if d.frank, err = w.franker(c, w.today); d.frank == nil || err != nil {
			return nil, err
		}
		d.key, err = franking.KeyFrom(m.Key[:])
	} else {
		d.key = franking.NewKey()
	}
	d.fit()
	if d.intro != nil && err == nil {
		if fits, err := w.fitsIntroduction(d); err != nil || !fits {
			return nil, err
		}
	}
	return d, err
}

// holdsBack reports whether the last tickets wait: they bring new ones, or nothing
// comes back any more. Not if the contact gets none, nor if they show it that more
// may be given back; and what could be introduced by now waits no longer for them.
func (w *work) holdsBack(c *contact, m *state.Message) (bool, error) {
	if !w.inStanding(c) || m != nil && w.now.Sub(time.UnixMilli(int64(m.Time))) >= introduceAfter {
		return false, nil
	}
	row, err := w.freshStamp(c)
	return row == nil, err
}

// fit leaves out devices that a session is begun with until the head has room:
// they come with the next message.
func (d *draft) fit() {
	for i := len(d.to) - 1; i >= 0 && len(d.to) > 1; i-- {
		if _, err := d.classFor(0); err == nil {
			return
		}
		if d.to[i].prekey != nil && d.to[i].p != d.grantee {
			d.to = slices.Delete(d.to, i, i+1)
		}
	}
}

// chooseGrantee chooses the device that is to get tickets, of those that open
// the message and are due the one with the fewest.
func (w *work) chooseGrantee(d *draft) {
	least, most := 0, ticket.MaxGrant
	if !w.inStanding(d.c) {
		if d.intro == nil || d.c.Lent != 0 && w.today < d.c.Lent+lendDays {
			return
		}
		most = lentTickets
	}
	for _, r := range d.to {
		have := w.outstandingOf(d.c, r.p)
		n, _ := r.p.Marks.TopUp(w.now, have)
		n = min(n, most-have)
		if n > 0 && w.canGive(n) && (d.grantee == nil || have < least) {
			d.grantee, d.grant, least = r.p, n, have
		}
	}
}

// canGive reports whether tickets may be given out.
func (w *work) canGive(n int) bool {
	return w.pool.Usable(w.today) >= minMix && state.Given.Count(w.tx)+n <= ticket.MaxGiven
}

// sendingSession returns the session to send to a device on, nil if there is none.
func (w *work) sendingSession(c *contact, p *peer) (*session, error) {
	if p.Sending == 0 {
		return nil, nil
	}
	all, err := w.sessionsOf(c)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.number == p.Sending {
			return s, nil
		}
	}
	return nil, nil
}

// needs is what d has to find room for.
func (d *draft) needs(control int) sealedsender.Needs {
	n := sealedsender.Needs{
		First: d.first, Confirmed: d.confirmed(), Frame: len(d.frame), Control: control, Prekeys: d.beginning(),
		Bundle: d.frank != nil && !d.byReference(),
	}
	n.Sessions = len(d.to) - n.Prekeys
	return n
}

// fillControl builds the control part and fixes the class: receipts, what has
// to be confirmed, the own keys until the contact answered, and tickets.
func (w *work) fillControl(d *draft) (err error) {
	if err := w.takeReceipts(d); err != nil {
		return err
	}
	for _, h := range d.c.Confirm {
		d.control.Confirmed = append(d.control.Confirmed, content.Digest(h))
	}
	d.c.Confirm = nil
	w.takeMissed(d)
	// Whoever gets a first message needs the manifest, and all devices of the
	// contact get it until one has confirmed that it is known there.
	if d.beginning() > 0 || d.c.Announced < uint32(w.self.manifest.Version()) || len(d.control.Missed) > 0 {
		d.control.Manifest = w.self.Profile.Manifest
		// With W and Z, for which the contact makes its bundles.
		if d.control.SealKey, err = w.ownMailboxKey(); err != nil {
			return err
		}
	}
	if d.beginning() > 0 || d.grant > 0 {
		d.control.Mailbox = w.self.Mailbox
	}
	if d.alone {
		if err := w.addStanding(d); err != nil {
			return err
		}
	}
	if err := w.takeGrant(d); err != nil {
		return err
	}
	if err := d.chooseClass(); !errors.Is(err, sealedsender.ErrClass) || len(d.control.SealKey) == 0 {
		return err
	}
	d.control.SealKey = nil // it can be looked up
	return d.chooseClass()
}

func (d *draft) chooseClass() error {
	b, err := d.control.Marshal()
	if err != nil {
		return err
	}
	d.class, err = d.classFor(len(b))
	return err
}

// classFor returns the smallest class that the envelope fits into, or
// sealedsender.ErrClass.
func (d *draft) classFor(control int) (wire.Class, error) {
	if d.intro == nil {
		return sealedsender.ClassFor(d.needs(control))
	}
	if !d.needs(control).FitsIntroduction() {
		return 0, sealedsender.ErrClass
	}
	return wire.ClassIntroduction, nil
}

// takeGrant draws as many tickets as are due and fit.
func (w *work) takeGrant(d *draft) error {
	if d.grant == 0 {
		return nil
	}
	room := sealedsender.Room(wire.Class64K) - len(d.frame)
	if d.intro != nil {
		room = sealedsender.Room(wire.ClassIntroduction) - len(d.frame)
	}
	n := min(d.grant, ticket.GrantFits(d.control.GrantRoom(room)), w.pool.Usable(w.today))
	if n <= 0 {
		return nil
	}
	d.c.Batch++
	_, marks := d.grantee.Marks.TopUp(w.now, w.outstandingOf(d.c, d.grantee))
	g, rows, err := w.pool.Draw(w.giver(), d.c.Address, d.grantee.device, d.c.Batch, n, w.today)
	if errors.Is(err, ticket.ErrStock) || errors.Is(err, ticket.ErrFull) {
		return nil // without tickets, then; more are minted
	}
	if err != nil {
		return err
	}
	if d.c.Fresh = false; !w.inStanding(d.c) {
		d.c.Lent = w.today
	}
	d.grantee.Marks = marks
	d.grantee.outstanding += n
	w.peerz[d.grantee] = d.c
	for i := range rows {
		key := state.U64(rows[i].Serial)
		if err := errors.Join(state.Stock.Delete(w.tx, key), state.Given.Put(w.tx, key, &rows[i])); err != nil {
			return err
		}
	}
	if d.control.Grant, err = wire.Marshal(g); err != nil {
		return err
	}
	return w.tellGiven(rows)
}

// takeTicket takes the ticket that admits the envelope out of the wallet.
func (w *work) takeTicket(d *draft) (*admission, error) {
	c := d.c
	if d.intro != nil {
		c.Introduced = w.today
		nonce, err := w.reserve(d.intro)
		return &admission{first: true, nonce: nonce}, err
	}
	if d.first {
		c.HasFirst = false
		a := &admission{first: true}
		a.held.Ticket, a.held.Key = c.FirstTicket, ticket.KeyFrom(&c.FirstKey)
		c.FirstTicket, c.FirstKey = ticket.Ticket{}, [32]byte{}
		return a, nil
	}
	held, ok := c.wallet.Take(w.today)
	if !ok {
		return nil, ErrWaiting // draft counted at least one
	}
	return &admission{held: held}, state.Wallets.Delete(w.tx, state.OfContact(c.id, held.Ticket[:]))
}

// buildEnvelope commits, encrypts and binds.
func (w *work) buildEnvelope(d *draft, a *admission) ([]byte, error) {
	c := d.c
	control, err := d.control.Marshal()
	if err != nil {
		return nil, err
	}
	plain := &sealedsender.Content{KF: *d.key.Bytes(), Hour: ids.HourOf(w.now), Frame: d.frame, Control: control}
	h := &sealedsender.Head{Sender: w.self.dh, Certificate: d.cert, Confirmed: d.confirmed(), Recipient: c.AccountDH}
	if err := w.frank(d, plain, h); err != nil {
		return nil, err
	}
	outer := sealedsender.Outer{Class: d.class, Com: d.com, Day: w.today}
	body, err := sealedsender.SealBody(outer, plain)
	if err != nil {
		return nil, err
	}
	entries, err := w.sealEntries(c, d.to, body.Key().Bytes(), body.SessionData())
	body.Key().Erase()
	if err != nil {
		return nil, err
	}
	h.Entries = entries
	head, err := w.sealHead(d, body, h, a)
	if err != nil {
		return nil, err
	}
	if d.intro != nil {
		return w.introduce(&outer, head, body.Bytes(), d.intro, a.nonce)
	}
	return bindEnvelope(&outer, head, body.Bytes(), a), nil
}

func (w *work) sealHead(d *draft, body *sealedsender.SealedBody, h *sealedsender.Head, a *admission) ([]byte, error) {
	if !a.first {
		t := wireTicket(a.held.Ticket)
		return body.SealHeadWithSecret(h, &a.held.Secret, &t)
	}
	c := d.c
	if d.intro != nil {
		return body.SealHeadFirst(h, d.intro.door.Key(), sealedsender.Mailbox{
			Provider: c.Address.Domain(), ID: d.intro.door.Mailbox(), KeyID: uint32(d.intro.door.Week()),
		})
	}
	to, err := keys.ParseSealPublic(c.SealKey)
	if err != nil {
		return nil, &state.CorruptError{Table: "contacts"}
	}
	return body.SealHeadFirst(h, to, sealedsender.Mailbox{
		Provider: c.Address.Domain(), ID: c.Mailbox, KeyID: uint32(c.SealWeek),
	})
}

// bindEnvelope puts the envelope together.
func bindEnvelope(o *sealedsender.Outer, head, body []byte, a *admission) []byte {
	payload := wire.PayloadHash(head, body)
	bound := ticket.Bound{Com: o.Com, Day: o.Day, Class: o.Class, TTL: wire.MaxTTL, Payload: payload}
	binder := a.held.Key.Binder(&a.held.Ticket, &bound)
	a.held.Key.Erase()
	e := wire.Envelope{
		Ticket: (*[wire.TicketSize]byte)(&a.held.Ticket), Binder: (*[wire.BinderSize]byte)(&binder), Com: &o.Com,
		Day: o.Day, Class: o.Class, TTL: wire.MaxTTL, Head: head, Body: body,
	}
	return e.Append(make([]byte, 0, o.Class.Size()))
}
