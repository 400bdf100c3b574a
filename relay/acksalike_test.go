package relay

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

// writes counts what a relay does to its store.
type writes struct {
	store.Store
	spends, appends, bytes int
}

func (w *writes) Spend(ctx context.Context, id store.SetID, claims []store.Claim) []store.SpendRes {
	w.spends += len(claims)
	return w.Store.Spend(ctx, id, claims)
}

func (w *writes) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	for _, r := range reqs {
		w.appends++
		w.bytes += len(r.Body)
	}
	return w.Store.Append(ctx, reqs)
}

// fates are what may become of an introduction whose proof is true: the same work is
// done for each.
func fates(d *door) map[Reason]func() []byte {
	blocked := d.stranger()
	d.blockIt(blocked)
	unknown := d.at
	unknown.ID = ids.NewMailboxID()
	nonce := uint32(0)
	senders := []*stranger{d.stranger()}
	// Each sender has few introductions: another one takes over.
	next := func() *stranger {
		s := senders[len(senders)-1]
		if s.next == s.Limits.New {
			s = d.stranger()
			senders = append(senders, s)
		}
		return s
	}
	return map[Reason]func() []byte{
		Delivered:       func() []byte { return d.introduction(next()) },
		DisposedBlocked: func() []byte { nonce++; return d.introduce(blocked, d.at, nonce%4, nil) },
		DisposedUnknown: func() []byte {
			s := next()
			s.next++
			return d.introduce(s, unknown, s.next-1, nil)
		},
	}
}

func unlimited() limits.Settings {
	many := gcra.PerSecond(1e6, 1e6)
	return limits.Settings{
		{Name: limits.PeerIntroductions}: many, {Name: limits.SenderIntroductions}: many, {Name: limits.MailboxIntroductions}: many,
	}
}

// Credentials.md 4, 22: whatever becomes of an introduction, the store does the same
// and the sender's provider is told the same.
func TestAttack22SameWork(t *testing.T) {
	d := newDoor(t, unlimited())
	w := &writes{Store: d.store}
	d.Relay.store = w
	var want writes
	for why, make := range fates(d) {
		raw := make()
		*w = writes{Store: w.Store}
		var a Admitted
		if ref := d.AdmitForward(d.now, d.peer, raw, &a); ref != nil {
			t.Fatal(ref.Reason)
		}
		got := d.Settle(t.Context(), []*Admitted{&a})[0]
		if got.Refusal != nil || !got.Reason.Acked() || got.Reason != why {
			t.Errorf("%v instead of %v: %+v", got.Reason, why, got.Refusal)
		}
		w.Store = nil
		if want.appends == 0 {
			want = *w
		}
		if *w != want {
			t.Errorf("%v: %+v, others %+v", why, *w, want)
		}
		w.Store = d.store
	}
}

// rankSum is the Wilcoxon statistic of two samples, in standard deviations.
func rankSum(a, b []time.Duration) float64 {
	type sample struct {
		d   time.Duration
		ofA bool
	}
	var all []sample
	for _, d := range a {
		all = append(all, sample{d: d, ofA: true})
	}
	for _, d := range b {
		all = append(all, sample{d: d})
	}
	slices.SortFunc(all, func(x, y sample) int { return cmp.Compare(x.d, y.d) })
	sum, n, m := 0.0, float64(len(a)), float64(len(b))
	for i := range all {
		if all[i].ofA {
			sum += float64(i + 1)
		}
	}
	return (sum - n*(n+m+1)/2) / math.Sqrt(n*m*(n+m+1)/12)
}

// Credentials.md 4, 22: nor does the time tell. The samples are taken in random
// order, so that what the machine does besides meets all alike: under equal times
// the statistic passes 6 once in 10^9 runs. A relay that looks at the proof only
// where it has to, which the control is, shows at once.
func TestAttack22SameTime(t *testing.T) {
	if testing.Short() {
		t.Skip("a few hundred proofs")
	}
	d := newDoor(t, unlimited())
	kinds := fates(d)
	const leaky = DisposedSealed // it does not open, so that nothing is verified
	good := kinds[Delivered]
	kinds[leaky] = func() []byte {
		raw := good()
		raw[500] ^= 1
		return raw
	}
	const n = 80
	type probe struct {
		why Reason
		raw []byte
	}
	var probes []probe
	for why, make := range kinds {
		for range n {
			probes = append(probes, probe{why, make()})
		}
	}
	rand.Shuffle(len(probes), func(i, j int) { probes[i], probes[j] = probes[j], probes[i] })
	times := map[Reason][]time.Duration{}
	for _, p := range probes {
		var a Admitted
		if ref := d.AdmitForward(d.now, d.peer, p.raw, &a); ref != nil {
			t.Fatal(ref.Reason)
		}
		began := time.Now()
		d.Settle(t.Context(), []*Admitted{&a})
		times[p.why] = append(times[p.why], time.Since(began))
	}
	for why := range kinds {
		z := math.Abs(rankSum(times[Delivered], times[why]))
		if why == leaky && z < 6 {
			t.Errorf("the control is not told apart: %.1f", z)
		}
		if why != leaky && z > 6 {
			t.Errorf("%v is told from a delivery by its time: %.1f", why, z)
		}
	}
}
