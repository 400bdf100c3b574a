package daemon_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

const (
	// perConversation is how many envelopes of the smallest class each
	// conversation has: enough for a bit that is set in 13 of 20 envelopes of one
	// sender, and in half of the other's, to stand out among all bits.
	perConversation = 2000
	// chance is how often the whole of one comparison may fire by chance. Each
	// of its tests gets an equal share (Bonferroni).
	chance = 1e-6
)

// TestEnvelopesLookAlike sends thousands of envelopes of one class, from two
// senders at alpha to one mailbox at beta and from one of them to a second
// mailbox, with texts as different as can be. Whoever sees the bytes, beta for
// the senders and alpha for the mailboxes, cannot tell the conversations apart:
// the fields that are not random are the same in all, no other byte or bit
// is distributed differently in one of them or unevenly in all, none follows
// from the one before, and no eight bytes come twice.
func TestEnvelopesLookAlike(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	began := time.Now()
	w := newWorld(ctx, t)
	for _, u := range w.users() { // who sent what is found out by connection
		must(t, u.c.SetAnonymous(false))
	}
	w.alice.meet(w.bob)
	w.carol.meet(w.bob)
	w.alice.meet(w.dave)
	for range 2 { // sessions are in place afterwards
		w.talk(w.alice, w.bob)
		w.talk(w.bob, w.alice)
		w.talk(w.carol, w.bob)
		w.talk(w.bob, w.carol)
		w.talk(w.alice, w.dave)
		w.talk(w.dave, w.alice)
	}
	// One always writes the same letter, the other up to a class's limit.
	w.flood(func() (from, to *user, text string) { return w.alice, w.bob, "a" })
	w.flood(func() (from, to *user, text string) { return w.carol, w.bob, rand.Text() + strings.Repeat("z", 40) })
	w.flood(func() (from, to *user, text string) { return w.alice, w.dave, "a" })
	w.bob.has(w.alice, perConversation)
	w.bob.has(w.carol, perConversation)
	w.dave.has(w.alice, perConversation)
	if ids.DayOf(began) != ids.DayOf(time.Now()) {
		t.Skip("a new day began, which every envelope names")
	}

	sent := w.conversations()
	aliceBob, carolBob, aliceDave := sent[pair{w.alice, w.bob}], sent[pair{w.carol, w.bob}], sent[pair{w.alice, w.dave}]
	for name, s := range map[string]sample{"alice to bob": aliceBob, "carol to bob": carolBob, "alice to dave": aliceDave} {
		if len(s) < perConversation*9/10 {
			t.Fatalf("%s: only %d envelopes of the smallest class", name, len(s))
		}
	}
	for _, v := range compare(aliceBob, carolBob) {
		t.Errorf("two senders to one mailbox: %s", v)
	}
	for _, v := range compare(aliceBob, aliceDave) {
		t.Errorf("one sender to two mailboxes: %s", v)
	}
	if n := repeats(slices.Concat(aliceBob, carolBob, aliceDave)); n > 0 {
		t.Errorf("%d times eight bytes come twice", n)
	}
	t.Run("planted", func(t *testing.T) { plantPatterns(t, aliceBob, carolBob) })
}

// flood sends enough messages of one conversation.
func (w *world) flood(next func() (from, to *user, text string)) {
	w.t.Helper()
	const chunk = 250
	for sent := 0; sent < perConversation; sent += chunk {
		var texts []string
		var from, to *user
		for range chunk {
			var text string
			from, to, text = next()
			texts = append(texts, text)
		}
		_, err := from.c.SendAll(from.ctx, to.address, texts)
		must(w.t, err)
	}
}

type pair struct{ from, to *user }

// sample is envelopes of the smallest class in the order in which they were
// handed in.
type sample [][]byte

