package linking

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

var bob = ids.MustParseAddress("bob@beta.example")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

func newDevice() Device { return Device{keys.NewSigningKey().Public(), keys.NewDHKey().Public()} }

// run is both sides, begun.
func run(t testing.TB) (*Offer, *Joining, Device) {
	t.Helper()
	o, err := NewOffer(bob, "beta.example:7443", [32]byte{1})
	must(t, err)
	k, err := ParseCode(o.Code().Text())
	must(t, err)
	d := newDevice()
	return o, Join(k, d), d
}

// meet takes both sides to where the users compare.
func meet(t testing.TB) (*Offer, *Joining) {
	t.Helper()
	o, n, d := run(t)
	answer, left, got, err := o.Answer(n.Message())
	must(t, err)
	right, err := n.Compare(answer)
	must(t, err)
	if left != right || len(left) != 6 || got != d {
		t.Fatalf("digits %q and %q, device known %v", left, right, got == d)
	}
	return o, n
}

// agree has both users confirm.
func agree(t testing.TB, o *Offer, n *Joining) {
	t.Helper()
	must(t, o.Confirm())
	confirmation, err := n.Confirm()
	must(t, err)
	must(t, o.Confirmed(confirmation))
}

// Nothing is sealed until the other side's user has confirmed too, and only the
// other side can say so.
func TestConfirmation(t *testing.T) {
	o, n := meet(t)
	confirmation, err := n.Confirm()
	must(t, err)
	is(t, o.Confirmed(confirmation), ErrOrder)
	must(t, o.Confirm())
	_, err = o.Seal(nil)
	is(t, err, ErrOrder)
	_, other := meet(t)
	foreign, err := other.Confirm()
	must(t, err)
	for _, bad := range [][]byte{nil, foreign, make([]byte, tagSize), confirmation[:tagSize-1], append(bytes.Clone(confirmation), 0), tag(labelTag, &n.nonce, &n.seen, nil)} {
		is(t, o.Confirmed(bad), ErrSealed)
	}
	for i := range confirmation {
		bad := bytes.Clone(confirmation)
		bad[i] ^= 1
		is(t, o.Confirmed(bad), ErrSealed)
	}
	must(t, o.Confirmed(confirmation))
	is(t, o.Confirmed(confirmation), ErrOrder)
	_, err = o.Seal(nil)
	must(t, err)
}

func TestLink(t *testing.T) {
	o, n := meet(t)
	agree(t, o, n)
	sealed, err := o.Seal([]byte("secrets"))
	must(t, err)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := n.Open(bad); !errors.Is(err, ErrSealed) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	got, err := n.Open(sealed)
	must(t, err)
	if string(got) != "secrets" {
		t.Errorf("got %q", got)
	}
	_, err = n.Open(sealed)
	is(t, err, ErrOrder)
	_, err = o.Seal([]byte("again"))
	is(t, err, ErrOrder)
}

// Nothing goes over before both users have confirmed, nor after one gave up.
func TestOrder(t *testing.T) {
	o, n, _ := run(t)
	is(t, o.Confirm(), ErrOrder)
	_, err := n.Confirm()
	is(t, err, ErrOrder)
	_, err = o.Seal(nil)
	is(t, err, ErrOrder)
	_, err = n.Open(make([]byte, 2000))
	is(t, err, ErrOrder)

	o, n = meet(t)
	_, err = o.Seal(nil)
	is(t, err, ErrOrder)
	o.Abort()
	n.Abort()
	is(t, o.Confirm(), ErrOrder)
	_, err = n.Confirm()
	is(t, err, ErrOrder)

	// A second Join would be a second chance for who is in the middle.
	o, n, _ = run(t)
	answer, _, _, err := o.Answer(n.Message())
	must(t, err)
	_, _, _, err = o.Answer(Join(o.Code(), newDevice()).Message())
	is(t, err, ErrOrder)
	_, err = n.Compare(make([]byte, len(answer)))
	is(t, err, ErrSealed)
	_, err = n.Compare(answer)
	is(t, err, ErrOrder)
}

// Whoever is in the middle puts its own key, device or code in place: the
// digits differ, or it cannot go on.
func TestMiddle(t *testing.T) {
	o, n, d := run(t)
	mallory := Join(o.Code(), d) // the real device's keys, another seal key
	answer, left, _, err := o.Answer(mallory.Message())
	must(t, err)
	_, err = mallory.Compare(answer) // it learns the nonce
	must(t, err)
	for range 20 {
		// It knows the nonce now and passes it on; the digits are the new
		// device's own, and none of mallory's choosing.
		var j join
		must(t, wire.Unmarshal(n.Message(), &j))
		h := sha256.Sum256(n.Message())
		forged, _, err := j.key.Seal(info(labelOpening, &h), nil, wire.MustMarshal(&opening{mallory.nonce}))
		must(t, err)
		right, err := n.Compare(forged)
		must(t, err)
		if left == right {
			t.Log("one in a million")
		} else {
			break
		}
		n = Join(o.Code(), d)
	}
	if n.seen == o.seen {
		t.Fatal("the same transcript")
	}

	// With a nonce of its own it does not open the commitment.
	_, n, _ = run(t)
	var j join
	must(t, wire.Unmarshal(n.Message(), &j))
	h := sha256.Sum256(n.Message())
	forged, _, err := j.key.Seal(info(labelOpening, &h), nil, wire.MustMarshal(&opening{[32]byte{7}}))
	must(t, err)
	_, err = n.Compare(forged)
	is(t, err, ErrCommitment)

	// A code of its own, to the real new device.
	o, _, d = run(t)
	other, err := NewOffer(bob, "beta.example:7443", [32]byte{1})
	must(t, err)
	n = Join(other.Code(), d)
	answer, _, _, err = o.Answer(n.Message())
	must(t, err)
	_, err = n.Compare(answer)
	is(t, err, ErrCommitment)
}

