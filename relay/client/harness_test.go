package client

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waxwing/blocklist"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// user is an engine on a file, with what the harness knows about it.
type user struct {
	w       *world
	address ids.Address
	p       *provider
	path    string
	e       *engine
	box     *box
	device  ids.DeviceID
	queue   []delivery         // what is in the mailbox behind this device's place
	classes map[wire.Class]int // of what it sent
	sealed  map[string]bool    // every ticket that it used
	order   []wire.Class       // of what it sent
	skew    time.Duration      // how much its clock is ahead
}

func (w *world) user(address string) *user {
	u := &user{
		w: w, address: ids.MustParseAddress(address), device: 1, path: filepath.Join(w.t.TempDir(), "state"),
		classes: make(map[wire.Class]int), sealed: make(map[string]bool),
	}
	u.p = w.providers[u.address.Domain()]
	u.open()
	w.users = append(w.users, u)
	u.do(func(k *work) error { return k.prepare(u.address, "127.0.0.1:1", u.p.pin(), nil) })
	var m *directory.Manifest
	u.do(func(k *work) error { m = k.self.manifest; return nil })
	u.box = &box{
		id: ids.NewMailboxID(), manifest: m, spent: make(map[uint64]ids.EnvelopeID), entries: make(map[[16]byte]bool),
		prekeys: make(map[ids.DeviceID]*prekeyBox), readers: []*user{u},
	}
	u.p.boxes[u.box.id], u.p.byName[u.address] = u.box, u.box
	u.enter()
	u.supply()
	w.t.Cleanup(func() { u.e.store.Close() })
	return u
}

func (u *user) open() {
	s, err := state.Open(u.path, state.Options{})
	u.w.must(err)
	u.e = &engine{store: s, delay: time.Second}
}

// reopen forgets everything but the file.
func (u *user) reopen() {
	u.w.must(u.e.store.Close())
	u.open()
}

func (u *user) try(f func(*work) error) error { return u.e.update(u.w.now.Add(u.skew), f) }

func (u *user) do(f func(*work) error) {
	u.w.t.Helper()
	u.w.must(u.try(f))
}

// supply does what a connection does: descriptor, certificate, keys, tickets,
// strikes.
func (u *user) supply() {
	u.w.t.Helper()
	u.do(func(k *work) error { return k.sweep() })
	u.do(func(k *work) error { return k.described(u.address.Domain(), u.p.descriptor()) })
	u.do(func(k *work) error {
		if len(k.self.Cert) == 0 || k.self.CertExpiry < k.today+certificateDays {
			return k.certified(u.p.certificateOf(u.box.manifest, u.device, 13))
		}
		return nil
	})
	u.publish()
	for {
		n := 0
		u.do(func(k *work) error { n = k.mintCount(); return nil })
		if n <= 0 {
			break
		}
		u.do(func(k *work) error { return k.minted(u.p.mint(u.box, n)) })
	}
	u.strike()
	u.supplyFranking()
}

func (u *user) publish() {
	b := u.box.prekeys[u.device]
	if b == nil {
		b = new(prekeyBox)
	}
	for {
		var m *wire.Prekeys
		u.do(func(k *work) (err error) { m, err = k.prekeys(len(b.oneTime)); return err })
		if m == nil {
			break
		}
		if m.Signed != nil {
			b.signed, b.last = m.Signed, m.LastResort
		}
		u.box.prekeys[u.device] = b
		b.oneTime = append(b.oneTime, m.OneTime...)
		if len(m.OneTime) == 0 {
			break
		}
	}
	var key *directory.MailboxKey
	var due bool
	u.do(func(k *work) (err error) { key, due, err = k.sealKey(); return err })
	if due {
		if key != nil {
			u.box.publish(key)
		}
		u.do(func(k *work) error { k.ownProfile().Published = true; return nil })
	}
}

func (u *user) strike() (serials int) {
	var rows []strikeRow
	u.do(func(k *work) (err error) { rows, err = k.strikes(100); return err })
	for _, r := range rows {
		for _, m := range r.ms {
			serials += u.carryOut(m)
		}
		u.do(func(k *work) error { return k.struck(r.number) })
	}
	return serials
}

