package franking

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
)

var (
	beta  = ids.MustParseDomain("beta.example")
	place = Place{Provider: beta, Mailbox: ids.MailboxID{1, 2, 3}, Day: 20_000}
)

// The formulas once more, with the standard library and nothing else.
func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func plainDigest(kf, frame []byte) []byte {
	return mac(mac(kf, []byte("\x05frame")), frame)
}

func plainCommitment(kf, frame []byte, p *Place) []byte {
	b := []byte(p.Provider.String())
	return mac(mac(kf, []byte("\x04rcpt"), p.Mailbox[:]),
		[]byte("\x03com"), plainDigest(kf, frame), u32(uint32(len(b))), b, p.Mailbox[:], u32(uint32(p.Day)))
}

func drawKey(t *rapid.T) *Key {
	k, err := KeyFrom(rapid.SliceOfN(rapid.Byte(), KeySize, KeySize).Draw(t, "kf"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCommitmentOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, frame := drawKey(t), rapid.SliceOf(rapid.Byte()).Draw(t, "frame")
		p := Place{
			Provider: ids.MustParseDomain(rapid.StringMatching(`[a-z]{1,20}\.example`).Draw(t, "provider")),
			Mailbox:  ids.MailboxID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "mailbox")),
			Day:      ids.Day(rapid.Uint32().Draw(t, "day")),
		}
		d := k.Digest(frame)
		com := k.Commit(&d, &p)
		if !bytes.Equal(d[:], plainDigest(k.b[:], frame)) || !bytes.Equal(com[:], plainCommitment(k.b[:], frame, &p)) {
			t.Fatal("not the formula")
		}
		f, err := Open(k, frame, &p, &com)
		if err != nil || !bytes.Equal(f.Frame(), frame) || f.Digest() != d || f.Commitment() != com || f.Place() != p || !f.Key().Equal(k) {
			t.Fatalf("does not open: %v", err)
		}
	})
}

