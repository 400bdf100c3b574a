package ticket

import (
	"errors"
	"sync"
	"testing"

	"waxwing/core/wire"
)

func TestRingConcurrently(t *testing.T) {
	r, d := newRing(t)
	m := mint(t, r, today, 1, 1)[0]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var s Scratch
			for range 200 {
				if _, err := r.Open(&m.Ticket, &s); err != nil {
					t.Error(err)
				}
				if _, err := r.Mint(today, &mailbox, 1, 3, today); err != nil && !errors.Is(err, ErrNotReady) {
					t.Error(err)
				}
			}
		})
	}
	for day := today; day < today+10; day++ {
		d.renew(t, r, day)
		r.Expire(day)
	}
	wg.Wait()
}

func TestOpenDoesNotAllocate(t *testing.T) {
	r, _ := newRing(t)
	m := mint(t, r, today, 1, 1)[0]
	s := new(Scratch)
	if n := testing.AllocsPerRun(1000, func() {
		tk := m.Ticket // on the stack, so that an escape would show
		b := Bound{Day: today, Class: wire.Class1K}
		o, err := r.Open(&tk, s)
		if err != nil {
			t.Fatal(err)
		}
		x := m.Key.Binder(&tk, &b)
		if o.Check(&b, &x) != nil {
			t.Fatal("refused")
		}
		tk[20]++
		if _, err := r.Open(&tk, s); err == nil {
			t.Fatal("forged")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTicket(b *testing.B) {
	r, _ := newRing(b)
	m := mint(b, r, today, 1, 1)[0]
	bound := Bound{Day: today, Class: wire.Class1K}
	binder := m.Key.Binder(&m.Ticket, &bound)
	b.Run("floor: one HMAC", func(b *testing.B) {
		var key Key
		for b.Loop() {
			key.Binder(&m.Ticket, &bound)
		}
	})
	b.Run("open and check", func(b *testing.B) {
		b.ReportAllocs()
		var s Scratch
		for b.Loop() {
			o, err := r.Open(&m.Ticket, &s)
			if err != nil || o.Check(&bound, &binder) != nil {
				b.Fatal("refused")
			}
		}
	})
	b.Run("mint", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += wire.MaxMint {
			r.active.minted = 0
			if _, err := r.Mint(today, &mailbox, 1, wire.MaxMint, today); err != nil {
				b.Fatal(err)
			}
		}
	})
}