// conversations finds out what only this test can: who sent and who received
// which envelope. Alpha's frames tell who, beta's for whom; what alpha took and
// beta got is the same, byte for byte.
func (w *world) conversations() map[pair]sample {
	w.t.Helper()
	who := func(p *provider) map[uint32]*user { // by connection
		out := map[uint32]*user{}
		for _, f := range p.recorded() {
			for _, u := range w.users() {
				if (f.Type == wire.TypeAuth || f.Type == wire.TypeRegister) && strings.Contains(string(f.Body), u.address.String()) {
					out[f.Conn] = u
				}
			}
		}
		return out
	}
	reads, writes := who(w.beta), who(w.alpha)
	to := map[[wire.ComSize]byte]*user{}
	forwarded := map[string]bool{}
	for _, f := range w.beta.recorded() {
		switch f.Type {
		case wire.TypeForward:
			var m wire.Forward
			must(w.t, wire.Unmarshal(f.Body, &m))
			forwarded[string(m.Envelope)] = true
		case wire.TypeDelivery:
			var m wire.Delivered
			var d wire.Delivery
			must(w.t, wire.Unmarshal(f.Body, &m))
			must(w.t, wire.Unmarshal(m.Delivery, &d))
			to[d.Com] = reads[f.Conn]
		}
	}
	out, seen := map[pair]sample{}, map[string]bool{}
	for _, f := range w.alpha.recorded() {
		if f.Type != wire.TypeSubmit {
			continue
		}
		var m wire.Submit
		var e wire.Envelope
		must(w.t, wire.Unmarshal(f.Body, &m))
		must(w.t, wire.ParseEnvelope(m.Envelope, &e))
		if e.Class != wire.Class1K || seen[string(m.Envelope)] || to[*e.Com] == nil {
			continue // another class; sent again; on its way
		}
		seen[string(m.Envelope)] = true
		if !forwarded[string(m.Envelope)] {
			w.t.Fatal("beta did not get the bytes that alpha took")
		}
		p := pair{writes[f.Conn], to[*e.Com]}
		out[p] = append(out[p], m.Envelope)
	}
	return out
}

// fixed are the places of an envelope that are not random: version, kind, the
// ticket's version and key id, day, class and ttl.
func fixed(position int) bool {
	const day = 2 + wire.TicketSize + wire.BinderSize + wire.ComSize
	return position < 4 || position >= day && position < day+9
}

// compare returns what tells two samples apart, and what is not random in both.
func compare(a, b sample) (out []string) {
	size := wire.Class1K.Size()
	tests := float64(size * (1 + 8 + 1 + 8 + 1)) // the loops below
	limit := chance / tests
	say := func(p float64, position int, format string, args ...any) {
		if p < limit {
			out = append(out, fmt.Sprintf("byte %d: %s (p = %.1e)", position, fmt.Sprintf(format, args...), p))
		}
	}
	all := slices.Concat(a, b)
	for i := range size {
		if fixed(i) {
			for _, e := range all {
				if e[i] != all[0][i] {
					out = append(out, fmt.Sprintf("byte %d: not the same in all", i))
					break
				}
			}
			continue
		}
		ca, cb, both := count(a, i), count(b, i), count(all, i)
		say(twoSamples(&ca, &cb), i, "its values are distributed differently")
		say(uniform(&both, len(all)), i, "its values are not distributed evenly")
		steps := stepsOf(a, i)
		say(uniform(&steps, len(a)-1), i, "it follows from the one before")
		for bit := range 8 {
			na, nb := ones(&ca, bit), ones(&cb, bit)
			say(differ(na, len(a), nb, len(b)), i, "bit %d is set in %d of %d and %d of %d", bit, na, len(a), nb, len(b))
			say(differ(na+nb, len(all), 0, 0), i, "bit %d is set in %d of %d", bit, na+nb, len(all))
		}
	}
	return out
}

func count(s sample, position int) (n [256]int) {
	for _, e := range s {
		n[e[position]]++
	}
	return n
}

// stepsOf counts what has to be XORed to a byte to get the next envelope's.
func stepsOf(s sample, position int) (n [256]int) {
	for i := range len(s) - 1 {
		n[s[i][position]^s[i+1][position]]++
	}
	return n
}

func ones(n *[256]int, bit int) (sum int) {
	for v, k := range n {
		if v>>bit&1 == 1 {
			sum += k
		}
	}
	return sum
}

// twoSamples is the probability of such a difference between two samples of one
// distribution (chi-square test of homogeneity).
func twoSamples(a, b *[256]int) float64 {
	var na, nb float64
	for v := range a {
		na, nb = na+float64(a[v]), nb+float64(b[v])
	}
	x, values := 0.0, 0
	for v := range a {
		if sum := float64(a[v] + b[v]); sum > 0 {
			d := math.Sqrt(nb/na)*float64(a[v]) - math.Sqrt(na/nb)*float64(b[v])
			x += d * d / sum
			values++
		}
	}
	return tail(x, values-1)
}

