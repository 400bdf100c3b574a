package group

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

var bothGroups = []Group{Ristretto255(), P256()}

func forGroups(t *testing.T, f func(t *testing.T, g Group)) {
	t.Helper()
	for _, g := range bothGroups {
		t.Run(g.Name(), func(t *testing.T) { f(t, g) })
	}
}

// order returns the group's order.
func order(g Group) *big.Int {
	hex := "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
	if g == Ristretto255() {
		hex = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"
	}
	n, _ := new(big.Int).SetString(hex, 16)
	return n
}

// encodeInt returns n in the group's byte order, without reducing it.
func encodeInt(g Group, n *big.Int) []byte {
	b := n.FillBytes(make([]byte, g.ScalarSize()))
	if g == Ristretto255() {
		slices.Reverse(b)
	}
	return b
}

// toInt is the inverse of encodeInt.
func toInt(g Group, b []byte) *big.Int {
	b = bytes.Clone(b)
	if g == Ristretto255() {
		slices.Reverse(b)
	}
	return new(big.Int).SetBytes(b)
}

// drawScalar draws edges and anything between them.
func drawScalar(t *rapid.T, g Group, name string) Scalar {
	switch rapid.IntRange(0, 5).Draw(t, name+" kind") {
	case 0:
		return g.ScalarFromUint64(rapid.Uint64Range(0, 2).Draw(t, name))
	case 1:
		return g.ScalarFromUint64(rapid.Uint64Range(1, 2).Draw(t, name)).Negate()
	default:
		return g.HashToScalar(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, name), "test scalar")
	}
}

func drawElement(t *rapid.T, g Group, name string) Element {
	switch rapid.IntRange(0, 4).Draw(t, name+" kind") {
	case 0:
		return g.Identity()
	case 1:
		return g.Generator()
	case 2:
		return g.HashToElement([]byte(name), "test element")
	default:
		return g.MulGenerator(drawScalar(t, g, name))
	}
}

func same(t *rapid.T, what string, a, b Element) {
	t.Helper()
	if !a.Equal(b) || !bytes.Equal(a.Bytes(), b.Bytes()) || !a.Sub(b).IsIdentity() {
		t.Fatalf("%s: %x, %x", what, a.Bytes(), b.Bytes())
	}
}

func TestGroupLaws(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		rapid.Check(t, func(t *rapid.T) {
			x, y := drawScalar(t, g, "x"), drawScalar(t, g, "y")
			a, b, c := drawElement(t, g, "a"), drawElement(t, g, "b"), drawElement(t, g, "c")
			same(t, "commutes", a.Add(b), b.Add(a))
			same(t, "associates", a.Add(b).Add(c), a.Add(b.Add(c)))
			same(t, "neutral", a.Add(g.Identity()), a)
			same(t, "inverse", a.Add(a.Negate()), g.Identity())
			same(t, "distributes over elements", a.Add(b).Mul(x), a.Mul(x).Add(b.Mul(x)))
			same(t, "distributes over scalars", a.Mul(x.Add(y)), a.Mul(x).Add(a.Mul(y)))
			same(t, "multiplies", a.Mul(x.Mul(y)), a.Mul(x).Mul(y))
			same(t, "negates", a.Mul(x.Negate()), a.Mul(x).Negate())
			same(t, "generator", g.MulGenerator(x), g.Generator().Mul(x))
			decoded := mustElement(t, g, g.Generator().Bytes()) // another copy of G
			same(t, "generator decoded", g.MulGenerator(x), decoded.Mul(x))

			xs, es := []Scalar{x, y, x.Sub(y)}, []Element{a, b, c}
			for n := range len(xs) + 1 {
				want := g.Identity()
				for i := range n {
					want = want.Add(es[i].Mul(xs[i]))
				}
				same(t, "multi", g.MultiMul(xs[:n], es[:n]), want)
				same(t, "multi, variable time", g.VarTimeMultiMul(xs[:n], es[:n]), want)
			}
			want := g.MulGenerator(x).Add(b.Mul(y))
			for _, es := range [][]Element{{g.Generator(), b}, {decoded, b}} {
				same(t, "double", g.MultiMul([]Scalar{x, y}, es), want)
				same(t, "double, variable time", g.VarTimeMultiMul([]Scalar{x, y}, es), want)
			}
		})
	})
}

