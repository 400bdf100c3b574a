package ratchet

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/keys"
)

// specPeer is a second implementation, as plain as the specifications: PQXDH
// section 3.3, The Double Ratchet Algorithm sections 4.3 and 4.4, bytes written
// by hand. It draws its ratchet key when it receives one, as the text has it,
// keeps everything it skips in a map, and knows no limits.
type specPeer struct {
	ad                             []byte // the transcript's hash
	dhs                            *ecdh.PrivateKey
	dhr                            *ecdh.PublicKey
	rk, cks, ckr                   []byte
	hks, hkr, nhks, nhkr           []byte
	ns, nr, pn                     uint32
	skipped                        map[specKey][]byte
	root, headerA, headerB, pqSeed []byte
}

type specKey struct {
	hk string
	n  uint32
}

func specDH(priv *ecdh.PrivateKey, pub *ecdh.PublicKey) []byte {
	s, err := priv.ECDH(pub)
	if err != nil {
		panic(err)
	}
	return s
}

func specPrivate(k *keys.DHKey) *ecdh.PrivateKey {
	p, err := ecdh.X25519().NewPrivateKey(k.Bytes())
	if err != nil {
		panic(err)
	}
	return p
}

func specPublic(p keys.DHPublic) *ecdh.PublicKey {
	k, err := ecdh.X25519().NewPublicKey(p[:])
	if err != nil {
		panic(err)
	}
	return k
}

func specHKDF(ikm, salt []byte, info string, n int) []byte {
	prk, err := hkdf.Extract(sha256.New, ikm, salt)
	if err != nil {
		panic(err)
	}
	okm, err := hkdf.Expand(sha256.New, prk, info, n)
	if err != nil {
		panic(err)
	}
	return okm
}

