package badgerstore

import (
	"errors"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
)

// A chunk's key that is too short is a row that the engine did not write: the
// sweep says so.
func TestSweepOfAShortKey(t *testing.T) {
	e := openTest(t, t.TempDir(), time.Now)
	box := ids.MailboxID{1}
	short := chunkKey(&box, 1<<56)[:headKeySize+1] // behind all chunks
	if err := e.db.Update(func(txn *badger.Txn) error { return txn.Set(short, []byte{1}) }); err != nil {
		t.Fatal(err)
	}
	if _, err := e.sweepChunks(t.Context(), &box, 0, 1); !errors.Is(err, errCorrupt) {
		t.Errorf("%v", err)
	}
}
