package client

import (
	"errors"

	"waxwing/blocklist"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// useSerial notes that a serial is spent. The oldest used ones are forgotten
// when there are many: a replay then counts as an unknown serial, and is held
// instead of dropped.
func (w *work) useSerial(serial uint64) error {
	before, ok := w.pool.Owner(serial)
	if !ok || before.Used {
		return nil
	}
	w.touched = true
	row, _ := w.pool.Use(serial)
	if c := w.find(row.Account); c != nil {
		w.attention[c.id] = true
		if p := c.peers[row.Device]; p != nil && p.outstandingDay == w.today && row.Expiry >= w.today+refreshDays {
			p.outstanding--
		}
	}
	w.used = append(w.used, serial)
	if err := state.Given.Put(w.tx, state.U64(serial), &row); err != nil {
		return err
	}
	if len(w.used) <= maxUsedGiven {
		return nil
	}
	old := w.used[0]
	w.used = w.used[1:]
	w.pool.Forget(old)
	return state.Given.Delete(w.tx, state.U64(old))
}

// learnGiven takes over what other devices of the account have given out. Held
// deliveries may be judged again then. Whether something came under a ticket is for
// each device to see: the delivery is still to come here.
func (w *work) learnGiven(rows []ticket.Given) error {
	for i := range rows {
		rows[i].Used = false
		added, err := w.pool.Learn(rows[i])
		if errors.Is(err, ticket.ErrFull) {
			return ErrFull
		}
		if !added {
			continue
		}
		w.touched = true
		if c := w.find(rows[i].Account); c != nil && c.peers[rows[i].Device] != nil {
			c.peers[rows[i].Device].outstandingDay = 0
		}
		if err := state.Given.Put(w.tx, state.U64(rows[i].Serial), &rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// generationBits is how far left of a batch's number its generation stands. All
// tickets of earlier generations were struck: who gets a grant of a new one
// drops those that it still has, instead of losing a message with each.
const generationBits = 16

func nextGeneration(batch uint32) uint32 { return (batch>>generationBits + 1) << generationBits }

// strike has the own provider strike an account's unspent tickets, and takes
// them for spent from now on; introductions under the pseudonym, unless that is
// zero, are disposed of from then on.
func (w *work) strike(account ids.Address, entry blocklist.EntryID, p blocklist.Pseudonym) error {
	if c := w.find(account); c != nil {
		w.dirty(c)
		c.Batch = nextGeneration(c.Batch)
	}
	rows := w.pool.Unspent(account, w.today)
	serials := make([]blocklist.Serial, len(rows))
	for i, g := range rows {
		serials[i] = blocklist.Serial{Day: g.Expiry, N: g.Serial}
		if err := w.useSerial(g.Serial); err != nil {
			return err
		}
	}
	return w.askBlock(entry, p, serials)
}

// askBlock has the provider strike serials, and dispose of introductions under the
// pseudonym, unless that is zero.
func (w *work) askBlock(entry blocklist.EntryID, p blocklist.Pseudonym, serials []blocklist.Serial) error {
	for _, r := range blocklist.NewRequests(entry, p, serials) {
		b, err := r.Marshal()
		if err != nil {
			return err
		}
		if err := w.ask(&state.Strike{Kind: state.StrikeBlock, Entry: entry, Request: b}); err != nil {
			return err
		}
	}
	if p == (blocklist.Pseudonym{}) {
		return nil
	}
	// A block made while W changes holds under each that introductions come under.
	others, err := w.generations()
	for _, g := range others[1:] {
		err = errors.Join(err, w.ask(&state.Strike{Kind: state.StrikeRenew, Generation: g}))
	}
	return err
}

// ask stores a request to the own provider until it was carried out.
func (w *work) ask(s *state.Strike) error {
	n := w.count()
	n.Strike++
	return state.Strikes.Put(w.tx, state.U64(n.Strike), s)
}

// void strikes the tickets of an account that lent one to another: the entry
// that striking needs is removed at once, as nobody is blocked.
func (w *work) void(account ids.Address) error {
	if account == w.self.Address {
		return nil // a contact code's ticket was all that there was
	}
	if state.Strikes.Count(w.tx) >= state.MaxStrikes/2 {
		return nil // the mailbox must not stand still; what comes is dropped here
	}
	entry := blocklist.NewEntryID()
	return errors.Join(
		w.strike(account, entry, blocklist.Pseudonym{}),
		w.ask(&state.Strike{Kind: state.StrikeUnblock, Entry: entry}),
	)
}

// block blocks a contact: its tickets are struck at the provider, and what
// still arrives is dropped here.
func (w *work) block(address ids.Address) error {
	c := w.find(address)
	switch {
	case w.self == nil || !w.self.Registered:
		return ErrNotRegistered
	case address == w.self.Address:
		return ErrOwnCode
	case c == nil:
		var err error
		if c, err = w.addStranger(address); err != nil {
			return err
		}
	case c.Blocked:
		return nil
	}
	w.dirty(c)
	c.Blocked = true
	c.Entry = blocklist.NewEntryID()
	return errors.Join(w.strikeContact(c), w.dropReceipts(c), w.dropRequests(c))
}

func (w *work) dropReceipts(c *contact) error {
	c.OwedSince = 0
	rows, err := state.Receipts.Rows(w.tx, state.U32(c.id), nil, 0)
	for _, row := range rows {
		err = errors.Join(err, state.Receipts.Delete(w.tx, row.Key))
	}
	if err != nil {
		return err
	}
	reads, err := state.Reads.Rows(w.tx, state.U32(c.id), nil, 0)
	for _, row := range reads {
		err = errors.Join(err, state.Reads.Delete(w.tx, row.Key))
	}
	return err
}

// unblock takes a block back. The contact gets fresh tickets with the next
// message, or at once if there are tickets to write to it with.
func (w *work) unblock(address ids.Address) error {
	c := w.find(address)
	switch {
	case w.self == nil || !w.self.Registered:
		return ErrNotRegistered
	case c == nil:
		return ErrUnknownContact
	case !c.Blocked:
		return nil
	}
	w.dirty(c)
	err := w.forgive(c)
	w.vouch(c)
	w.attention[c.id] = true
	return err
}

// strikeRow is a request to the own provider.
type strikeRow struct {
	number uint64
	ms     []wire.Message
}

// strikes returns the requests that were not carried out, in order.
func (w *work) strikes(limit int) (out []strikeRow, err error) {
	rows, err := state.Strikes.Rows(w.tx, nil, nil, limit)
	for _, row := range rows {
		s := strikeRow{number: state.ParseU64(row.Key)}
		switch row.Record.Kind {
		case state.StrikeBlock:
			s.ms = []wire.Message{&wire.Block{Block: row.Record.Request}}
		case state.StrikeRenew:
			if s.ms, err = w.renewals(row.Record.Generation); err != nil {
				return nil, err
			}
		default:
			s.ms = []wire.Message{&wire.Unblock{Entry: row.Record.Entry}}
		}
		out = append(out, s)
	}
	return out, err
}

// struck notes that a request was carried out.
func (w *work) struck(number uint64) error { return state.Strikes.Delete(w.tx, state.U64(number)) }

// mintCount returns how many tickets to ask for now.
func (w *work) mintCount() int {
	day := 0
	for _, c := range w.contacts {
		for _, p := range c.peers {
			day += w.outstandingOf(c, p)
		}
	}
	// What contacts hold stands for what they use in a day: the marks follow
	// their pace.
	return min(ticket.MintCount(w.pool.Usable(w.today), day), ticket.MaxStock-state.Stock.Count(w.tx))
}

// minted puts fresh tickets into stock. The error is ErrServer for an answer
// that is not what was asked for.
func (w *work) minted(m *wire.Minted) error {
	rows := ticket.StockOf(m)
	w.touched = true
	if err := w.pool.Add(rows); err != nil {
		return ErrServer
	}
	for i := range rows {
		if err := state.Stock.Put(w.tx, state.U64(rows[i].Serial), &rows[i]); err != nil {
			return err
		}
	}
	for id := range w.contacts {
		w.attention[id] = true // there may be tickets for them now
	}
	return nil
}