func specHMAC(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// specHandshake derives the four secrets from the four agreements, the KEM's
// secret and everything that is bound.
func specHandshake(dhs [][]byte, ss []byte, initiator, responder *device, m *PrekeyMessage, spk *SignedPrekey, pair *OneTimePair) *specPeer {
	hash := func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
	prefixed := func(b []byte) []byte { return append(be32(uint32(len(b))), b...) }
	side := func(d *device, manifest uint32) []byte {
		ik := d.IK.Public()
		a := d.Address.String()
		return bytes.Join([][]byte{{byte(len(a))}, []byte(a), be32(uint32(d.Device)), ik[:], be32(manifest)}, nil)
	}
	offers := prefixed([]byte("waxwing ratchet capabilities v1"))
	offers = append(append(offers, prefixed([]byte{1})...), prefixed([]byte{1})...)
	sp, dh := spk.Public(), pair.Public().DH
	last := byte(0)
	if m.LastResort {
		last = 1
	}
	t := bytes.Join([][]byte{
		prefixed([]byte("waxwing ratchet transcript v1")),
		{1, 1},
		side(initiator, m.InitiatorManifest), side(responder, m.ResponderManifest),
		hash(append(offers, 1)), be32(uint32(sp.ID)), sp.Key[:], be32(uint32(m.OneTime)),
		{last},
		dh[:], hash(pair.kem.EncapsulationKey().Bytes()), m.EK[:], hash(m.Ciphertext[:]),
	}, nil)
	p := &specPeer{ad: hash(t), skipped: map[specKey][]byte{}}
	ikm := bytes.Join([][]byte{bytes.Repeat([]byte{0xff}, 32), bytes.Join(dhs, nil), ss}, nil)
	okm := specHKDF(ikm, make([]byte, 32), "waxwing PQXDH X25519 ML-KEM-1024 SHA-256 v1"+string(p.ad), 128)
	p.root, p.headerA, p.headerB, p.pqSeed = okm[:32], okm[32:64], okm[64:96], okm[96:]
	return p
}

// specInitiate is the initiator (RatchetInitAliceHE).
func specInitiate(from, to *device) (*specPeer, PrekeyMessage) {
	ek := keys.NewDHKey()
	spk, pair := to.signed[7], to.last[9]
	ss, ct := pair.kem.EncapsulationKey().Encapsulate()
	m := PrekeyMessage{
		Suite: 1, InitiatorManifest: from.ManifestVersion, ResponderManifest: to.ManifestVersion,
		SignedPrekey: 7, OneTime: 9, LastResort: true, EK: ek.Public(), Ciphertext: [KEMCiphertextSize]byte(ct),
	}
	ika, eka := specPrivate(from.IK), specPrivate(ek)
	p := specHandshake([][]byte{
		specDH(ika, specPublic(spk.Public().Key)), specDH(eka, specPublic(to.IK.Public())),
		specDH(eka, specPublic(spk.Public().Key)), specDH(eka, specPublic(pair.Public().DH)),
	}, ss, from, to, &m, spk, pair)
	p.dhs, _ = ecdh.X25519().GenerateKey(rand.Reader)
	p.dhr = specPublic(spk.Public().Key)
	p.rk, p.cks, p.nhks = p.kdfRK(p.root, specDH(p.dhs, p.dhr))
	p.hks, p.nhkr = p.headerA, p.headerB
	return p, m
}

// specAccept is the responder (RatchetInitBobHE).
func specAccept(from, to *device, m *PrekeyMessage) *specPeer {
	spk, pair := to.signed[7], to.last[9]
	ss, err := pair.kem.Decapsulate(m.Ciphertext[:])
	if err != nil {
		panic(err)
	}
	sk, ek := specPrivate(spk.key), specPublic(m.EK)
	p := specHandshake([][]byte{
		specDH(sk, specPublic(from.IK.Public())), specDH(specPrivate(to.IK), ek), specDH(sk, ek), specDH(specPrivate(pair.dh), ek),
	}, ss, from, to, m, spk, pair)
	p.dhs, p.rk, p.nhks, p.nhkr = sk, p.root, p.headerB, p.headerA
	return p
}

func (p *specPeer) kdfRK(rk, dh []byte) (root, chain, header []byte) {
	okm := specHKDF(dh, rk, "waxwing ratchet root v1", 96)
	return okm[:32], okm[32:64], okm[64:]
}

func (p *specPeer) kdfCK(ck []byte) (next, mk []byte) {
	return specHMAC(ck, []byte{2}), specHMAC(ck, []byte{1})
}

func (p *specPeer) gcm(hk []byte) cipher.AEAD {
	block, _ := aes.NewCipher(hk)
	g, _ := cipher.NewGCM(block)
	return g
}

func (p *specPeer) encrypt(plaintext, ad []byte) []byte {
	var mk []byte
	p.cks, mk = p.kdfCK(p.cks)
	h := make([]byte, 96)
	copy(h, p.dhs.PublicKey().Bytes())
	copy(h[32:], be32(p.pn))
	copy(h[36:], be32(p.ns))
	p.ns++
	nonce := make([]byte, 12)
	rand.Read(nonce)
	m := p.gcm(p.hks).Seal(bytes.Clone(nonce), nonce, h, p.ad)
	k := specHKDF(mk, nil, "waxwing ratchet message v1", 64)
	block, _ := aes.NewCipher(k[:32])
	ct := make([]byte, len(plaintext))
	cipher.NewCTR(block, append(nonce, 0, 0, 0, 0)).XORKeyStream(ct, plaintext)
	m = append(m, ct...)
	return append(m, specHMAC(k[32:], p.ad, be32(uint32(len(ad))), ad, m)...)
}

func (p *specPeer) decrypt(m, ad []byte) ([]byte, error) {
	sealed, end := m[:124], len(m)-32
	open := func(hk []byte) []byte {
		if hk == nil {
			return nil
		}
		h, _ := p.gcm(hk).Open(nil, sealed[:12], sealed[12:], p.ad)
		return h
	}
	body := func(mk []byte) ([]byte, error) {
		k := specHKDF(mk, nil, "waxwing ratchet message v1", 64)
		if !bytes.Equal(m[end:], specHMAC(k[32:], p.ad, be32(uint32(len(ad))), ad, m[:end])) {
			return nil, errors.New("tag")
		}
		block, _ := aes.NewCipher(k[:32])
		pt := make([]byte, end-124)
		cipher.NewCTR(block, append(bytes.Clone(m[:12]), 0, 0, 0, 0)).XORKeyStream(pt, m[124:end])
		return pt, nil
	}
	for k, mk := range p.skipped {
		if h := open([]byte(k.hk)); h != nil && binary.BigEndian.Uint32(h[36:]) == k.n {
			delete(p.skipped, k)
			return body(mk)
		}
	}
	h := open(p.hkr)
	if h == nil {
		if h = open(p.nhkr); h == nil {
			return nil, errors.New("header")
		}
		p.skip(binary.BigEndian.Uint32(h[32:]))
		p.ratchet(h[:32])
	}
	p.skip(binary.BigEndian.Uint32(h[36:]))
	var mk []byte
	p.ckr, mk = p.kdfCK(p.ckr)
	p.nr++
	return body(mk)
}

func (p *specPeer) skip(until uint32) {
	for ; p.ckr != nil && p.nr < until; p.nr++ {
		var mk []byte
		p.ckr, mk = p.kdfCK(p.ckr)
		p.skipped[specKey{string(p.hkr), p.nr}] = mk
	}
}

// ratchet is DHRatchetHE, both halves at once.
func (p *specPeer) ratchet(dh []byte) {
	p.pn, p.ns, p.nr = p.ns, 0, 0
	p.hks, p.hkr = p.nhks, p.nhkr
	p.dhr = specPublic(keys.DHPublic(dh))
	p.rk, p.ckr, p.nhkr = p.kdfRK(p.rk, specDH(p.dhs, p.dhr))
	p.dhs, _ = ecdh.X25519().GenerateKey(rand.Reader)
	p.rk, p.cks, p.nhks = p.kdfRK(p.rk, specDH(p.dhs, p.dhr))
}

// specPair returns a session and a second implementation that share a
// handshake and one message, in either role.
func specPair(t *rapid.T, specInitiates bool, ad []byte) (*Session, *specPeer) {
	if specInitiates {
		spec, first := specInitiate(alice, bob)
		ours, got, _, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), spec.encrypt([]byte("hello"), ad), ad)
		if err != nil || string(got) != "hello" {
			t.Fatal(err)
		}
		return ours, spec
	}
	v, err := VerifyBundle(bob.bundle(true), bob.signing.Public())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := InitiateSession(Config{}, alice.Identity, bob.peer(), v)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := ours.PrekeyHeader()
	spec := specAccept(alice, bob, &first)
	m, err := ours.Encrypt([]byte("hello"), ad)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := spec.decrypt(m, ad); err != nil || string(got) != "hello" {
		t.Fatal(err)
	}
	return ours, spec
}

