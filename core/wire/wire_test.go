package wire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
)

// samples returns one filled value of every structure of the schema.
func samples() []Schema {
	fill := func(n int, seed byte) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = seed + byte(i)*7
		}
		return b
	}
	alpha, alice := ids.MustParseDomain("alpha.example"), ids.MustParseAddress("alice@alpha.example")
	r := Request{ID: 0x01020304}
	d := &Delivery{Received: 1 << 40, Day: 20779, Class: Class1K, Origin: ByTicket, Serial: 99, Expiry: 20790, Payload: fill(Class1K.PayloadSize(), 1)}
	copy(d.Com[:], fill(32, 2))
	copy(d.Stamp[:], fill(32, 3))
	copy(d.Ticket[:], fill(TicketSize, 4))
	h := &Hello{Domain: alpha, Time: 77}
	copy(h.Nonce[:], fill(32, 5))
	sync := &Delivery{Received: 1 << 40, Day: 20779, Class: Class4K, Origin: BySync, Payload: fill(Class4K.PayloadSize(), 1)}
	copy(sync.Ticket[:], fill(TicketSize, 4))
	intro := &Delivery{Received: 1 << 40, Day: 20779, Class: ClassIntroduction, Origin: ByIntroduction, Payload: fill(ClassIntroduction.PayloadSize(), 1)}
	intro.Ticket = (&Introduced{NR: [32]byte(fill(32, 4)), Generation: 3, Code: true}).Ticket()
	return []Schema{
		d, h, sync, intro,
		&SyncPut{Request: r, Day: 20779, Class: Class16K, Salt: [TicketSize]byte{1}, Payload: fill(Class16K.PayloadSize(), 2)},
		&SetPolicy{Request: r, Policy: 3, Codes: [][32]byte{{1}, {2}}},
		&BlockPseudonyms{Request: r, Generation: 4, Renewals: []Renewal{{[16]byte{1}, [32]byte{2}}, {[16]byte{3}, [32]byte{4}}}},
		&Submit{Number: 7, Dest: alpha, Auth: AuthConnection, Envelope: fill(1024, 6)},
		&Submit{Number: 7, Dest: alpha, Auth: AuthToken, Token: fill(SubmissionTokenSize, 5), Envelope: fill(1024, 6)},
		&Forward{Number: 8, Envelope: fill(1024, 7)},
		&Ack{9},
		&Refused{10, CodeLimit, 1500},
		&Subscribe{11},
		&Delivered{12, fill(300, 8)},
		&CaughtUp{13},
		&AuthInput{Exporter: [32]byte{1}, Nonce: [32]byte{2}, Server: alpha, Address: alice, Device: 3},
		&Done{r},
		&Refusal{r, CodeExists, 0},
		&Register{Request: r, Invite: fill(9, 1), Manifest: fill(200, 2), Signature: [64]byte{3}},
		&Auth{Request: r, Address: alice, Device: 1, Signature: [64]byte{4}},
		&Session{r, ids.MailboxID{5}, [32]byte(fill(32, 6))},
		&Prekeys{r, fill(100, 1), fill(101, 2), [][]byte{fill(102, 3), fill(103, 4)}},
		&Stock{r, 88},
		&SealKey{r, fill(1300, 1)},
		&Certify{r},
		&Cert{r, fill(240, 1)},
		&Mint{r, 64, 20790},
		&Minted{r, 5, 20790, []MintedTicket{{Ticket: [TicketSize]byte{1}, Key: [32]byte{2}}, {}}},
		&Block{r, fill(80, 1)},
		&Blocked{r, 31},
		&Unblock{r, [16]byte{6}},
		&Query{r, alpha, 1, fill(1500, 1)},
		&Answer{r, fill(1500, 2)},
		&Describe{r, alpha},
		&Described{r, fill(900, 3)},
		&UpdateManifest{r, fill(500, 1)},
		&Account{r},
		&AccountState{r, fill(500, 2), 3},
		&Recover{r, alice, [64]byte{5}},
		&RendezvousOpen{r, [RendezvousSize]byte{1}},
		&RendezvousPut{r, [RendezvousSize]byte{2}, SideNew, MaxRendezvousIndex, fill(300, 3)},
		&RendezvousGet{r, [RendezvousSize]byte{3}, SideExisting, 1},
		&RendezvousDocument{r, true, fill(300, 4)},
		&IssueTokens{r, fill(300, 1)},
		&IssueSubmission{r, fill(261, 1)},
		&SubmissionIssued{r, fill(322, 2), 24, 1 << 40},
		&IssueMembership{r, alpha, 690, 2, [MembershipRequestSize]byte{1}},
		&MembershipIssued{r, [MembershipAnswerSize]byte{2}},
		&AdmissionKeys{r, alpha},
		&AdmissionKeysAre{r, fill(900, 3)},
		&ShareMembershipKey{r, 690, 4, [SharedKeySize]byte{5}},
		&IssuedTokens{r, fill(500, 2)},
		&Publish{r, PublicationSnapshot, alpha, alpha, [32]byte{9}},
		&Published{r, fill(700, 3)},
		&Report{r, fill(5000, 1)},
		&Reported{r, []byte{0, 3}},
		&Verdict{r, fill(900, 2)},
		&VerdictAnswer{r, fill(200, 3)},
		&Notice{r, fill(300, 4)},
	}
}

