package sealedsender

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Adversarial test 36: what comes from the account itself is refused, also from
// another of its devices; copies for own devices do not come under a ticket.
func TestSelfSend(t *testing.T) {
	w := newWorld(t, alice)
	s := w.mustSeal(t, newLetter(wire.Class1K))
	o, err := w.openHead(s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := o.CheckBody(s.body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.CheckSender(w.cert, w.account, alice); !errors.Is(err, ErrSelfSend) {
		t.Errorf("message to oneself: %v", err)
	}
	for _, kind := range []Kind{KindGroup, KindSync} {
		l := newLetter(wire.Class1K)
		l.kind, l.content.Control = kind, nil
		if kind == KindGroup {
			l.d = [32]byte{1}
		}
		if _, err := w.openHead(w.mustSeal(t, l)); !errors.Is(err, ErrKind) {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
	l := newLetter(wire.Class16K)
	l.first, l.kind = true, KindSync
	if _, err := w.openHead(w.mustSeal(t, l)); !errors.Is(err, ErrKind) {
		t.Errorf("copy as first contact: %v", err)
	}
	// Where copies will be expected, only the own account's pass.
	o.h.kind = KindSync
	if _, err := b.CheckSender(w.cert, w.account, bob); !errors.Is(err, ErrKind) {
		t.Errorf("another account's copy: %v", err)
	}
	if _, err := b.CheckSender(w.cert, w.account, alice); err != nil {
		t.Errorf("own copy: %v", err)
	}
}

// Adversarial test 37: certificates in heads.
func TestSenderCertificate(t *testing.T) {
	w := newWorld(t, alice)
	mallory := newWorld(t, ids.MustParseAddress("mallory@alpha.example"))
	mallory.certKey = w.certKey
	mallory.cert = mallory.certify(t, mallory.fields)
	for _, confirmed := range []bool{true, false} {
		l := newLetter(wire.Class2K)
		l.confirmed = confirmed
		s := w.mustSeal(t, l)
		o, err := w.openHead(s)
		if err != nil {
			t.Fatal(err)
		}
		b, err := o.CheckBody(s.body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.CheckSender(mallory.cert, w.account, bob); !errors.Is(err, ErrCertificateOther) {
			t.Errorf("another account's certificate: %v", err)
		}
		renewed := w.fields
		renewed.Expiry++
		if _, err := b.CheckSender(w.certify(t, renewed), w.account, bob); !errors.Is(err, ErrCertificateOther) {
			t.Errorf("another certificate of the device: %v", err)
		}
		// A certificate verified earlier, for another message.
		o.outer.Day = w.fields.Expiry + 1
		if _, err := b.CheckSender(w.cert, w.account, bob); !errors.Is(err, ErrCertificateExpired) {
			t.Errorf("expired since: %v", err)
		}
	}

	// Held: a certificate that nobody has confirmed.
	l := newLetter(wire.Class1K)
	s := w.mustSeal(t, l)
	o, err := w.openHead(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Certificate(func([32]byte) ([]byte, bool) { return nil, false }); !errors.Is(err, ErrCertificateUnknown) {
		t.Errorf("hash of an unknown certificate: %v", err)
	}
	// A lookup that answers with another one does not help.
	raw, err := o.Certificate(func([32]byte) ([]byte, bool) { return mallory.cert.raw, true })
	if err != nil {
		t.Fatal(err)
	}
	cert, err := w.verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := o.CheckBody(s.body)
	if _, err := b.CheckSender(cert, w.account, bob); !errors.Is(err, ErrCertificateOther) {
		t.Errorf("hash resolved to another certificate: %v", err)
	}
}

// Mallory, who has a ticket and S like Alice, puts Alice's certificate into a head.
func TestBorrowedCertificate(t *testing.T) {
	w := newWorld(t, alice)
	evil := keys.NewDHKey()
	l := newLetter(wire.Class2K)
	b, err := SealBody(l.outer, &l.content)
	if err != nil {
		t.Fatal(err)
	}
	h := w.headOf(b, l)
	h.Sender = evil
	if _, err := b.SealHeadWithSecret(h, w.s, &w.ticket); !errors.Is(err, ErrIdentityMismatch) {
		t.Errorf("sealed with another device's certificate: %v", err)
	}
	s := w.mustSeal(t, l)
	for name, key := range map[string]*keys.DHKey{"own": evil, "none": nil} {
		forged := w.rebuild(t, s, func(h *head) {
			h.tag = [16]byte{}
			if key != nil {
				h.tag, _ = deniableTag(key, w.account.Public(), w.device.Public(), w.account.Public(), &s.outer.Com, &h.bodyHash)
			}
		})
		if _, err := w.sender(forged); !errors.Is(err, ErrTag) {
			t.Errorf("tag with %s key: %v", name, err)
		}
	}
	// Whoever has the account's key can make the tag: it is deniable. The
	// session's key is then still another one.
	forged := w.rebuild(t, s, func(h *head) {
		h.tag, _ = deniableTag(w.account, w.device.Public(), w.device.Public(), w.account.Public(), &s.outer.Com, &h.bodyHash)
	})
	from, err := w.sender(forged)
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.openEntry(from, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := from.CheckSession(evil.Public()); !errors.Is(err, ErrIdentityMismatch) {
		t.Errorf("session with another key: %v", err)
	}
	if _, err := from.OpenBody(evil.Public(), key); !errors.Is(err, ErrIdentityMismatch) {
		t.Errorf("body under a session with another key: %v", err)
	}
	if _, err := from.OpenBody(keys.DHPublic{}, key); !errors.Is(err, ErrIdentityMismatch) {
		t.Errorf("body under no session: %v", err)
	}
	if _, err := from.OpenBody(w.device.Public(), key); err != nil {
		t.Errorf("body: %v", err)
	}
}

// The tag is for this account, in this direction, over this com and this body.
func TestTagBinds(t *testing.T) {
	w := newWorld(t, alice)
	s := w.mustSeal(t, newLetter(wire.Class1K))
	for name, change := range map[string]func(h *head){
		"every bit": nil,
		"to another account": func(h *head) {
			carol := keys.NewDHKey().Public()
			h.tag, _ = deniableTag(w.device, carol, w.device.Public(), carol, &s.outer.Com, &h.bodyHash)
		},
		"other direction": func(h *head) {
			h.tag, _ = deniableTag(w.device, w.account.Public(), w.account.Public(), w.device.Public(), &s.outer.Com, &h.bodyHash)
		},
		"other com": func(h *head) {
			h.tag, _ = deniableTag(w.device, w.account.Public(), w.device.Public(), w.account.Public(), new([32]byte), &h.bodyHash)
		},
		"other body": func(h *head) {
			h.tag, _ = deniableTag(w.device, w.account.Public(), w.device.Public(), w.account.Public(), &s.outer.Com, new([32]byte))
		},
	} {
		if change != nil {
			if _, err := w.sender(w.rebuild(t, s, change)); !errors.Is(err, ErrTag) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		for i := range 8 * TagSize {
			flipped := w.rebuild(t, s, func(h *head) { h.tag[i/8] ^= 1 << (i % 8) })
			if _, err := w.sender(flipped); !errors.Is(err, ErrTag) {
				t.Errorf("bit %d: %v", i, err)
			}
		}
	}
}

// openGroup opens a group's head as a version with groups will.
func (w *world) openGroup(t testing.TB, s *sent) *OpenedHead {
	t.Helper()
	plain, err := gcm(steadyKey(w.s, &w.ticket)).Open(nil, zeroNonce[:], s.head, s.outer.aad())
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseHead(s.outer, plain, KindGroup)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Adversarial test 38: a member of the group has the body key and, with a relay,
// puts a body of its own under Alice's head.
func TestGroupInsiderSwapsBody(t *testing.T) {
	w := newWorld(t, alice)
	l := newLetter(wire.Class2K)
	l.kind, l.content.Control = KindGroup, nil
	rand.Read(l.d[:])
	b, err := sealBody(l.outer, l.kind, l.d, &l.content)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.sealHead(b, w.headOf(b, l), false)
	if err != nil {
		t.Fatal(err)
	}
	from, err := w.senderOf(w.openGroup(t, s), s)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := from.OpenBody(w.device.Public(), b.Key()); err != nil || !sameContent(content, &l.content) {
		t.Fatal("as sent:", err)
	}

	evil := Content{KF: l.content.KF, Hour: l.content.Hour, Frame: []byte("i never said this")}
	plain, _ := wire.MarshalPadded(&evil, len(s.body)-gcmTag)
	swapped := *s
	swapped.body = gcm(b.Key().Bytes()).Seal(nil, zeroNonce[:], plain, l.d[:])
	// What stops it is the hash, in a head that the insider cannot open.
	if _, err := w.senderOf(w.openGroup(t, &swapped), &swapped); !errors.Is(err, ErrBodyHash) {
		t.Errorf("body swapped: %v", err)
	}
	// An insider who also has the recipient's S makes a new head around the old tag.
	inside := w.rebuild(t, s, func(h *head) { h.bodyHash = sha256.Sum256(swapped.body) })
	inside.body = swapped.body
	if _, err := w.senderOf(w.openGroup(t, inside), inside); !errors.Is(err, ErrTag) {
		t.Errorf("body and hash swapped: %v", err)
	}
	// A control part in a group's body is refused whoever put it there.
	evil.Control = []byte("tickets of another member")
	plain, _ = wire.MarshalPadded(&evil, len(s.body)-gcmTag)
	body := gcm(b.Key().Bytes()).Seal(nil, zeroNonce[:], plain, l.d[:])
	from.b.body = body
	if _, err := from.OpenBody(w.device.Public(), b.Key()); !errors.Is(err, ErrKind) {
		t.Errorf("tickets in a group's body: %v", err)
	}
}

func TestBodyBinds(t *testing.T) {
	w := newWorld(t, alice)
	l := newLetter(wire.Class1K)
	s, other := w.mustSeal(t, l), w.mustSeal(t, l)
	swapped := *s
	swapped.body = other.body
	if _, err := w.sender(&swapped); !errors.Is(err, ErrBodyHash) {
		t.Errorf("another message's body: %v", err)
	}
	from, err := w.sender(s)
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.openEntry(from, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := from.OpenBody(w.device.Public(), keys.NewSecret()); !errors.Is(err, ErrBody) {
		t.Errorf("another key: %v", err)
	}
	// The session's entry of another message is of no use here.
	foreign, err := w.sender(other)
	if err != nil {
		t.Fatal(err)
	}
	from.b.o.h.entries, foreign.b.o.h.entries = foreign.b.o.h.entries, from.b.o.h.entries
	if _, err := w.openEntry(from, 1); err == nil {
		t.Error("entry of another message opens")
	}
	// com is bound to the body too, not only to the head.
	from.b.o.outer.Com[0] ^= 1
	if _, err := from.OpenBody(w.device.Public(), key); !errors.Is(err, ErrBody) {
		t.Errorf("another com: %v", err)
	}
	from.b.o.outer.Com[0] ^= 1
	from.b.o.outer.Day++
	if _, err := from.OpenBody(w.device.Public(), key); !errors.Is(err, ErrHour) {
		t.Errorf("another day: %v", err)
	}
	from.b.o.outer.Day--
	if _, err := from.OpenBody(w.device.Public(), key); err != nil {
		t.Error(err)
	}
}

// Adversarial test 40 on the wire: a hostile contact's head, sealed well.
func TestHostileHeadPlaintext(t *testing.T) {
	w := newWorld(t, alice)
	s := w.mustSeal(t, newLetter(wire.Class1K))
	key := gcm(steadyKey(w.s, &w.ticket))
	plain, err := key.Open(nil, zeroNonce[:], s.head, s.outer.aad())
	if err != nil {
		t.Fatal(err)
	}
	const count = headFixed - 2 + HashSize
	for name, change := range map[string]func(b []byte){
		"65535 entries":   func(b []byte) { b[count], b[count+1] = 0xff, 0xff },
		"eight entries":   func(b []byte) { b[count+1] = 8 },
		"no entries":      func(b []byte) { b[count+1] = 0 },
		"device twice":    func(b []byte) { copy(b[count+2+sessionEntry:][:5], b[count+2:]) },
		"prekey in 1K":    func(b []byte) { b[count+2] = entryPrekey },
		"noise":           func(b []byte) { rand.Read(b) },
		"padding's end":   func(b []byte) { b[len(b)-1] = 1 },
		"padding's start": func(b []byte) { b[count+2+2*sessionEntry] = 1 },
	} {
		m := bytes.Clone(plain)
		change(m)
		bad := *s
		bad.head = key.Seal(nil, zeroNonce[:], m, s.outer.aad())
		if _, err := w.openHead(&bad); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
