package franking

import (
	"encoding/binary"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

// Purse is a client's tokens: of today and tomorrow, each free or assigned to
// one target. It is not safe for concurrent use.
type Purse struct{ tokens []*OwnToken }

// NewPurse returns a purse of stored tokens. Those above MaxPurse are dropped.
func NewPurse(tokens ...*OwnToken) *Purse { return &Purse{tokens: tokens[:min(len(tokens), MaxPurse)]} }

// Add puts new tokens in, as long as there is room.
func (p *Purse) Add(tokens ...*OwnToken) {
	p.tokens = append(p.tokens, tokens[:min(len(tokens), MaxPurse-len(p.tokens))]...)
}

// For returns the token for a target on a day. changed says that one was
// assigned just now: the caller stores it before anything is franked with it, or
// a crash would give it to another target. The error is ErrNoToken.
func (p *Purse) For(t *Target, epoch ids.Day) (o *OwnToken, changed bool, err error) {
	filed := t.filed()
	var free *OwnToken
	for _, o := range p.tokens {
		switch {
		case o.token.Epoch != epoch:
		case !o.assigned && free == nil:
			free = o
		case o.assigned && o.audience == filed:
			return o, false, nil
		}
	}
	if free == nil {
		return nil, false, ErrNoToken
	}
	free.assign(t)
	return free, true, nil
}

// Any returns a token of a day, nil if there is none.
func (p *Purse) Any(epoch ids.Day) *OwnToken {
	for _, o := range p.tokens {
		if o.token.Epoch == epoch {
			return o
		}
	}
	return nil
}

// Free returns how many tokens of a day are not assigned.
func (p *Purse) Free(epoch ids.Day) int {
	n := 0
	for _, o := range p.tokens {
		if o.token.Epoch == epoch && !o.assigned {
			n++
		}
	}
	return n
}

// Drop erases and returns the tokens for which gone holds, as those whose provider
// revoked its key. The caller removes their records.
func (p *Purse) Drop(gone func(*Token) bool) []TokenHash {
	var kept []*OwnToken
	var out []TokenHash
	for _, o := range p.tokens {
		if !gone(&o.token) {
			kept = append(kept, o)
			continue
		}
		out = append(out, o.token.Hash())
		o.Erase()
	}
	p.tokens = kept
	return out
}

// Expire erases and returns the tokens of days before today: skT is of no use to
// its owner then, and of some to a thief. The caller removes their records.
func (p *Purse) Expire(today ids.Day) []TokenHash {
	return p.Drop(func(t *Token) bool { return t.Epoch < today })
}

// fetchHours is how much of the day before its epoch a fetch may fall into: the
// rest is for trying again.
const fetchHours = 20

// FetchAt returns when a client fetches its tokens of an epoch: at an instant of
// the day before that depends on its secret only, not on when it sends, and is
// the same after a restart.
func FetchAt(secret *keys.Secret, epoch ids.Day) time.Time {
	var m keys.MAC
	m.Start((*[keys.MACKeySize]byte)(secret.Bytes()))
	label(&m, labelFetch)
	m.Uint32(uint32(epoch))
	sum := m.Sum()
	ms := binary.BigEndian.Uint64(sum[:]) % (fetchHours * 3600 * 1000)
	return (epoch - 1).Start().Add(time.Duration(ms) * time.Millisecond)
}