func fresh(s Schema) Schema { return reflect.New(reflect.TypeOf(s).Elem()).Interface().(Schema) }

func TestRoundTrip(t *testing.T) {
	for _, s := range samples() {
		b, err := Marshal(s)
		if err != nil {
			t.Fatalf("%T: %v", s, err)
		}
		got := fresh(s)
		if err := Unmarshal(b, got); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%T: %v\n got %+v\nwant %+v", s, err, got, s)
		}
	}
}

// checkCanonical is the property behind every parser: what it accepts is
// encoded to the same bytes again.
func checkCanonical(t interface{ Errorf(string, ...any) }, s Schema, b []byte) (accepted bool) {
	got := fresh(s)
	if err := Unmarshal(b, got); err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%T: untyped error %v", s, err)
		}
		return false
	}
	again, err := Marshal(got)
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("%T: accepted bytes are not canonical (%v)", s, err)
	}
	return true
}

// Every byte of every structure matters: changed, it is refused or makes a
// different value; cut or extended anywhere, it is refused or still canonical.
func TestMutation(t *testing.T) {
	for _, s := range samples() {
		b := MustMarshal(s)
		for i := range b {
			for _, x := range []byte{1, 0x80, 0xff} {
				m := bytes.Clone(b)
				m[i] ^= x
				if checkCanonical(t, s, m) {
					got := fresh(s)
					if Unmarshal(m, got) == nil && reflect.DeepEqual(got, s) {
						t.Errorf("%T: byte %d does not matter", s, i)
					}
				}
			}
			checkCanonical(t, s, b[:i])
		}
		checkCanonical(t, s, append(bytes.Clone(b), 0))
	}
}

func TestFixedStructuresRefuseOtherLengths(t *testing.T) {
	for _, s := range samples() {
		switch s.(type) {
		case *Submit, *Forward, *Delivered: // end in Rest
			continue
		}
		b := MustMarshal(s)
		if Unmarshal(append(bytes.Clone(b), 0), fresh(s)) == nil {
			t.Errorf("%T: trailing byte accepted", s)
		}
		for i := range b {
			if Unmarshal(b[:i], fresh(s)) == nil {
				t.Errorf("%T: cut to %d of %d bytes and accepted", s, i, len(b))
			}
		}
	}
}

