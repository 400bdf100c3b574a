package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// The text form of a contact code: a prefix and base64url of
//
//	version 1 | address | identity fingerprint 32 | provider pin 32 | mailbox 16 |
//	ticket 58 | ticket key 32 | last day 4 | check 4
//
// check is the first four bytes of SHA-256("waxwing contact code v1" | all before).
const (
	codePrefix   = "waxwing:"
	codeLabel    = "waxwing contact code v1"
	codeVersion  = 1
	codeCheck    = 4
	maxCodeBytes = 1 + 1 + ids.MaxAddress + 32 + 32 + 16 + ticket.Size + ticket.KeySize + 4 + codeCheck
)

// contactCode lets whoever has it send one first message, and pins whom it is
// to. It travels outside of Waxwing, and is a secret until it was used.
type contactCode struct {
	Address     ids.Address
	Fingerprint directory.Fingerprint
	Pin         keys.Pin
	Mailbox     ids.MailboxID
	Ticket      ticket.Ticket
	Key         [ticket.KeySize]byte
	Expiry      ids.Day // the last day on which it may be used
}

// Fields lists the layout.
func (k *contactCode) Fields(c *wire.Codec) {
	c.Const("version", codeVersion)
	c.Address("address", &k.Address)
	c.Fixed("fingerprint", k.Fingerprint[:])
	c.Fixed("pin", k.Pin[:])
	c.Fixed("mailbox", k.Mailbox[:])
	c.Fixed("ticket", k.Ticket[:])
	c.Fixed("key", k.Key[:])
	wire.U32(c, "expiry", &k.Expiry)
}

func codeSum(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(codeLabel), b...))
	return sum[:codeCheck]
}

// text returns the code as it is passed on.
func (k *contactCode) text() string {
	b := wire.MustMarshal(k)
	return codePrefix + base64.RawURLEncoding.EncodeToString(append(b, codeSum(b)...))
}

// parseCode parses a code. White space around and inside is taken out, as mail
// programs break long lines. The error is ErrBadCode.
func parseCode(text string) (*contactCode, error) {
	text = strings.Join(strings.Fields(text), "")
	rest, ok := strings.CutPrefix(text, codePrefix)
	if !ok || base64.RawURLEncoding.DecodedLen(len(rest)) > maxCodeBytes {
		return nil, ErrBadCode
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil || len(b) < codeCheck {
		return nil, ErrBadCode
	}
	b, sum := b[:len(b)-codeCheck], b[len(b)-codeCheck:]
	if subtle.ConstantTimeCompare(sum, codeSum(b)) != 1 {
		return nil, ErrBadCode
	}
	k := new(contactCode)
	if wire.Unmarshal(b, k) != nil {
		return nil, ErrBadCode
	}
	return k, nil
}

// newCode makes a contact code that is good for a number of days. Errors are
// ErrTickets, if more have to be minted first, and ErrFull.
func (w *work) newCode(days int) (string, error) {
	if w.self == nil || !w.self.Registered {
		return "", ErrNotRegistered
	}
	if state.Codes.Count(w.tx) >= state.MaxCodes {
		return "", ErrFull
	}
	n := w.count()
	n.Code++
	// The own address as owner stands for "whoever has the code": no contact
	// has it, as nobody can write to itself. The batch is the code's number.
	g, rows, err := w.pool.Draw(w.giver(), w.self.Address, 0, n.Code, 1, w.today)
	if errors.Is(err, ticket.ErrStock) {
		return "", ErrTickets
	}
	if err != nil {
		return "", ErrFull
	}
	key := state.U64(rows[0].Serial)
	code := &state.Code{Serial: rows[0].Serial, Expiry: min(g.Expiry, w.today+ids.Day(days))}
	if err := errors.Join(
		state.Stock.Delete(w.tx, key),
		state.Given.Put(w.tx, key, &rows[0]),
		state.Codes.Put(w.tx, key, code),
		// The code before its ticket: what came under it is judged again with that.
		w.tell(&devicesync.Code{Giver: w.self.Device, Number: n.Code, Serial: code.Serial, Expiry: code.Expiry}),
		w.tellGiven(rows),
	); err != nil {
		return "", err
	}
	k := contactCode{
		Address: w.self.Address, Fingerprint: w.self.manifest.IdentityFingerprint(), Pin: w.self.Pin,
		Mailbox: w.self.Mailbox, Ticket: g.Tickets[0].Ticket, Key: *g.Tickets[0].Key.Bytes(), Expiry: code.Expiry,
	}
	return k.text(), nil
}

// add makes a contact from a code. A contact that is known already gets the
// code's ticket if there is no other to write to it with.
func (w *work) add(text string) (ids.Address, error) {
	k, err := parseCode(text)
	switch {
	case err != nil:
		return ids.Address{}, err
	case w.self == nil || !w.self.Registered:
		return ids.Address{}, ErrNotRegistered
	case k.Address == w.self.Address:
		return ids.Address{}, ErrOwnCode
	case k.Expiry < w.today:
		return ids.Address{}, ErrCodeExpired
	}
	c := w.find(k.Address)
	if c != nil {
		if err := w.again(c, k); err != nil {
			return k.Address, err
		}
	}
	if err := w.pin(k.Address.Domain(), k.Pin); err != nil {
		return k.Address, err
	}
	if c == nil {
		c, err = w.newContact(&state.Contact{
			Address: k.Address, Status: state.ContactCode, Fingerprint: k.Fingerprint,
		})
		if err != nil {
			return k.Address, err
		}
	}
	w.vouch(c)
	w.attention[c.id] = true
	c.Mailbox, c.Changed = k.Mailbox, false
	c.HasFirst, c.FirstTicket, c.FirstKey, c.FirstExpiry = true, k.Ticket, k.Key, k.Expiry
	c.SealKey, c.SealWeek = nil, 0
	return k.Address, nil
}

// again checks whether a known contact may be added again.
func (w *work) again(c *contact, k *contactCode) error {
	if c.Blocked {
		return ErrBlocked
	}
	if c.Fingerprint != k.Fingerprint {
		return ErrIdentityChanged
	}
	wallet, err := w.walletOf(c)
	if err != nil {
		return err
	}
	if wallet.Len(w.today) > 0 || c.HasFirst && c.FirstExpiry >= w.today {
		return ErrKnownContact
	}
	return nil
}
