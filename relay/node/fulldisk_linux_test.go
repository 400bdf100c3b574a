package node

import (
	"testing"
	"time"

	"waxwing/core/store/badgerstore"
	"waxwing/core/store/storetest"
	"waxwing/core/wire"
	"waxwing/relay"
)

// A server's disk fills up while a client sends: what is refused is told to come
// again, nothing that was acked is lost, and the same envelopes are taken by the
// same server when there is space again.
func TestFullDisk(t *testing.T) {
	storetest.SmallDisk(t, 80<<20, func(t *testing.T, d *storetest.Disk) {
		d.Fill(24 << 20)
		disk, err := badgerstore.Open(badgerstore.Config{Dir: d.Dir("store"), MinFree: 32 << 20, SweepEvery: 10 * time.Millisecond})
		must(t, err)
		defer disk.Close()
		beta := newServer(t, "beta.example")
		beta.conf.Store, beta.conf.Limits = disk, unlimited()
		beta.start()
		defer beta.halt()
		alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
		const batch = 64
		acked := 0
		var again [][]byte
		var tickets []wire.MintedTicket // more than there is room for
		for range 4 {
			tickets = append(tickets, bob.mint(wire.MaxMint).Tickets...)
		}
		for ; len(tickets) > 0; tickets = tickets[batch:] {
			var sent [][]byte
			for i := range batch {
				sent = append(sent, envelope(&tickets[i], wire.Class16K))
			}
			refused := alice.submit(beta.domain, sent...)
			for number, r := range refused {
				if r.Code != wire.CodeBusy || r.RetryAfter != 5000 {
					t.Fatalf("%+v", r)
				}
				again = append(again, sent[number-1])
			}
			if acked += batch - len(refused); len(refused) > 0 {
				break
			}
		}
		if n := beta.count(relay.RefusedStore, "client"); n == 0 || int(n) != len(again) {
			t.Fatalf("%v refused by the store, %d told", n, len(again))
		}
		if n := len(bob.receive(0, acked)); n != acked { // fetching and acks go on
			t.Fatalf("%d of %d", n, acked)
		}
		d.Free()
		until(t, "the store takes more", func() bool { return disk.Health(t.Context()) == nil })
		if r := alice.submit(beta.domain, again...); len(r) != 0 {
			t.Fatalf("%d of %d refused when there is space again", len(r), len(again))
		}
		seen := map[uint64]bool{}
		for _, del := range bob.receive(bob.last, len(again)) {
			seen[del.Serial] = true
		}
		if len(seen) != len(again) {
			t.Errorf("%d of %d came after it", len(seen), len(again))
		}
	})
}
