package ticket

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What callers of a Pool branch on, with errors.Is; ErrFull too.
var (
	// ErrStock: too few tickets to draw from; mint first.
	ErrStock = errors.New("ticket: stock too small")
	// ErrSerial: a serial came twice, which an honest relay and a device that
	// was not restored never let happen.
	ErrSerial = errors.New("ticket: serial known already")
)

// Stocked is one ticket minted for the own mailbox and not given out yet: a
// row of the client's store.
type Stocked struct {
	Minted
	Serial uint64
	Expiry ids.Day
	keys.Redacted
}

// StockOf returns the rows of the relay's answer to a request to mint.
func StockOf(m *wire.Minted) []Stocked {
	rows := make([]Stocked, len(m.Tickets))
	for i := range rows {
		rows[i] = Stocked{
			Minted: Minted{Ticket: m.Tickets[i].Ticket, Key: KeyFrom(&m.Tickets[i].Key)},
			Serial: m.FirstSerial + uint64(i),
			Expiry: m.Expiry,
		}
	}
	return rows
}

// Given says who got the ticket with a serial: a row of the client's store.
type Given struct {
	Serial  uint64
	Expiry  ids.Day     // of the ticket itself, not of its grant
	Account ids.Address // zero for a contact code that nobody has used yet
	Batch   uint32      // selects S, together with giver, root and the account it was drawn for
	Giver   ids.DeviceID
	Root    uint16       // number of the root secret
	Device  ids.DeviceID // of the account, which may use it; 0 for a contact code
	Code    bool         // drawn for a contact code, for no account
	Used    bool         // something came under it
}

// SealSecret returns S of the ticket under the root secret that has its number.
func (g *Given) SealSecret(root *keys.Secret) *keys.Secret {
	if g.Code {
		return SealSecret(root, ids.Address{}, g.Giver, g.Batch)
	}
	return SealSecret(root, g.Account, g.Giver, g.Batch)
}

// over reports whether nothing can arrive under the ticket any more.
func (g *Given) over(today ids.Day) bool {
	return int64(today) > int64(g.Expiry)+ids.MaxDelay+1
}

// Pool is a client's own tickets: those in stock, and the list of those given
// out. It is not safe for concurrent use; its zero value is empty. A restored
// device begins with an empty stock: tickets from before a restore may have
// been given out already.
type Pool struct {
	stock   []Stocked
	serials map[uint64]bool // of stock
	given   map[uint64]*Given
	byOwner map[ids.Address][]uint64
	keys.Redacted
}

// NewPool returns the pool of the rows in a client's store, in any order.
// Errors are ErrFull and ErrSerial.
func NewPool(stock []Stocked, given []Given) (*Pool, error) {
	p := new(Pool)
	if len(given) > MaxGiven {
		return nil, ErrFull
	}
	for _, g := range given {
		if p.knows(g.Serial) {
			return nil, ErrSerial
		}
		p.give(g)
	}
	return p, p.Add(stock)
}

func (p *Pool) knows(serial uint64) bool { return p.serials[serial] || p.given[serial] != nil }

func (p *Pool) give(g Given) {
	if p.given == nil {
		p.given, p.byOwner = make(map[uint64]*Given), make(map[ids.Address][]uint64)
	}
	p.given[g.Serial] = &g
	p.byOwner[g.Account] = append(p.byOwner[g.Account], g.Serial)
}

// Add puts freshly minted tickets into the stock: all or, with ErrFull or
// ErrSerial, none. The caller stores them first.
func (p *Pool) Add(rows []Stocked) error {
	if len(p.stock)+len(rows) > MaxStock {
		return ErrFull
	}
	fresh := make(map[uint64]bool, len(rows))
	for i := range rows {
		if s := rows[i].Serial; fresh[s] || p.knows(s) {
			return ErrSerial
		}
		fresh[rows[i].Serial] = true
	}
	if p.serials == nil {
		p.serials = make(map[uint64]bool, len(rows))
	}
	for i := range rows {
		p.serials[rows[i].Serial] = true
	}
	p.stock = append(p.stock, rows...)
	return nil
}