// uniform is the probability of such a sample of a uniform byte (chi-square
// test of fit).
func uniform(n *[256]int, total int) float64 {
	x, want := 0.0, float64(total)/256
	for _, k := range n {
		d := float64(k) - want
		x += d * d / want
	}
	return tail(x, 255)
}

// tail is the probability that chi-square with that many degrees of freedom is
// above x, by the approximation of Wilson and Hilferty (PNAS 17, 1931).
func tail(x float64, degrees int) float64 {
	if degrees < 1 {
		return 1
	}
	k := 2 / (9 * float64(degrees))
	return math.Erfc((math.Cbrt(x/float64(degrees))-(1-k))/math.Sqrt(k)/math.Sqrt2) / 2
}

// differ is the probability that two shares of a fair bit differ so much. With
// nb = 0 it is of one share and a half.
func differ(a, na, b, nb int) float64 {
	d, variance := float64(a)/float64(na)-0.5, 0.25/float64(na)
	if nb > 0 {
		d, variance = float64(a)/float64(na)-float64(b)/float64(nb), variance+0.25/float64(nb)
	}
	return math.Erfc(math.Abs(d) / math.Sqrt(variance) / math.Sqrt2)
}

// repeats returns how often eight bytes that were in another place or envelope
// come again. By chance it happens once in a million runs.
func repeats(s sample) (n int) {
	var all []uint64
	for _, e := range s {
		for i := range len(e) - 7 {
			if !fixed(i) && !fixed(i+7) && !fixed(i+3) {
				all = append(all, binary.LittleEndian.Uint64(e[i:]))
			}
		}
	}
	slices.Sort(all)
	for i := range len(all) - 1 {
		if all[i] == all[i+1] {
			n++
		}
	}
	return n
}

// plantPatterns changes the envelopes of one sender a little, and wants every
// change to be noticed, and noise to be taken for noise.
func plantPatterns(t *testing.T, a, b sample) {
	const at = 500
	noise := func(n int) sample {
		s := make(sample, n)
		for i := range s {
			s[i] = make([]byte, wire.Class1K.Size())
			rand.Read(s[i])
			for j := range s[i] {
				if fixed(j) {
					s[i][j] = 1
				}
			}
		}
		return s
	}
	if got := compare(noise(len(a)), noise(len(b))); len(got) > 0 {
		t.Errorf("noise is not taken for noise: %q", got)
	}
	withID := noise(1000)
	if n := repeats(withID); n > 0 {
		t.Errorf("in noise, %d times eight bytes come twice", n)
	}
	copy(withID[700][200:], "alice id")
	copy(withID[900][803:], "alice id")
	if repeats(withID) == 0 { // or more: what stands beside it may be the same by chance
		t.Error("an id in two places of two envelopes: nothing comes twice")
	}
	for _, tt := range []struct {
		name   string
		change func(i int, e []byte)
		notice string
	}{
		{"a constant byte", func(_ int, e []byte) { e[at] = 7 }, "byte 500: its values are distributed differently"},
		{"a bit that is set in 13 of 20", func(i int, e []byte) {
			if e[at] &^= 4; mathrand.IntN(20) < 13 {
				e[at] |= 4
			}
		}, "byte 500: bit 2 is set in"},
		{"a byte of few values", func(i int, e []byte) { e[at] &= 0xf0 }, "byte 500: its values are not"},
		{"a counter", func(i int, e []byte) { e[at] = byte(i) }, "byte 500: it follows from"},
		{"a byte that tells how long the text is", func(_ int, e []byte) { e[at] = byte(1 + bits.OnesCount8(e[at])/5) }, "byte 500:"},
		{"another ttl", func(_ int, e []byte) { e[116]++ }, "byte 116: not the same"},
		{"another key id of the ticket in one envelope", func(i int, e []byte) {
			if i == 17 {
				e[3]++
			}
		}, "byte 3: not the same"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := make(sample, len(a))
			for i := range a {
				changed[i] = slices.Clone(a[i])
				tt.change(i, changed[i])
			}
			got := compare(changed, b)
			if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, tt.notice) }) {
				t.Errorf("found %q, not %q", got, tt.notice)
			}
			where, _, _ := strings.Cut(tt.notice, ":")
			for _, s := range got {
				if strings.HasPrefix(where, "byte") && !strings.HasPrefix(s, where+":") {
					t.Errorf("found %q as well", s)
				}
			}
		})
	}
}