// Whoever carries the messages knows the new device's key and seals secrets of
// its own to it; it lacks the nonce.
func TestCarrierSealsItsOwn(t *testing.T) {
	o, n := meet(t)
	_, err := n.Confirm()
	must(t, err)
	for _, nonce := range [][32]byte{{}, {1}} {
		sealed, _, err := o.key.Seal(info(labelSecrets, &o.seen), nil, []byte("another account"))
		must(t, err)
		_, err = n.Open(append(sealed, tag(labelTag, &nonce, &o.seen, sealed)...))
		is(t, err, ErrSealed)
	}
	_, err = n.Open([]byte("short"))
	is(t, err, ErrSealed)
}

// Every byte of every message and of the code counts.
func TestMutation(t *testing.T) {
	o, n, _ := run(t)
	message := n.Message()
	for i := range message {
		bad := bytes.Clone(message)
		bad[i] ^= 1
		var j join
		if wire.Unmarshal(bad, &j) != nil {
			continue
		}
		if transcript(o.Code(), bad, nil) == transcript(o.Code(), message, nil) {
			t.Fatalf("byte %d does not count", i)
		}
	}
	_, _, _, err := o.Answer(message[1:])
	is(t, err, wire.ErrMalformed)
	_, _, _, err = o.Answer(make([]byte, MaxJoin+1))
	is(t, err, wire.ErrMalformed)
	answer, _, _, err := o.Answer(message)
	must(t, err)
	for i := range answer {
		bad := bytes.Clone(answer)
		bad[i] ^= 1
		again := *n
		if _, err := again.Compare(bad); !errors.Is(err, ErrSealed) {
			t.Fatalf("byte %d of the answer: %v", i, err)
		}
	}
	k := o.Code()
	for name, change := range map[string]func(*Code){
		"address":    func(k *Code) { k.Address = ids.MustParseAddress("eve@beta.example") },
		"server":     func(k *Code) { k.Server += "0" },
		"pin":        func(k *Code) { k.Pin[0] ^= 1 },
		"rendezvous": func(k *Code) { k.Rendezvous[0] ^= 1 },
		"commitment": func(k *Code) { k.commitment[0] ^= 1 },
	} {
		bad := *k
		change(&bad)
		if bad.commit(&o.nonce) == bad.commitment {
			t.Errorf("%s does not count", name)
		}
	}
}

func TestCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Code{Address: bob, Server: rapid.StringMatching(`[a-z.]{1,100}:[0-9]{1,5}`).Draw(t, "server")}
		copy(k.Rendezvous[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "rendezvous"))
		copy(k.commitment[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "commitment"))
		text := k.Text()
		got, err := ParseCode(" " + text[:20] + "\n" + text[20:] + " ")
		if err != nil || !reflect.DeepEqual(*got, k) {
			t.Fatalf("%v: %+v", err, got)
		}
		i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		bad := []byte(text)
		bad[i] = "AB"[b2i(bad[i] == 'A')]
		if _, err := ParseCode(string(bad)); !errors.Is(err, ErrCode) {
			t.Fatalf("mistyped at %d: %v", i, err)
		}
	})
	for _, text := range []string{"", codePrefix, codePrefix + "AAAA", "waxwing:AAAA", codePrefix + string(make([]byte, 4000))} {
		if _, err := ParseCode(text); !errors.Is(err, ErrCode) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := NewOffer(bob, "", [32]byte{}); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("no server: %v", err)
	}
}

func FuzzParseCode(f *testing.F) {
	o, err := NewOffer(bob, "beta.example:7443", [32]byte{1})
	must(f, err)
	f.Add(o.Code().Text())
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseCode(text)
		if err != nil {
			return
		}
		if again, err := ParseCode(k.Text()); err != nil || *again != *k {
			t.Fatal("not the same again")
		}
	})
}

func FuzzJoin(f *testing.F) {
	o, err := NewOffer(bob, "beta.example:7443", [32]byte{1})
	must(f, err)
	f.Add(Join(o.Code(), newDevice()).Message())
	f.Fuzz(func(t *testing.T, b []byte) {
		var j join
		if wire.Unmarshal(b, &j) == nil && !bytes.Equal(wire.MustMarshal(&j), b) {
			t.Fatal("not canonical")
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
