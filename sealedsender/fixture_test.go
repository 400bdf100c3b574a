package sealedsender

import (
	"crypto/rand"
	"testing"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

const today ids.Day = 20779

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	alice = ids.MustParseAddress("alice@alpha.example")
	bob   = ids.MustParseAddress("bob@beta.example")
	// longest has the longest address there is, for what must always fit.
	longest = ids.MustParseAddress("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@alpha.example")
)

// world is one sender's device and one recipient's account.
type world struct {
	certKey  *keys.SigningKey // of the sender's provider
	identity *keys.SigningKey
	device   *keys.DHKey // the sender's
	cert     *VerifiedCertificate
	account  *keys.DHKey // the recipient's
	sealKey  *keys.SealKey
	mailbox  Mailbox
	s        *keys.Secret
	ticket   [wire.TicketSize]byte
	sessions map[ids.DeviceID]*keys.Secret
	fields   CertificateFields
}

func newWorld(t testing.TB, sender ids.Address) *world {
	t.Helper()
	w := &world{
		certKey: keys.NewSigningKey(), identity: keys.NewSigningKey(), device: keys.NewDHKey(),
		account: keys.NewDHKey(), sealKey: keys.NewSealKey(), s: keys.NewSecret(),
		mailbox:  Mailbox{beta, ids.NewMailboxID(), 2968},
		sessions: map[ids.DeviceID]*keys.Secret{},
	}
	rand.Read(w.ticket[:])
	w.fields = CertificateFields{Address: sender, Device: 1, Identity: w.identity.Public(), DH: w.device.Public(), XS: newXS(), Expiry: today + 7}
	w.cert = w.certify(t, w.fields)
	return w
}

func newXS() [32]byte {
	g := group.Ristretto255()
	return [32]byte(g.MulGenerator(g.RandomScalar()).Bytes())
}

