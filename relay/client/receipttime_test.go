package client

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The disclosure attack on receipts (Martiny et al., NDSS 2021): who sees when
// something is put into mailboxes, and nothing else, looks for the mailbox into
// which something comes each time after bob's, and so finds who writes to him.
const (
	sdaUsers   = 200         // whose mailboxes might be alice's
	sdaEvery   = time.Minute // how often something else comes to each, on average
	sdaTrials  = 101
	sdaSurely  = 0.01 // how often the attacker may be wrong
	sdaNetwork = 200 * time.Millisecond
)

// pauses returns how long the receipts of a real client wait.
func pauses(t *testing.T, n int) (out []time.Duration) {
	w := newWorld(t)
	alice, bob := w.friends()
	for i := range n {
		alice.send(bob, fmt.Sprint(i))
		alice.push(true)
		bob.pull()
		came := w.now
		for bob.push(false) == 0 {
			if w.now = w.now.Add(250 * time.Millisecond); w.now.Sub(came) > time.Minute {
				t.Fatal("no receipt in a minute")
			}
		}
		out = append(out, w.now.Sub(came))
		alice.pull()
		w.settle()
	}
	return out
}

// linked returns after how many messages the attacker is sure, at most limit.
func linked(r *rand.Rand, pauses []time.Duration, limit int) int {
	lo, hi := slices.Min(pauses), slices.Max(pauses)+sdaNetwork
	// By chance, something comes to a mailbox within the window so often.
	chance := 1 - math.Exp(-float64(hi-lo)/float64(sdaEvery))
	hits := make([]int, sdaUsers) // the first is alice's
	for n := 1; n <= limit; n++ {
		pause := pauses[r.IntN(len(pauses))] + time.Duration(r.Int64N(int64(sdaNetwork)))
		for u := range hits {
			if u == 0 && pause >= lo && pause <= hi || r.Float64() < chance {
				hits[u]++
			}
		}
		best := slices.Max(hits)
		alone := len(slices.DeleteFunc(slices.Clone(hits), func(h int) bool { return h < best })) == 1
		if hits[0] == best && alone && sdaUsers*math.Pow(chance, float64(n)) < sdaSurely {
			return n
		}
	}
	return limit
}

// median is that of many trials of the attack.
func median(pauses []time.Duration) int {
	r := rand.New(rand.NewPCG(46, 46))
	var all []int
	for range sdaTrials {
		all = append(all, linked(r, pauses, 1000))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// TestAttackReceipts is number 46 of the adversarial list. Random waiting does not
// stop the attack; it makes it need more messages, and a fixed delay, or none,
// does not even do that.
func TestAttackReceipts(t *testing.T) {
	real := pauses(t, 28)
	for _, p := range real {
		if p < time.Second || p > (1+receiptSpread)*time.Second+250*time.Millisecond {
			t.Errorf("a receipt after %v", p)
		}
	}
	now, fixed, ours := median([]time.Duration{0}), median([]time.Duration{time.Second}), median(real)
	if now > 5 || fixed != now {
		t.Errorf("receipts at once are linked after %d messages, after a fixed delay %d: the attack does not work", now, fixed)
	}
	if ours < 2*now {
		t.Errorf("receipts of the client are linked after %d messages, receipts at once after %d", ours, now)
	}
	t.Logf("linked after %d messages; at once and after a fixed delay, %d", ours, now)
}