// Scalars are the integers modulo the order.
func TestScalarsAgainstIntegers(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		n := order(g)
		rapid.Check(t, func(t *rapid.T) {
			x, y := drawScalar(t, g, "x"), drawScalar(t, g, "y")
			a, b := toInt(g, x.Bytes()), toInt(g, y.Bytes())
			check := func(what string, got Scalar, want *big.Int) {
				if w := encodeInt(g, want.Mod(want, n)); !bytes.Equal(got.Bytes(), w) {
					t.Fatalf("%s: %x, want %x", what, got.Bytes(), w)
				}
			}
			check("add", x.Add(y), new(big.Int).Add(a, b))
			check("sub", x.Sub(y), new(big.Int).Sub(a, b))
			check("mul", x.Mul(y), new(big.Int).Mul(a, b))
			check("negate", x.Negate(), new(big.Int).Neg(a))
			if inv, err := x.Invert(); a.Sign() == 0 {
				if !errors.Is(err, ErrZero) {
					t.Fatalf("1/0: %v", err)
				}
			} else {
				check("invert", inv, new(big.Int).ModInverse(a, n))
			}
			if x.IsZero() != (a.Sign() == 0) || x.Equal(y) != (a.Cmp(b) == 0) {
				t.Fatal("zero or equal")
			}
			wide := rapid.SliceOfN(rapid.Byte(), 0, wideSize).Draw(t, "wide")
			check("reduce", g.closed().reduce(wide), new(big.Int).SetBytes(wide))
		})
	})
}

func TestEncodingsRoundTrip(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		rapid.Check(t, func(t *rapid.T) {
			e, x := drawElement(t, g, "e"), drawScalar(t, g, "x")
			enc := e.Bytes()
			if len(enc) != g.ElementSize() || len(x.Bytes()) != g.ScalarSize() {
				t.Fatal("sizes")
			}
			for _, decode := range []func([]byte) (Element, error){g.DecodeElement, g.DecodeElementAllowIdentity} {
				got, err := decode(enc)
				if err != nil {
					if !e.IsIdentity() {
						t.Fatal(err)
					}
					continue
				}
				same(t, "decoded", got, e)
			}
			if _, err := g.DecodeElement(enc); e.IsIdentity() != (err != nil) {
				t.Fatalf("identity: %v", err)
			}
			if got, err := g.DecodeScalarAllowZero(x.Bytes()); err != nil || !got.Equal(x) {
				t.Fatal(err)
			}
			if _, err := g.DecodeScalar(x.Bytes()); x.IsZero() != (err != nil) {
				t.Fatalf("zero: %v", err)
			}
		})
	})
}

// What was decoded does not change with the buffer that it came in.
func TestDecodedOwnsItsBytes(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		enc := g.HashToElement([]byte("a"), "test element").Bytes()
		want := bytes.Clone(enc)
		e := mustElement(t, g, enc)
		clear(enc)
		got := e.Bytes()
		if !bytes.Equal(got, want) {
			t.Fatal("the element follows the input")
		}
		clear(got)
		if !bytes.Equal(e.Bytes(), want) {
			t.Fatal("the element follows the output")
		}
	})
}