// Usable returns how many tickets in stock may still be given out.
func (p *Pool) Usable(today ids.Day) int {
	n := 0
	for i := range p.stock {
		if usable(&p.stock[i], today) {
			n++
		}
	}
	return n
}

func usable(s *Stocked, today ids.Day) bool { return int64(s.Expiry) >= int64(today)+MinLife }

// Draw takes n tickets at random out of the stock and notes that they are
// given to a device of the account, which gets S of the batch. The grant's expiry is the
// earliest of its tickets'. The zero account is for a contact code, of which
// nobody knows yet who will use it; each code has a batch number of its own, and
// Assign says later who it was. The caller stores the returned rows and removes
// those of the same serials from the stock, durably, before the grant leaves:
// a serial is given out once.
//
// Errors are ErrStock (fewer than MinMix usable tickets, or fewer than n),
// ErrFull (MaxGiven reached, or n above MaxGrant or below 1).
func (p *Pool) Draw(by Giver, account ids.Address, device ids.DeviceID, batch uint32, n int, today ids.Day) (*Grant, []Given, error) {
	switch have := p.Usable(today); {
	case n < 1 || n > MaxGrant || len(p.given)+n > MaxGiven:
		return nil, nil, ErrFull
	case have < MinMix || have < n:
		return nil, nil, ErrStock
	}
	g := &Grant{
		Batch: batch, Giver: by.Device, Root: by.Number, For: device,
		Secret: *SealSecret(by.Root, account, by.Device, batch), Tickets: make([]Minted, 0, n),
	}
	rows := make([]Given, 0, n)
	for len(rows) < n {
		i := int(below(uint64(len(p.stock))))
		s := &p.stock[i]
		if !usable(s, today) { // rejected and drawn again: uniform among the usable
			continue
		}
		if len(rows) == 0 || s.Expiry < g.Expiry {
			g.Expiry = s.Expiry
		}
		g.Tickets = append(g.Tickets, s.Minted)
		row := Given{
			Serial: s.Serial, Expiry: s.Expiry, Account: account, Batch: batch,
			Giver: by.Device, Root: by.Number, Device: device, Code: account.IsZero(),
		}
		rows = append(rows, row)
		p.give(row)
		p.remove(i)
	}
	return g, rows, nil
}

// remove takes row i out of the stock; the order of the stock means nothing.
func (p *Pool) remove(i int) {
	delete(p.serials, p.stock[i].Serial)
	last := len(p.stock) - 1
	p.stock[i] = p.stock[last]
	p.stock[last] = Stocked{}
	p.stock = p.stock[:last]
}

// below returns a uniform number below n > 0.
func below(n uint64) uint64 {
	limit := -n % n // 2^64 mod n values at the bottom would come once too often
	for {
		var b [8]byte
		rand.Read(b[:])
		if v := binary.BigEndian.Uint64(b[:]); v >= limit {
			return v % n
		}
	}
}

// Owner returns who got the ticket of a serial. A delivery is shown as a
// contact's only if the account of its certificate is the owner's; of a serial
// that is not known (a restored device) it is held, and voids nothing.
func (p *Pool) Owner(serial uint64) (Given, bool) {
	if g := p.given[serial]; g != nil {
		return *g, true
	}
	return Given{}, false
}

// Assign notes that an account has used the contact code with that batch
// number, so that the code's tickets are the account's from now on, and returns
// the changed rows for storing; none if the code is not known or is another
// account's already. The caller assigns a code only after it has opened the
// message under it and verified whose it is.
func (p *Pool) Assign(batch uint32, account ids.Address) []Given {
	if account.IsZero() {
		return nil
	}
	var moved []Given
	left := slices.DeleteFunc(p.byOwner[ids.Address{}], func(s uint64) bool {
		g := p.given[s]
		if g.Batch != batch {
			return false
		}
		g.Account = account
		moved = append(moved, *g)
		return true
	})
	if len(moved) == 0 {
		return nil
	}
	if p.byOwner[ids.Address{}] = left; len(left) == 0 {
		delete(p.byOwner, ids.Address{})
	}
	for _, g := range moved {
		p.byOwner[account] = append(p.byOwner[account], g.Serial)
	}
	return moved
}

