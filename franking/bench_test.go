package franking

import (
	"crypto/ed25519"
	"testing"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
)

// BenchmarkProtocol has its floors in the same run: one signature, one
// verification, one HMAC, one multiplication.
func BenchmarkProtocol(b *testing.B) {
	w := newWorld(b)
	run := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	floors(run)
	text := frame(1, Digest{}, string(make([]byte, 1024-57)))
	s := w.send(b, w.tokens(b, w.alice, today, 1)[0], w.alice, w.bob, text)
	v, err := Verify(s.e, w.snapshot, bob, readFrame)
	if err != nil {
		b.Fatal(err)
	}
	bundle := mustBundle(b, w, s)
	from, to := w.alice.sender(), w.bob.recipient() // made here, not in what is measured
	run("frank 1 KiB", func() error {
		k := NewKey()
		d := k.Digest(text)
		_, _, err := s.own.Frank(k, &d, s.target, w.bob.mailbox, ids.HourOf(noon))
		return err
	})
	run("recipient, each message", func() error {
		v, err := Verify(s.e, w.snapshot, bob, readFrame)
		if err == nil {
			_, err = v.Attribute(bundle, from, nil, noon)
		}
		return err
	})
	run("recipient, once per token", func() error {
		_, err := CheckBundle(s.bundle, from, to, &s.e.Audience, w.snapshot)
		return err
	})
	run("bundle made", func() error {
		_, err := MakeBundle(s.own, s.target, from, to, w.snapshot, w.alice.k)
		return err
	})
	run("stamp", func() error {
		_, err := w.b.stamps.Stamp(s.e.receipt())
		return err
	})
	c := w.desk(w.bob)
	run("desk's verification", func() error {
		_, err := c.examine(s.e, nil)
		return err
	})
	run("desk's refusal by stamp", func() error {
		bad := *s.e
		bad.Stamp[0] ^= 1
		if _, err := c.examine(&bad, nil); err == nil {
			b.Fatal("accepted")
		}
		return nil
	})
	share, _ := MakeShare(v, bundle.Escrow(), w.bob.recipient(), w.bob.z)
	m := w.substantiate(b, s.e)
	run("escrow opened", func() error {
		_, err := m.OpenEscrow(&EscrowOpening{Escrow: *bundle.Escrow(), Share: *share}, to, w.b.reviewers)
		return err
	})
	verdict, _ := m.Countersign(w.decision(), w.b.countersign, noon)
	run("verdict checked", func() error {
		_, err := CheckVerdict(verdict, w.b.desk, alpha, w.list, noon)
		return err
	})
	run("account unwrapped", func() error {
		_, _, err := w.a.wrap.Of(today).unwrap(&s.e.Token)
		return err
	})
	issuance(b, w, run)
}

func floors(run func(string, func() error)) {
	pub, priv, _ := ed25519.GenerateKey(nil)
	msg := make([]byte, 128)
	sig := ed25519.Sign(priv, msg)
	g := group.Ristretto255()
	x, e := g.RandomScalar(), g.SecondGenerator()
	key := make([]byte, 32)
	run("floor: one Ed25519 signature", func() error { ed25519.Sign(priv, msg); return nil })
	run("floor: one Ed25519 verification", func() error {
		if !ed25519.Verify(pub, msg, sig) {
			return keys.ErrSignature
		}
		return nil
	})
	run("floor: one HMAC", func() error { mac(key, msg[:66]); return nil })
	run("floor: one multiplication", func() error { e.Mul(x); return nil })
}

func issuance(b *testing.B, w *world, run func(string, func() error)) {
	x := w.alice.context(today)
	req, mine, _ := NewRequest(x, 1)
	checked, err := CheckRequest(x, req, today)
	if err != nil {
		b.Fatal(err)
	}
	is, _ := NewIssuer(w.a.sign.Of(today), w.a.wrap.Of(today))
	key, _ := w.list.Of(today)
	issue := func() (*IssueAnswer, error) {
		g, err := checked.Take(Allowance{}, 1)
		if err != nil {
			return nil, err
		}
		return is.Issue(checked, g)
	}
	answer, err := issue()
	if err != nil {
		b.Fatal(err)
	}
	run("token asked for", func() error { _, _, err := NewRequest(x, 1); return err })
	run("token's request checked", func() error { _, err := CheckRequest(x, req, today); return err })
	run("token issued", func() error { _, err := issue(); return err })
	run("token accepted", func() error { _, err := mine.Accept(answer, key); return err })
}