func (u *user) carryOut(m wire.Message) (serials int) {
	switch m := m.(type) {
	case *wire.Block:
		q, err := blocklist.ParseRequest(m.Block)
		u.w.must(err)
		u.box.entries[q.Entry] = true
		_, err = u.box.list.Add(q.Entry, q.Pseudonym)
		u.w.must(err)
		for _, s := range q.Serials {
			if by, ok := u.box.spent[s.N]; ok && by != (ids.EnvelopeID{}) {
				u.w.t.Error("a spent serial was struck")
			}
			u.box.spent[s.N] = ids.EnvelopeID{}
			serials++
		}
	case *wire.Unblock:
		delete(u.box.entries, m.Entry)
		u.box.list.Remove(m.Entry)
	case *wire.BlockPseudonyms:
		all := make([]blocklist.Renewal, len(m.Renewals))
		for i, r := range m.Renewals {
			all[i] = blocklist.Renewal{Entry: r.Entry, Pseudonym: blocklist.Pseudonym{Generation: m.Generation, NR: r.NR}}
		}
		u.box.list.Renew(all)
	}
	return serials
}

func (u *user) send(to *user, text string) MessageID {
	u.w.t.Helper()
	var id MessageID
	u.do(func(k *work) (err error) { id, err = k.enqueue(to.address, text); return err })
	return id
}

func (u *user) code() string {
	var code string
	u.do(func(k *work) (err error) { code, err = k.newCode(codeDays); return err })
	return code
}

func (u *user) add(code string) {
	u.w.t.Helper()
	u.do(func(k *work) error { _, err := k.add(code); return err })
}

// lookUp looks up whoever has to be.
func (u *user) lookUp() {
	u.w.t.Helper()
	var todo []ids.Address
	u.do(func(k *work) error { todo = k.lookups(); return nil })
	for _, a := range todo {
		p := u.w.providers[a.Domain()]
		u.do(func(k *work) error { return k.described(a.Domain(), p.descriptor()) })
		u.do(func(k *work) error { return k.lookedUp(a, p.lookup(a)) })
	}
}

// seal seals what can be, and returns what is in the outbox.
func (u *user) seal(flush bool) []outgoing {
	u.w.t.Helper()
	u.lookUp()
	u.supplyFranking()
	for {
		n := 0
		u.do(func(k *work) (err error) { n, err = k.pump(batchSize, flush); return err })
		if n == 0 {
			break
		}
	}
	var rows []outgoing
	u.do(func(k *work) (err error) { rows, err = k.outbox(0, state.MaxOutbox); return err })
	return rows
}

// push seals, sends and has everything acked.
func (u *user) push(flush bool) int {
	u.w.t.Helper()
	var numbers []uint64
	for _, o := range u.seal(flush) {
		u.count(o)
		u.w.providers[o.dest].take(u.address.Domain(), o.bytes)
		numbers = append(numbers, o.number)
	}
	u.do(func(k *work) error { return k.accepted(numbers) })
	return len(numbers)
}

// count notes an envelope, and that its ticket was used for no other.
func (u *user) count(o outgoing) {
	var e wire.Envelope
	u.w.must(wire.ParseEnvelope(o.bytes, &e))
	id := sha256.Sum256(o.bytes)
	if e.Introduction != nil {
		u.classes[e.Class]++
		return
	}
	if key := fmt.Sprintf("%x/%x", e.Ticket[:], id); !u.sealed[key] {
		if u.sealed[string(e.Ticket[:])] {
			u.w.t.Error("sealed twice under one ticket")
		}
		u.sealed[key], u.sealed[string(e.Ticket[:])] = true, true
		u.classes[e.Class]++
		u.order = append(u.order, e.Class)
	}
}

// pull takes everything from the mailbox.
func (u *user) pull() {
	u.w.t.Helper()
	for len(u.queue) > 0 {
		n := min(batchSize, len(u.queue))
		u.take(u.queue[:n])
		u.queue = u.queue[n:]
	}
}

