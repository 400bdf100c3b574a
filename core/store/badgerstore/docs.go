package badgerstore

import (
	"context"
	"encoding/binary"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/store"
)

// casOp is one call of CAS.
type casOp struct {
	call
	key       store.Key
	ifVersion uint64
	value     []byte
	version   uint64
	err       error
}

// parseDoc splits a document's row. The value is a part of the row.
func parseDoc(row []byte) (store.Doc, error) {
	if len(row) < 8 {
		return store.Doc{}, newFault("read", errCorrupt)
	}
	return store.Doc{Version: beUint64(row), Value: row[8:]}, nil
}

// Get implements store.Store.
func (e *Engine) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	if err := key.Check(); err != nil {
		return store.Doc{}, err
	}
	var d store.Doc
	err := e.view(ctx, func(s *snapshot) error {
		row, err := valueOf(s.txn, plainKey(tagDoc, key))
		if err != nil {
			return err
		}
		if row == nil {
			return store.ErrNotFound
		}
		d, err = parseDoc(row)
		return err
	})
	return d, err
}

// CAS implements store.Store.
func (e *Engine) CAS(ctx context.Context, key store.Key, ifVersion uint64, value []byte) (uint64, error) {
	if key.Check() != nil || len(value) > store.MaxValue {
		return 0, store.ErrInvalid
	}
	if value != nil && e.diskLow.Load() {
		return 0, store.ErrUnavailable
	}
	o := &casOp{call: newCall(), key: key, ifVersion: ifVersion, value: value}
	if err := e.submit(ctx, o); err != nil {
		return 0, err
	}
	return o.version, o.err
}

func (o *casOp) run(g *group) bool {
	if !g.room(2) {
		return false
	}
	k := plainKey(tagDoc, o.key)
	var d store.Doc
	row := g.get(k)
	if row != nil {
		var err error
		if d, err = parseDoc(row); err != nil {
			g.stop(err)
			return true
		}
	}
	if d.Version != o.ifVersion {
		o.err = store.ErrConflict
		return true
	}
	switch {
	case o.value != nil:
		o.version = g.c.nextVersion()
		g.put(k, append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(o.value)), o.version), o.value...))
	case row == nil:
		return true
	default:
		g.del(k)
	}
	g.after = append(g.after, func() {
		g.c.e.watchers.Publish(store.Event{Key: o.key, Version: o.version})
	})
	return true
}

// List implements store.Store.
func (e *Engine) List(ctx context.Context, prefix, after store.Key, limit int) ([]store.KeyDoc, error) {
	if len(prefix) > store.MaxKey || len(after) > store.MaxKey {
		return nil, store.ErrInvalid
	}
	var out []store.KeyDoc
	err := e.view(ctx, func(s *snapshot) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchValues = false
		o.Prefix = plainKey(tagDoc, prefix)
		it := s.txn.NewIterator(o)
		defer it.Close()
		size := 0
		from := max(string(plainKey(tagDoc, prefix)), string(plainKey(tagDoc, after)))
		for it.Seek([]byte(from)); it.Valid(); it.Next() {
			key := store.Key(it.Item().Key()[1:])
			if key <= after {
				continue
			}
			row, err := it.Item().ValueCopy(nil)
			if err != nil {
				return newFault("read", err)
			}
			d, err := parseDoc(row)
			if err != nil {
				return err
			}
			size += len(d.Value)
			if len(out) == store.Limit(limit, store.MaxList) || len(out) > 0 && size > store.MaxListBytes {
				return nil
			}
			out = append(out, store.KeyDoc{Key: key, Doc: d})
		}
		return nil
	})
	return out, err
}

// Watch implements store.Store.
func (e *Engine) Watch(ctx context.Context, prefix store.Key) (<-chan store.Event, error) {
	if err := e.failed(); err != nil {
		return nil, err
	}
	return e.watchers.Add(ctx, prefix)
}