func TestRefusedValues(t *testing.T) {
	r := Request{}
	for name, s := range map[string]Schema{
		"mint none":      &Mint{r, 0, 1},
		"mint too many":  &Mint{r, MaxMint + 1, 1},
		"no code":        &Refusal{r, 0, 0},
		"unknown code":   &Refused{1, codeEnd, 0},
		"no domain":      &Describe{Request: r},
		"no address":     &Auth{Request: r},
		"no token":       &Submit{Dest: ids.MustParseDomain("a.example"), Auth: AuthToken},
		"needless token": &Submit{Dest: ids.MustParseDomain("a.example"), Auth: AuthConnection, Token: make([]byte, SubmissionTokenSize)},
		"third auth":     &Submit{Dest: ids.MustParseDomain("a.example"), Auth: 3},
		"long invite":    &Register{Invite: make([]byte, MaxInvite+1)},
		"many prekeys":   &Prekeys{OneTime: make([][]byte, MaxPrekeys+1)},
		"many tickets":   &Minted{Tickets: make([]MintedTicket, MaxMint+1)},
		"introduction":   &Delivery{Class: Class1K, Origin: ByIntroduction, Payload: make([]byte, Class1K.PayloadSize())},
		"intro class":    &Delivery{Class: ClassIntroduction, Origin: ByTicket, Payload: make([]byte, ClassIntroduction.PayloadSize())},
		"intro serial":   &Delivery{Class: ClassIntroduction, Origin: ByIntroduction, Serial: 1, Payload: make([]byte, ClassIntroduction.PayloadSize())},
		"intro expiry":   &Delivery{Class: ClassIntroduction, Origin: ByIntroduction, Expiry: 1, Payload: make([]byte, ClassIntroduction.PayloadSize())},
		"intro code":     &Delivery{Class: ClassIntroduction, Origin: ByIntroduction, Ticket: [TicketSize]byte{36: 2}, Payload: make([]byte, ClassIntroduction.PayloadSize())},
		"intro zeros":    &Delivery{Class: ClassIntroduction, Origin: ByIntroduction, Ticket: [TicketSize]byte{57: 1}, Payload: make([]byte, ClassIntroduction.PayloadSize())},
		"no class":       &Delivery{Origin: ByTicket},
		"small sync":     &Delivery{Class: Class1K, Origin: BySync, Payload: make([]byte, Class1K.PayloadSize())},
		"sync com":       &Delivery{Class: Class4K, Origin: BySync, Com: [32]byte{1}, Payload: make([]byte, Class4K.PayloadSize())},
		"sync stamp":     &Delivery{Class: Class4K, Origin: BySync, Stamp: [32]byte{1}, Payload: make([]byte, Class4K.PayloadSize())},
		"sync snapshot":  &Delivery{Class: Class4K, Origin: BySync, Snapshot: [32]byte{1}, Payload: make([]byte, Class4K.PayloadSize())},
		"sync serial":    &Delivery{Class: Class4K, Origin: BySync, Serial: 1, Payload: make([]byte, Class4K.PayloadSize())},
		"sync expiry":    &Delivery{Class: Class4K, Origin: BySync, Expiry: 1, Payload: make([]byte, Class4K.PayloadSize())},
		"sync class":     &SyncPut{Class: Class64K, Payload: make([]byte, Class64K.PayloadSize())},
		"sync payload":   &SyncPut{Class: Class4K, Payload: make([]byte, Class1K.PayloadSize())},
		"short payload":  &Delivery{Class: Class1K, Origin: ByTicket, Payload: make([]byte, 5)},
		"no side":        &RendezvousGet{},
		"third side":     &RendezvousPut{Side: 3},
		"far index":      &RendezvousGet{Side: SideNew, Index: MaxRendezvousIndex + 1},
		"large document": &RendezvousPut{Side: SideNew, Document: make([]byte, MaxRendezvousDocument+1)},
		"absent bytes":   &RendezvousDocument{Document: []byte{1}},
		"large envelope": &Forward{Envelope: make([]byte, MaxEnvelope+1)},
	} {
		if _, err := Marshal(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Names that are valid but not canonical have no second encoding.
	bad := append([]byte{0, 0, 0, 1, 13}, "Alpha.Example"...)
	if err := Unmarshal(bad, new(Describe)); !errors.Is(err, ErrMalformed) {
		t.Errorf("upper-case domain: %v", err)
	}
}

// The sizes that other packages lay their formats out by.
func TestClasses(t *testing.T) {
	intro := ClassIntroduction
	if !intro.Valid() || intro.Size() != Class16K.Size() || intro.HeadSize() != Class16K.HeadSize() || intro.BodySize() != 1726 || intro.Kind() != ByIntroduction {
		t.Errorf("introductions: %d bytes of body", intro.BodySize())
	}
	for c := Class1K; c <= Class64K; c++ {
		got, ok := ClassOf(c.Size())
		if !ok || got != c || c.HeadSize()+c.BodySize()+envelopeFixed != c.Size() {
			t.Errorf("class %d: %d + %d + %d != %d", c, envelopeFixed, c.HeadSize(), c.BodySize(), c.Size())
		}
		if _, ok := ClassOf(c.Size() - 1); ok {
			t.Errorf("class %d: one byte less is a class", c)
		}
	}
	if envelopeFixed != 117 || Class(0).Valid() || Class(7).Valid() {
		t.Error("fixed part or class bounds changed")
	}
	if n := len(MustMarshal(&Delivery{Class: Class64K, Origin: ByTicket, Payload: make([]byte, MaxPayload)})); n != MaxDelivery {
		t.Errorf("largest delivery is %d bytes, not %d", n, MaxDelivery)
	}
}

func fixedOf(c Class) int { return c.Size() - c.PayloadSize() }

func randomEnvelope(class Class, seed uint64) []byte {
	b := make([]byte, class.Size())
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	more := fixedOf(class) - envelopeFixed
	b[offVersion], b[offKind], b[more+offClass] = Version, byte(class.Kind()), byte(class)
	copy(b[more+offTTL:], []byte{0, 1, 0, 0})
	return b
}

func TestEnvelopeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		class := Class(rapid.IntRange(1, 6).Draw(t, "class"))
		b := randomEnvelope(class, rapid.Uint64().Draw(t, "seed"))
		var e Envelope
		if err := ParseEnvelope(b, &e); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(e.Append(nil), b) {
			t.Fatal("not canonical")
		}
		// The id covers every byte, in the way that the format says.
		h, y := sha256.Sum256(e.Head), sha256.Sum256(e.Body)
		ph := sha256.Sum256(append(h[:], y[:]...))
		want := sha256.Sum256(append(bytes.Clone(b[:fixedOf(class)]), ph[:]...))
		got := PayloadHash(e.Head, e.Body)
		if got != ph || e.ID(&got) != want {
			t.Fatal("id differs")
		}
		m := bytes.Clone(b)
		m[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		var f Envelope
		if ParseEnvelope(m, &f) == nil {
			p := PayloadHash(f.Head, f.Body)
			if f.ID(&p) == want {
				t.Fatal("a changed envelope has the same id")
			}
		}
	})
}

