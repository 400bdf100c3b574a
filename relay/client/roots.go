package client

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// The secrets that all devices of the account share to open what is sealed to its
// mailbox: roots, from which S of each batch of tickets is derived, and the chain
// of the weekly seal keys,
//
//	seed of week n    = HKDF-SHA256(chain n, info = "waxwing seal key")
//	chain of week n+1 = HKDF-SHA256(chain n, info = "waxwing seal chain")
//
// A chain secret is overwritten when the next one was derived, and a seed erased
// when nothing can come under it any more: who takes a device then learns no
// earlier key.
const (
	labelSealKey   = "waxwing seal key"
	labelSealChain = "waxwing seal chain"

	// rootDays is how many days a root is kept after it was replaced: until the
	// last ticket under it, and what was sent under that, is over.
	rootDays = ids.MaxTicketDays + ids.MaxDelay + 1
	// maxChainWeeks bounds how far the chain is followed at once: a device that
	// was off for ten years; more is a clock that is wrong.
	maxChainWeeks = 520
)

// errClock says that the day is too far from the one at which keys were made.
var errClock = errors.New("client: the clock is years off")

func (s *self) loadRoots(tx *state.Tx) error {
	for row, err := range state.Roots.Scan(tx, nil, nil) {
		if err != nil {
			return err
		}
		secret, err := keys.SecretFrom(row.Record.Key)
		if err != nil {
			return err
		}
		s.roots[uint16(state.ParseU32(row.Key))] = secret
	}
	if s.root = s.roots[s.Root]; s.root == nil {
		return &state.CorruptError{Table: "roots"}
	}
	return nil
}

// giver is this device as the one that gives tickets away.
func (w *work) giver() ticket.Giver {
	return ticket.Giver{Device: w.self.Device, Number: w.self.Root, Root: w.self.root}
}

// drawRoot draws root and chain of a new account.
func (w *work) drawRoot() error {
	own := w.ownProfile()
	own.Chain = [32]byte(keys.NewSecret().Bytes())
	own.ChainWeek = directory.WeekOf(w.today)
	return w.useRoot(0)
}

// useRoot draws the root of a number and has tickets given out under it from now
// on.
func (w *work) useRoot(number uint16) error {
	own := w.ownProfile()
	root := keys.NewSecret()
	own.Root, own.root = number, root
	own.roots[number] = root
	return renewFor(w, state.Roots, state.U32(uint32(number)), root.Bytes(), rootDays)
}

// rotateRoots draws a new root, and a new chain from next week on: this week's key
// is out, and the provider takes no other for the same week. What a removed
// device knows ends with the tickets that are out and with that key.
func (w *work) rotateRoots() error {
	own := w.ownProfile()
	own.Chain = [32]byte(keys.NewSecret().Bytes())
	own.ChainWeek = max(own.ChainWeek, directory.WeekOf(w.today)+1)
	return w.useRoot(own.Root + 1)
}

func derive32(secret *[32]byte, info string) (out [32]byte) {
	b, err := hkdf.Key(sha256.New, secret[:], nil, info, len(out))
	if err != nil {
		panic(err) // 32 bytes are not too much
	}
	copy(out[:], b)
	clear(b)
	return out
}

// followChain derives the seal keys up to a week. Those of weeks that are over are
// kept as long as something may come under them: another device has published
// them. The error is errClock or the store's.
func (w *work) followChain(week directory.Week) error {
	if w.self.ChainWeek > week {
		return nil
	}
	if week-w.self.ChainWeek > maxChainWeeks {
		return errClock
	}
	own := w.ownProfile()
	for ; own.ChainWeek <= week; own.ChainWeek++ {
		if ids.Day(own.ChainWeek+1)*7+oldKeyDays >= w.today {
			seed := derive32(&own.Chain, labelSealKey)
			if err := renew(w, state.SealKeys, state.U32(own.ChainWeek), seed[:]); err != nil {
				return err
			}
		}
		own.Chain = derive32(&own.Chain, labelSealChain)
	}
	return nil
}

// sweepRoots erases roots that no ticket is out under.
func (w *work) sweepRoots() error {
	rows, err := state.Roots.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		if row.Record.Until == 0 || w.today <= row.Record.Until {
			continue
		}
		w.touched = true
		number := uint16(state.ParseU32(row.Key))
		err = errors.Join(err, state.Roots.Delete(w.tx, row.Key))
		if s := w.self.roots[number]; s != nil {
			s.Erase()
			delete(w.self.roots, number)
		}
	}
	return err
}
