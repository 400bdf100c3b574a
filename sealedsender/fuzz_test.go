package sealedsender

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"waxwing/core/wire"
)

// The ways on which a head comes: under a ticket, to the mailbox's key, and as a
// batch of an own device.
const (
	byTicket = iota
	byMailboxKey
	bySync
	waysEnd
)

// sealedBy seals one message on a way.
func (w *world) sealedBy(t testing.TB, way uint8) *sent {
	t.Helper()
	switch way {
	case byTicket:
		return w.mustSeal(t, newLetter(wire.Class1K))
	case byMailboxKey:
		l := newLetter(wire.Class16K)
		l.first, l.prekeys = true, 1
		return w.mustSeal(t, l)
	}
	l := syncLetter(wire.Class4K)
	b, err := SealSyncBody(l.outer.Class, today, &l.content)
	if err != nil {
		t.Fatal(err)
	}
	s := &sent{outer: l.outer, body: b.Bytes()}
	if s.head, err = b.SealHeadSync(w.headOf(b, l), w.s, &w.ticket); err != nil {
		t.Fatal(err)
	}
	return s
}

// openBy is a device that takes a message which came on a way.
func (w *world) openBy(way uint8, s *sent) (*Content, error) {
	if way == bySync {
		return w.openBatch(&batch{class: s.outer.Class, salt: w.ticket, head: s.head, body: s.body}, w.s)
	}
	return w.open(s, 1)
}

// sealPlain seals the plaintext of a head that comes on a way, as who has its key does.
func (w *world) sealPlain(way uint8, o Outer, plain []byte) (sealed []byte, err error) {
	switch way {
	case byTicket:
		return gcm(steadyKey(w.s, &w.ticket)).Seal(nil, zeroNonce[:], plain, o.aad()), nil
	case bySync:
		return gcm(syncKey(w.s, &w.ticket)).Seal(nil, zeroNonce[:], plain, o.aad()), nil
	}
	sealed, _, err = w.sealKey.Public().Seal(w.mailbox.info(), o.aad(), plain)
	return sealed, err
}