func TestEnvelopeRefuses(t *testing.T) {
	good := randomEnvelope(Class2K, 1)
	for name, mutate := range map[string]func(b []byte) []byte{
		"empty":          func([]byte) []byte { return nil },
		"one byte short": func(b []byte) []byte { return b[1:] },
		"one byte long":  func(b []byte) []byte { return append(b, 0) },
		"version 0":      func(b []byte) []byte { b[offVersion] = 0; return b },
		"version 2":      func(b []byte) []byte { b[offVersion] = 2; return b },
		"introduction":   func(b []byte) []byte { b[offKind] = byte(ByIntroduction); return b },
		"sync":           func(b []byte) []byte { b[offKind] = byte(BySync); return b },
		"no kind":        func(b []byte) []byte { b[offKind] = 0; return b },
		"introduction with a class of tickets": func([]byte) []byte {
			b := randomEnvelope(ClassIntroduction, 1)
			b[introductionMore+offClass] = byte(Class16K)
			return b
		},
		"ticket with the class of introductions": func([]byte) []byte {
			b := randomEnvelope(Class16K, 1)
			b[offClass] = byte(ClassIntroduction)
			return b
		},
		"introduction without ttl": func([]byte) []byte {
			b := randomEnvelope(ClassIntroduction, 1)
			clear(b[introductionMore+offTTL:][:4])
			return b
		},
		"class of the next": func(b []byte) []byte { b[offClass]++; return b },
		"class 0":           func(b []byte) []byte { b[offClass] = 0; return b },
		"class 255":         func(b []byte) []byte { b[offClass] = 255; return b },
		"no ttl":            func(b []byte) []byte { clear(b[offTTL:][:4]); return b },
		"ttl too long":      func(b []byte) []byte { b[offTTL] = 1; return b },
	} {
		if err := ParseEnvelope(mutate(bytes.Clone(good)), new(Envelope)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseEnvelopeDoesNotAllocate(t *testing.T) {
	b, bad := randomEnvelope(Class1K, 2), make([]byte, 1024)
	var e Envelope
	if n := testing.AllocsPerRun(100, func() {
		_ = ParseEnvelope(bad, &e)
		_ = ParseEnvelope(b, &e)
		h := PayloadHash(e.Head, e.Body)
		_ = e.ID(&h)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFrames(t *testing.T) {
	b, err := AppendFrame([]byte("before"), TypeAck, &Ack{5})
	if err != nil {
		t.Fatal(err)
	}
	typ, n, err := ParseFrameHeader(b[6:])
	if err != nil || typ != TypeAck || n != len(b)-6-FrameHeaderSize {
		t.Fatal(typ, n, err)
	}
	for _, h := range [][]byte{{0, 0, 0, 0, 1}, {0, 2, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff, 1}, {0, 0, 0, 1}} {
		if _, _, err := ParseFrameHeader(h); !errors.Is(err, ErrMalformed) {
			t.Errorf("header %x: %v", h, err)
		}
	}
	if err := EndFrame(make([]byte, MaxFrame+FrameHeaderSize+1), 0); !errors.Is(err, ErrMalformed) {
		t.Errorf("oversized frame: %v", err)
	}
}

// Frame types are dispatched by number: each control message is found under
// its own, and none twice.
func TestMessagesByType(t *testing.T) {
	seen := 0
	for i := range 256 {
		m := NewMessage(FrameType(i))
		if m == nil {
			continue
		}
		seen++
		if int(m.Type()) != i {
			t.Errorf("type %d makes a %T", i, m)
		}
		m.SetRequestID(42)
		if b, err := Marshal(m); err == nil && (len(b) < 4 || b[3] != 42 || m.RequestID() != 42) {
			t.Errorf("%T: request id is not first", m)
		}
	}
	if seen != len(samples())-13 {
		t.Errorf("%d control messages; samples() lacks some", seen)
	}
}

func FuzzUnmarshal(f *testing.F) {
	all := samples()
	for i, s := range all {
		f.Add(uint8(i), MustMarshal(s))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		checkCanonical(t, all[int(which)%len(all)], b)
	})
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add(randomEnvelope(Class1K, 1))
	f.Add(randomEnvelope(Class2K, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Envelope
		if ParseEnvelope(b, &e) == nil && !bytes.Equal(e.Append(nil), b) {
			t.Error("not canonical")
		}
	})
}

func BenchmarkEnvelope(b *testing.B) {
	for c := Class1K; c <= Class64K; c++ {
		raw := randomEnvelope(c, 3)
		b.Run(fmt.Sprintf("parse and id/%d", c.Size()), func(b *testing.B) {
			var e Envelope
			for b.Loop() {
				if ParseEnvelope(raw, &e) != nil {
					b.Fatal()
				}
				h := PayloadHash(e.Head, e.Body)
				e.ID(&h)
			}
		})
		b.Run(fmt.Sprintf("floor one SHA-256/%d", c.Size()), func(b *testing.B) {
			for b.Loop() {
				sha256.Sum256(raw)
			}
		})
	}
}
