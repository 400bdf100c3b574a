package ticket

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

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
		g, rows, err := p.Draw(root, account, batch, 40, today)
		if err != nil || len(rows) != 40 || len(g.Tickets) != 40 || g.Expiry != today+ids.MaxTicketDays {
			t.Fatalf("batch %d: %d rows, %v", batch, len(rows), err)
		}
		if !g.Secret.Equal(SealSecret(root, account, batch)) || g.Batch != batch {
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
	if p.Usable(today) != 200 || p.Outstanding(alice, today) != 400 || p.Outstanding(carol, today) != 400 {
		t.Errorf("%d left", p.Usable(today))
	}
}

// A batch is spread over the whole stock: serials do not tell who got them.
func TestDrawIsRandom(t *testing.T) {
	low := 0
	const rounds, n = 20, 32
	for range rounds {
		p := newPool(t, 512)
		_, rows, err := p.Draw(root, alice, 1, n, today)
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
		if g, rows, err := p.Draw(root, alice, 1, tt.n, tt.day); !errors.Is(err, tt.want) || g != nil || rows != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.Usable(today) != 200 {
		t.Error("a refusal took tickets")
	}
	if _, _, err := newPool(t, MinMix-1).Draw(root, alice, 1, 1, today); !errors.Is(err, ErrStock) {
		t.Errorf("small stock: %v", err)
	}
	full := newPool(t, MinMix)
	for i := range MaxGiven {
		full.give(Given{Serial: uint64(i) + 1000, Account: carol})
	}
	if _, _, err := full.Draw(root, alice, 1, 1, today); !errors.Is(err, ErrFull) {
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
	g, rows, err := p.Draw(root, alice, 1, 200, today)
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
	_, rows, err := p.Draw(root, alice, 1, 1, today)
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
	_, rows, _ := p.Draw(root, alice, 1, 10, today)
	if _, _, err := p.Draw(root, carol, 1, 10, today); err != nil {
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
		if n := p.Outstanding(alice, day); n != want {
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
				_, rows, err := p.Draw(root, alice, uint32(next), 10, day)
				if err != nil && !errors.Is(err, ErrStock) {
					t.Fatal(err)
				}
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
				if before.Usable(day) != p.Usable(day) || before.Outstanding(alice, day) != p.Outstanding(alice, day) ||
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
	info := "waxwing seal secret" + "\x00\x00\x00\x13" + "alice@alpha.example" + "\x00\x00\x00\x07"
	want, _ := hkdf.Key(sha256.New, root.Bytes(), nil, info, 32)
	if !bytes.Equal(SealSecret(root, alice, 7).Bytes(), want) {
		t.Error("wrong secret")
	}
	for name, s := range map[string]*keys.Secret{
		"batch": SealSecret(root, alice, 8), "account": SealSecret(root, carol, 7), "root": SealSecret(keys.NewSecret(), alice, 7),
	} {
		if bytes.Equal(s.Bytes(), want) {
			t.Errorf("%s does not matter", name)
		}
	}
}

func grantOf(first uint64, n int, expiry ids.Day) *Grant {
	g := &Grant{Batch: 3, Secret: *root, Expiry: expiry}
	for _, s := range stocked(first, n, expiry) {
		g.Tickets = append(g.Tickets, s.Minted)
	}
	return g
}

func TestWalletTakesEachTicketOnce(t *testing.T) {
	var w Wallet
	for _, g := range []*Grant{grantOf(1, 10, today+5), grantOf(11, 10, today+2), grantOf(6, 10, today+5)} {
		if _, err := w.Add(g); err != nil {
			t.Fatal(err)
		}
	}
	// The third grant holds five tickets of the first and five of the second.
	if w.Len(today) != 20 || w.Len(today+3) != 10 || w.Len(today+6) != 0 {
		t.Errorf("%d, %d", w.Len(today), w.Len(today+3))
	}
	seen := map[Ticket]bool{}
	var last ids.Day
	for range 20 {
		h, ok := w.Take(today)
		if !ok || seen[h.Ticket] || h.Expiry < last || !h.Secret.Equal(root) {
			t.Fatal("ticket twice, late or missing")
		}
		seen[h.Ticket], last = true, h.Expiry
	}
	if _, ok := w.Take(today); ok {
		t.Error("a 21st ticket")
	}
}

func TestWalletExpiry(t *testing.T) {
	var w Wallet
	w.Add(grantOf(1, 3, today+1))
	w.Add(grantOf(11, 2, today+4))
	if h, ok := w.Take(today + 2); !ok || h.Expiry != today+4 {
		t.Error("took an expired ticket")
	}
	if dropped := w.Drop(today + 1); len(dropped) != 0 {
		t.Error("dropped a good ticket")
	}
	if dropped := w.Drop(today + 2); len(dropped) != 3 || len(w.rows) != 1 {
		t.Errorf("dropped %d", len(dropped))
	}
}

func TestWalletIsBounded(t *testing.T) {
	var w Wallet
	var rows []Held
	for i := range 6 {
		added, err := w.Add(grantOf(uint64(1+i*MaxGrant), MaxGrant, today))
		rows = append(rows, added...)
		if want := i >= MaxWallet/MaxGrant; errors.Is(err, ErrFull) != want {
			t.Fatalf("grant %d: %v", i, err)
		}
	}
	if len(rows) != MaxWallet || len(w.rows) != MaxWallet {
		t.Fatalf("%d rows", len(rows))
	}
	again, err := NewWallet(rows)
	if err != nil || again.Len(today) != MaxWallet {
		t.Error(err)
	}
	if _, err := NewWallet(append(rows, Held{})); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

func TestTopUp(t *testing.T) {
	now := time.UnixMilli(1_000_000_000_000)
	var m Marks
	n, m := m.TopUp(now, 0)
	if n != MinHigh || m.High != MinHigh {
		t.Fatalf("new contact: %d, %+v", n, m)
	}
	if n, same := m.TopUp(now, MinHigh/2+1); n != 0 || same != m {
		t.Errorf("above the low mark: %d", n)
	}
	for want := 2 * MinHigh; want <= 4*MaxHigh; want *= 2 { // drains fast
		now = now.Add(FastDrain)
		n, m = m.TopUp(now, 0)
		if n != min(want, MaxHigh) || int(m.High) != n {
			t.Fatalf("busy: %d, want %d", n, want)
		}
	}
	now = now.Add(FastDrain + time.Second)
	if n, m = m.TopUp(now, 10); n != MaxHigh-10 {
		t.Errorf("steady: %d", n)
	}
	for want := MaxHigh / 2; want >= MinHigh/4; want /= 2 { // drains slowly
		now = now.Add(SlowDrain + time.Second)
		n, m = m.TopUp(now, 0)
		if n != max(want, MinHigh) {
			t.Fatalf("quiet: %d, want %d", n, want)
		}
	}
	if n, back := m.TopUp(now.Add(-24*365*time.Hour), 0); n != MinHigh || back.High != m.High {
		t.Errorf("clock went back: %d", n)
	}
	if _, early := (Marks{}).TopUp(time.Time{}, 0); early.Last != 0 {
		t.Error("time before 1970")
	}
	if n, _ := m.TopUp(now, 1<<30); n != 0 {
		t.Error("negative top-up")
	}
}

func TestMintCount(t *testing.T) {
	for _, tt := range []struct{ usable, given, want int }{
		{0, 0, MinStock},
		{MinStock * 3 / 4, 0, MinStock / 4},
		{MinStock*3/4 + 1, 0, 0},
		{MinStock, 1 << 20, wire.MaxMint},
		{MaxStock, 1 << 20, 0},
		{1000, 500, wire.MaxMint},
		{1500, 500, 500},
	} {
		if got := MintCount(tt.usable, tt.given); got != tt.want {
			t.Errorf("%d in stock, %d given: mint %d, want %d", tt.usable, tt.given, got, tt.want)
		}
	}
}

func TestGrantSizes(t *testing.T) {
	for _, n := range []int{1, 2, MaxGrant} {
		b, err := wire.Marshal(grantOf(1, n, today))
		if err != nil || len(b) != GrantSize(n) || GrantFits(len(b)) != n || GrantFits(len(b)-1) != n-1 {
			t.Errorf("%d tickets: %d bytes, %v", n, len(b), err)
		}
	}
	if GrantSize(MaxGrant) != MaxGrantSize || GrantFits(1<<20) != MaxGrant || GrantFits(0) != 0 {
		t.Error("sizes disagree")
	}
	// A full grant has to fit into a body of the largest class, with 1 KiB for
	// everything else.
	if MaxGrantSize+1024 > wire.Class64K.BodySize() {
		t.Errorf("%d bytes do not fit", MaxGrantSize)
	}
}
