package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The child writes rows of which the tables must agree on: a message in the
// log, its place in the conversation and the counter's value.
const crashEnv = "WAXWING_STATE_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		crashChild(path)
		return
	}
	os.Exit(m.Run())
}

func crashChild(path string) {
	s, err := Open(path, Options{})
	if err != nil {
		os.Exit(3)
	}
	for {
		err := s.Update(func(tx *Tx) error {
			n, err := Counter.Get(tx, Single)
			if errors.Is(err, ErrNotFound) {
				n, err = new(Counters), nil
			}
			if err != nil {
				return err
			}
			for range 1 + rand.IntN(8) {
				n.Position++
				frame := bytes.Repeat([]byte{byte(n.Position)}, rand.IntN(3000))
				m := &Message{Contact: 1, Status: StatusWaiting, D: sha256.Sum256(frame), Frame: frame}
				if err := Log.Put(tx, U64(n.Position), m); err != nil {
					return err
				}
				if err := Conversations.Put(tx, OfContact(1, U64(n.Position)), &Ref{}); err != nil {
					return err
				}
			}
			if low := n.Position / 2; rand.IntN(3) == 0 {
				if err := Log.Delete(tx, U64(low)); err != nil {
					return err
				}
				if err := Conversations.Delete(tx, OfContact(1, U64(low))); err != nil {
					return err
				}
			}
			return Counter.Put(tx, Single, n)
		})
		if err != nil {
			os.Exit(4)
		}
		var out [9]byte
		s.View(func(tx *Tx) error {
			n, _ := Counter.Get(tx, Single)
			binary.BigEndian.PutUint64(out[:], uint64(n.Position))
			return nil
		})
		out[8] = '\n'
		os.Stdout.Write(out[:]) // what is told was durable
	}
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	last := Position(0)
	for round := 0; round < 4 || last == 0 && round < 20; round++ {
		var out bytes.Buffer
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashEnv+"="+path)
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(100+rand.IntN(200)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		told := Position(0)
		if n := out.Len() / 9; n > 0 {
			told = Position(binary.BigEndian.Uint64(out.Bytes()[(n-1)*9:]))
		}
		last = checkCrashed(t, path, max(told, last))
	}
	if last == 0 {
		t.Fatal("the child wrote nothing")
	}
}

func checkCrashed(t *testing.T, path string, told Position) Position {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var at Position
	err = s.View(func(tx *Tx) error {
		n, err := Counter.Get(tx, Single)
		if errors.Is(err, ErrNotFound) && told == 0 {
			return nil // on a busy machine the child may end before its first transaction
		}
		if err != nil {
			return err
		}
		at = n.Position
		if at < told {
			t.Errorf("position %d was durable, found %d", told, at)
		}
		count := 0
		for row, err := range Log.Scan(tx, nil, nil) {
			if err != nil {
				return err
			}
			count++
			if row.Record.D != sha256.Sum256(row.Record.Frame) {
				t.Error("torn record")
			}
			if !Conversations.Has(tx, OfContact(1, row.Key)) {
				t.Error("half a transaction")
			}
		}
		if count != Log.Count(tx) || count != Conversations.Count(tx) {
			t.Errorf("%d messages, counted %d, in the conversation %d", count, Log.Count(tx), Conversations.Count(tx))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestLockAndModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	path := filepath.Join(dir, "state")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{LockTimeout: 50 * time.Millisecond}); !errors.Is(err, ErrInUse) {
		t.Errorf("second opening: %v", err)
	}
	for p, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		if fi, err := os.Stat(p); err != nil || fi.Mode().Perm() != want {
			t.Errorf("mode %v, %v", fi.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	s, err = Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestCorrupt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	frame := []byte("a text that is found in the file")
	err = s.Update(func(tx *Tx) error {
		return Log.Put(tx, U64(Position(1)), &Message{Contact: 1, Status: StatusReceived, Frame: frame})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(b, frame)
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.View(func(tx *Tx) error { _, err := Log.Get(tx, U64(Position(1))); return err })
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || corrupt.Table != "log" || strings.Contains(err.Error(), "text") {
		t.Errorf("flipped bit: %v", err)
	}
	if err := os.WriteFile(path+"2", []byte("this is no such file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path+"2", Options{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another file: %v", err)
	}
}

// TestGarbage flips bytes of records and cuts the file: reading ends with a typed
// error or finds the record as it was.
func TestGarbage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	frame := bytes.Repeat([]byte("content "), 300)
	for i := range Position(20) {
		if err := s.Update(func(tx *Tx) error {
			return Log.Put(tx, U64(i), &Message{Contact: 1, Status: StatusReceived, Frame: frame})
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		b := bytes.Clone(whole)
		if i%10 == 9 {
			b = b[:r.IntN(len(b)/os.Getpagesize())*os.Getpagesize()]
		} else if at := r.IntN(len(b) - 3); string(b[at:at+3]) == "ten" || string(b[at:at+3]) == "con" || b[at] == 'c' {
			b[at] ^= byte(1 + r.IntN(255))
		} else {
			continue
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Options{})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrIO) && !errors.Is(err, ErrVersion) {
				t.Errorf("opening: %v", err)
			}
			continue
		}
		err = s.View(func(tx *Tx) error {
			for row, err := range Log.Scan(tx, nil, nil) {
				if err != nil {
					return err
				}
				if !bytes.Equal(row.Record.Frame, frame) {
					t.Error("a damaged record was read")
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("reading: %v", err)
		}
		s.Close()
	}
}

func TestRollbackAndLimits(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "state"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stop := errors.New("stop")
	called := false
	err = s.Update(func(tx *Tx) error {
		tx.AfterCommit(func() { called = true })
		if err := Codes.Put(tx, U32(uint32(1)), &Code{Serial: 1}); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) || called {
		t.Errorf("rolled back: %v, called %v", err, called)
	}
	err = s.Update(func(tx *Tx) error {
		tx.AfterCommit(func() { called = true })
		if Codes.Count(tx) != 0 || Codes.Has(tx, U32(uint32(1))) {
			t.Error("a failed transaction left something")
		}
		for i := range uint32(MaxCodes) {
			if err := Codes.Put(tx, U32(i), &Code{Serial: uint64(i)}); err != nil {
				return err
			}
		}
		if err := Codes.Put(tx, U32(uint32(MaxCodes)), &Code{}); !errors.Is(err, ErrFull) {
			t.Errorf("above the limit: %v", err)
		}
		if err := Codes.Delete(tx, U32(uint32(0))); err != nil {
			return err
		}
		return Codes.Put(tx, U32(uint32(MaxCodes)), &Code{Serial: 5})
	})
	if err != nil || !called {
		t.Fatal(err, called)
	}
	s.View(func(tx *Tx) error {
		if row, err := Codes.Last(tx, nil); err != nil || row.Record.Serial != 5 {
			t.Error("last row", err)
		}
		if rows, err := Codes.Rows(tx, nil, U32(uint32(1000)), 3); err != nil || len(rows) != 3 || ParseU32(rows[0].Key) != 1000 {
			t.Error("rows", err)
		}
		if _, err := Codes.Get(tx, U32(uint32(0))); !errors.Is(err, ErrNotFound) {
			t.Error("deleted row", err)
		}
		return nil
	})
}
