package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

var lockedOptions = Options{Passphrase: []byte("correct horse")}

// fillLocked makes a file with records of named and other tables.
func fillLocked(t *testing.T, path string, o Options) {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(func(tx *Tx) error {
		for i := range uint32(20) {
			errs := errors.Join(
				Contacts.Put(tx, U32(i), &Contact{Address: ids.MustParseAddress(fmt.Sprintf("contact%d@alpha.example", i)), Status: ContactCode}),
				Addresses.Put(tx, fmt.Appendf(nil, "contact%d@alpha.example", i), &Ref{uint64(i)}),
				Log.Put(tx, U64(Position(i)), &Message{Status: StatusReceived, Frame: []byte("a text that nobody reads")}),
			)
			if errs != nil {
				return errs
			}
		}
		return Descriptors.Put(tx, []byte("alpha.example"), &Provider{Pin: [32]byte{5}})
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// checkLocked checks what fillLocked made.
func checkLocked(t *testing.T, path string, o Options) {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.View(func(tx *Tx) error {
		for i := range uint32(20) {
			name := fmt.Appendf(nil, "contact%d@alpha.example", i)
			if r, err := Addresses.Get(tx, name); err != nil || r.Value != uint64(i) || !Addresses.Has(tx, name) {
				t.Errorf("address %d: %v", i, err)
			}
			if k, err := Contacts.Get(tx, U32(i)); err != nil || k.Address.String() != string(name) {
				t.Errorf("contact %d: %v", i, err)
			}
		}
		if last, err := Log.Last(tx, nil); err != nil || ParseU64(last.Key) != 19 || Log.Count(tx) != 20 {
			t.Errorf("the log: %v", err)
		}
		rows, err := Descriptors.Rows(tx, nil, nil, 0)
		if err != nil || len(rows) != 1 || string(rows[0].Key) != "alpha.example" || rows[0].Record.Pin != [32]byte{5} {
			t.Errorf("providers: %v", err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func readsInClear(t *testing.T, path string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b, []byte("alpha.example")) || bytes.Contains(b, []byte("a text"))
}

func TestPassphrase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	fillLocked(t, path, lockedOptions)
	checkLocked(t, path, lockedOptions)
	if readsInClear(t, path) {
		t.Error("the file says something")
	}
	for _, c := range []struct {
		passphrase string
		want       error
	}{{"", ErrLocked}, {"Correct horse", ErrPassphrase}} {
		if _, err := Open(path, Options{Passphrase: []byte(c.passphrase)}); !errors.Is(err, c.want) {
			t.Errorf("%q: %v", c.passphrase, err)
		}
		if err := Rekey(path, Options{Passphrase: []byte(c.passphrase)}, nil); !errors.Is(err, c.want) {
			t.Errorf("rekey with %q: %v", c.passphrase, err)
		}
	}
	checkLocked(t, path, lockedOptions)
}

// A passphrase comes, changes and goes; the data key changes with it, and no
// page in clear stays in the file.
func TestRekey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	fillLocked(t, path, Options{})
	if !readsInClear(t, path) {
		t.Fatal("nothing to hide")
	}
	if err := os.WriteFile(path+".new", []byte("of a run that was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := Options{Passphrase: []byte("another")}
	for _, step := range []struct {
		from, to Options
		clear    bool
	}{{Options{}, lockedOptions, false}, {lockedOptions, other, false}, {other, Options{}, true}} {
		before, _ := os.ReadFile(path)
		if err := Rekey(path, step.from, step.to.Passphrase); err != nil {
			t.Fatal(err)
		}
		checkLocked(t, path, step.to)
		if readsInClear(t, path) != step.clear {
			t.Errorf("in clear: %v", !step.clear)
		}
		if after, _ := os.ReadFile(path); bytes.Equal(before, after) {
			t.Error("nothing was written")
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("the other file stayed")
	}
	if err := Rekey(filepath.Join(t.TempDir(), "none"), Options{}, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("no file: %v", err)
	}
}

// Whoever waits for the lock while the file is replaced gets the new one, and
// loses nothing that it writes.
func TestRekeyWhileOthersWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	fillLocked(t, path, Options{})
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			s, err := Open(path, Options{})
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			if err := s.Update(func(tx *Tx) error { return Codes.Put(tx, U32(uint32(i)), &Code{Serial: 1}) }); err != nil {
				t.Errorf("update: %v", err)
			}
			s.Close()
		})
	}
	wait.Go(func() {
		if err := Rekey(path, Options{}, nil); err != nil {
			t.Errorf("rekey: %v", err)
		}
	})
	wait.Wait()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_ = s.View(func(tx *Tx) error {
		if n := Codes.Count(tx); n != 4 {
			t.Errorf("%d of 4 writes are there", n)
		}
		return nil
	})
}

// Every byte of a locked record matters, and its place too.
func TestLockedRecords(t *testing.T) {
	l, _ := makeLock([]byte("correct horse"))
	rapid.Check(t, func(t *rapid.T) {
		info := rapid.SampledFrom([]*tableInfo{Log.tableInfo, Addresses.tableInfo}).Draw(t, "table")
		key := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "key")
		value := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "value")
		stored := l.name(info, key)
		sealed := l.seal(info, key, value)
		gotKey, got, err := l.open(info, stored, sealed)
		if err != nil || !bytes.Equal(got, value) || !bytes.Equal(gotKey, key) {
			t.Fatalf("%v: %x is %x", err, got, value)
		}
		bad := bytes.Clone(sealed)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= 1
		cut := sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")]
		for _, b := range [][]byte{bad, cut} {
			if _, _, err := l.open(info, stored, b); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("changed: %v", err)
			}
		}
		if _, _, err := l.open(info, append(stored, 0), sealed); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("under another key: %v", err)
		}
		if _, _, err := l.open(Contacts.tableInfo, stored, sealed); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("in another table: %v", err)
		}
	})
}

func TestLockRecord(t *testing.T) {
	// A cheap one, so that every field can be changed.
	r := lockRecord{Passes: 1, Memory: 64, Lanes: 1}
	aead, aad := r.wrap([]byte("correct horse"))
	copy(r.Wrapped[:], aead.Seal(nil, r.Nonce[:], make([]byte, lockKeySize), aad))
	record := wire.MustMarshal(&r)
	if _, err := openLock(record, []byte("correct horse")); err != nil {
		t.Fatal(err)
	}
	for i := range record {
		bad := bytes.Clone(record)
		bad[i] ^= 1
		if _, err := openLock(bad, []byte("correct horse")); !errors.Is(err, ErrPassphrase) && !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for _, bad := range []lockRecord{{Passes: 1, Lanes: 1}, {Passes: 1, Memory: maxLockMemory + 1, Lanes: 1}, {Memory: 1, Lanes: 1}, {Passes: maxLockPasses + 1, Memory: 1, Lanes: 1}, {Passes: 1, Memory: 1}} {
		if _, err := wire.Marshal(&bad); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func FuzzLockRecord(f *testing.F) {
	_, record := makeLock([]byte("correct horse"))
	f.Add(record)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r lockRecord
		if wire.Unmarshal(b, &r) == nil && !bytes.Equal(wire.MustMarshal(&r), b) {
			t.Error("two encodings")
		}
	})
}