// The session talks with the second implementation, in both roles, with loss
// and reordering both ways.
func TestAgainstTheSpecification(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ad := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "ad")
		ours, spec := specPair(t, rapid.Bool().Draw(t, "spec initiates"), ad)
		if !bytes.Equal(spec.ad, ours.id[:]) || !bytes.Equal(spec.pqSeed, ours.pqSeed[:]) {
			t.Fatal("transcript or post-quantum seed differ")
		}
		type sent struct{ message, text []byte }
		var toUs, toSpec []sent
		take := func(q *[]sent) *sent {
			if len(*q) == 0 {
				return nil
			}
			i := rapid.IntRange(0, len(*q)-1).Draw(t, "which")
			m := (*q)[i]
			*q = append((*q)[:i:i], (*q)[i+1:]...)
			return &m
		}
		// A chain with a message missing takes four steps, so that the session
		// stays below MaxSkippedSets.
		for range rapid.IntRange(1, 4*MaxSkippedSets+3).Draw(t, "steps") {
			text := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "text")
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				m, err := ours.Encrypt(text, ad)
				if err != nil {
					t.Fatal(err)
				}
				toSpec = append(toSpec, sent{m, text})
			case 2:
				toUs = append(toUs, sent{spec.encrypt(text, ad), text})
			case 3, 4:
				if m := take(&toSpec); m != nil {
					if got, err := spec.decrypt(m.message, ad); err != nil || !bytes.Equal(got, m.text) {
						t.Fatal("the specification cannot read us:", err)
					}
				}
				if m := take(&toUs); m != nil {
					if got, err := ours.Decrypt(m.message, ad); err != nil || !bytes.Equal(got, m.text) {
						t.Fatal("we cannot read the specification:", err)
					}
				}
			case 5:
				take(&toUs)
				take(&toSpec)
			}
		}
	})
}