func (w *world) openPlain(t testing.TB, way uint8, s *sent) (plain []byte) {
	t.Helper()
	var err error
	switch way {
	case byTicket:
		plain, err = gcm(steadyKey(w.s, &w.ticket)).Open(nil, zeroNonce[:], s.head, s.outer.aad())
	case bySync:
		plain, err = gcm(syncKey(w.s, &w.ticket)).Open(nil, zeroNonce[:], s.head, s.outer.aad())
	default:
		plain, _, err = w.sealKey.Open(w.mailbox.info(), s.outer.aad(), s.head)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// edited returns the bytes without the last ones and with a mask over them; what is
// left of the mask comes behind them. So an input means the same under all keys.
func edited(b, mask []byte, cut uint16) []byte {
	out := bytes.Clone(b[:len(b)-int(cut)%len(b)])
	for i, m := range mask {
		if i >= len(out) {
			return append(out, mask[i:]...)
		}
		out[i] ^= m
	}
	return out
}

// FuzzReceive is everything between a delivery and its content, with bytes of
// somebody who has no key: only what was sealed opens.
func FuzzReceive(f *testing.F) {
	w := newWorld(f, alice)
	var good [waysEnd]*sent
	for way := range good {
		good[way] = w.sealedBy(f, uint8(way))
		f.Add(uint8(way), []byte{}, uint16(0), []byte{}, uint16(0))
		f.Add(uint8(way), make([]byte, len(good[way].head)), uint16(0), make([]byte, len(good[way].body)), uint16(0))
	}
	f.Fuzz(func(t *testing.T, way uint8, head []byte, cutHead uint16, body []byte, cutBody uint16) {
		way %= waysEnd
		g := good[way]
		s := &sent{outer: g.outer, head: edited(g.head, head, cutHead), body: edited(g.body, body, cutBody), first: g.first}
		_, err := w.openBy(way, s)
		if sealed := bytes.Equal(s.head, g.head) && bytes.Equal(s.body, g.body); (err == nil) != sealed {
			t.Errorf("way %d: %v", way, err)
		}
	})
}

// FuzzHostileSender is the same with bytes of a contact or an own device that has all
// keys: plaintexts of head and body are sealed well, and if asked for, with the hash
// and tag that belong to them. What is accepted is encoded to the same bytes, and of
// the kind and day that the way allows.
func FuzzHostileSender(f *testing.F) {
	w := newWorld(f, alice)
	var good [waysEnd]*sent
	for i := range good {
		way := uint8(i)
		good[way] = w.sealedBy(f, way)
		head := w.openPlain(f, way, good[way])
		body := wire.MustMarshal(&Content{Control: []byte("items"), Hour: newLetter(wire.Class1K).content.Hour})
		if err := w.hostile(f, way, good[way], head, body, true); err != nil {
			f.Fatalf("way %d: what a sender makes is refused: %v", way, err)
		}
		f.Add(way, head, body, true)
		f.Add(way, head, body, false)
	}
	f.Fuzz(func(t *testing.T, way uint8, head, body []byte, bind bool) {
		way %= waysEnd
		_ = w.hostile(t, way, good[way], head, body, bind)
	})
}

// hostile seals plaintexts, with what binds them to each other if bind is true, and
// takes them.
func (w *world) hostile(t testing.TB, way uint8, g *sent, rawHead, rawBody []byte, bind bool) error {
	t.Helper()
	plain := resized(rawHead, len(w.openPlain(t, way, g)))
	text := resized(rawBody, g.outer.Class.BodySize()-gcmTag)
	b := &SealedBody{outer: g.outer, kind: KindOne, key: w.s}
	if way == bySync {
		b.kind = KindSync
	}
	b.bytes = gcm(b.key.Bytes()).Seal(nil, zeroNonce[:], text, bodyAAD(b.kind, &b.outer.Com, &b.d))
	b.hash = sha256.Sum256(b.bytes)
	if bind {
		plain = w.bound(t, b, plain)
	}
	sealed, err := w.sealPlain(way, g.outer, plain)
	if err != nil {
		t.Fatal(err)
	}
	content, err := w.openBy(way, &sent{outer: g.outer, head: sealed, body: b.bytes, first: g.first})
	if err != nil {
		return err
	}
	var h head
	if err := wire.Unmarshal(plain, &h); err != nil {
		t.Fatalf("a head was taken that does not parse: %v", err)
	}
	if again, err := wire.MarshalPadded(&h, len(plain)); err != nil || !bytes.Equal(again, plain) {
		t.Errorf("a head has two encodings: %v", err)
	}
	if again, err := wire.MarshalPadded(content, len(text)); err != nil || !bytes.Equal(again, text) {
		t.Errorf("a body has two encodings: %v", err)
	}
	if h.kind != b.kind || content.Hour.Day() != g.outer.Day || way == bySync && len(content.Frame) > 0 {
		t.Errorf("way %d: kind %d, %v", way, h.kind, content.Hour)
	}
	return nil
}

// bound returns a head's plaintext with the hash, tag and entries that belong to a
// body, if it parses.
func (w *world) bound(t testing.TB, b *SealedBody, plain []byte) []byte {
	t.Helper()
	var h head
	if wire.Unmarshal(plain, &h) != nil {
		return plain
	}
	h.bodyHash, h.certForm, h.certHash = b.hash, formHash, w.cert.hash
	var err error
	if h.tag, err = deniableTag(w.device, w.account.Public(), w.cert.f.DH, w.account.Public(), &b.outer.Com, &b.hash); err != nil {
		t.Fatal(err)
	}
	for i := range h.entries {
		h.entries[i].Session = w.entry(b, h.entries[i].Device, false).Session
	}
	if m, err := wire.MarshalPadded(&h, len(plain)); err == nil {
		return m
	}
	return plain
}

// resized cuts bytes or fills them up with zeros.
func resized(b []byte, size int) []byte {
	out := make([]byte, size)
	copy(out, b)
	return out
}
