package franking

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
)

func TestPublishedSecrets(t *testing.T) {
	w := newWorld(t)
	sign := PublishedSecret(SignSecret, today, w.a.sign.Of(today).Secret())
	join := PublishedSecret(JoinSecret, today, w.b.join.Of(today).Secret())
	if err := w.list.Published(sign); err != nil {
		t.Error(err)
	}
	if err := w.snapshot.Published(join); err != nil {
		t.Error(err)
	}
	for name, s := range map[string]*EpochSecret{
		"another":    PublishedSecret(SignSecret, today, [32]byte{1}),
		"day":        PublishedSecret(SignSecret, today+1, sign.Secret()),
		"unknown":    PublishedSecret(SignSecret, today-9, sign.Secret()),
		"wrong kind": PublishedSecret(JoinSecret, today, sign.Secret()),
	} {
		wants(t, name, w.list.Published(s), FaultEpoch)
		s.kind = JoinSecret
		wants(t, name, w.snapshot.Published(s), FaultEpoch)
	}
}

// Evidence of any content is encoded and read back alike.
func TestEvidenceRoundTrips(t *testing.T) {
	w := newWorld(t)
	tok := w.tokens(t, w.alice, today, 1)[0].token
	rapid.Check(t, func(t *rapid.T) {
		fill := func(b []byte, name string) { copy(b, rapid.SliceOfN(rapid.Byte(), len(b), len(b)).Draw(t, name)) }
		e := &Evidence{
			Token: tok, Frame: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "F"), Hour: ids.Hour(rapid.Uint32().Draw(t, "hour")),
			Day: ids.Day(rapid.Uint32().Draw(t, "day")), Received: rapid.Uint64().Draw(t, "received"),
		}
		e.Audience.Group = rapid.Bool().Draw(t, "group")
		if e.Audience.Group {
			fill(e.Audience.ID[:], "id")
			e.Audience.Epoch = rapid.Uint64().Draw(t, "epoch")
		}
		fill(e.Key.b[:], "kf")
		fill(e.Author[:], "sigma2")
		fill(e.Audience.Salt[:], "salt")
		fill(e.Mailbox[:], "mailbox")
		fill(e.Com[:], "com")
		fill(e.Stamp[:], "stamp")
		fill(e.Snapshot[:], "snapshot")
		b, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseEvidence(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := got.Marshal()
		if err != nil || !bytes.Equal(again, b) || got.Audience != e.Audience || got.Received != e.Received || !bytes.Equal(got.Frame, e.Frame) {
			t.Fatal("not the same", err)
		}
	})
}

// The formulas of aud, bind, H(T) and sigma2 once more, with the standard library
// and nothing else.
func TestAuthorIsTheFormula(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	e, kf := s.e, s.e.Key.b[:]
	long := func(text string) []byte { return append(u32(uint32(len(text))), text...) }
	d := plainDigest(kf, e.Frame)
	aud := sum("\x04aud1", long("bob@beta.example"), e.Audience.Salt[:])
	bind := sum("\x04bind", d, mac(kf, []byte("\x04bind"), e.Com[:]))
	h := sum("\x05token", wire.MustMarshal(&e.Token))
	msg := bytes.Join([][]byte{h, bind, aud, long("beta.example"), u32(uint32(e.Hour))}, nil)
	if err := e.Token.Key.Verify(keys.ContextAuthor, msg, e.Author[:]); err != nil {
		t.Error("sigma2 of one recipient:", err)
	}
	g, _ := w.groupMessage(t, w.bob)
	e, kf = g.e, g.e.Key.b[:]
	d = plainDigest(kf, e.Frame)
	aud = sum("\x04audg", e.Audience.ID[:], []byte{0, 0, 0, 0, 0, 0, 0, 8}, e.Audience.Salt[:])
	bind = mac(kf, []byte("\x05bindg"), long("beta.example"), d)
	h = sum("\x05token", wire.MustMarshal(&e.Token))
	msg = bytes.Join([][]byte{h, bind, aud, long("beta.example"), u32(uint32(e.Hour))}, nil)
	if err := e.Token.Key.Verify(keys.ContextAuthor, msg, e.Author[:]); err != nil {
		t.Error("sigma2 of a group:", err)
	}
}

func FuzzAllowance(f *testing.F) {
	f.Add(wire.MustMarshal(&Allowance{Epoch: today, Taken: 3}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := new(Allowance)
		if wire.Unmarshal(b, a) == nil && !bytes.Equal(wire.MustMarshal(a), b) {
			t.Error("not canonical")
		}
	})
}

// What an escrow opens to is the pseudonym that refills show: a ban by the one
// is found by the other.
func TestOnePlatformBase(t *testing.T) {
	for _, d := range []ids.Domain{alpha, beta} {
		if !PlatformBase(d).Equal(ratelimit.PlatformBase(d)) {
			t.Errorf("two bases of %s", d)
		}
	}
}
