package client

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"waxwing/core/ids"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/privacypass"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// engine holds the protocol's decisions over the state. What it keeps in memory
// is a copy of what is stored; it is dropped when a transaction that changed it
// fails, and read again.
type engine struct {
	store     *state.Store
	delay     time.Duration // how long receipts are collected
	syncEvery time.Duration // how often batches leave, if the user chose nothing
	// identified has envelopes leave on the account's connection, whatever the user
	// chose.
	identified bool

	rests rests // has its own lock

	mu   sync.Mutex
	memo *memory // guarded by mu; nil until read
}

// memory is the part of the state that is kept in memory.
type memory struct {
	self      *self    // nil before a profile is made
	own       *contact // the own account, whose peers are the other devices; nil before
	n         *state.Counters
	pool      *ticket.Pool
	used      []uint64 // serials of pool that are used, the oldest first
	contacts  map[state.ContactID]*contact
	byAddress map[ids.Address]state.ContactID
	waiting   map[state.ContactID]int // messages that are not sealed
	attention map[state.ContactID]bool
	// descriptors are those that were verified since the start.
	descriptors map[ids.Domain]knownProvider
	certs       map[[sealedsender.HashSize]byte]*sealedsender.VerifiedCertificate
	purse       *franking.Purse                   // nil until read
	revoked     bool                              // another provider knows of a revocation that is not known here
	ownTo       map[uint32]*franking.Recipient    // the own account, as bundles name it, by generation of W and Z; made when needed
	snapshots   map[ids.Domain]*franking.Snapshot // other providers', of the own one's keys; verified
	inForce     map[[32]byte]*franking.Snapshot   // the own provider's, by id; verified
	bundles     map[[32]byte]*franking.Bundle     // contacts', by reference; verified since the start
	bucket      map[privacypass.Epoch]int         // free submission tokens; nil until counted
}

// contact is a contact with what belongs to it.
type contact struct {
	*state.Contact
	id       state.ContactID
	wallet   *ticket.Wallet // nil until read
	sessions []*session     // nil until read; the one last received on first
	loaded   bool           // sessions were read
	peers    map[ids.DeviceID]*peer
	// recipient is what the contact's token bundles are made for; nil until read.
	recipient     *franking.Recipient
	recipientLast ids.Day // the last day of the mailbox key that it is of
	// doorDay is when its mailbox key was last looked up, since the start.
	doorDay ids.Day
	sound   [2]sound // the offers that were last found sound
}

// session is a ratchet session with its place in the table.
type session struct {
	number uint64
	row    state.Session
	s      *ratchet.Session
}

// work is one transaction of the engine.
type work struct {
	*memory
	e     *engine
	tx    *state.Tx
	now   time.Time
	today ids.Day

	touched  bool // memory was changed
	counters bool
	profile  bool
	contactz map[*contact]bool // to be stored
	peerz    map[*peer]*contact
	sessionz map[*session]*contact
	fetch    map[ids.Domain]bool // descriptors that are needed
	known    bool                // a certificate came that held deliveries may refer to
}

// update runs f as one transaction. After an error nothing has changed.
func (e *engine) update(now time.Time, f func(*work) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var w *work
	err := e.store.Update(func(tx *state.Tx) error {
		if e.memo == nil {
			m, err := load(tx)
			if err != nil {
				return err
			}
			e.memo = m
		}
		w = &work{
			memory: e.memo, e: e, tx: tx, now: now, today: ids.DayOf(now),
			contactz: make(map[*contact]bool), peerz: make(map[*peer]*contact), sessionz: make(map[*session]*contact), fetch: make(map[ids.Domain]bool),
		}
		if err := f(w); err != nil {
			return err
		}
		return w.flush()
	})
	if err != nil && (w == nil || w.touched) {
		e.memo = nil
	}
	return err
}

// view runs f on the state in memory and in the file, changing neither.
func (e *engine) view(now time.Time, f func(*work) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.store.View(func(tx *state.Tx) error {
		if e.memo == nil {
			m, err := load(tx)
			if err != nil {
				return err
			}
			e.memo = m
		}
		return f(&work{memory: e.memo, e: e, tx: tx, now: now, today: ids.DayOf(now), fetch: make(map[ids.Domain]bool)})
	})
}