// Fixed values, so that a change of the formulas in both places shows.
func TestKnownAnswers(t *testing.T) {
	k, _ := KeyFrom(bytes.Repeat([]byte{7}, KeySize))
	d := k.Digest([]byte("hello"))
	com := k.Commit(&d, &place)
	for _, tt := range []struct{ name, got, want string }{
		{"d", hex.EncodeToString(d[:]), knownDigest},
		{"com", hex.EncodeToString(com[:]), knownCommitment},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

const (
	knownDigest     = "e54d82baa055e9c0452f1a8eb2fc240a801c75a36c736197305ff335dc9a4b92"
	knownCommitment = "27c3726760208e27be8d155de74cd38538fc01c09b7da38b9e0c0804ad4c7f98"
)

// Every bit of every input counts.
func TestCommitmentRefuses(t *testing.T) {
	k, frame := NewKey(), []byte("frame")
	d := k.Digest(frame)
	com := k.Commit(&d, &place)
	refused := func(name string, k *Key, frame []byte, p Place, com Commitment) {
		t.Helper()
		if f, err := Open(k, frame, &p, &com); !errors.Is(err, ErrCommitment) || f != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	flip := func(b []byte, bit int) { b[bit/8] ^= 1 << (bit % 8) }
	for bit := range 256 {
		bad := com
		flip(bad[:], bit)
		refused(fmt.Sprintf("com bit %d", bit), k, frame, place, bad)
		other, _ := KeyFrom(k.b[:])
		flip(other.b[:], bit)
		refused(fmt.Sprintf("kf bit %d", bit), other, frame, place, com)
	}
	for bit := range len(frame) * 8 {
		bad := bytes.Clone(frame)
		flip(bad, bit)
		refused(fmt.Sprintf("frame bit %d", bit), k, bad, place, com)
	}
	for n := range frame {
		refused("shorter frame", k, frame[:n], place, com)
	}
	refused("longer frame", k, append(bytes.Clone(frame), 0), place, com)
	for bit := range 128 {
		p := place
		flip(p.Mailbox[:], bit)
		refused(fmt.Sprintf("mailbox bit %d", bit), k, frame, p, com)
	}
	for bit := range 32 {
		p := place
		p.Day ^= 1 << bit
		refused(fmt.Sprintf("day bit %d", bit), k, frame, p, com)
	}
	for _, name := range []string{"alpha.example", "beta.exampl", "beta.example2", "b.eta.example"} {
		p := place
		p.Provider = ids.MustParseDomain(name)
		refused(name, k, frame, p, com)
	}
	refused("no provider", k, frame, Place{Mailbox: place.Mailbox, Day: place.Day}, com)
}

// HMAC pads short keys with zeros and hashes long ones: only one length may
// open a commitment.
func TestKeyHasOneSize(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33, 64, 65} {
		if k, err := KeyFrom(make([]byte, n)); !errors.Is(err, ErrKeySize) || k != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	k := NewKey()
	padded := append(bytes.Clone(k.b[:]), 0)
	if !bytes.Equal(plainCommitment(padded, nil, &place), plainCommitment(k.b[:], nil, &place)) {
		t.Error("HMAC does not pad; this test is without an object")
	}
	if _, err := KeyFrom(padded); !errors.Is(err, ErrKeySize) {
		t.Errorf("kf with a zero behind: %v", err)
	}
	hashed := sha256.Sum256(bytes.Repeat([]byte{1}, 65))
	if _, err := KeyFrom(hashed[:]); err != nil {
		t.Error(err)
	}
}

// A resend has the same d and another commitment; so has another recipient.
func TestResendAndRecipients(t *testing.T) {
	k := NewKey()
	d := k.Digest([]byte("frame"))
	seen := map[Commitment]bool{}
	for _, p := range []Place{
		place,
		{Provider: beta, Mailbox: place.Mailbox, Day: place.Day + 1},
		{Provider: beta, Mailbox: ids.MailboxID{9}, Day: place.Day},
		{Provider: ids.MustParseDomain("alpha.example"), Mailbox: place.Mailbox, Day: place.Day},
	} {
		com := k.Commit(&d, &p)
		if seen[com] {
			t.Errorf("commitment of %v twice", p.Day)
		}
		seen[com] = true
		if f, err := Open(k, []byte("frame"), &p, &com); err != nil || f.Digest() != d {
			t.Error(err)
		}
	}
}

// What was verified cannot be changed afterwards through the caller's slice.
func TestFrankedDoesNotAlias(t *testing.T) {
	k, frame := NewKey(), []byte("frame")
	d := k.Digest(frame)
	com := k.Commit(&d, &place)
	f, err := Open(k, frame, &place, &com)
	if err != nil {
		t.Fatal(err)
	}
	frame[0] = 'F'
	if string(f.Frame()) != "frame" {
		t.Error("frame changed after it was verified")
	}
}

func TestLabelsAreApart(t *testing.T) {
	labels := []string{
		labelFrame, labelRcpt, labelCom, labelStamp,
		labelBind, labelBindGroup, labelAudOne, labelAudGroup, labelToken, labelBundle, labelVerdict,
		labelPart, labelPurse, labelFetch,
	}
	for i, a := range labels {
		if a == "" || len(a) > 255 {
			t.Errorf("label %q", a)
		}
		for _, b := range labels[:i] {
			if a == b {
				t.Errorf("label %q twice", a)
			}
		}
	}
}

func TestSecretsPrintRedacted(t *testing.T) {
	k := NewKey()
	d := k.Digest([]byte("frame"))
	com := k.Commit(&d, &place)
	f, _ := Open(k, []byte("frame"), &place, &com)
	r, _ := newStampRing(t)
	c, _ := r.Prepare(place.Day + 1)
	for _, v := range []any{k, *k, f, *f, r, c[0], *c[0]} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if out := fmt.Sprintf(verb, v); !strings.Contains(out, "redacted") || len(out) > 60 {
				t.Errorf("%T with %s prints %.200s", v, verb, out)
			}
		}
	}
	k.Erase()
	if !k.Equal(new(Key)) {
		t.Error("key not erased")
	}
}

func FuzzOpen(f *testing.F) {
	k := NewKey()
	frame := []byte("frame")
	d := k.Digest(frame)
	com := k.Commit(&d, &place)
	f.Add(k.b[:], frame, com[:])
	f.Fuzz(func(t *testing.T, kf, frame, c []byte) {
		key, err := KeyFrom(kf)
		if err != nil || len(c) != CommitmentSize {
			return
		}
		_, err = Open(key, frame, &place, (*Commitment)(c))
		if (err == nil) != bytes.Equal(plainCommitment(kf, frame, &place), c) {
			t.Errorf("opens: %v", err)
		}
	})
}

// sum is SHA-256 of a label, its length in front, and what follows it.
func sum(label string, parts ...[]byte) []byte {
	h := sha256.New()
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
