package franking

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// wants fails unless err is the fault.
func wants(t *testing.T, what string, err error, f error) {
	t.Helper()
	if !errors.Is(err, f) {
		t.Errorf("%s: %v, want %v", what, err, f)
	}
}

func (w *world) verify(e *Evidence) error {
	_, err := Verify(e, w.snapshot, bob, readFrame)
	return err
}

// examine is what the desk finds about one message that bob reports.
func (w *world) examine(e *Evidence, change ...func(*Case)) error {
	c := w.desk(w.bob)
	for _, f := range change {
		f(c)
	}
	if f := c.Examine(&Report{Messages: []Evidence{*e}})[0].Fault; f != FaultNone {
		return f
	}
	return nil
}

// restamp is what a relay does that hands out stamps to anybody.
func (w *world) restamp(t testing.TB, e *Evidence) *Evidence {
	return w.deliver(t, e)
}

// TestAttack runs the adversarial list of the protocol's specification, by its
// numbers. Those on seals and running relays are elsewhere.
func TestAttack(t *testing.T) {
	for _, a := range []struct {
		number int
		name   string
		run    func(*testing.T, *world)
	}{
		{1, "any bit of a report's fields", attackBits},
		{2, "shortened and longer com and stamp", attackLengths},
		{3, "franking keys of other lengths", attackKeyLengths},
		{4, "encodings that are not canonical", attackEncodings},
		{5, "commitment to another frame", attackOtherFrame},
		{6, "commitment without author's signature", attackNoAuthor},
		{7, "author's signature under another valid token", attackOtherToken},
		{8, "one key in two tokens", attackSharedKey},
		{9, "malleable signatures and keys of small order", attackMalleable},
		{10, "wrapped account moved to another token", attackTransplant},
		{11, "mallory's token with alice's certificate", attackForeignCertificate},
		{12, "owner's proof carried elsewhere", attackOwnerProof},
		{13, "tokens of wrong epochs and providers", attackEpochs},
		{14, "stamps of another mailbox, day and relay", attackStamps},
		{15, "time of receipt moved by a millisecond", attackReceived},
		{16, "edges of the window", attackWindow},
		{17, "report forged with a published key", attackPublished},
		{18, "bob sends alice's frank to carol", attackForwarded},
		{19, "group's frank in another group", attackGroups},
		{20, "one report twice", attackTwice},
		{21, "reporter who does not own the mailbox", attackOwner},
		{22, "gaps and reordering", attackOrder},
		{23, "relay that stamps what nobody signed", attackFabricated},
		{24, "verdicts replayed, forged and misdirected", attackVerdicts},
		{25, "wrapping key of another epoch", attackWrongWrap},
		{29, "chunks of attachments exchanged", attackChunks},
		{30, "leaves, nodes and trees of attachments", attackLeaves},
		{31, "lengths of attachments", attackFileLengths},
		{32, "one chunk reported", attackOneChunk},
		{40, "huge counts", attackCounts},
		{47, "midnight and late delivery", attackMidnight},
		{50, "split view of a provider's keys", attackSplitView},
	} {
		t.Run(fmt.Sprintf("%02d %s", a.number, a.name), func(t *testing.T) { a.run(t, newWorld(t)) })
	}
}

func attackBits(t *testing.T, w *world) {
	s := w.hello(t)
	raw, err := s.e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		bad := bytes.Clone(raw)
		bad[bit/8] ^= 1 << (bit % 8)
		e, err := ParseEvidence(bad)
		if err != nil {
			continue
		}
		if again, err := e.Marshal(); err != nil || !bytes.Equal(again, bad) {
			t.Fatalf("bit %d: not canonical", bit)
		}
		// The desk takes the snapshot of its history; the client the named one.
		if w.verify(e) == nil && w.examine(e) == nil {
			t.Fatalf("bit %d of byte %d is not covered", bit%8, bit/8)
		}
	}
}