// load reads what is kept in memory.
func load(tx *state.Tx) (*memory, error) {
	m := &memory{
		contacts: make(map[state.ContactID]*contact), byAddress: make(map[ids.Address]state.ContactID),
		waiting: make(map[state.ContactID]int), attention: make(map[state.ContactID]bool),
		descriptors: make(map[ids.Domain]knownProvider),
		certs:       make(map[[sealedsender.HashSize]byte]*sealedsender.VerifiedCertificate),
		snapshots:   make(map[ids.Domain]*franking.Snapshot), inForce: make(map[[32]byte]*franking.Snapshot),
		bundles: make(map[[32]byte]*franking.Bundle), ownTo: make(map[uint32]*franking.Recipient),
	}
	n, err := state.Counter.Get(tx, state.Single)
	if errors.Is(err, state.ErrNotFound) {
		n, err = new(state.Counters), nil
	}
	if err != nil {
		return nil, err
	}
	m.n = n
	if m.self, err = loadSelf(tx); err != nil {
		return nil, err
	}
	m.ownContact()
	for row, err := range state.Contacts.Scan(tx, nil, nil) {
		if err != nil {
			return nil, err
		}
		c := newContactOf(row.Record, state.ContactID(state.ParseU32(row.Key)))
		m.contacts[c.id] = c
		m.byAddress[c.Address] = c.id
		m.attention[c.id] = true
	}
	if err := m.loadPeers(tx); err != nil {
		return nil, err
	}
	for row, err := range state.Waiting.Scan(tx, nil, nil) {
		if err != nil {
			return nil, err
		}
		m.waiting[state.ContactID(state.ParseU32(row.Key))]++
	}
	return m, m.loadPool(tx)
}

func (m *memory) loadPool(tx *state.Tx) error {
	var stock []ticket.Stocked
	for row, err := range state.Stock.Scan(tx, nil, nil) {
		if err != nil {
			return err
		}
		stock = append(stock, *row.Record)
	}
	var given []ticket.Given
	for row, err := range state.Given.Scan(tx, nil, nil) {
		if err != nil {
			return err
		}
		given = append(given, *row.Record)
		if row.Record.Used {
			m.used = append(m.used, row.Record.Serial)
		}
	}
	var err error
	if m.pool, err = ticket.NewPool(stock, given); err != nil {
		return &state.CorruptError{Table: "given"}
	}
	return nil
}

// flush stores what changed in memory.
func (w *work) flush() error {
	if err := w.tellContacts(); err != nil {
		return err
	}
	for s, c := range w.sessionz {
		s.row.State = s.s.Marshal()
		err := state.Sessions.Put(w.tx, state.OfContact(c.id, state.U64(s.number)), &s.row)
		clear(s.row.State)
		s.row.State = nil
		if err != nil {
			return err
		}
	}
	for p, c := range w.peerz {
		if err := state.Peers.Put(w.tx, state.OfContact(c.id, state.U32(p.device)), &p.Peer); err != nil {
			return err
		}
	}
	for c := range w.contactz {
		if err := state.Contacts.Put(w.tx, state.U32(c.id), c.Contact); err != nil {
			return err
		}
	}
	if w.profile {
		if err := state.Profiles.Put(w.tx, state.Single, &w.self.Profile); err != nil {
			return err
		}
	}
	if w.counters {
		return state.Counter.Put(w.tx, state.Single, w.n)
	}
	return nil
}

// dirty notes that a contact changed.
func (w *work) dirty(c *contact) {
	w.touched = true
	if c != w.own { // the own account is in the profile
		w.contactz[c] = true
	}
}

// count returns the counters, to be changed.
func (w *work) count() *state.Counters {
	w.touched, w.counters = true, true
	return w.n
}

// ownProfile returns the profile, to be changed.
func (w *work) ownProfile() *self {
	w.touched, w.profile = true, true
	return w.self
}

// find returns the contact of an address, or nil.
func (m *memory) find(a ids.Address) *contact { return m.contacts[m.byAddress[a]] }

