package franking

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

const today ids.Day = 20_000

type disk map[string][]byte

func (d disk) renew(t testing.TB, r *StampRing, day ids.Day) {
	t.Helper()
	changes, err := r.Prepare(day)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		d[c.Name] = bytes.Clone(c.Record)
		if err := r.Commit(c); err != nil {
			t.Fatal(err)
		}
	}
}

func (d disk) load(t testing.TB) *StampRing {
	t.Helper()
	var records [][]byte
	for _, b := range d {
		records = append(records, b)
	}
	r, err := NewStampRing(records...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newStampRing(t testing.TB) (*StampRing, disk) {
	d := disk{}
	r := d.load(t)
	d.renew(t, r, today)
	return r, d
}

func receiptAt(at time.Time) *Receipt {
	return &Receipt{Mailbox: ids.MailboxID{1}, Com: Commitment{2}, Day: today, Received: uint64(at.UnixMilli())}
}

func stamp(t testing.TB, r *StampRing, rc *Receipt) Stamp {
	t.Helper()
	s, err := r.Stamp(rc)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStampIsTheFormula(t *testing.T) {
	r, d := newStampRing(t)
	key := d[name(today)][5:]
	rapid.Check(t, func(t *rapid.T) {
		rc := Receipt{
			Mailbox:  ids.MailboxID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "mailbox")),
			Com:      Commitment(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "com")),
			Day:      ids.Day(rapid.Uint32().Draw(t, "day")),
			Received: uint64(today)*msPerDay + rapid.Uint64Range(0, msPerDay-1).Draw(t, "ms"),
		}
		s, err := r.Stamp(&rc)
		want := mac(key, []byte("\x05stamp"), rc.Mailbox[:], rc.Com[:], u32(uint32(rc.Day)), binary.BigEndian.AppendUint64(nil, rc.Received))
		if err != nil || !bytes.Equal(s[:], want) {
			t.Fatalf("not the formula: %v", err)
		}
		if err := r.Check(&rc, &s); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStampRefuses(t *testing.T) {
	r, _ := newStampRing(t)
	good := receiptAt(today.Start())
	s := stamp(t, r, good)
	for name, change := range map[string]func(rc *Receipt, s *Stamp){
		"mailbox":      func(rc *Receipt, _ *Stamp) { rc.Mailbox[15] ^= 1 },
		"com":          func(rc *Receipt, _ *Stamp) { rc.Com[31] ^= 1 },
		"day":          func(rc *Receipt, _ *Stamp) { rc.Day++ },
		"one ms later": func(rc *Receipt, _ *Stamp) { rc.Received++ },
		"next day":     func(rc *Receipt, _ *Stamp) { rc.Received += msPerDay },
		"first byte":   func(_ *Receipt, s *Stamp) { s[0] ^= 0x80 },
		"last byte":    func(_ *Receipt, s *Stamp) { s[StampSize-1] ^= 1 },
		"16 bytes":     func(_ *Receipt, s *Stamp) { clear(s[16:]) },
	} {
		rc, bad := *good, s
		change(&rc, &bad)
		if err := r.Check(&rc, &bad); !errors.Is(err, ErrStamp) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.Check(good, &s); err != nil {
		t.Error(err)
	}
	other, _ := newStampRing(t)
	if err := other.Check(good, &s); !errors.Is(err, ErrStamp) {
		t.Errorf("another relay: %v", err)
	}
}

// The key is that of the day of receipt, to the millisecond, whatever the
// sender's day.
func TestMidnight(t *testing.T) {
	r, d := newStampRing(t)
	before, after := receiptAt(today.End().Add(-time.Millisecond)), receiptAt(today.End())
	for _, rc := range []*Receipt{before, after} {
		day, _ := rc.day()
		key := d[name(day)][5:]
		want := mac(key, []byte("\x05stamp"), rc.Mailbox[:], rc.Com[:], u32(uint32(rc.Day)), binary.BigEndian.AppendUint64(nil, rc.Received))
		if s := stamp(t, r, rc); !bytes.Equal(s[:], want) {
			t.Errorf("wrong key at %d", rc.Received)
		}
	}
	if d1, _ := before.day(); d1 != today {
		t.Errorf("day %d", d1)
	}
	if d2, _ := after.day(); d2 != today+1 {
		t.Errorf("day %d", d2)
	}
	if bytes.Equal(d[name(today)][5:], d[name(today+1)][5:]) {
		t.Error("one key for two days")
	}
	for _, rc := range []*Receipt{receiptAt(today.Start().Add(-time.Millisecond)), receiptAt((today + 2).Start()), {Received: ^uint64(0)}} {
		if _, err := r.Stamp(rc); !errors.Is(err, ErrNoStampKey) {
			t.Errorf("at %d: %v", rc.Received, err)
		}
		if err := r.Check(rc, &Stamp{}); !errors.Is(err, ErrNoStampKey) {
			t.Errorf("at %d: %v", rc.Received, err)
		}
	}
	// 2^32 days ahead is not today.
	far := *before
	far.Received += (1 << 32) * msPerDay
	if _, err := r.Stamp(&far); !errors.Is(err, ErrNoStampKey) {
		t.Errorf("far future: %v", err)
	}
}

// A stamp checks for StampDays, over rotations, restarts and days on which
// the node was down; then its key is gone from memory and disk.
func TestStampRotation(t *testing.T) {
	r, d := newStampRing(t)
	rc := receiptAt(today.Start())
	s := stamp(t, r, rc)
	for day := today + 1; day <= today+StampDays+1; day++ {
		switch day % 4 {
		case 0: // restarted
			r = d.load(t)
			d.renew(t, r, day)
		case 1: // nobody prepared today; yesterday's Prepare covers it
		case 2, 3:
			d.renew(t, r, day)
		}
		stamp(t, r, receiptAt(day.Start()))
		for _, n := range r.Expire(day) {
			delete(d, n)
		}
		if r.Len() != len(d) || len(d) > StampDays+3 {
			t.Fatalf("%d keys, %d stored", r.Len(), len(d))
		}
		err := r.Check(rc, &s)
		if day <= today+StampDays && err != nil || day > today+StampDays && !errors.Is(err, ErrNoStampKey) {
			t.Fatalf("day +%d: %v", day-today, err)
		}
	}
}

func TestMissedRotation(t *testing.T) {
	r, d := newStampRing(t)
	late := receiptAt((today + 7).Start())
	if _, err := r.Stamp(late); !errors.Is(err, ErrNoStampKey) {
		t.Errorf("without a key: %v", err)
	}
	d.renew(t, r, today+7)
	stamp(t, r, late)
	if r.Len() != 4 {
		t.Errorf("%d keys", r.Len())
	}
}

func TestStampClockSteps(t *testing.T) {
	r, d := newStampRing(t)
	rc := receiptAt(today.Start())
	s := stamp(t, r, rc)
	for range 100 { // back and forth over midnight: no new keys
		d.renew(t, r, today)
		d.renew(t, r, today+1)
	}
	if r.Len() != 3 {
		t.Errorf("%d keys", r.Len())
	}
	d.renew(t, r, today-3) // back by days
	if err := r.Check(rc, &s); err != nil {
		t.Error(err)
	}
	var err error
	for i := range ids.Day(2 * MaxStampKeys) {
		if _, err = r.Prepare(today + 10*i); err != nil {
			break
		}
		d.renew(t, r, today+10*i)
	}
	if !errors.Is(err, ErrStampKeys) || r.Len() > MaxStampKeys {
		t.Errorf("%d keys: %v", r.Len(), err)
	}
	if err := r.Check(rc, &s); err != nil {
		t.Error(err)
	}
}

func TestStampChanges(t *testing.T) {
	r, d := newStampRing(t)
	first, _ := r.Prepare(today + 5)
	second, _ := r.Prepare(today + 5)
	for _, c := range append(first, second...) {
		d[c.Name] = bytes.Clone(c.Record) // the second overwrites the first
	}
	for i := range second {
		if err := r.Commit(first[i]); !errors.Is(err, ErrStale) {
			t.Errorf("overtaken: %v", err)
		}
		if err := r.Commit(second[i]); err != nil {
			t.Error(err)
		}
		if err := r.Commit(second[i]); !errors.Is(err, ErrStale) {
			t.Errorf("twice: %v", err)
		}
	}
	if err := r.Commit(&Change{}); !errors.Is(err, ErrStale) {
		t.Errorf("made up: %v", err)
	}
	rc := receiptAt((today + 5).Start())
	s := stamp(t, r, rc)
	if err := d.load(t).Check(rc, &s); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestNewStampRingRefuses(t *testing.T) {
	_, d := newStampRing(t)
	rec := d[name(today)]
	for n := range rec {
		if _, err := NewStampRing(rec[:n]); !errors.Is(err, ErrRecord) || !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if _, err := NewStampRing(append(bytes.Clone(rec), 0)); !errors.Is(err, ErrRecord) {
		t.Errorf("trailing byte: %v", err)
	}
	if _, err := NewStampRing(rec, rec); !errors.Is(err, ErrRecord) {
		t.Errorf("twice: %v", err)
	}
	bad := bytes.Clone(rec)
	bad[0]++
	if _, err := NewStampRing(bad); !errors.Is(err, ErrRecord) {
		t.Errorf("version: %v", err)
	}
	if _, err := NewStampRing(make([][]byte, MaxStampKeys+1)...); !errors.Is(err, ErrStampKeys) {
		t.Errorf("too many: %v", err)
	}
}

func TestStampRingConcurrently(t *testing.T) {
	r, d := newStampRing(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			rc := receiptAt(today.Start())
			for range 300 {
				s, err := r.Stamp(rc)
				if err == nil {
					err = r.Check(rc, &s)
				}
				if err != nil && !errors.Is(err, ErrNoStampKey) {
					t.Error(err)
				}
			}
		})
	}
	for day := today; day < today+StampDays+3; day++ {
		d.renew(t, r, day)
		r.Expire(day)
	}
	wg.Wait()
}

func TestStampDoesNotAllocate(t *testing.T) {
	r, _ := newStampRing(t)
	if n := testing.AllocsPerRun(1000, func() {
		rc := Receipt{Mailbox: ids.MailboxID{1}, Com: Commitment{2}, Day: today, Received: uint64(today) * msPerDay}
		s, err := r.Stamp(&rc)
		if err != nil || r.Check(&rc, &s) != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(wire.MustMarshal(&record{Day: today, Key: [32]byte{1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r record
		if wire.Unmarshal(b, &r) == nil && !bytes.Equal(wire.MustMarshal(&r), b) {
			t.Error("not canonical")
		}
	})
}

func BenchmarkFranking(b *testing.B) {
	r, _ := newStampRing(b)
	rc := receiptAt(today.Start())
	k, frame := NewKey(), make([]byte, 1024)
	d := k.Digest(frame)
	com := k.Commit(&d, &place)
	b.Run("floor: one HMAC", func(b *testing.B) {
		b.ReportAllocs()
		msg := make([]byte, 66)
		for b.Loop() {
			mac(k.b[:], msg)
		}
	})
	b.Run("stamp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Stamp(rc); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open 1 KiB", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Open(k, frame, &place, &com); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Tomorrow's key is drawn anew at the operator's wish, today's never, nor one
// that was stamped under.
func TestPrepareNext(t *testing.T) {
	const today ids.Day = 20_000
	on := func(d ids.Day) *Receipt { return &Receipt{Day: today, Received: uint64(d.Start().UnixMilli())} }
	r, err := NewStampRing()
	if err != nil {
		t.Fatal(err)
	}
	commit := func(c *Change) {
		if err := r.Commit(c); err != nil {
			t.Fatal(err)
		}
	}
	changes, err := r.Prepare(today)
	if err != nil {
		t.Fatal(err)
	}
	tomorrows := bytes.Clone(changes[1].Record)
	for _, c := range changes {
		commit(c)
	}
	stamp, err := r.Stamp(on(today))
	if err != nil {
		t.Fatal(err)
	}
	c := r.PrepareNext(today)
	if c == nil || c.Name != name(today+1) || bytes.Equal(c.Record, tomorrows) {
		t.Fatal("no other key for tomorrow")
	}
	commit(c)
	if err := r.Check(on(today), &stamp); err != nil {
		t.Errorf("today's stamp: %v", err)
	}
	if again, err := r.Prepare(today); err != nil || len(again) != 0 {
		t.Errorf("more keys are due: %v", err)
	}
	if _, err := r.Stamp(on(today + 1)); err != nil {
		t.Fatal(err)
	}
	if r.PrepareNext(today) != nil {
		t.Error("a key that was stamped under is replaced")
	}
	if r.Len() != 2 {
		t.Errorf("%d keys", r.Len())
	}
}
