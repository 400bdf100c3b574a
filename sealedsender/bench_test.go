package sealedsender

import (
	"testing"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// BenchmarkFloor is one AES-256-GCM of a head and one of a body, under keys of
// their own: what a message cannot do without.
func BenchmarkFloor(b *testing.B) {
	for name, c := range map[string]wire.Class{"1K": wire.Class1K, "16K": wire.Class16K} {
		head, body := make([]byte, c.HeadSize()), make([]byte, c.BodySize())
		key := keys.NewSecret()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				gcm(key.Bytes()).Seal(head[:0], zeroNonce[:], head[:len(head)-gcmTag], nil)
				gcm(key.Bytes()).Seal(body[:0], zeroNonce[:], body[:len(body)-gcmTag], nil)
			}
		})
	}
	// One key agreement, which the deniable tag costs on each side.
	b.Run("X25519", func(b *testing.B) {
		k, peer := keys.NewDHKey(), keys.NewDHKey().Public()
		for b.Loop() {
			if _, err := k.DH(peer); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchLetters() map[string]*letter {
	first := newLetter(wire.Class16K)
	first.first, first.prekeys = true, 1
	return map[string]*letter{"steady 1K": newLetter(wire.Class1K), "steady 16K": newLetter(wire.Class16K), "first 16K": first}
}

func BenchmarkSeal(b *testing.B) {
	w := newWorld(b, alice)
	for name, l := range benchLetters() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			body, err := SealBody(l.outer, &l.content)
			if err != nil {
				b.Fatal(err)
			}
			h := w.headOf(body, l)
			for b.Loop() {
				body, err := SealBody(l.outer, &l.content)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := w.sealHead(body, h, l.first); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen has the certificate verified already, as a client keeps it.
func BenchmarkOpen(b *testing.B) {
	w := newWorld(b, alice)
	for name, l := range benchLetters() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := w.mustSeal(b, l)
			for b.Loop() {
				o, err := w.openHead(s)
				if err != nil {
					b.Fatal(err)
				}
				bound, err := o.CheckBody(s.body)
				if err != nil {
					b.Fatal(err)
				}
				from, err := bound.CheckSender(w.cert, w.account, bob)
				if err != nil {
					b.Fatal(err)
				}
				key, err := w.openEntry(from, 1)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := from.OpenBody(w.device.Public(), key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyCertificate(b *testing.B) {
	w := newWorld(b, alice)
	raw := w.cert.Bytes()
	for b.Loop() {
		if _, err := w.verify(raw); err != nil {
			b.Fatal(err)
		}
	}
}
