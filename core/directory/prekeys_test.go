package directory

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/store"
	"waxwing/core/wire"
)

func TestPublishPrekeys(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 2)
	auth := a.register(t, p)
	m := a.prekeys(1, 1, 20)
	for range 2 { // the second is a repetition
		stock, err := p.PublishPrekeys(t.Context(), auth, m)
		if err != nil || stock != 20 {
			t.Fatalf("stock %d, %v", stock, err)
		}
	}
	if stock, err := p.PublishPrekeys(t.Context(), auth, &wire.Prekeys{}); err != nil || stock != 20 {
		t.Errorf("stock %d, %v", stock, err)
	}
	newer := ratchet.GenerateSignedPrekey(2, a.sign[0]).Public()
	twin := ratchet.GenerateSignedPrekey(2, a.sign[0]).Public()
	lastTwin := ratchet.GenerateOneTime(1, a.sign[0], true).Public()
	_, err := p.PublishPrekeys(t.Context(), auth, &wire.Prekeys{Signed: wire.MustMarshal(&newer)})
	must(t, err)
	last := ratchet.GenerateOneTime(9, a.sign[0], true).Public()
	badKEM := last
	for i := range badKEM.KEM {
		badKEM.KEM[i] = 0xff // coefficients above the modulus
	}
	part := wire.MustMarshal(&badKEM)
	copy(badKEM.Signature[:], a.sign[0].Sign(keys.ContextKEMPrekey, part[:len(part)-keys.SignatureSize]))
	one := a.oneTime(1, 21, 3)
	cut := bytes.Clone(one[0][:len(one[0])-1])
	for name, c := range map[string]struct {
		m    wire.Prekeys
		want error
	}{
		"older signed":           {wire.Prekeys{Signed: m.Signed}, ErrConflict},
		"another of the id":      {wire.Prekeys{Signed: wire.MustMarshal(&twin)}, ErrConflict},
		"another last of the id": {wire.Prekeys{LastResort: wire.MustMarshal(&lastTwin)}, ErrConflict},
		"other device's":         {wire.Prekeys{Signed: a.prekeys(2, 1, 0).Signed}, ratchet.ErrBundle},
		"other device's pair":    {wire.Prekeys{OneTime: a.oneTime(2, 21, 1)}, ratchet.ErrBundle},
		"unusable KEM key":       {wire.Prekeys{LastResort: wire.MustMarshal(&badKEM)}, ratchet.ErrBundle},
		"last as one-time":       {wire.Prekeys{OneTime: [][]byte{wire.MustMarshal(&last)}}, wire.ErrMalformed},
		"one-time as last":       {wire.Prekeys{LastResort: one[0]}, wire.ErrMalformed},
		"cut":                    {wire.Prekeys{OneTime: [][]byte{cut}}, wire.ErrMalformed},
		"ids falling":            {wire.Prekeys{OneTime: [][]byte{one[1], one[0]}}, wire.ErrMalformed},
		"id twice":               {wire.Prekeys{OneTime: [][]byte{one[0], one[0]}}, wire.ErrMalformed},
		"id zero":                {wire.Prekeys{OneTime: a.oneTime(1, 0, 1)}, wire.ErrMalformed},
		"good beside bad":        {wire.Prekeys{OneTime: one, Signed: []byte{1}}, wire.ErrMalformed},
	} {
		if _, err := p.PublishPrekeys(t.Context(), auth, &c.m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if stock, _ := p.PublishPrekeys(t.Context(), auth, &wire.Prekeys{}); stock != 20 {
		t.Errorf("stock %d after what was refused", stock)
	}
	if stock, err := a.publish(t, p, auth, 21, PoolCapacity-20); err != nil || stock != PoolCapacity {
		t.Errorf("full stock %d, %v", stock, err)
	}
	if _, err := p.PublishPrekeys(t.Context(), auth, &wire.Prekeys{OneTime: a.oneTime(1, 500, 1)}); !errors.Is(err, ErrFull) {
		t.Errorf("above capacity: %v", err)
	}
}

func TestPublishPrekeysLostReply(t *testing.T) {
	p := newProvider(t, Config{Limits: wide()})
	a := newAccount(t, bob, 1)
	auth := a.register(t, p)
	must(t, p.PublishMailboxKey(t.Context(), auth, a.mailboxKey(t, auth.Mailbox(), WeekOf(today)).Bytes(), now))
	m := a.prekeys(1, 1, 30)
	for _, break_ := range []func(){func() { p.st.loseReply = true }, func() { p.st.fail = true }} {
		break_()
		if _, err := p.PublishPrekeys(t.Context(), auth, m); !errors.Is(err, store.ErrUnknownOutcome) && !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("broken store: %v", err)
		}
	}
	stock, err := p.PublishPrekeys(t.Context(), auth, m)
	if err != nil || stock != 30 {
		t.Fatalf("stock %d, %v", stock, err)
	}
	p.ask(t, strangerAsks(1))
	if stock, err = p.PublishPrekeys(t.Context(), auth, m); err != nil || stock != 29 {
		t.Errorf("a prekey that was given out came back: %d, %v", stock, err)
	}
}
