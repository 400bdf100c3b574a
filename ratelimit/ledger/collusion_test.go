package ledger_test

import (
	"context"
	"testing"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/membership"
)

// transcript is what passes an issuer, in the order in which it came.
type transcript [][]byte

// derived returns what those who know the scalars can make of the elements that
// stand anywhere in it, at any offset: each, times each scalar and its inverse, and
// the sums and differences of those in fields of one message.
func (tr transcript) derived(scalars []group.Scalar) map[[32]byte]bool {
	out := map[[32]byte]bool{}
	put := func(e group.Element) { out[[32]byte(e.Bytes())] = true }
	for _, b := range tr {
		fields := map[int][]group.Element{} // by offset within an element
		for i := 0; i+g.ElementSize() <= len(b); i++ {
			e, err := g.DecodeElement(b[i : i+g.ElementSize()])
			if err != nil {
				continue
			}
			put(e)
			for _, x := range scalars {
				put(e.Mul(x))
			}
			at := i % g.ElementSize()
			for _, other := range fields[at] {
				put(e.Add(other))
				put(e.Sub(other))
				put(other.Sub(e))
			}
			fields[at] = append(fields[at], e)
		}
	}
	return out
}

// collusion is alpha and beta together, with all their keys and randomness.
type collusion struct {
	*providers
	scalars []group.Scalar
}

func (c *collusion) learns(x group.Scalar) {
	inverse, err := x.Invert()
	c.must(err)
	c.scalars = append(c.scalars, x, inverse)
}

func (c *collusion) knows(key *arc.SecretKey) {
	b := key.Bytes()
	for i := 0; i < len(b); i += g.ScalarSize() {
		x, err := g.DecodeScalar(b[i : i+g.ScalarSize()])
		c.must(err)
		c.learns(x)
	}
}

// issued is what alpha sees of an account: its row, the request for a membership
// and the answer.
func (c *collusion) issued(k group.Scalar) (transcript, *arc.Credential) {
	m := membership.Membership{Home: alpha, Provider: beta, Month: ratelimit.MonthOf(day), Tier: ratelimit.TierMember}
	pending, err := m.Request(k, c.home.Public())
	c.must(err)
	account := g.MulGenerator(k)
	answer, err := m.Issue(c.home, account, pending.Bytes())
	c.must(err)
	source := c.home.IssuanceSource(pending.Bytes())
	for range 4 {
		c.learns(source.Scalar())
	}
	cred, err := pending.Finish(answer)
	c.must(err)
	return transcript{account.Bytes(), pending.Bytes(), answer}, cred
}

// shown is what beta sees of it afterwards: a refill, its answer, and introductions
// to bob and a second mailbox, opened.
func (c *collusion) shown(cred *arc.Credential) (refill, introductions transcript) {
	r := membership.Refill{
		Home: alpha, Provider: beta, Month: ratelimit.MonthOf(day), Tier: ratelimit.TierMember, Epoch: day,
		Membership: c.home.Public(), Key: c.epoch.Public(),
	}
	pending, err := r.Request(cred)
	c.must(err)
	admitted, err := r.Verify(c.home, pending.Bytes())
	c.must(err)
	c.must(c.ledger.Refill(context.Background(), day, admitted.Place, admitted.Hash, c.now))
	answer, err := admitted.Issue(c.epoch)
	c.must(err)
	daily, err := pending.Finish(answer)
	c.must(err)
	s := introduction.Sender{
		Credential: daily, Home: alpha, Provider: beta, Tier: ratelimit.TierMember, Epoch: day, Limits: introduction.DefaultLimits,
	}
	for i, to := range []introduction.Mailbox{c.bob, {ID: ids.NewMailboxID(), W: g.MulGenerator(g.RandomScalar())}} {
		env, _ := envelope(byte(i))
		address, err := s.Introduce(c.relay.Public(), 1, &to, &env, uint32(i), nil)
		c.must(err)
		in, err := introduction.Open(c.relay, beta, &env, address)
		c.must(err)
		_, err = c.verifier.Verify(introduction.Asked{Home: alpha, W: to.W, In: in})
		c.must(err)
		introductions = append(introductions, wire.MustMarshal(in))
	}
	return transcript{pending.Bytes(), answer}, introductions
}

// TestAttackCollusion is number 29 of credentials.md 4: a home and a provider that
// put all their transcripts, keys and randomness together find nothing in what an
// account shows that goes back to what it was issued, nor in what it shows at one
// mailbox to what it shows at another. A client that shows one element as it got it,
// or times a scalar that one of them knows, is found.
func TestAttackCollusion(t *testing.T) {
	c := &collusion{providers: newProviders(t)}
	c.knows(c.home)
	c.knows(c.epoch)
	var issued [2]map[[32]byte]bool
	var creds [2]*arc.Credential
	var seen [2]transcript
	for i := range seen {
		seen[i], creds[i] = c.issued(g.RandomScalar())
	}
	for i := range seen {
		issued[i] = seen[i].derived(c.scalars)
	}
	everybody := transcript{
		c.home.Public().Bytes(), c.epoch.Public().Bytes(), g.Generator().Bytes(), g.SecondGenerator().Bytes(),
	}.derived(c.scalars)
	links := func(a, b map[[32]byte]bool) (n int) {
		for e := range b {
			if a[e] && !everybody[e] {
				n++
			}
		}
		return n
	}
	refill, introductions := c.shown(creds[0])
	refilled, first, second := refill.derived(c.scalars), introductions[:1].derived(c.scalars), introductions[1:].derived(c.scalars)
	for i := range issued {
		for what, shown := range map[string]map[[32]byte]bool{"refill": refilled, "one mailbox": first, "the other": second} {
			if n := links(issued[i], shown); n != 0 {
				t.Errorf("account %d: %d links with what was shown for %s", i, n, what)
			}
		}
	}
	if n := links(first, second); n != 0 {
		t.Errorf("%d links of two mailboxes", n)
	}

	// The controls: the distinguisher finds a client that leaks, and which it is.
	u := creds[0].Bytes()[g.ScalarSize():][:g.ElementSize()]
	e, err := g.DecodeElement(u)
	c.must(err)
	for name, leak := range map[string][]byte{
		"an element as it was issued":     u,
		"the same, times a scalar of one": e.Mul(c.scalars[1]).Bytes(),
		"the account's key":               g.MulGenerator(creds[0].Secret()).Bytes(),
	} {
		leaked := transcript{leak}.derived(c.scalars)
		if links(issued[0], leaked) == 0 {
			t.Errorf("%s: no link", name)
		}
		if links(issued[1], leaked) != 0 {
			t.Errorf("%s: a link to another account", name)
		}
	}
}
