package sealedsender

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// batch is a batch for own devices as it travels.
type batch struct {
	class wire.Class
	salt  [wire.TicketSize]byte
	head  []byte
	body  []byte
}

func syncLetter(class wire.Class) *letter {
	l := newLetter(class)
	l.kind, l.outer.Com, l.content.KF, l.content.Frame = KindSync, [HashSize]byte{}, [32]byte{}, nil
	l.content.Control = []byte("items")
	l.confirmed = false
	return l
}

func (w *world) sealBatch(t testing.TB, l *letter, root *keys.Secret) *batch {
	t.Helper()
	b, err := SealSyncBody(l.outer.Class, today, &l.content)
	if err != nil {
		t.Fatal(err)
	}
	out := &batch{class: l.outer.Class, body: b.Bytes()}
	rand.Read(out.salt[:])
	if out.head, err = b.SealHeadSync(w.headOf(b, l), root, &out.salt); err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) openBatch(b *batch, root *keys.Secret) (*Content, error) {
	o, err := OpenHeadSync(b.class, today, b.head, root, &b.salt)
	if err != nil {
		return nil, err
	}
	bound, err := o.CheckBody(b.body)
	if err != nil {
		return nil, err
	}
	from, err := bound.CheckSender(w.cert, w.account, alice)
	if err != nil {
		return nil, err
	}
	key, err := w.openEntry(from, 1)
	if err != nil {
		return nil, err
	}
	return from.OpenBody(w.device.Public(), key)
}

func TestSyncRoundTrip(t *testing.T) {
	w := newWorld(t, alice)
	for _, c := range []wire.Class{wire.Class4K, wire.Class16K} {
		b := w.sealBatch(t, syncLetter(c), w.s)
		got, err := w.openBatch(b, w.s)
		if err != nil || !bytes.Equal(got.Control, []byte("items")) {
			t.Fatalf("class %d: %v", c, err)
		}
		if len(b.head) != c.HeadSize() || len(b.body) != c.BodySize() {
			t.Errorf("class %d: lengths", c)
		}
	}
}

// Every byte of a batch that its provider could change is covered.
func TestSyncMutations(t *testing.T) {
	w := newWorld(t, alice)
	good := w.sealBatch(t, syncLetter(wire.Class4K), w.s)
	for name, part := range map[string]func(b *batch) []byte{
		"salt": func(b *batch) []byte { return b.salt[:] },
		"head": func(b *batch) []byte { return b.head },
		"body": func(b *batch) []byte { return b.body },
	} {
		for i := range part(good) {
			b := &batch{good.class, good.salt, bytes.Clone(good.head), bytes.Clone(good.body)}
			part(b)[i] ^= 1
			if _, err := w.openBatch(b, w.s); !errors.Is(err, ErrSeal) && !errors.Is(err, ErrBodyHash) {
				t.Fatalf("%s %d: %v", name, i, err)
			}
		}
	}
	if _, err := w.openBatch(good, keys.NewSecret()); !errors.Is(err, ErrSeal) {
		t.Errorf("another root: %v", err)
	}
	if _, err := OpenHeadSync(good.class, today+1, good.head, w.s, &good.salt); err != nil {
		t.Errorf("the day is the body's: %v", err)
	}
	for _, c := range []wire.Class{0, wire.Class1K, wire.Class2K, wire.Class16K, wire.Class64K} {
		if _, err := OpenHeadSync(c, today, good.head, w.s, &good.salt); !errors.Is(err, ErrClass) {
			t.Errorf("class %d: %v", c, err)
		}
	}
}

// A batch for own devices is opened as one only; nothing else opens as a batch.
// A contact who has S of its tickets can make no head that passes as a batch.
func TestSyncKindsAreApart(t *testing.T) {
	w := newWorld(t, alice)
	l := syncLetter(wire.Class4K)
	b, err := SealSyncBody(wire.Class4K, today, &l.content)
	if err != nil {
		t.Fatal(err)
	}
	h := w.headOf(b, l)
	if _, err := b.SealHeadWithSecret(h, w.s, &w.ticket); !errors.Is(err, ErrKind) {
		t.Errorf("sync under a ticket: %v", err)
	}
	if _, err := b.SealHeadFirst(h, w.sealKey.Public(), w.mailbox); !errors.Is(err, ErrKind) {
		t.Errorf("sync as first contact: %v", err)
	}
	one := newLetter(wire.Class4K)
	body, err := SealBody(one.outer, &one.content)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := body.SealHeadSync(w.headOf(body, one), w.s, &w.ticket); !errors.Is(err, ErrKind) {
		t.Errorf("a message as sync: %v", err)
	}
	// The keys differ, even for the same secret and bytes.
	head, err := b.SealHeadSync(h, w.s, &w.ticket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHeadWithSecret(b.outer, head, w.s, &w.ticket); !errors.Is(err, ErrSeal) {
		t.Errorf("a batch opened as a message: %v", err)
	}
	// Whoever has the root itself and smuggles kind one into a batch.
	plain, err := body.plainHead(w.headOf(body, one), false)
	if err != nil {
		t.Fatal(err)
	}
	o := Outer{Class: wire.Class4K, Day: today}
	forged := gcm(syncKey(w.s, &w.ticket)).Seal(nil, zeroNonce[:], plain, o.aad())
	if _, err := OpenHeadSync(wire.Class4K, today, forged, w.s, &w.ticket); !errors.Is(err, ErrKind) {
		t.Errorf("kind one in a batch: %v", err)
	}
}

func TestSyncContent(t *testing.T) {
	w := newWorld(t, alice)
	for name, change := range map[string]func(c *Content){
		"frame": func(c *Content) { c.Frame = []byte("shown") },
		"kf":    func(c *Content) { c.KF[0] = 1 },
	} {
		l := syncLetter(wire.Class4K)
		change(&l.content)
		if _, err := SealSyncBody(wire.Class4K, today, &l.content); !errors.Is(err, ErrKind) {
			t.Errorf("%s sealed: %v", name, err)
		}
		// By a device that does not keep to it.
		b, err := sealBody(Outer{Class: wire.Class4K, Day: today}, KindSync, [HashSize]byte{}, &l.content)
		if err != nil {
			t.Fatal(err)
		}
		out := &batch{class: wire.Class4K, body: b.Bytes()}
		if out.head, err = b.SealHeadSync(w.headOf(b, l), w.s, &out.salt); err != nil {
			t.Fatal(err)
		}
		if _, err := w.openBatch(out, w.s); !errors.Is(err, ErrKind) {
			t.Errorf("%s opened: %v", name, err)
		}
	}
	l := syncLetter(wire.Class4K)
	for _, c := range []wire.Class{wire.Class1K, wire.Class2K, wire.Class64K} {
		if _, err := SealSyncBody(c, today, &l.content); !errors.Is(err, ErrKind) {
			t.Errorf("class %d: %v", c, err)
		}
	}
}