func attackLengths(t *testing.T, w *world) {
	s := w.hello(t)
	raw, _ := s.e.Marshal()
	for n := range raw {
		if _, err := ParseEvidence(raw[:n]); !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	_, err := ParseEvidence(append(bytes.Clone(raw), 0))
	wants(t, "longer", err, wire.ErrMalformed)
	half := *s.e
	clear(half.Stamp[16:])
	wants(t, "half a stamp", w.examine(&half), FaultStamp)
	half = *s.e
	clear(half.Com[16:])
	wants(t, "half a commitment", w.verify(&half), FaultCommitment)
}

func attackKeyLengths(t *testing.T, _ *world) {
	for _, n := range []int{0, 31, 33, 64} {
		_, err := KeyFrom(make([]byte, n))
		wants(t, fmt.Sprint(n), err, ErrKeySize)
	}
}

func attackEncodings(t *testing.T, w *world) {
	s := w.hello(t)
	k := NewKey()
	f := []byte("no frame")
	d := k.Digest(f)
	com, sig, err := s.own.Frank(k, &d, s.target, w.bob.mailbox, ids.HourOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	bad := *s.e
	bad.Frame, bad.Key, bad.Com, bad.Author = f, *k, com, sig
	w.deliver(t, &bad)
	wants(t, "frame, shown", w.verify(&bad), FaultFrame)
	wants(t, "frame, reported", w.examine(&bad), FaultFrame)
	b, _ := s.e.Marshal()
	b[0]++
	_, err = ParseEvidence(b)
	wants(t, "version", err, wire.ErrMalformed)
	tok := wire.MustMarshal(&s.e.Token)
	tok[len(tok)-keys.SignatureSize-wrappedSize-1] |= 0x80 // idcom not reduced
	_, err = ParseToken(tok)
	wants(t, "element", err, wire.ErrMalformed)
}

func attackOtherFrame(t *testing.T, w *world) {
	s := w.hello(t)
	s.e.Frame = frame(1, Digest{}, "another")
	wants(t, "shown", w.verify(s.e), FaultCommitment)
	wants(t, "reported", w.examine(s.e), FaultCommitment)
}

func attackNoAuthor(t *testing.T, w *world) {
	s := w.hello(t)
	s.e.Author = Signature{}
	wants(t, "shown", w.verify(s.e), FaultAuthor)
	wants(t, "reported", w.examine(s.e), FaultAuthor)
}

func attackOtherToken(t *testing.T, w *world) {
	s := w.hello(t)
	other := w.tokens(t, w.alice, today, 1)[0]
	s.e.Token = other.token
	wants(t, "shown", w.verify(s.e), FaultAuthor)
}

// sigma2 covers H(T), not only the key.
func attackSharedKey(t *testing.T, w *world) {
	s := w.hello(t)
	twin := w.tokens(t, w.alice, today, 1)[0].token
	twin.Key = s.e.Token.Key
	copy(twin.Signature[:], w.resign(&twin))
	if twin.verify(w.a.sign.Of(today).SigningKey().Public()) != nil {
		t.Fatal("not a valid token")
	}
	s.e.Token = twin
	wants(t, "shown", w.verify(s.e), FaultAuthor)
}

// resign is a hostile provider's sigma1 over whatever is in the token.
func (w *world) resign(tok *Token) []byte {
	msg, _ := unsigned(wire.MustMarshal(tok))
	return w.a.sign.Of(tok.Epoch).SigningKey().Sign(keys.ContextToken, msg)
}

func attackMalleable(t *testing.T, w *world) {
	s := w.hello(t)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	plusOrder := func(sig []byte) {
		le := slices.Clone(sig[32:])
		slices.Reverse(le)
		sum := new(big.Int).Add(new(big.Int).SetBytes(le), order).FillBytes(make([]byte, 32))
		slices.Reverse(sum)
		copy(sig[32:], sum)
	}
	bad := *s.e
	plusOrder(bad.Author[:])
	wants(t, "sigma2 with S + L", w.verify(&bad), FaultAuthor)
	bad = *s.e
	tok := bad.Token
	plusOrder(tok.Signature[:])
	wants(t, "sigma1 with S + L", tok.verify(w.a.sign.Of(today).SigningKey().Public()), FaultToken)
	bad = *s.e
	copy(bad.Author[:], bytes.Repeat([]byte{0xff}, 32))
	wants(t, "R not canonical", w.verify(&bad), FaultAuthor)

	// Under the neutral element R = S*B verifies for every message.
	small := *s.e
	small.Token.Key = keys.VerifyKey{1}
	copy(small.Token.Signature[:], w.resign(&small.Token))
	small.Author = Signature{1}
	wants(t, "small order", w.verify(&small), FaultAuthor)
	_, err := ParseToken(wire.MustMarshal(&small.Token))
	wants(t, "small order, parsed", err, wire.ErrMalformed)
}

func attackTransplant(t *testing.T, w *world) {
	s := w.hello(t)
	other := w.tokens(t, w.alice, today, 1)[0].token
	moved := s.e.Token
	moved.Wrapped = other.Wrapped
	wants(t, "sigma1", moved.verify(w.a.sign.Of(today).SigningKey().Public()), FaultToken)
	copy(moved.Signature[:], w.resign(&moved))
	_, _, err := w.a.wrap.Of(today).unwrap(&moved)
	wants(t, "though signed", err, FaultWrap)
}

func attackForeignCertificate(t *testing.T, w *world) {
	mallory := newPerson(ids.MustParseAddress("mallory@alpha.example"))
	s := w.send(t, w.tokens(t, mallory, today, 1)[0], mallory, w.bob, frame(1, Digest{}, "I am alice"))
	_, err := w.show(s, w.alice, w.bob)
	wants(t, "alice's certificate", err, FaultIdentity)
	// X_S beside the certificate instead of in it.
	mixed := w.alice.sender()
	mixed.XS = mallory.xs()
	_, err = CheckBundle(s.bundle, mixed, w.bob.recipient(), &s.e.Audience, w.snapshot)
	wants(t, "alice's name, mallory's X_S", err, FaultIdentity)
	if _, err := w.show(s, mallory, w.bob); err != nil {
		t.Error("mallory as herself:", err)
	}
	foreign := newPerson(ids.MustParseAddress("alice@gamma.example"))
	foreign.k, foreign.identity = mallory.k, mallory.identity
	_, err = w.show(s, foreign, w.bob)
	wants(t, "an account of another provider", err, FaultIdentity)
	// One person with one k at two providers: the token of the one, proven for
	// the certificate of the other.
	s.bundle, err = MakeBundle(s.own, s.target, foreign.sender(), w.bob.recipient(), w.snapshot, mallory.k)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.show(s, foreign, w.bob)
	wants(t, "an account of another provider, proven", err, FaultIdentity)
}

func attackOwnerProof(t *testing.T, w *world) {
	s := w.hello(t)
	bundle := func(to *Recipient, from *Sender) error {
		_, err := CheckBundle(s.bundle, from, to, &s.e.Audience, w.snapshot)
		return err
	}
	wants(t, "to carol", bundle(w.carol.recipient(), w.alice.sender()), FaultIdentity)
	for name, change := range map[string]func(*Recipient, *Sender){
		"generation": func(r *Recipient, _ *Sender) { r.Generation++ },
		"mailbox":    func(r *Recipient, _ *Sender) { r.Mailbox[0] ^= 1 },
		"recipient":  func(r *Recipient, _ *Sender) { r.Address = carol },
		"identity":   func(_ *Recipient, f *Sender) { f.Identity[3] ^= 1 },
		"account":    func(_ *Recipient, f *Sender) { f.Address = ids.MustParseAddress("mallory@alpha.example") },
		"X_S":        func(_ *Recipient, f *Sender) { f.XS = w.carol.xs() },
		"no W":       func(r *Recipient, _ *Sender) { r.W = group.Element{} },
		"no X_S":     func(_ *Recipient, f *Sender) { f.XS = group.Element{} },
		"identity W": func(r *Recipient, _ *Sender) { r.W = group.Ristretto255().Identity() },
		"X_S=idcom": func(_ *Recipient, f *Sender) {
			f.XS, _ = s.e.Token.commitment()
		},
	} {
		r, f := w.bob.recipient(), w.alice.sender()
		change(r, f)
		wants(t, name, bundle(r, f), FaultIdentity)
	}
	var fields BundleFields
	if err := wire.Unmarshal(s.bundle, &fields); err != nil {
		t.Fatal(err)
	}
	fields.Owner[63] = 0xff // not reduced
	_, err := CheckBundle(wire.MustMarshal(&fields), w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
	wants(t, "scalar not reduced", err, FaultIdentity)
	fields.Token.Identity = [ElementSize]byte{}
	_, err = CheckBundle(wire.MustMarshal(&fields), w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
	wants(t, "idcom the neutral element", err, wire.ErrMalformed)
}