func (w *world) certify(t testing.TB, f CertificateFields) *VerifiedCertificate {
	t.Helper()
	b, err := Issue(w.certKey, f)
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.verify(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) verify(cert []byte) (*VerifiedCertificate, error) {
	return Verify(cert, []keys.VerifyKey{w.certKey.Public()}, alpha, today)
}

// entry stands for what core/ratchet makes: the body key under the device's
// session, 188 bytes that look random.
func (w *world) entry(b *SealedBody, device ids.DeviceID, prekey bool) Entry {
	if w.sessions[device] == nil {
		w.sessions[device] = keys.NewSecret()
	}
	e := Entry{Device: device}
	rand.Read(e.Session[:])
	gcm(w.sessions[device].Bytes()).Seal(e.Session[12:12], e.Session[:12], b.Key().Bytes(), b.SessionData())
	if prekey {
		e.Prekey = make([]byte, PrekeyPart)
		rand.Read(e.Prekey)
	}
	return e
}

// openEntry is the other side of entry.
func (w *world) openEntry(s *Sender, device ids.DeviceID) (*keys.Secret, error) {
	e, err := s.Entry(device)
	if err != nil {
		return nil, err
	}
	k, err := gcm(w.sessions[device].Bytes()).Open(nil, e.Session[:12], e.Session[12:12+32+16], s.SessionData())
	if err != nil {
		return nil, err
	}
	return keys.SecretFrom(k)
}

// letter is what one test message is made of.
type letter struct {
	outer     Outer
	kind      Kind
	d         [HashSize]byte
	content   Content
	devices   []ids.DeviceID
	prekeys   int // how many of the devices get a prekey part
	first     bool
	confirmed bool
	bundle    []byte
	ref       *[HashSize]byte
}

func newLetter(class wire.Class) *letter {
	l := &letter{outer: Outer{Class: class, Day: today}, kind: KindOne, devices: []ids.DeviceID{1}, confirmed: class == wire.Class1K}
	rand.Read(l.outer.Com[:])
	rand.Read(l.content.KF[:])
	l.content.Hour = ids.Hour(today)*24 + 5
	l.content.Frame = []byte("hello, bob")
	l.content.Control = []byte("tickets")
	return l
}

// sent is a message as it travels.
type sent struct {
	outer      Outer
	head, body []byte
	first      bool
}

func (w *world) headOf(b *SealedBody, l *letter) *Head {
	h := &Head{Sender: w.device, Certificate: w.cert, Confirmed: l.confirmed, Recipient: w.account.Public(), Bundle: l.bundle, Reference: l.ref}
	rand.Read(h.Salt[:])
	for i, d := range l.devices {
		h.Entries = append(h.Entries, w.entry(b, d, i < l.prekeys))
	}
	return h
}

func (w *world) seal(l *letter) (*sent, error) {
	b, err := sealBody(l.outer, l.kind, l.d, &l.content)
	if err != nil {
		return nil, err
	}
	return w.sealHead(b, w.headOf(b, l), l.first)
}

func (w *world) sealHead(b *SealedBody, h *Head, first bool) (*sent, error) {
	s := &sent{outer: b.outer, body: b.Bytes(), first: first}
	var err error
	switch {
	case b.kind == KindSync: // no package function does this: a hostile sender
		s.head, err = w.smuggle(b, h, first)
	case first:
		s.head, err = b.SealHeadFirst(h, w.sealKey.Public(), w.mailbox)
	default:
		s.head, err = b.SealHeadWithSecret(h, w.s, &w.ticket)
	}
	return s, err
}

// smuggle seals the head of a batch for own devices under a ticket, or to the
// mailbox key.
func (w *world) smuggle(b *SealedBody, h *Head, first bool) ([]byte, error) {
	if !first {
		return b.sealHead(h, steadyKey(w.s, &w.ticket))
	}
	plain, err := b.plainHead(h, true)
	if err != nil {
		return nil, err
	}
	head, _, err := w.sealKey.Public().Seal(w.mailbox.info(), b.outer.aad(), plain)
	return head, err
}

func (w *world) mustSeal(t testing.TB, l *letter) *sent {
	t.Helper()
	s, err := w.seal(l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) openHead(s *sent) (*OpenedHead, error) {
	if s.first {
		return OpenHeadFirst(s.outer, s.head, w.sealKey, w.mailbox)
	}
	return OpenHeadWithSecret(s.outer, s.head, w.s, &w.ticket)
}

// sender runs every check before the session.
func (w *world) sender(s *sent) (*Sender, error) {
	o, err := w.openHead(s)
	if err != nil {
		return nil, err
	}
	return w.senderOf(o, s)
}

func (w *world) senderOf(o *OpenedHead, s *sent) (*Sender, error) {
	raw, err := o.Certificate(func(h [HashSize]byte) ([]byte, bool) { return w.cert.raw, h == w.cert.hash })
	if err != nil {
		return nil, err
	}
	cert, err := w.verify(raw)
	if err != nil {
		return nil, err
	}
	b, err := o.CheckBody(s.body)
	if err != nil {
		return nil, err
	}
	return b.CheckSender(cert, w.account, bob)
}

// open is a recipient's device from end to end.
func (w *world) open(s *sent, device ids.DeviceID) (*Content, error) {
	from, err := w.sender(s)
	if err != nil {
		return nil, err
	}
	key, err := w.openEntry(from, device)
	if err != nil {
		return nil, err
	}
	return from.OpenBody(w.device.Public(), key)
}

// rebuild opens the plaintext of a head, lets change alter it and seals it again
// under the same secret: what a hostile sender can do.
func (w *world) rebuild(t testing.TB, s *sent, change func(h *head)) *sent {
	t.Helper()
	key := gcm(steadyKey(w.s, &w.ticket))
	plain, err := key.Open(nil, zeroNonce[:], s.head, s.outer.aad())
	if err != nil {
		t.Fatal(err)
	}
	var h head
	if err := wire.Unmarshal(plain, &h); err != nil {
		t.Fatal(err)
	}
	change(&h)
	plain, err = wire.MarshalPadded(&h, len(plain))
	if err != nil {
		t.Fatal(err)
	}
	return &sent{outer: s.outer, body: s.body, head: key.Seal(nil, zeroNonce[:], plain, s.outer.aad())}
}
