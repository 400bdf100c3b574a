package ticket

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

var (
	alice = ids.MustParseAddress("alice@alpha.example")
	carol = ids.MustParseAddress("carol@alpha.example")
	root  = keys.NewSecret()
)

func stocked(first uint64, n int, expiry ids.Day) []Stocked {
	rows := make([]Stocked, n)
	for i := range rows {
		rows[i].Serial, rows[i].Expiry = first+uint64(i), expiry
		rows[i].Ticket = Ticket(bytes.Repeat([]byte{byte(rows[i].Serial)}, Size))
		rows[i].Ticket[0], rows[i].Ticket[1], rows[i].Ticket[2] = byte(rows[i].Serial>>16), byte(rows[i].Serial>>8), byte(rows[i].Serial)
	}
	return rows
}

func newPool(t testing.TB, n int) *Pool {
	t.Helper()
	p, err := NewPool(stocked(1, n, today+ids.MaxTicketDays), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDrawGivesEachSerialOnce(t *testing.T) {
	p := newPool(t, 1000)
	seen := map[uint64]bool{}
	tickets := map[Ticket]uint64{}
	for _, s := range stocked(1, 1000, 0) {
		tickets[s.Ticket] = s.Serial
	}
	for batch := range uint32(20) {
		account := alice
		if batch%2 == 1 {
			account = carol
		}
		g, rows, err := p.Draw(by(root), account, 1, batch, 40, today)
		if err != nil || len(rows) != 40 || len(g.Tickets) != 40 || g.Expiry != today+ids.MaxTicketDays {
			t.Fatalf("batch %d: %d rows, %v", batch, len(rows), err)
		}
		if !g.Secret.Equal(SealSecret(root, account, 1, batch)) || g.Batch != batch {
			t.Fatal("wrong secret")
		}
		for i, row := range rows {
			if seen[row.Serial] || tickets[g.Tickets[i].Ticket] != row.Serial {
				t.Fatalf("serial %d twice, or with another's ticket", row.Serial)
			}
			seen[row.Serial] = true
			if got, ok := p.Owner(row.Serial); !ok || got != row || row.Account != account || row.Batch != batch {
				t.Fatalf("owner of %d: %v", row.Serial, got)
			}
		}
	}
	if p.Usable(today) != 200 || p.Outstanding(alice, 1, today) != 400 || p.Outstanding(carol, 1, today) != 400 {
		t.Errorf("%d left", p.Usable(today))
	}
}

// A batch is spread over the whole stock: serials do not tell who got them.
func TestDrawIsRandom(t *testing.T) {
	low := 0
	const rounds, n = 20, 32
	for range rounds {
		p := newPool(t, 512)
		_, rows, err := p.Draw(by(root), alice, 1, 1, n, today)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Serial <= 256 {
				low++
			}
		}
	}
	// 640 fair coins: six standard deviations are 76.
	if low < rounds*n/2-76 || low > rounds*n/2+76 {
		t.Errorf("%d of %d in the lower half", low, rounds*n)
	}
}

func TestDrawRefuses(t *testing.T) {
	p := newPool(t, 200)
	for name, tt := range map[string]struct {
		n    int
		day  ids.Day
		want error
	}{
		"none":      {0, today, ErrFull},
		"too many":  {MaxGrant + 1, today, ErrFull},
		"not there": {201, today, ErrStock},
		"too old":   {1, today + MinLife + 1, ErrStock},
	} {
		if g, rows, err := p.Draw(by(root), alice, 1, 1, tt.n, tt.day); !errors.Is(err, tt.want) || g != nil || rows != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.Usable(today) != 200 {
		t.Error("a refusal took tickets")
	}
	if _, _, err := newPool(t, MinMix-1).Draw(by(root), alice, 1, 1, 1, today); !errors.Is(err, ErrStock) {
		t.Errorf("small stock: %v", err)
	}
	full := newPool(t, MinMix)
	for i := range MaxGiven {
		full.give(Given{Serial: uint64(i) + 1000, Account: carol})
	}
	if _, _, err := full.Draw(by(root), alice, 1, 1, 1, today); !errors.Is(err, ErrFull) {
		t.Errorf("full: %v", err)
	}
}

// Old and new tickets mixed: the old are not given out, the grant ends with
// its earliest.
func TestDrawMixesExpiries(t *testing.T) {
	p := newPool(t, 0)
	for _, rows := range [][]Stocked{stocked(1, 100, today+MinLife-1), stocked(101, 100, today+MinLife), stocked(201, 100, today+14)} {
		if err := p.Add(rows); err != nil {
			t.Fatal(err)
		}
	}
	g, rows, err := p.Draw(by(root), alice, 1, 1, 200, today)
	if err != nil || g.Expiry != today+MinLife {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Serial <= 100 {
			t.Fatalf("serial %d is too old", r.Serial)
		}
	}
	if stock, _ := p.Drop(today); len(stock) != 100 {
		t.Errorf("dropped %d", len(stock))
	}
}

func TestAddIsAllOrNothing(t *testing.T) {
	p := newPool(t, 200)
	_, rows, err := p.Draw(by(root), alice, 1, 1, 1, today)
	if err != nil {
		t.Fatal(err)
	}
	fresh := stocked(5000, 2, today+14)
	for name, tt := range map[string]struct {
		rows []Stocked
		want error
	}{
		"in stock": {append(stocked(500, 1, today+14), p.stock[0]), ErrSerial},
		"given":    {stocked(rows[0].Serial, 1, today+14), ErrSerial},
		"itself":   {[]Stocked{fresh[0], fresh[0]}, ErrSerial},
		"too many": {stocked(10_000, MaxStock, today+14), ErrFull},
	} {
		if err := p.Add(tt.rows); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.Usable(today) != 199 || len(p.serials) != 199 {
		t.Error("a refusal added tickets")
	}
	if _, err := NewPool(nil, append(rows, rows...)); !errors.Is(err, ErrSerial) {
		t.Errorf("given twice: %v", err)
	}
	if _, err := NewPool(nil, make([]Given, MaxGiven+1)); !errors.Is(err, ErrFull) {
		t.Errorf("too many given: %v", err)
	}
}

func TestStockOfAnswer(t *testing.T) {
	r, _ := newRing(t)
	m := mint(t, r, today, 7, 3)
	rows := StockOf(&wire.Minted{FirstSerial: 7, Expiry: today + ids.MaxTicketDays, Tickets: Answer(m)})
	for i := range rows {
		o, err := r.Open(&rows[i].Ticket, new(Scratch))
		if err != nil || o.Serial != rows[i].Serial || o.Expiry != rows[i].Expiry || !o.Key().Equal(&rows[i].Key) {
			t.Errorf("row %d: %v", i, err)
		}
	}
}

// Block: only what is unspent, and all under which something may still come.
func TestUnspent(t *testing.T) {
	p := newPool(t, 400)
	_, rows, _ := p.Draw(by(root), alice, 1, 1, 10, today)
	if _, _, err := p.Draw(by(root), carol, 1, 1, 10, today); err != nil {
		t.Fatal(err)
	}
	used, ok := p.Use(rows[3].Serial)
	if !ok || !used.Used {
		t.Fatal("not used")
	}
	expiry := rows[0].Expiry
	for day, want := range map[ids.Day]int{today: 9, expiry: 9, expiry + ids.MaxDelay + 1: 9, expiry + ids.MaxDelay + 2: 0} {
		got := p.Unspent(alice, day)
		if len(got) != want {
			t.Errorf("day +%d: %d", day-today, len(got))
		}
		for i, g := range got {
			if g.Serial == rows[3].Serial || g.Account != alice || i > 0 && got[i-1].Serial >= g.Serial {
				t.Errorf("unspent: %v", g)
			}
		}
	}
	for day, want := range map[ids.Day]int{today: 9, expiry: 9, expiry + 1: 0} {
		if n := p.Outstanding(alice, 1, day); n != want {
			t.Errorf("day +%d: %d outstanding", day-today, n)
		}
	}
	if _, ok := p.Use(99_999); ok {
		t.Error("unknown serial used")
	}
	if _, ok := p.Owner(99_999); ok {
		t.Error("unknown serial has an owner")
	}
	if _, given := p.Drop(expiry + ids.MaxDelay + 1); len(given) != 0 {
		t.Errorf("dropped %d too early", len(given))
	}
	if _, given := p.Drop(expiry + ids.MaxDelay + 2); len(given) != 20 || len(p.given) != 0 || len(p.byOwner) != 0 {
		t.Errorf("dropped %d", len(given))
	}
}

// A contact code belongs to whoever uses it first; its tickets then are that
// account's, also for a block, and are opened with the code's secret.
func TestContactCodes(t *testing.T) {
	p := newPool(t, 200)
	none := ids.Address{}
	g, rows, err := p.Draw(by(root), none, 1, 7, 2, today)
	if err != nil || !rows[0].Code || !rows[0].Account.IsZero() {
		t.Fatal(err)
	}
	_, other, err := p.Draw(by(root), none, 1, 8, 1, today)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Unspent(none, today)) != 3 || len(p.Unspent(alice, today)) != 0 {
		t.Error("codes have an owner")
	}
	if p.Assign(9, alice) != nil || p.Assign(7, none) != nil {
		t.Error("assigned an unknown code, or to nobody")
	}
	moved := p.Assign(7, alice)
	if len(moved) != 2 || p.Assign(7, carol) != nil {
		t.Fatalf("%d rows moved, or moved twice", len(moved))
	}
	for _, row := range moved {
		if got, _ := p.Owner(row.Serial); got != row || row.Account != alice || !row.SealSecret(root).Equal(&g.Secret) {
			t.Errorf("row %+v", row)
		}
	}
	if _, drawn, _ := p.Draw(by(root), alice, 1, 7, 1, today); drawn[0].Code || drawn[0].SealSecret(root).Equal(&g.Secret) {
		t.Error("a batch of the account and a code share a secret")
	}
	if len(p.Unspent(alice, today)) != 3 || p.Outstanding(none, 1, today) != 1 || p.Unspent(none, today)[0] != other[0] {
		t.Error("wrong owners")
	}
	if _, err := wire.Marshal(&Given{Serial: 1}); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a row for nobody: %v", err)
	}
}

// A pool loaded from the rows that the caller stored is the pool it was.
func TestPoolReloads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stock, given := map[uint64][]byte{}, map[uint64][]byte{}
		var p *Pool
		reload := func() {
			var s []Stocked
			var g []Given
			for _, b := range stock {
				row, err := ParseStocked(b)
				if err != nil {
					t.Fatal(err)
				}
				s = append(s, row)
			}
			for _, b := range given {
				row, err := ParseGiven(b)
				if err != nil {
					t.Fatal(err)
				}
				g = append(g, row)
			}
			var err error
			if p, err = NewPool(s, g); err != nil {
				t.Fatal(err)
			}
		}
		reload()
		day, next := today, uint64(1)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				rows := stocked(next, MinMix, day+14)
				next += MinMix
				for i := range rows {
					stock[rows[i].Serial] = rows[i].Append(nil)
				}
				if err := p.Add(rows); err != nil {
					t.Fatal(err)
				}
			case 1:
				_, rows, err := p.Draw(by(root), alice, 1, uint32(next), 10, day)
				if err != nil && !errors.Is(err, ErrStock) {
					t.Fatal(err)
				}
				_, code, err := p.Draw(by(root), ids.Address{}, 1, uint32(next), 1, day)
				if err == nil && rapid.Bool().Draw(t, "assign") {
					code = p.Assign(uint32(next), alice)
				}
				rows = append(rows, code...)
				for i := range rows {
					delete(stock, rows[i].Serial)
					given[rows[i].Serial] = rows[i].Append(nil)
				}
			case 2:
				if u := p.Unspent(alice, day); len(u) > 0 {
					row, _ := p.Use(u[rapid.IntRange(0, len(u)-1).Draw(t, "which")].Serial)
					given[row.Serial] = row.Append(nil)
				}
			case 3:
				day += ids.Day(rapid.IntRange(0, 9).Draw(t, "days"))
				s, g := p.Drop(day)
				for _, n := range s {
					delete(stock, n)
				}
				for _, n := range g {
					delete(given, n)
				}
			case 4:
				before := *p
				reload()
				if before.Usable(day) != p.Usable(day) || before.Outstanding(alice, 1, day) != p.Outstanding(alice, 1, day) ||
					len(before.Unspent(alice, day)) != len(p.Unspent(alice, day)) || len(before.given) != len(p.given) {
					t.Fatal("reloaded pool differs")
				}
			}
			if len(p.stock) != len(stock) || len(p.serials) != len(stock) || len(p.given) != len(given) {
				t.Fatalf("%d/%d in stock, %d/%d given", len(p.stock), len(stock), len(p.given), len(given))
			}
		}
	})
}

