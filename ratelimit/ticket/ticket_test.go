package ticket

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// The layout, computed with the standard library from the stored record.
func TestKnownLayout(t *testing.T) {
	r, d := newRing(t)
	m := mint(t, r, today, 77, 1)[0]
	var rec []byte
	for _, rec = range d {
	}
	seal, bindKey := rec[17:49], rec[49:81]

	block, _ := aes.NewCipher(seal)
	gcm, _ := cipher.NewGCM(block)
	plain, err := gcm.Open(nil, m.Ticket[2:14], m.Ticket[14:], m.Ticket[:2])
	if err != nil {
		t.Fatal(err)
	}
	want := binary.BigEndian.AppendUint64(bytes.Clone(mailbox[:]), 77)
	want = binary.BigEndian.AppendUint32(want, uint32(today+ids.MaxTicketDays))
	if !bytes.Equal(plain, want) || m.Ticket[0] != 1 || m.Ticket[1] != byte(rec[8]) {
		t.Errorf("ticket holds %x", plain)
	}

	h := hmac.New(sha256.New, bindKey)
	h.Write(m.Ticket[:])
	key := h.Sum(nil)
	if !bytes.Equal(key, m.Key.Bytes()[:]) {
		t.Error("wrong ticket key")
	}
	b := Bound{Com: [32]byte{1}, Day: 2, Class: 3, TTL: 4, Payload: [32]byte{5}}
	h = hmac.New(sha256.New, key)
	h.Write([]byte("waxwing ticket v1"))
	h.Write(m.Ticket[:])
	h.Write(b.Com[:])
	h.Write([]byte{0, 0, 0, 2, 3, 0, 0, 0, 4})
	h.Write(b.Payload[:])
	if got := m.Key.Binder(&m.Ticket, &b); !bytes.Equal(got[:], h.Sum(nil)[:16]) {
		t.Error("wrong binder")
	}
}

func TestEveryBitOfATicketCounts(t *testing.T) {
	r, _ := newRing(t)
	m := mint(t, r, today, 1, 1)[0]
	var s Scratch
	for i := range Size * 8 {
		bad := m.Ticket
		bad[i/8] ^= 1 << (i % 8)
		want := ErrForged
		switch i / 8 {
		case offVersion:
			want = ErrVersion
		case offKeyID:
			want = ErrUnknownKey
		}
		if o, err := r.Open(&bad, &s); !errors.Is(err, want) || o.Mailbox != (ids.MailboxID{}) {
			t.Errorf("bit %d: %v, want %v", i, err, want)
		}
	}
	// A key id that is known, but of another key.
	d := disk{}
	other := d.load(t)
	d.renew(t, other, today)
	if _, err := other.Open(&m.Ticket, &s); !errors.Is(err, ErrForged) {
		t.Errorf("another relay: %v", err)
	}
}

func TestEveryFieldIsBound(t *testing.T) {
	r, _ := newRing(t)
	both := mint(t, r, today, 1, 2)
	m := both[0]
	o, err := r.Open(&m.Ticket, new(Scratch))
	if err != nil {
		t.Fatal(err)
	}
	good := Bound{Com: [32]byte{1}, Day: today, Class: wire.Class1K, TTL: 60, Payload: [32]byte{2}}
	binder := m.Key.Binder(&m.Ticket, &good)
	for name, change := range map[string]func(b *Bound, x *Binder){
		"com":     func(b *Bound, _ *Binder) { b.Com[31]++ },
		"day":     func(b *Bound, _ *Binder) { b.Day++ },
		"class":   func(b *Bound, _ *Binder) { b.Class++ },
		"ttl":     func(b *Bound, _ *Binder) { b.TTL++ },
		"payload": func(b *Bound, _ *Binder) { b.Payload[0]++ },
		"first":   func(_ *Bound, x *Binder) { x[0] ^= 0x80 },
		"last":    func(_ *Bound, x *Binder) { x[15] ^= 1 },
		"other ticket": func(b *Bound, x *Binder) {
			*x = both[1].Key.Binder(&both[1].Ticket, b)
		},
		"other ticket's key": func(b *Bound, x *Binder) { *x = both[1].Key.Binder(&m.Ticket, b) },
	} {
		b, x := good, binder
		change(&b, &x)
		if err := o.Check(&b, &x); !errors.Is(err, ErrBinder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := o.Check(&good, &binder); err != nil {
		t.Error(err)
	}
	if err := new(Opened).Check(&Bound{}, &Binder{}); !errors.Is(err, ErrBinder) {
		t.Errorf("an Opened that nobody opened: %v", err)
	}
}

func TestBoundOf(t *testing.T) {
	e := wire.Envelope{
		Ticket: new([Size]byte), Binder: new([BinderSize]byte), Com: &[32]byte{9}, Day: 8, Class: wire.Class1K, TTL: 7,
		Head: make([]byte, wire.Class1K.HeadSize()), Body: make([]byte, wire.Class1K.BodySize()),
	}
	hash := wire.PayloadHash(e.Head, e.Body)
	if b := BoundOf(&e, &hash); b != (Bound{Com: [32]byte{9}, Day: 8, Class: wire.Class1K, TTL: 7, Payload: hash}) {
		t.Errorf("%+v", b)
	}
}
