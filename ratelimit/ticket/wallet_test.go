package ticket

import (
	"errors"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

func grantOf(first uint64, n int, expiry ids.Day) *Grant {
	g := &Grant{Batch: 3, Giver: 2, For: 1, Secret: *root, Expiry: expiry}
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