// Use notes that something came under the ticket of a serial, and returns the
// changed row for storing, or false if the serial is not known.
func (p *Pool) Use(serial uint64) (Given, bool) {
	g := p.given[serial]
	if g == nil {
		return Given{}, false
	}
	g.Used = true
	return *g, true
}

// Forget drops what was noted of a ticket that was used, before its time: a
// client with very many bounds what it remembers. It reports whether there was
// such a ticket. Anything more under it counts as unknown.
func (p *Pool) Forget(serial uint64) bool {
	g := p.given[serial]
	if g == nil || !g.Used {
		return false
	}
	delete(p.given, serial)
	left := slices.DeleteFunc(p.byOwner[g.Account], func(s uint64) bool { return s == serial })
	if p.byOwner[g.Account] = left; len(left) == 0 {
		delete(p.byOwner, g.Account)
	}
	return true
}

// Learn takes over what another device of the own account has given out. A serial
// that is known already changes nothing: of two rows about one ticket neither is
// better. The error is ErrFull.
func (p *Pool) Learn(g Given) (added bool, err error) {
	switch {
	case p.knows(g.Serial):
		return false, nil
	case len(p.given) >= MaxGiven:
		return false, ErrFull
	}
	p.give(g)
	return true, nil
}

// Outstanding returns how many tickets a device of an account has that it can
// still use.
func (p *Pool) Outstanding(account ids.Address, device ids.DeviceID, today ids.Day) int {
	n := 0
	for _, s := range p.byOwner[account] {
		if g := p.given[s]; !g.Used && g.Device == device && g.Expiry >= today {
			n++
		}
	}
	return n
}

// Unspent returns the rows of an account's tickets under which something may
// still arrive, by serial: what blocking the account, or voiding what it lent,
// strikes at the relay. Of the zero account they are those of all contact codes
// that nobody has used. Those that were used are left out, because the relay
// could otherwise link them to each other.
func (p *Pool) Unspent(account ids.Address, today ids.Day) []Given {
	var out []Given
	for _, s := range p.byOwner[account] {
		if g := p.given[s]; !g.Used && !g.over(today) {
			out = append(out, *g)
		}
	}
	slices.SortFunc(out, func(a, b Given) int {
		if a.Serial < b.Serial {
			return -1
		}
		return 1
	})
	return out
}

// Drop removes the tickets that are too old to be given out, and what was
// noted of tickets under which nothing can arrive any more. It returns the
// serials of both, for the caller to remove their rows.
func (p *Pool) Drop(today ids.Day) (stock, given []uint64) {
	for i := len(p.stock) - 1; i >= 0; i-- {
		if !usable(&p.stock[i], today) {
			stock = append(stock, p.stock[i].Serial)
			p.remove(i)
		}
	}
	for account, serials := range p.byOwner {
		left := slices.DeleteFunc(serials, func(s uint64) bool {
			if !p.given[s].over(today) {
				return false
			}
			delete(p.given, s)
			given = append(given, s)
			return true
		})
		if p.byOwner[account] = left; len(left) == 0 {
			delete(p.byOwner, account)
		}
	}
	return stock, given
}

// Append builds the row for storing behind dst.
func (s *Stocked) Append(dst []byte) []byte { return mustAppend(dst, s) }

// Append builds the row for storing behind dst.
func (g *Given) Append(dst []byte) []byte { return mustAppend(dst, g) }

// ParseStocked parses a stored row. Errors wrap wire.ErrMalformed.
func ParseStocked(b []byte) (s Stocked, err error) { err = wire.Unmarshal(b, &s); return s, err }

// ParseGiven parses a stored row. Errors wrap wire.ErrMalformed.
func ParseGiven(b []byte) (g Given, err error) { err = wire.Unmarshal(b, &g); return g, err }
