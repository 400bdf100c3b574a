package badgerstore

import (
	"context"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// struckRow is the value of a serial that nobody may spend.
var struckRow = []byte{0}

// strikeOp is one call of Strike.
type strikeOp struct {
	call
	mailbox ids.MailboxID
	serials []store.Serial
	next    int
	struck  int
}

// Strike implements store.Store.
func (e *Engine) Strike(ctx context.Context, mailbox ids.MailboxID, serials []store.Serial) (int, error) {
	if len(serials) > store.MaxBatch {
		return 0, store.ErrInvalid
	}
	o := &strikeOp{call: newCall(), mailbox: mailbox, serials: serials}
	if err := e.submit(ctx, o); err != nil {
		return 0, err
	}
	return o.struck, nil
}

func (o *strikeOp) run(g *group) bool {
	for ; o.next < len(o.serials); o.next++ {
		if !g.room(1) {
			return false
		}
		s := o.serials[o.next]
		key := g.c.e.salts.serialKey(&o.mailbox, s)
		if s.Alive(g.c.day()) && g.spentRow(key) == nil {
			g.putSpent(key, struckRow)
			o.struck++
		}
	}
	return true
}
