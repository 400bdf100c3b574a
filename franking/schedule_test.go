package franking

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// ringDisk is where an EpochRing's records are.
type ringDisk map[string][]byte

func (d ringDisk) renew(t testing.TB, r *EpochRing, day ids.Day) {
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

func (d ringDisk) load(t testing.TB, kind SecretKind) *EpochRing {
	t.Helper()
	var records [][]byte
	for _, b := range d {
		records = append(records, b)
	}
	r, err := NewEpochRing(kind, records...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every secret lives for its window, over restarts, missed days and crashes
// between publishing and forgetting, and is published or erased after it, not a
// day sooner.
func TestRotation(t *testing.T) {
	for _, kind := range []SecretKind{SignSecret, WrapSecret, JoinSecret} {
		d, published := ringDisk{}, map[ids.Day]*EpochSecret{}
		r := d.load(t, kind)
		gone := map[ids.Day]ids.Day{}
		for day := today; day < today+100; day++ {
			if day%9 != 0 { // nobody prepared: yesterday's covers it
				d.renew(t, r, day)
			}
			if r.Of(day) == nil {
				t.Fatalf("no secret on +%d", day-today)
			}
			due, err := r.Due(day, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range due {
				if (x.Publish != nil) != kind.Published() {
					t.Fatal("published what is to be erased, or the reverse")
				}
				if x.Publish != nil {
					published[x.Epoch] = PublishedSecret(kind, x.Epoch, x.Publish.Secret())
				}
				if day%7 == 0 {
					continue // crashed before anything was forgotten: due again
				}
				delete(d, x.Name)
				r.Retire(x)
				r.Retire(x)
				gone[x.Epoch] = day
			}
			if day%5 == 0 {
				r = d.load(t, kind)
			}
			if r.Len() != len(d) || r.Len() > MaxEpochSecrets {
				t.Fatalf("%d secrets, %d stored", r.Len(), len(d))
			}
		}
		for epoch, day := range gone {
			if age := int64(day - epoch); age <= kind.Days() || age > kind.Days()+2 {
				t.Errorf("kind %d: gone after %d days", kind, age)
			}
		}
		if len(gone) == 0 || (len(published) > 0) != kind.Published() {
			t.Errorf("kind %d: %d gone, %d published", kind, len(gone), len(published))
		}
	}
}

// A clock that jumps ahead publishes and erases nothing by itself.
func TestClockSteps(t *testing.T) {
	d := ringDisk{}
	r := d.load(t, SignSecret)
	d.renew(t, r, today)
	far := today + ids.Day(SignSecret.Days()) + 10
	if _, err := r.Due(far, false); !errors.Is(err, ErrClock) {
		t.Errorf("ahead: %v", err)
	}
	if due, err := r.Due(far, true); err != nil || len(due) != 2 {
		t.Errorf("confirmed: %d, %v", len(due), err)
	}
	if due, err := r.Due(today-100, false); err != nil || len(due) != 0 {
		t.Errorf("behind: %d, %v", len(due), err)
	}
	for range 50 { // back and forth: no new secrets
		d.renew(t, r, today)
		d.renew(t, r, today+1)
	}
	if r.Len() != 3 {
		t.Errorf("%d secrets", r.Len())
	}
	var err error
	for i := range ids.Day(2 * MaxEpochSecrets) {
		var changes []*EpochChange
		if changes, err = r.Prepare(today + 10*i); err != nil {
			break
		}
		for _, c := range changes {
			if err := r.Commit(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(err, ErrStampKeys) {
		t.Errorf("%d secrets: %v", r.Len(), err)
	}
}

func TestEpochChanges(t *testing.T) {
	r := ringDisk{}.load(t, JoinSecret)
	first, _ := r.Prepare(today)
	second, _ := r.Prepare(today)
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
	if err := r.Commit(&EpochChange{}); !errors.Is(err, ErrStale) {
		t.Error(err)
	}
	rec := wire.MustMarshal(&record{Day: today})
	for _, records := range [][][]byte{{rec[:5]}, {rec, rec}, {append(bytes.Clone(rec), 0)}} {
		if _, err := NewEpochRing(SignSecret, records...); !errors.Is(err, ErrRecord) {
			t.Error(err)
		}
	}
	if _, err := NewEpochRing(SignSecret, make([][]byte, MaxEpochSecrets+1)...); !errors.Is(err, ErrStampKeys) {
		t.Error(err)
	}
}

func TestErasedSecretsAreZero(t *testing.T) {
	r := ringOf(t, WrapSecret, today)
	s := r.Of(today)
	due, err := r.Due(today+ids.Day(WrapSecret.Days())+1, true)
	if err != nil || len(due) == 0 {
		t.Fatal(err)
	}
	r.Retire(due[0])
	if s.secret != [32]byte{} || r.Of(today) != nil {
		t.Error("not erased")
	}
}

func TestRenewDesk(t *testing.T) {
	for last, want := range map[ids.Day]bool{today + DeskOverlap + 1: false, today + DeskOverlap: true, today: true, today - 5: true} {
		if RenewDesk(last, today) != want {
			t.Errorf("last day %d", int64(last)-int64(today))
		}
	}
}
