package introduction

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cloudflare/circl/ecc/bls12381"

	"waxwing/ratelimit"
	"waxwing/ratelimit/membership"
	"waxwing/ratelimit/privacypass"
)

// used returns the processor time that this process has used, its collection of
// garbage included. Wall time says little on a machine that does other work.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// floors is how many multiplications stand beside each measured operation, in
// turns, so that both meet the same machine.
const floors = 8

var (
	floorScalar  = g.RandomScalar()
	floorElement = g.HashToElement([]byte("floor"), "bench")
)

// per measures f, which does n operations, in multiplications by a secret
// scalar: "floors", the median of the rounds.
func per(b *testing.B, n int, name string, f func()) {
	b.Run(name, func(b *testing.B) {
		var ratios []float64
		for b.Loop() {
			start := used(b)
			f()
			middle := used(b)
			for range floors {
				floorElement.Mul(floorScalar)
			}
			end := used(b)
			if one := float64(end-middle) / floors; one > 0 {
				ratios = append(ratios, float64(middle-start)/float64(n)/one)
			}
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "floors")
	})
}

func run(b *testing.B, name string, f func()) { per(b, 1, name, f) }

// BenchmarkAdmission measures what admission costs whom, in one run with its
// floor, one multiplication by a secret scalar, and with one pairing of
// BLS12-381: what a check of one blocklist entry costs where the pseudonym stays
// hidden (Tyagi et al. 2022).
func BenchmarkAdmission(b *testing.B) {
	run(b, "the floor itself", func() { floorElement.Mul(floorScalar) })
	p, q := bls12381.G1Generator(), bls12381.G2Generator()
	run(b, "one pairing", func() { bls12381.Pair(p, q) })
	benchIntroductions(b)
	benchCredentials(b)
	benchTokens(b)
}

func benchIntroductions(b *testing.B) {
	w := newWorld(b)
	var asked []Asked
	var address []byte
	for n := range MaxBatch {
		// Each to a mailbox of its own, as the worst case is.
		bigW, err := g.DecodeElement(g.MulGenerator(g.RandomScalar()).Bytes()) // as the relay keeps it
		if err != nil {
			b.Fatal(err)
		}
		w.bob = &Mailbox{ID: w.bob.ID, Generation: 3, W: bigW}
		s := w.sender(ratelimit.TierMember)
		address = w.introduce(s, uint32(n)%DefaultLimits.Member, nil)
		asked = append(asked, Asked{Home: alpha, W: w.bob.W, In: w.open(address)})
	}
	run(b, "introduction: seal and prove", func() { w.introduce(w.alice, 1, nil) })
	run(b, "introduction: open", func() { w.open(address) })
	run(b, "introduction: verify", func() { w.v.Verify(asked[0]) })
	for _, n := range []int{8, 32, MaxBatch} {
		per(b, n, fmt.Sprintf("introduction: verify, one of %d", n), func() { w.v.VerifyBatch(asked[:n]) })
	}
	account := g.MulGenerator(w.alice.Credential.Secret())
	run(b, "recipient's check", func() { ratelimit.Matches(w.w, account, w.bob.W) })
	// A blocklist is a set: the relay looks N_R up by its hash.
	for _, n := range []int{1, 1000, 1000000} {
		set := make(map[[elementSize]byte]struct{}, n)
		for i := range n {
			set[[elementSize]byte{byte(i), byte(i >> 8), byte(i >> 16)}] = struct{}{}
		}
		found := false
		run(b, fmt.Sprintf("introduction: verify, list of %d", n), func() {
			v, _ := w.v.Verify(asked[0])
			_, found = set[v.NR]
		})
		if found {
			b.Fatal("blocked")
		}
	}
}

func benchCredentials(b *testing.B) {
	k := g.RandomScalar()
	home, epoch := suite().NewSecretKey(), suite().NewSecretKey()
	month := ratelimit.MonthOf(today)
	m := membership.Membership{Home: alpha, Provider: beta, Month: month, Tier: ratelimit.TierMember}
	account := g.MulGenerator(k)
	pm, err := m.Request(k, home.Public())
	if err != nil {
		b.Fatal(err)
	}
	answer, err := m.Issue(home, account, pm.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	cred, err := pm.Finish(answer)
	if err != nil {
		b.Fatal(err)
	}
	run(b, "membership: verify and issue", func() { m.Issue(home, account, pm.Bytes()) })
	r := membership.Refill{
		Home: alpha, Provider: beta, Month: month, Tier: ratelimit.TierMember, Epoch: today,
		Membership: home.Public(), Key: epoch.Public(), Lists: [][16]byte{{1}},
	}
	pr, err := r.Request(cred)
	if err != nil {
		b.Fatal(err)
	}
	shown, err := r.Verify(home, pr.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	second, err := shown.Issue(epoch)
	if err != nil {
		b.Fatal(err)
	}
	run(b, "refill: ask", func() { r.Request(cred) })
	run(b, "refill: verify", func() { r.Verify(home, pr.Bytes()) })
	run(b, "refill: verify and issue", func() {
		s, _ := r.Verify(home, pr.Bytes())
		s.Issue(epoch)
	})
	run(b, "refill: finish", func() { pr.Finish(second) })
}

func benchTokens(b *testing.B) {
	key, err := privacypass.NewKey(privacypass.Ristretto255)
	if err != nil {
		b.Fatal(err)
	}
	ring := privacypass.NewRing(alpha)
	if err := ring.Add(privacypass.EpochOf(today), key); err != nil {
		b.Fatal(err)
	}
	c := privacypass.SubmissionChallenge(alpha, privacypass.EpochOf(today))
	const n = 32
	pd, err := key.Public().Request(c, n)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := key.Issue(pd.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	tokens, err := pd.Finish(answer)
	if err != nil {
		b.Fatal(err)
	}
	raw := tokens[0].Bytes()
	run(b, "token: redeem", func() {
		t, _ := privacypass.ParseToken(raw)
		ring.Redeem(t, today)
	})
	per(b, n, "token: ask, one of 32", func() { key.Public().Request(c, n) })
	per(b, n, "token: issue, one of 32", func() { key.Issue(pd.Bytes()) })
	per(b, n, "token: finish, one of 32", func() { pd.Finish(answer) })
}
