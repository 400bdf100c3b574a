package client

import (
	"bytes"
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/privacypass"
	"waxwing/relay/client/state"
)

// issuer is a provider's side of submission tokens.
type issuer struct {
	w      *world
	p      *provider
	daily  uint32
	number uint32
	term   uint32
	keys   map[privacypass.Epoch]*privacypass.Key
	rows   map[ids.Address]privacypass.Row
	spent  map[[32]byte][32]byte // for whom
}

func (p *provider) issuer() *issuer {
	return &issuer{
		w: p.w, p: p, daily: 4096, keys: map[privacypass.Epoch]*privacypass.Key{},
		rows: map[ids.Address]privacypass.Row{}, spent: map[[32]byte][32]byte{},
	}
}

func (i *issuer) today() ids.Day { return ids.DayOf(i.w.now) }

func (i *issuer) key(e privacypass.Epoch) *privacypass.Key {
	if i.keys[e] == nil {
		k, err := privacypass.NewKey(privacypass.Ristretto255)
		i.w.must(err)
		i.keys[e] = k
	}
	return i.keys[e]
}

// list is the signed list of this epoch and the next.
func (i *issuer) list() []byte {
	e := privacypass.EpochOf(i.today())
	f := keylist.Fields{Provider: i.p.domain, Number: uint32(e) + i.number, Term: i.term}
	for _, e := range []privacypass.Epoch{e, e + 1} {
		f.Tokens = append(f.Tokens, keylist.TokenKey{Epoch: e, Key: [32]byte(i.key(e).Public().Bytes())})
	}
	b, err := keylist.Sign(f, i.p.root)
	i.w.must(err)
	return b
}

// issue answers a request of an account.
func (i *issuer) issue(a ids.Address, req []byte) (*wire.SubmissionIssued, wire.Code, time.Duration) {
	k := i.key(privacypass.EpochOf(i.today()))
	n, err := k.BatchSize(req)
	if err != nil {
		return nil, wire.CodeStale, 0
	}
	g, row := privacypass.Quota(i.rows[a], i.daily, req, n, i.w.now)
	if i.rows[a] = row; !g.Allowed {
		return nil, wire.CodeLimit, g.Refill.Sub(i.w.now)
	}
	b, err := k.Issue(req)
	i.w.must(err)
	return &wire.SubmissionIssued{Tokens: b, Remaining: g.Remaining, Refill: uint64(g.Refill.UnixMilli())}, 0, 0
}

// take is what the relay does with an envelope and its token.
func (i *issuer) take(o outgoing) wire.Code {
	t, err := privacypass.ParseToken(o.token)
	if err != nil {
		return wire.CodeMalformed
	}
	ring := privacypass.NewRing(i.p.domain)
	for e, k := range i.keys {
		i.w.must(ring.Add(e, k))
	}
	s, err := ring.Redeem(t, i.today())
	if err != nil {
		return wire.CodeToken
	}
	claimant := privacypass.Claimant(o.dest, ids.EnvelopeID(o.bytes[len(o.bytes)-32:]))
	if by, ok := i.spent[s.ID]; ok && by != claimant {
		return wire.CodeToken
	}
	i.spent[s.ID] = claimant
	return 0
}

// ask is one turn of link.submissions: false if nothing was due.
func (u *user) ask(i *issuer) bool {
	u.w.t.Helper()
	due, unfixed := false, false
	u.do(func(k *work) (err error) { due, unfixed, err = k.fetchDue(); return err })
	if unfixed {
		u.do((*work).schedule)
	}
	if !due {
		return false
	}
	u.do(func(k *work) error { return k.takeList(i.list()) })
	var b *order
	if err := u.try(func(k *work) (err error) { b, err = k.begin(); return err }); errors.Is(err, errAlarm) {
		return false
	} else {
		u.w.must(err)
	}
	m, code, after := i.issue(u.address, b.pending.Bytes())
	u.do(func(k *work) error {
		if m == nil {
			return k.refusedBatch(code, after)
		}
		return k.takeSubmissions(b, m)
	})
	return true
}

// stock asks until nothing is due.
func (u *user) stock(i *issuer) {
	u.w.t.Helper()
	for n := 0; u.ask(i); n++ {
		if n > 10 {
			u.w.t.Fatal("it asks without end")
		}
	}
}

func (u *user) submission() (s Submission) {
	u.w.t.Helper()
	u.do(func(k *work) (err error) { s, err = k.submission(); return err })
	return s
}

func (u *user) admission() (a state.Admission) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		p, err := k.admission()
		a = *p
		return err
	})
	return a
}

// paid pairs what is in the outbox with tokens.
func (u *user) paid() (rows []outgoing) {
	u.w.t.Helper()
	u.do(func(k *work) (err error) { rows, err = k.pay(0, state.MaxOutbox); return err })
	return rows
}

// fill puts n envelopes into the outbox, as the engine would.
func (u *user) fill(n int) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		for range n {
			c := k.count()
			c.Outbox++
			row := &state.Envelope{Dest: ids.MustParseDomain("beta.example"), Day: k.today, Bytes: make([]byte, 1024)}
			for i := range row.Bytes {
				row.Bytes[i] = byte(u.w.r.Uint32())
			}
			if err := state.Outbox.Put(k.tx, state.U64(c.Outbox), row); err != nil {
				return err
			}
		}
		return nil
	})
}

// tokens are the free tokens of the device.
func (u *user) tokens() (out [][]byte) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		out = nil
		for row, err := range state.Bucket.Scan(k.tx, nil, nil) {
			if err != nil {
				return err
			}
			out = append(out, bytes.Clone(row.Record.Token[:]))
		}
		return nil
	})
	return out
}
