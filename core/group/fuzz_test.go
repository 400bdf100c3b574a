package group

import (
	"bytes"
	"testing"
)

// pick returns a group by the fuzzer's choice.
func pick(second bool) Group {
	if second {
		return P256()
	}
	return Ristretto255()
}

// What is accepted is the only encoding of what it decodes to, and neither the
// identity nor zero unless the method's name allows it.
func FuzzDecodeElement(f *testing.F) {
	for _, second := range []bool{false, true} {
		g := pick(second)
		for i := range uint64(4) {
			f.Add(second, g.MulGenerator(g.ScalarFromUint64(i)).Bytes())
		}
		f.Add(second, g.SecondGenerator().Negate().Bytes())
		f.Add(second, g.Generator().Bytes()[1:])
	}
	f.Fuzz(func(t *testing.T, second bool, b []byte) {
		g := pick(second)
		e, err := g.DecodeElementAllowIdentity(b)
		strict, strictErr := g.DecodeElement(b)
		if err != nil {
			if err != ErrDecode || strictErr != ErrDecode || e.IsSet() || strict.IsSet() {
				t.Fatalf("%v, %v", err, strictErr)
			}
			return
		}
		if !bytes.Equal(e.Bytes(), b) || !bytes.Equal(e.Add(g.Identity()).Bytes(), b) {
			t.Fatalf("%x encodes as %x", b, e.Bytes())
		}
		if e.IsIdentity() == (strictErr == nil) {
			t.Fatalf("identity: %v, %v", e.IsIdentity(), strictErr)
		}
		// It is in the group of prime order: (order-1)*e = -e.
		if !e.Mul(g.ScalarFromUint64(1).Negate()).Equal(e.Negate()) {
			t.Fatalf("%x has another order", b)
		}
	})
}

func FuzzDecodeScalar(f *testing.F) {
	for _, second := range []bool{false, true} {
		g := pick(second)
		f.Add(second, g.ScalarFromUint64(0).Bytes())
		f.Add(second, g.ScalarFromUint64(1).Bytes())
		f.Add(second, g.ScalarFromUint64(1).Negate().Bytes())
		f.Add(second, encodeInt(g, order(g)))
	}
	f.Fuzz(func(t *testing.T, second bool, b []byte) {
		g := pick(second)
		x, err := g.DecodeScalarAllowZero(b)
		strict, strictErr := g.DecodeScalar(b)
		if err != nil {
			if err != ErrDecode || strictErr != ErrDecode || x.IsSet() || strict.IsSet() {
				t.Fatalf("%v, %v", err, strictErr)
			}
			return
		}
		if !bytes.Equal(x.Bytes(), b) || toInt(g, b).Cmp(order(g)) >= 0 {
			t.Fatalf("%x encodes as %x", b, x.Bytes())
		}
		if x.IsZero() == (strictErr == nil) {
			t.Fatalf("zero: %v, %v", x.IsZero(), strictErr)
		}
	})
}

// Bytes that parse have one form, and no bytes verify but the proofs that were
// made.
func FuzzVerify(f *testing.F) {
	type target struct {
		d      knownAll
		proofs [][]byte
	}
	targets := map[bool]target{}
	seed := &[SeedSize]byte{1}
	for _, second := range []bool{false, true} {
		k := escrowOrKey(f, pick(second))
		var proofs [][]byte
		for branch, w := range k.witness {
			or, err := k.d.ProveSeeded(seed, testSession, branch, w...)
			if err != nil {
				f.Fatal(err)
			}
			plain, err := k.d.branches[branch].ProveSeeded(seed, testSession, w...)
			if err != nil {
				f.Fatal(err)
			}
			proofs = append(proofs, or, plain)
		}
		for _, p := range proofs {
			f.Add(second, p)
			f.Add(second, make([]byte, len(p)))
			f.Add(second, p[:len(p)-1])
		}
		targets[second] = target{k, proofs}
	}
	f.Fuzz(func(t *testing.T, second bool, b []byte) {
		tg := targets[second]
		s, branches := tg.d.d.s, tg.d.d.branches
		made := false
		for _, p := range tg.proofs {
			made = made || bytes.Equal(b, p)
		}
		verified := tg.d.d.Verify(testSession, b) == nil
		shapes := [][]int{{branches[0].scalars, branches[1].scalars}}
		for _, st := range branches {
			verified = verified || st.Verify(testSession, b) == nil
			shapes = append(shapes, []int{st.scalars})
		}
		if verified != made {
			t.Fatalf("%x verifies: %v", b, verified)
		}
		for _, shape := range shapes {
			ts, err := decodeProof(s, b, shape...)
			if err == nil && !bytes.Equal(appendProof(nil, ts...), b) {
				t.Fatalf("%x is encoded again as %x", b, appendProof(nil, ts...))
			}
			if err != nil && err != ErrProof {
				t.Fatal(err)
			}
		}
	})
}