func TestScalarDecodingRefuses(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		n := order(g)
		add := func(k int64) *big.Int { return new(big.Int).Add(n, big.NewInt(k)) }
		if x := mustScalar(t, g, encodeInt(g, add(-1))); !x.Add(g.ScalarFromUint64(1)).IsZero() {
			t.Fatal("order - 1")
		}
		bad := map[string][]byte{
			"order": encodeInt(g, n), "order+1": encodeInt(g, add(1)), "all ones": bytes.Repeat([]byte{0xff}, 32),
			"empty": {}, "nil": nil, "short": make([]byte, 31), "long": make([]byte, 33),
		}
		for name, b := range bad {
			for _, decode := range []func([]byte) (Scalar, error){g.DecodeScalar, g.DecodeScalarAllowZero} {
				if x, err := decode(b); err != ErrDecode || x.IsSet() {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if _, err := g.DecodeScalar(make([]byte, 32)); err != ErrDecode {
			t.Errorf("zero: %v", err)
		}
	})
}

func TestElementDecodingRefuses(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		good := g.Generator().Bytes()
		bad := map[string][]byte{
			"empty": {}, "nil": nil, "short": good[1:], "shorter": good[:len(good)-1], "long": append(bytes.Clone(good), 0),
			"all ones": bytes.Repeat([]byte{0xff}, g.ElementSize()),
			"one byte": {0},
		}
		// Of the flips of one bit about half are other elements; none may be a
		// second name of the same.
		for i := range len(good) * 8 {
			b := bytes.Clone(good)
			b[i/8] ^= 1 << (i % 8)
			if e, err := g.DecodeElementAllowIdentity(b); err == nil && (e.Equal(g.Generator()) || !bytes.Equal(e.Bytes(), b)) {
				t.Errorf("flip %d is the generator again", i)
			}
		}
		for name, b := range bad {
			for _, decode := range []func([]byte) (Element, error){g.DecodeElement, g.DecodeElementAllowIdentity} {
				if e, err := decode(b); err != ErrDecode || e.IsSet() {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if _, err := g.DecodeElement(g.Identity().Bytes()); err != ErrDecode {
			t.Errorf("identity: %v", err)
		}
	})
}

// Encodings of the points of order 1, 2, 4 and 8 of edwards25519, as Ed25519
// writes them, canonical and not: none is an element of ristretto255 but zero.
func TestRistrettoRefusesSmallOrder(t *testing.T) {
	for _, s := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		if _, err := Ristretto255().DecodeElement(mustHex(t, s)); err != ErrDecode {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// Forms of a P-256 point that circl or SEC 1 know and this package does not.
func TestP256RefusesOtherForms(t *testing.T) {
	g := P256()
	enc := g.Generator().Bytes()
	y := mustHex(t, "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
	prefixed := func(p byte, rest ...[]byte) []byte { return append([]byte{p}, bytes.Join(rest, nil)...) }
	p := mustHex(t, "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
	// x = 4 has no point; p+x is a second name for a small x with one (x = 6).
	four, six := make([]byte, 32), make([]byte, 32)
	four[31], six[31] = 4, 6
	aliased := new(big.Int).Add(new(big.Int).SetBytes(p), big.NewInt(6)).FillBytes(make([]byte, 32))
	if _, err := g.DecodeElement(prefixed(2, six)); err != nil {
		t.Fatalf("x = 6: %v", err)
	}
	for name, b := range map[string][]byte{
		"uncompressed":        prefixed(4, enc[1:], y),
		"hybrid":              prefixed(6, enc[1:], y),
		"infinity":            {0},
		"prefix 0":            prefixed(0, enc[1:]),
		"prefix 1":            prefixed(1, enc[1:]),
		"prefix 4, short":     prefixed(4, enc[1:]),
		"prefix 0x82":         prefixed(0x82, enc[1:]),
		"x = p":               prefixed(2, p),
		"x unreduced":         prefixed(2, aliased),
		"x not on the curve":  prefixed(2, four),
		"x not on the curve3": prefixed(3, four),
	} {
		if _, err := g.DecodeElementAllowIdentity(b); err != ErrDecode {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHashing(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		a := g.HashToElement([]byte("message"), "dst 1")
		x := g.HashToScalar([]byte("message"), "dst 1")
		if !a.Equal(g.HashToElement([]byte("message"), "dst 1")) || !x.Equal(g.HashToScalar([]byte("message"), "dst 1")) {
			t.Error("not a function")
		}
		for _, in := range [][2]string{{"message", "dst 2"}, {"messagE", "dst 1"}, {"", "dst 1"}} {
			if a.Equal(g.HashToElement([]byte(in[0]), in[1])) || x.Equal(g.HashToScalar([]byte(in[0]), in[1])) {
				t.Errorf("%q collides", in)
			}
		}
		if h := g.SecondGenerator(); h.IsIdentity() || h.Equal(g.Generator()) || !h.Equal(g.SecondGenerator()) {
			t.Error("second generator")
		}
		for _, dst := range []string{"", strings.Repeat("d", MaxDST+1)} {
			mustPanic(t, "HashToElement", func() { g.HashToElement(nil, dst) })
			mustPanic(t, "HashToScalar", func() { g.HashToScalar(nil, dst) })
		}
		g.HashToElement(nil, strings.Repeat("d", MaxDST))
	})
	if bytes.Equal(P256().SecondGenerator().Bytes()[1:], Ristretto255().SecondGenerator().Bytes()) {
		t.Error("one second generator for two groups")
	}
}

func TestRandomScalarsDiffer(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		seen := map[string]bool{}
		for range 64 {
			x := g.RandomScalar()
			if x.IsZero() || seen[string(x.Bytes())] {
				t.Fatal("zero or repeated")
			}
			seen[string(x.Bytes())] = true
		}
	})
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

func TestMisusePanics(t *testing.T) {
	r, p := Ristretto255(), P256()
	for name, f := range map[string]func(){
		"add over groups":        func() { r.Generator().Add(p.Generator()) },
		"equal over groups":      func() { r.Generator().Equal(p.Generator()) },
		"mul over groups":        func() { r.Generator().Mul(p.RandomScalar()) },
		"scalars over groups":    func() { r.RandomScalar().Add(p.RandomScalar()) },
		"generator over groups":  func() { r.MulGenerator(p.RandomScalar()) },
		"multi over groups":      func() { r.MultiMul([]Scalar{r.RandomScalar()}, []Element{p.Generator()}) },
		"multi, lengths":         func() { r.MultiMul([]Scalar{r.RandomScalar()}, nil) },
		"variable time, lengths": func() { r.VarTimeMultiMul(nil, []Element{r.Generator()}) },
		"zero element":           func() { Element{}.Bytes() },
		"zero element, equal":    func() { Element{}.Equal(Element{}) },
		"zero element, identity": func() { Element{}.IsIdentity() },
		"zero scalar":            func() { Scalar{}.Bytes() },
		"zero scalar, negate":    func() { Scalar{}.Negate() },
		"zero scalar as operand": func() { r.Generator().Mul(Scalar{}) },
	} {
		mustPanic(t, name, f)
	}
	Scalar{}.Erase() // erasing nothing is fine
	if (Element{}).IsSet() || (Scalar{}).IsSet() || !r.Generator().IsSet() || !r.RandomScalar().IsSet() {
		t.Error("IsSet")
	}
}

// Values are shared between goroutines, the generator by everyone: encoding and
// using them at the same time changes nothing (for the race detector).
func TestConcurrentUse(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		st, w := escrow(t, g, nil)
		proof := mustProve(t, st, w...)
		e := g.SecondGenerator().Add(g.Generator())
		want := e.Bytes()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 4 {
					if err := st.Verify(testSession, proof); err != nil {
						t.Error(err)
					}
					if _, err := st.Prove(testSession, w...); err != nil {
						t.Error(err)
					}
					if !bytes.Equal(e.Bytes(), want) || !e.Negate().Negate().Equal(e) || e.Sub(g.Generator()).IsIdentity() {
						t.Error("a shared element changed")
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestErase(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		x := g.RandomScalar()
		y, sum := x, x.Add(x)
		want := sum.Bytes()
		x.Erase()
		if !x.IsZero() || !y.IsZero() || !bytes.Equal(y.Bytes(), make([]byte, 32)) {
			t.Error("a copy is left")
		}
		if !bytes.Equal(sum.Bytes(), want) {
			t.Error("a result was erased with its operand")
		}
	})
}

func TestPrintsNothing(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		x := g.RandomScalar()
		e := mustElement(t, g, g.MulGenerator(x).Bytes())
		session := NewSession("label", []byte("a mailbox"))
		for _, v := range []any{x, &x, e, &e, []Scalar{x}, struct{ X Scalar }{x}, session} {
			js, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
			all := string(js) + log.String()
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
				all += fmt.Sprintf(verb, v)
			}
			for _, secret := range []string{
				fmt.Sprintf("%x", x.Bytes()), fmt.Sprintf("%v", x.Bytes()), fmt.Sprintf("%x", e.Bytes()), fmt.Sprintf("%v", e.Bytes()),
				"mailbox", fmt.Sprintf("%x", "mailbox"),
			} {
				if strings.Contains(strings.ToLower(all), secret) {
					t.Errorf("%T prints %s in %s", v, secret, all)
				}
			}
			if !strings.Contains(all, redactedText) {
				t.Errorf("%T: %s", v, all)
			}
		}
	})
}

// lenient is a library that takes any bytes for the generator and for 1, as a
// next version might take another form of a point.
type lenient struct{ arithmetic }

func (l lenient) decodePoint([]byte) (point, bool)   { return p256Generator, true }
func (l lenient) decodeScalar([]byte) (scalar, bool) { return l.reduce([]byte{1}), true }

// Strictness does not rest on the libraries.
func TestDecodingTrustsNoLibrary(t *testing.T) {
	s := newSuite("lenient", "lenient", 33, lenient{p256{}}, p256Generator)
	good, one := s.Generator().Bytes(), s.ScalarFromUint64(1).Bytes()
	if _, err := s.DecodeElement(good); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DecodeScalar(one); err != nil {
		t.Fatal(err)
	}
	good[0] ^= 1
	one[31] ^= 2
	if _, err := s.DecodeElement(good); err != ErrDecode {
		t.Errorf("another encoding of an element: %v", err)
	}
	if _, err := s.DecodeScalar(one); err != ErrDecode {
		t.Errorf("another encoding of a scalar: %v", err)
	}
}
