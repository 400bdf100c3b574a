package ratchet

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

var update = flag.Bool("update", false, "write testdata anew; commit only differences that you understand")

const katFile = "testdata/native.json"

// kat is a whole conversation with all secrets, so that another implementation
// can be checked against the file alone. Vectors of others do not exist.
type kat struct {
	Comment  string
	Inputs   map[string]string // private keys and seeds by name
	Ratchets []string          // private ratchet keys in the order in which they are drawn
	Nonces   []string          // header nonces in the order of the messages
	Outputs  map[string]string
	Messages []katMessage // in the order in which they are sent
	Arrival  []int        // and in which they arrive
	States   map[string]string
}

type katMessage struct{ From, Plaintext, AD, Message string }

// katInputs derives the secrets from their names.
func katInputs() *kat {
	derive := func(name string) string {
		h := sha256.Sum256([]byte("waxwing ratchet vectors " + name))
		return hex.EncodeToString(h[:])
	}
	k := &kat{
		Comment: "PQXDH and double ratchet of core/ratchet, suite 1. Bytes in hexadecimal; layouts in wire.go. Arrival lists indices of Messages.",
		Inputs:  map[string]string{},
		Messages: []katMessage{
			{From: "alice", Plaintext: "first"},
			{From: "alice", Plaintext: "second", AD: "0102"},
			{From: "alice", Plaintext: ""},
			{From: "bob", Plaintext: "reply"},
			{From: "alice", Plaintext: "new chain"},
			{From: "bob", Plaintext: "crossing", AD: "ff"},
			{From: "alice", Plaintext: "the key of a body, 32 bytes long"},
			{From: "bob", Plaintext: "last"},
		},
	}
	// 2 is skipped for good, 1 and 4 arrive late.
	k.Arrival = []int{0, 3, 1, 6, 5, 7, 4}
	for _, name := range []string{
		"alice identity", "bob identity", "bob device seed", "bob signed prekey", "bob pair X25519", "EK", "encapsulation",
	} {
		k.Inputs[name] = derive(name)
	}
	k.Inputs["bob pair ML-KEM-1024 seed"] = derive("bob pair d") + derive("bob pair z")
	for i := range 4 {
		k.Ratchets = append(k.Ratchets, derive(fmt.Sprint("ratchet ", i)))
	}
	for i := range k.Messages {
		k.Nonces = append(k.Nonces, derive(fmt.Sprint("nonce ", i))[:2*nonceSize])
	}
	return k
}

func katBytes(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run computes everything that the inputs give.
func (k *kat) run(t *testing.T) {
	dh := func(s string) *keys.DHKey {
		key, err := keys.DHKeyFrom(katBytes(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	signing, err := keys.SigningKeyFromSeed(katBytes(t, k.Inputs["bob device seed"]))
	if err != nil {
		t.Fatal(err)
	}
	kem, err := mlkem.NewDecapsulationKey1024(katBytes(t, k.Inputs["bob pair ML-KEM-1024 seed"]))
	if err != nil {
		t.Fatal(err)
	}
	us := &device{
		Identity: Identity{Address: ids.MustParseAddress("alice@alpha.example"), Device: 1, IK: dh(k.Inputs["alice identity"]), ManifestVersion: 3},
	}
	them := &device{
		Identity: Identity{Address: ids.MustParseAddress("bob@beta.example"), Device: 2, IK: dh(k.Inputs["bob identity"]), ManifestVersion: 5},
		signing:  signing,
		signed:   map[PrekeyID]*SignedPrekey{7: signPrekey(7, dh(k.Inputs["bob signed prekey"]), signing)},
		pairs:    map[PrekeyID]*OneTimePair{9: signPair(9, dh(k.Inputs["bob pair X25519"]), kem, signing, false)},
	}
	ratchets, nonces := k.Ratchets, k.Nonces
	draws := &entropy{
		dh: func() *keys.DHKey { return dh(k.Inputs["EK"]) },
		encapsulate: func(ek *mlkem.EncapsulationKey1024) (shared, ciphertext []byte) {
			shared, ciphertext, err := mlkemtest.Encapsulate1024(ek, katBytes(t, k.Inputs["encapsulation"]))
			if err != nil {
				t.Fatal(err)
			}
			return shared, ciphertext
		},
		nonce: func(n *[nonceSize]byte) {
			copy(n[:], katBytes(t, nonces[0]))
			nonces = nonces[1:]
		},
	}
	bundle := them.bundle(false)
	v, err := VerifyBundle(bundle, signing.Public())
	if err != nil {
		t.Fatal(err)
	}
	a, err := initiate(Config{}, us.Identity, them.peer(), v, draws)
	if err != nil {
		t.Fatal(err)
	}
	draws.dh = func() *keys.DHKey { k := dh(ratchets[0]); ratchets = ratchets[1:]; return k }
	first, _ := a.PrekeyHeader()
	k.Outputs = map[string]string{
		"bundle": hex.EncodeToString(wire.MustMarshal(&bundle)), "prekey message": hex.EncodeToString(wire.MustMarshal(&first)),
		"transcript": hex.EncodeToString(a.id[:]), "root": hex.EncodeToString(a.c.root[:]),
		"initiator's header key": hex.EncodeToString(a.c.sendNext[:]), "responder's header key": hex.EncodeToString(a.c.recvNext[:]),
		"post-quantum seed": hex.EncodeToString(a.pqSeed[:]),
	}
	k.converse(t, a, us, them, draws)
}

// converse sends the messages as early as they can be and delivers them in
// order of arrival.
func (k *kat) converse(t *testing.T, a *Session, us, them *device, draws *entropy) {
	first, _ := a.PrekeyHeader()
	var b *Session
	sent := 0
	send := func() {
		m := &k.Messages[sent]
		from := a
		if m.From == "bob" {
			from = b
		}
		c, err := from.encrypt([]byte(m.Plaintext), katBytes(t, m.AD), draws)
		if err != nil {
			t.Fatal(err)
		}
		m.Message = hex.EncodeToString(c)
		sent++
	}
	for _, i := range k.Arrival {
		for sent <= i {
			send()
		}
		m := &k.Messages[i]
		c, ad := katBytes(t, m.Message), katBytes(t, m.AD)
		var got []byte
		var err error
		switch {
		case m.From == "bob":
			got, err = a.Decrypt(c, ad)
		case b == nil:
			b, got, _, err = AcceptSession(Config{}, them.Identity, them, first, us.peer(), c, ad)
		default:
			got, err = b.Decrypt(c, ad)
		}
		if err != nil || string(got) != m.Plaintext {
			t.Fatalf("message %d: %q, %v", i, got, err)
		}
	}
	k.States = map[string]string{"alice": hex.EncodeToString(a.Marshal()), "bob": hex.EncodeToString(b.Marshal())}
}

// The stored vectors and what is computed from their inputs are the same, byte
// for byte: formats, labels and derivations are frozen.
func TestKnownAnswers(t *testing.T) {
	if *update {
		k := katInputs()
		k.run(t)
		b, err := json.MarshalIndent(k, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(katFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(katFile)
	if err != nil {
		t.Fatal(err)
	}
	var k kat
	if err := json.Unmarshal(stored, &k); err != nil {
		t.Fatal(err)
	}
	k.run(t)
	b, err := json.MarshalIndent(&k, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(b, '\n'), stored) {
		t.Errorf("%s differs; run with -update and look at what changed", katFile)
	}
	if n := len(k.States["bob"]) / 2; n != minSessionSize+34+36 {
		t.Errorf("bob, who misses one message, has a state of %d bytes", n)
	}
}