func (u *user) take(batch []delivery) {
	u.w.t.Helper()
	var fetch []ids.Domain
	u.do(func(k *work) error {
		err := k.receive(batch)
		for d := range k.fetch {
			fetch = append(fetch, d)
		}
		return err
	})
	for _, d := range fetch {
		u.do(func(k *work) error {
			if err := k.described(d, u.w.providers[d].descriptor()); err != nil {
				return err
			}
			return k.release(false)
		})
	}
	u.heldSnapshots()
}

// settle exchanges until nothing moves.
func (w *world) settle() {
	w.t.Helper()
	quiet := false
	for range 100 {
		moved := 0
		for _, u := range w.users {
			u.supply()
			moved += u.push(true)
		}
		w.share()
		for _, u := range w.users {
			moved += len(u.queue)
			u.pull()
		}
		if moved > 0 {
			continue
		}
		if quiet {
			return
		}
		quiet = true // gaps are given up now
		w.advance(parkTime)
		for _, u := range w.users {
			u.do(func(k *work) error { _, err := k.unparkLate(); return err })
		}
	}
	w.t.Fatal("never quiet: messages that answer each other for ever")
}

// unconfirm forgets that a contact has confirmed the own certificate.
func (w *work) unconfirm(c *contact) {
	for _, p := range c.peers {
		p.Confirmed = [32]byte{}
		w.dirtyPeer(c, p)
	}
}

// late returns what a user was shown that others had been shown before.
func (u *user) late() (texts []string) {
	u.do(func(k *work) error {
		for row, err := range state.Log.Scan(k.tx, nil, nil) {
			if err != nil {
				return err
			}
			if !row.Record.Late {
				continue
			}
			o, err := k.opened(state.Position(state.ParseU64(row.Key)), row.Record)
			if err != nil {
				return err
			}
			if o.Late() {
				texts = append(texts, o.Text())
			}
		}
		return nil
	})
	return texts
}

// inbox returns what a user was shown of another, in order.
func (u *user) inbox(from *user) (texts []string) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		for row, err := range state.Log.Scan(k.tx, nil, nil) {
			if err != nil {
				return err
			}
			if row.Record.Status != state.StatusReceived {
				continue
			}
			o, err := k.opened(state.Position(state.ParseU64(row.Key)), row.Record)
			if err != nil {
				return err
			}
			if o.From() == from.address {
				texts = append(texts, o.Text())
			}
		}
		return nil
	})
	return texts
}

func (u *user) status(id MessageID) (s state.Status) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		e, err := k.entry(id)
		s = e.Status
		return err
	})
	return s
}

func (u *user) dropped(r dropReason) (n uint64) {
	u.do(func(k *work) error { n = k.n.Dropped[r]; return nil })
	return n
}

func (u *user) heldCount() (n int) {
	u.do(func(k *work) error { n = state.Held.Count(k.tx); return nil })
	return n
}

func (u *user) tickets(of *user) (n int) {
	u.do(func(k *work) error {
		wallet, err := k.walletOf(k.find(of.address))
		if err == nil {
			n = wallet.Len(k.today)
		}
		return err
	})
	return n
}

// friends makes two users who have written to each other.
func (w *world) friends() (alice, bob *user) {
	alice, bob = w.user("alice@alpha.example"), w.user("bob@beta.example")
	w.befriend(alice, bob)
	return alice, bob
}

func (w *world) befriend(a, b *user) {
	w.t.Helper()
	a.add(b.code())
	a.send(b, "hello")
	w.settle()
	b.send(a, "hello back")
	w.settle()
	if got := b.inbox(a); !slices.Equal(got, []string{"hello"}) {
		w.t.Fatalf("first contact: %q", got)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// errUndo has a transaction rolled back.
var errUndo = errors.New("undo")

type heldRow = ticket.Held

// sealedVerify returns a certificate of a user's that its provider's present
// key signed, whatever others think of that key.
func sealedVerify(u *user) (*sealedsender.VerifiedCertificate, error) {
	return sealedsender.Verify(u.p.certificate(u.box.manifest, 13), []keys.VerifyKey{u.p.cert.Public()},
		u.address.Domain(), ids.DayOf(u.w.now))
}
