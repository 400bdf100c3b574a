package badgerstore

import (
	"context"
	"encoding/binary"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/store"
)

// pool is the state of one pool. Its items are rows of their own, which stay as
// long as the claim on them is remembered.
//
//	taken 8 | size 2 | claims 2 | (claimant 32 | time 8, Unix nanoseconds | item's id 8)...
type pool struct {
	taken  uint64 // the highest id ever taken
	size   int    // items that can be taken
	claims []poolClaim
}

type poolClaim struct {
	by store.Claimant
	at int64
	id uint64
}

const (
	poolHeader = 8 + 2 + 2
	claimRow   = 32 + 8 + 8
)

func (p *pool) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, p.taken)
	b = binary.BigEndian.AppendUint16(b, uint16(p.size))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.claims)))
	for _, c := range p.claims {
		b = append(b, c.by[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(c.at))
		b = binary.BigEndian.AppendUint64(b, c.id)
	}
	return b
}

func parsePool(b []byte) (pool, error) {
	if b == nil {
		return pool{}, nil
	}
	if len(b) < poolHeader {
		return pool{}, errCorrupt
	}
	p := pool{taken: beUint64(b), size: int(binary.BigEndian.Uint16(b[8:]))}
	n := int(binary.BigEndian.Uint16(b[10:]))
	if p.size > store.MaxPool || n > store.MaxPoolClaims || len(b) != poolHeader+n*claimRow {
		return pool{}, errCorrupt
	}
	for b = b[poolHeader:]; len(b) > 0; b = b[claimRow:] {
		p.claims = append(p.claims, poolClaim{store.Claimant(b[:32]), int64(beUint64(b[32:])), beUint64(b[40:])})
	}
	return p, nil
}

func (g *group) pool(key store.Key) pool {
	p, err := parsePool(g.get(plainKey(tagPool, key)))
	if err != nil {
		g.stop(newFault("read", err))
	}
	return p
}

func (g *group) putPool(key store.Key, p *pool) {
	g.put(plainKey(tagPool, key), p.append(nil))
}

// putOp is one call of Put.
type putOp struct {
	call
	key   store.Key
	items []store.Item
	err   error
}

// Put implements store.Store.
func (e *Engine) Put(ctx context.Context, key store.Key, items []store.Item) error {
	if key.Check() != nil || store.CheckItems(items) != nil {
		return store.ErrInvalid
	}
	if e.diskLow.Load() {
		return store.ErrUnavailable
	}
	o := &putOp{call: newCall(), key: key, items: items}
	if err := e.submit(ctx, o); err != nil {
		return err
	}
	return o.err
}

func (o *putOp) run(g *group) bool {
	if !g.roomForStep() {
		return false
	}
	p := g.pool(o.key)
	fresh := make(map[uint64][]byte)
	for _, it := range o.items {
		_, twice := fresh[it.ID]
		if it.ID > p.taken && !twice && g.get(numberedKey(tagItem, o.key, it.ID)) == nil {
			fresh[it.ID] = it.Body
		}
	}
	switch {
	case p.size+len(fresh) > store.MaxPool:
		o.err = store.ErrFull
	case len(fresh) > 0:
		for id, body := range fresh {
			g.put(numberedKey(tagItem, o.key, id), body)
		}
		p.size += len(fresh)
		g.putPool(o.key, &p)
	}
	return true
}

// takeOp is one call of Take.
type takeOp struct {
	call
	key       store.Key
	claimant  store.Claimant
	item      store.Item
	remaining int
	err       error
}

// Take implements store.Store.
func (e *Engine) Take(ctx context.Context, key store.Key, claimant store.Claimant) (store.Item, int, error) {
	if err := key.Check(); err != nil {
		return store.Item{}, 0, err
	}
	o := &takeOp{call: newCall(), key: key, claimant: claimant}
	if err := e.submit(ctx, o); err != nil {
		return store.Item{}, 0, err
	}
	return o.item, o.remaining, o.err
}

func (o *takeOp) run(g *group) bool {
	if !g.room(store.MaxPoolClaims + 4) {
		return false
	}
	p := g.pool(o.key)
	over := g.now.Add(-store.ClaimMemory).UnixNano()
	n := 0
	for n < len(p.claims) && p.claims[n].at < over {
		g.del(numberedKey(tagItem, o.key, p.claims[n].id))
		n++
	}
	p.claims = p.claims[n:]
	o.remaining = p.size
	for _, c := range p.claims {
		if c.by == o.claimant {
			o.item = store.Item{ID: c.id, Body: g.get(numberedKey(tagItem, o.key, c.id))}
			if n > 0 {
				g.putPool(o.key, &p)
			}
			return true
		}
	}
	if p.size == 0 || len(p.claims) >= store.MaxPoolClaims {
		o.err = store.ErrEmpty
	} else if o.item = g.firstItem(o.key, p.taken+1); g.err == nil {
		p.size--
		o.remaining = p.size
		p.taken = o.item.ID
		p.claims = append(p.claims, poolClaim{o.claimant, g.now.UnixNano(), o.item.ID})
		n++
	}
	if n > 0 {
		g.putPool(o.key, &p)
	}
	return true
}

// firstItem returns a pool's item with the lowest id from from on.
func (g *group) firstItem(key store.Key, from uint64) store.Item {
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false
	k := numberedKey(tagItem, key, from)
	o.Prefix = k[:len(k)-8]
	it := g.tx().NewIterator(o)
	defer it.Close()
	it.Seek(k)
	if !it.Valid() || len(it.Item().Key()) != len(k) {
		g.stop(newFault("count", errCorrupt))
		return store.Item{}
	}
	body, err := it.Item().ValueCopy(nil)
	if err != nil || len(body) == 0 {
		g.stop(newFault("read", errCorrupt))
	}
	return store.Item{ID: beUint64(it.Item().Key()[len(k)-8:]), Body: body}
}

// PoolSize implements store.Store.
func (e *Engine) PoolSize(ctx context.Context, key store.Key) (int, error) {
	if err := key.Check(); err != nil {
		return 0, err
	}
	var p pool
	err := e.view(ctx, func(s *snapshot) error {
		v, err := valueOf(s.txn, plainKey(tagPool, key))
		if err != nil {
			return err
		}
		if p, err = parsePool(v); err != nil {
			return newFault("read", err)
		}
		return nil
	})
	return p.size, err
}

// dropPoolOp is one call of DropPool.
type dropPoolOp struct {
	call
	key store.Key
}

// DropPool implements store.Store.
func (e *Engine) DropPool(ctx context.Context, key store.Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	return e.submit(ctx, &dropPoolOp{call: newCall(), key: key})
}

func (o *dropPoolOp) run(g *group) bool {
	if !g.roomForStep() {
		return false
	}
	if g.get(plainKey(tagPool, o.key)) == nil {
		return true
	}
	var keys [][]byte // at most MaxPool and MaxPoolClaims
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues = false
	k := numberedKey(tagItem, o.key, 0)
	opts.Prefix = k[:len(k)-8]
	it := g.tx().NewIterator(opts)
	for it.Rewind(); it.Valid(); it.Next() {
		keys = append(keys, it.Item().KeyCopy(nil))
	}
	it.Close()
	for _, k := range keys {
		g.del(k)
	}
	g.del(plainKey(tagPool, o.key))
	return true
}
