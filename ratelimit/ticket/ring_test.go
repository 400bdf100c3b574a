package ticket

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

const today ids.Day = 20_000

var mailbox = ids.MailboxID{1, 2, 3}

// disk is what a relay has stored.
type disk map[string][]byte

// renew prepares, stores and commits until nothing is due.
func (d disk) renew(t testing.TB, r *Ring, day ids.Day) {
	t.Helper()
	for {
		c, err := r.Prepare(day)
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			return
		}
		d[c.Name] = bytes.Clone(c.Record)
		if err := r.Commit(c); err != nil {
			t.Fatal(err)
		}
	}
}

func (d disk) load(t testing.TB) *Ring {
	t.Helper()
	var records [][]byte
	for _, b := range d {
		records = append(records, b)
	}
	r, err := NewRing(records...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newRing(t testing.TB) (*Ring, disk) {
	d := disk{}
	r := d.load(t)
	d.renew(t, r, today)
	return r, d
}

func mint(t testing.TB, r *Ring, day ids.Day, first uint64, n int) []Minted {
	t.Helper()
	m, err := r.Mint(day, &mailbox, first, n, day+ids.MaxTicketDays)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMintOpenCheck(t *testing.T) {
	r, _ := newRing(t)
	rapid.Check(t, func(t *rapid.T) {
		box := ids.MailboxID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "mailbox"))
		first := rapid.Uint64Range(0, 1<<64-20).Draw(t, "first")
		expiry := today + ids.Day(rapid.IntRange(0, ids.MaxTicketDays).Draw(t, "life"))
		minted, err := r.Mint(today, &box, first, rapid.IntRange(1, 10).Draw(t, "count"), expiry)
		if err != nil {
			t.Fatal(err)
		}
		var s Scratch
		for i := range minted {
			o, err := r.Open(&minted[i].Ticket, &s)
			if err != nil || o.Mailbox != box || o.Serial != first+uint64(i) || o.Expiry != expiry {
				t.Fatalf("opened serial %d, expiry %d, %v", o.Serial, o.Expiry, err)
			}
			if !o.Key().Equal(&minted[i].Key) {
				t.Fatal("relay and owner have different keys")
			}
			b := Bound{Day: expiry, TTL: rapid.Uint32().Draw(t, "ttl"), Class: wire.Class4K}
			binder := minted[i].Key.Binder(&minted[i].Ticket, &b)
			if err := o.Check(&b, &binder); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestExpiry(t *testing.T) {
	r, _ := newRing(t)
	m, err := r.Mint(today, &mailbox, 1, 1, today+3)
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.Open(&m[0].Ticket, new(Scratch))
	if err != nil {
		t.Fatal(err)
	}
	for day, want := range map[ids.Day]error{today: nil, today + 3: nil, today + 4: ErrExpired, ^ids.Day(0): ErrExpired} {
		b := Bound{Day: day}
		x := m[0].Key.Binder(&m[0].Ticket, &b)
		if err := o.Check(&b, &x); !errors.Is(err, want) {
			t.Errorf("day %d: %v", day, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	r, _ := newRing(t)
	for name, tt := range map[string]struct {
		first  uint64
		count  int
		expiry ids.Day
	}{
		"none":     {1, 0, today},
		"negative": {1, -1, today},
		"too many": {1, wire.MaxMint + 1, today},
		"past":     {1, 1, today - 1},
		"too long": {1, 1, today + ids.MaxTicketDays + 1},
		"serial":   {^uint64(0), 2, today},
		"wrapped":  {1, 1, ^ids.Day(0)},
	} {
		if m, err := r.Mint(today, &mailbox, tt.first, tt.count, tt.expiry); !errors.Is(err, ErrMint) || m != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Mint(today+1, &mailbox, 1, 1, today+2); !errors.Is(err, ErrNotReady) {
		t.Errorf("yesterday's key: %v", err)
	}
	empty, err := NewRing()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Mint(today, &mailbox, 1, 1, today); !errors.Is(err, ErrNotReady) {
		t.Errorf("no key: %v", err)
	}
}

// A ticket opens until its last envelope can have arrived, over daily
// rotations and restarts, and then its key is gone.
func TestRotationAndExpiry(t *testing.T) {
	r, d := newRing(t)
	m := mint(t, r, today, 5, 1)[0]
	var s Scratch
	last := today + ids.MaxTicketDays + ids.MaxDelay + 1
	for day := today + 1; day <= last+1; day++ {
		if day%3 == 0 {
			r = d.load(t)
		}
		if day%5 != 0 { // some days the node forgets
			d.renew(t, r, day)
			mint(t, r, day, uint64(day), 1)
		}
		for _, name := range r.Expire(day) {
			delete(d, name)
		}
		o, err := r.Open(&m.Ticket, &s)
		if day <= last && (err != nil || o.Serial != 5) {
			t.Fatalf("day +%d: %v", day-today, err)
		}
		if day > last && !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("after its end: %v", err)
		}
		if r.Len() != len(d) || r.Len() > KeyDays+2 {
			t.Fatalf("%d keys, %d stored", r.Len(), len(d))
		}
	}
}

func TestClockSteps(t *testing.T) {
	r, d := newRing(t)
	m := mint(t, r, today, 1, 1)[0]
	for range 1000 { // over midnight and back costs no key
		d.renew(t, r, today+1)
		d.renew(t, r, today)
		mint(t, r, today, 1, 1)
	}
	if r.Len() != 2 {
		t.Errorf("%d keys", r.Len())
	}
	// Days ahead and back again: the key made there is not kept in use.
	d.renew(t, r, today+100)
	if _, err := r.Mint(today, &mailbox, 1, 1, today); !errors.Is(err, ErrNotReady) {
		t.Errorf("a future key mints: %v", err)
	}
	d.renew(t, r, today)
	mint(t, r, today, 1, 1)
	if _, err := r.Open(&m.Ticket, new(Scratch)); err != nil {
		t.Error(err)
	}
	// Jumping for ever uses up the ids, and then minting ends, not opening.
	var err error
	for i := 0; err == nil && i < 2*MaxKeys; i++ {
		var c *Change
		if c, err = r.Prepare(today + ids.Day(i%2*10)); c != nil {
			err = r.Commit(c)
		}
	}
	if !errors.Is(err, ErrNoKeyID) || r.Len() != MaxKeys {
		t.Errorf("%d keys: %v", r.Len(), err)
	}
	if _, err := r.Open(&m.Ticket, new(Scratch)); err != nil {
		t.Error(err)
	}
	// Time heals it.
	r.Expire(today + 50)
	d.renew(t, r, today+50)
}

// Generations go beyond a byte; an id comes again only after its key is gone.
func TestKeyIDsWrap(t *testing.T) {
	r, d := newRing(t)
	seen := map[byte]bool{}
	for day := today; day < today+600; day++ {
		d.renew(t, r, day)
		for _, name := range r.Expire(day) {
			delete(d, name)
		}
		m := mint(t, r, day, 1, 1)[0]
		seen[m.Ticket[offKeyID]] = true
		if o, err := r.Open(&m.Ticket, new(Scratch)); err != nil || o.Expiry != day+ids.MaxTicketDays {
			t.Fatal(err)
		}
	}
	if len(seen) != 256 || len(d) > KeyDays+2 {
		t.Errorf("%d ids, %d stored", len(seen), len(d))
	}
}

// After a crash the reservation counts as minted; the sum never passes
// MaxPerKey, then the key is replaced on the same day.
func TestReservations(t *testing.T) {
	r, d := newRing(t)
	gen, restarts := r.active.Generation, 0
	for r.active.Generation == gen {
		mint(t, r, today, 1, 1)
		before := r.active.minted
		r = d.load(t)
		if r.active.minted <= before || r.active.minted != r.active.Reserved || r.active.Reserved > MaxPerKey {
			t.Fatalf("minted %d, reserved %d", r.active.minted, r.active.Reserved)
		}
		if _, err := r.Mint(today, &mailbox, 1, 1, today); !errors.Is(err, ErrNotReady) {
			t.Fatalf("mints what was not reserved: %v", err)
		}
		d.renew(t, r, today)
		restarts++
	}
	if restarts != MaxPerKey/ReserveStep {
		t.Errorf("%d restarts", restarts)
	}
	// A reservation runs out while nobody renews.
	r.active.minted = r.active.Reserved - ReserveStep/2
	if r.Due(today) {
		t.Error("due with half of the reservation left")
	}
	if mint(t, r, today, 1, 1); !r.Due(today) || !r.Due(today+1) {
		t.Error("not due with less than half of it left, or on another day")
	}
	r.active.minted = r.active.Reserved - 1
	if _, err := r.Mint(today, &mailbox, 1, 2, today); !errors.Is(err, ErrNotReady) {
		t.Error(err)
	}
	d.renew(t, r, today)
	mint(t, r, today, 1, 2)
}

// A crash between storing and committing leaves nothing out of order, whether
// a new key was prepared or a reservation.
func TestCrashBeforeCommit(t *testing.T) {
	r, d := newRing(t)
	m := mint(t, r, today, 1, 1)[0]
	for _, day := range []ids.Day{today, today + 1} {
		r.active.minted = r.active.Reserved
		c, err := r.Prepare(day)
		if err != nil || c == nil {
			t.Fatal(err)
		}
		d[c.Name] = bytes.Clone(c.Record)
		r = d.load(t)
		if _, err := r.Mint(day, &mailbox, 2, 1, day); !errors.Is(err, ErrNotReady) {
			t.Fatalf("day %d: %v", day, err)
		}
		d.renew(t, r, day)
		n := mint(t, r, day, 2, 1)[0]
		r = d.load(t)
		for _, tk := range []Minted{m, n} {
			if _, err := r.Open(&tk.Ticket, new(Scratch)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r.Len() != 2 {
		t.Errorf("%d keys", r.Len())
	}
}

func TestStaleChanges(t *testing.T) {
	r, _ := newRing(t)
	first, _ := r.Prepare(today + 1)
	second, _ := r.Prepare(today + 1)
	if err := r.Commit(first); !errors.Is(err, ErrStale) {
		t.Errorf("earlier change: %v", err)
	}
	if err := r.Commit(second); err != nil {
		t.Error(err)
	}
	if err := r.Commit(second); !errors.Is(err, ErrStale) {
		t.Errorf("twice: %v", err)
	}
	if err := r.Commit(&Change{}); !errors.Is(err, ErrStale) {
		t.Errorf("made up: %v", err)
	}
}

func TestNewRingRefuses(t *testing.T) {
	_, d := newRing(t)
	var rec []byte
	for _, rec = range d {
	}
	for n := range rec {
		if _, err := NewRing(rec[:n]); !errors.Is(err, ErrRecord) || !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if _, err := NewRing(rec, rec); !errors.Is(err, ErrRecord) {
		t.Errorf("twice: %v", err)
	}
	for name, at := range map[string]int{"version": 0, "reserved, high": 13, "reserved, low": 16} {
		bad := bytes.Clone(rec)
		bad[at] ^= 0xff
		if _, err := NewRing(bad); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsPrintRedacted(t *testing.T) {
	r, _ := newRing(t)
	c, _ := r.Prepare(today + 1)
	m := mint(t, r, today, 1, 1)[0]
	o, _ := r.Open(&m.Ticket, new(Scratch))
	key := m.Key
	for _, v := range []any{r, c, &m, m, &o, o, &key, key, Held{Minted: m}, Stocked{Minted: m}, Grant{Giver: 1, Tickets: []Minted{m}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if out := fmt.Sprintf(verb, v); !strings.Contains(out, "redacted") || len(out) > 60 {
				t.Errorf("%T with %s prints %.200s", v, verb, out)
			}
		}
	}
	key.Erase()
	if !key.Equal(new(Key)) {
		t.Error("key not erased")
	}
}

// Keys that the operator asks for: tickets under the old ones stay good, a
// crash before Commit changes nothing, and the ids never run out by them.
func TestPrepareNew(t *testing.T) {
	r, d := newRing(t)
	old := mint(t, r, today, 1, 1)[0]
	c, err := r.PrepareNew(today)
	if err != nil {
		t.Fatal(err)
	}
	if same := mint(t, r, today, 2, 1)[0]; same.Ticket[offKeyID] != old.Ticket[offKeyID] {
		t.Error("the new key is used before it is stored")
	}
	d[c.Name] = bytes.Clone(c.Record)
	if err := r.Commit(c); err != nil {
		t.Fatal(err)
	}
	fresh := mint(t, r, today, 3, 1)[0]
	if fresh.Ticket[offKeyID] == old.Ticket[offKeyID] {
		t.Error("no new key")
	}
	for _, ring := range []*Ring{r, d.load(t)} {
		for _, m := range []Minted{old, fresh} {
			if _, err := ring.Open(&m.Ticket, new(Scratch)); err != nil {
				t.Error(err)
			}
		}
	}
	if c, err := r.Prepare(today); c != nil || err != nil {
		t.Errorf("another one is due: %v", err)
	}
	for range MaxKeys {
		c, err := r.PrepareNew(today)
		if errors.Is(err, ErrNoKeyID) {
			break
		}
		if err := r.Commit(c); err != nil {
			t.Fatal(err)
		}
	}
	if r.Len() != MaxKeys/2 {
		t.Errorf("%d keys", r.Len())
	}
	d.renew(t, r, today+1) // the day's own key still finds an id
}