func TestSealSecretIsHKDF(t *testing.T) {
	info := "waxwing seal secret" + "\x00\x00\x00\x13" + "alice@alpha.example" + "\x00\x00\x00\x01" + "\x00\x00\x00\x07"
	want, _ := hkdf.Key(sha256.New, root.Bytes(), nil, info, 32)
	if !bytes.Equal(SealSecret(root, alice, 1, 7).Bytes(), want) {
		t.Error("wrong secret")
	}
	for name, s := range map[string]*keys.Secret{
		"batch": SealSecret(root, alice, 1, 8), "giver": SealSecret(root, alice, 2, 7), "account": SealSecret(root, carol, 1, 7), "root": SealSecret(keys.NewSecret(), alice, 1, 7),
	} {
		if bytes.Equal(s.Bytes(), want) {
			t.Errorf("%s does not matter", name)
		}
	}
}

func by(root *keys.Secret) Giver { return Giver{Device: 1, Root: root} }

// Two devices of an account give to two devices of a contact: each is counted
// apart, no two batches have one secret, and the other's rows are learned once.
func TestDevicesApart(t *testing.T) {
	p, q := newPool(t, 200), new(Pool)
	first := Giver{Device: 1, Number: 3, Root: root}
	second := Giver{Device: 2, Number: 3, Root: root}
	a, rows, err := p.Draw(first, alice, 1, 7, 10, today)
	if err != nil {
		t.Fatal(err)
	}
	b, more, err := p.Draw(second, alice, 2, 7, 4, today)
	if err != nil {
		t.Fatal(err)
	}
	if a.For != 1 || b.For != 2 || a.Giver != 1 || b.Giver != 2 || a.Root != 3 || a.Secret.Equal(&b.Secret) {
		t.Error("batches of two devices are not told apart")
	}
	if p.Outstanding(alice, 1, today) != 10 || p.Outstanding(alice, 2, today) != 4 || p.Outstanding(alice, 3, today) != 0 {
		t.Error("counted over devices")
	}
	for _, g := range append(rows, more...) {
		if added, err := q.Learn(g); !added || err != nil {
			t.Fatal(added, err)
		}
		if added, err := q.Learn(g); added || err != nil {
			t.Fatal("learned twice", err)
		}
		if got, ok := q.Owner(g.Serial); !ok || got != g {
			t.Error("changed")
		}
	}
	if q.Outstanding(alice, 2, today) != 4 || len(q.Unspent(alice, today)) != 14 {
		t.Error("what was learned does not count")
	}
	// What is in stock here was not given out by another.
	if added, err := p.Learn(Given{Serial: p.stock[0].Serial, Account: carol}); added || err != nil {
		t.Error(added, err)
	}
}