// newContact adds a contact. Errors are ErrFull and the store's.
func (w *work) newContact(rec *state.Contact) (*contact, error) {
	if len(w.contacts) >= state.MaxContacts {
		return nil, ErrFull
	}
	n := w.count()
	n.Contact++
	c := newContactOf(rec, n.Contact)
	c.wallet, c.loaded = new(ticket.Wallet), true
	if err := state.Addresses.Put(w.tx, []byte(rec.Address.String()), &state.Ref{Value: uint64(c.id)}); err != nil {
		return nil, err
	}
	w.contacts[c.id] = c
	w.byAddress[rec.Address] = c.id
	w.attention[c.id] = true
	w.dirty(c)
	return c, nil
}

// walletOf returns a contact's tickets.
func (w *work) walletOf(c *contact) (*ticket.Wallet, error) {
	if c.wallet != nil {
		return c.wallet, nil
	}
	var rows []ticket.Held
	for row, err := range state.Wallets.Scan(w.tx, state.U32(c.id), nil) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, *row.Record)
	}
	wallet, err := ticket.NewWallet(rows)
	if err != nil {
		return nil, &state.CorruptError{Table: "wallets"}
	}
	c.wallet = wallet
	return wallet, nil
}

// sessionsOf returns the sessions with a contact, the one on which something
// was received last first.
func (w *work) sessionsOf(c *contact) ([]*session, error) {
	if c.loaded {
		return c.sessions, nil
	}
	var all []*session
	for row, err := range state.Sessions.Scan(w.tx, state.U32(c.id), nil) {
		if err != nil {
			return nil, err
		}
		s, err := ratchet.UnmarshalSession(ratchet.Config{}, row.Record.State)
		if err != nil {
			return nil, &state.CorruptError{Table: "sessions"}
		}
		clear(row.Record.State)
		row.Record.State = nil
		all = append(all, &session{number: state.ParseU64(state.Rest(row.Key)), row: *row.Record, s: s})
	}
	slices.SortFunc(all, func(a, b *session) int { return cmp.Compare(b.row.Last, a.row.Last) })
	c.sessions, c.loaded = all, true
	return all, nil
}

// addSession adds a session with a device and removes the one that was used
// longest ago, if there are too many with it.
func (w *work) addSession(c *contact, device ids.DeviceID, s *ratchet.Session) (*session, error) {
	all, err := w.sessionsOf(c)
	if err != nil {
		return nil, err
	}
	n := w.count()
	n.Session++
	added := &session{number: n.Session, s: s, row: state.Session{Device: device, Last: n.Session, Used: w.today}}
	c.sessions = slices.Insert(all, 0, added)
	w.sessionz[added] = c
	with := 0
	return added, w.dropSessions(c, func(s *session) bool {
		if s.row.Device != device {
			return false
		}
		with++
		return with > maxSessions
	})
}

// dropSessions removes and erases the sessions for which over holds; it is asked
// about each once, the one last used first.
func (w *work) dropSessions(c *contact, over func(*session) bool) (err error) {
	all, err := w.sessionsOf(c)
	if err != nil {
		return err
	}
	w.touched = true
	c.sessions = slices.DeleteFunc(slices.Clone(all), func(s *session) bool {
		if !over(s) {
			return false
		}
		delete(w.sessionz, s)
		err = errors.Join(err, state.Sessions.Delete(w.tx, state.OfContact(c.id, state.U64(s.number))))
		s.s.Erase()
		return true
	})
	return err
}

// latest moves a session to the front and has it stored.
func (w *work) latest(c *contact, s *session) {
	n := w.count()
	n.Session++
	s.row.Last, s.row.Used = n.Session, w.today
	i := slices.Index(c.sessions, s)
	copy(c.sessions[1:i+1], c.sessions[:i])
	c.sessions[0] = s
	w.sessionz[s] = c
}

// outstandingOf returns how many tickets a contact's device still has.
func (w *work) outstandingOf(c *contact, p *peer) int {
	if p.outstandingDay != w.today {
		p.outstanding, p.outstandingDay = w.pool.Outstanding(c.Address, p.device, w.today+refreshDays), w.today
	}
	return p.outstanding
}

// wireTicket converts between the equal types of two packages.
func wireTicket(t ticket.Ticket) [wire.TicketSize]byte { return t }
