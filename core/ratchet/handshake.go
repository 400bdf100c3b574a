package ratchet

import (
	"crypto/sha256"
	"errors"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Identity is our own device, as its account's manifest has it.
type Identity struct {
	Address         ids.Address
	Device          ids.DeviceID
	IK              *keys.DHKey
	ManifestVersion uint32
	Capabilities    Capabilities // as in the manifest (accepting: of PrekeyMessage.ResponderManifest); nil: those of this package
}

func (i Identity) party() (party, error) {
	if i.Address.IsZero() || i.Device == 0 || i.IK == nil {
		return party{}, ErrIdentity
	}
	return party{i.Address, i.Device, i.IK.Public(), i.ManifestVersion}, nil
}

// Peer is the other device, as its account's verified manifest has it.
type Peer struct {
	Address         ids.Address
	Device          ids.DeviceID
	IK              keys.DHPublic
	ManifestVersion uint32       // accepting: 0 takes the initiator's word, which PrekeyMessage shows
	Capabilities    Capabilities // as in the manifest; nil: those of this package
}

func (p Peer) party() (party, error) {
	if p.Address.IsZero() || p.Device == 0 {
		return party{}, ErrIdentity
	}
	return party{p.Address, p.Device, p.IK, p.ManifestVersion}, nil
}

// parties checks that the two sides are two devices with two keys.
func parties(our Identity, peer Peer) (party, party, error) {
	a, err := our.party()
	if err != nil {
		return a, a, err
	}
	b, err := peer.party()
	if err != nil {
		return a, b, err
	}
	if a.identity == b.identity || a.address == b.address && a.device == b.device {
		return a, b, ErrIdentity
	}
	return a, b, nil
}

// InitiateSession begins a session with the device that bundle is of. peer is
// what the peer's manifest says about it. Nothing is sent yet: PrekeyHeader
// travels with what Encrypt returns.
//
// Errors are ErrConfig, ErrIdentity, ErrSuite and ErrBundle; then the bundle is
// not used up.
func InitiateSession(cfg Config, our Identity, peer Peer, bundle *VerifiedBundle) (*Session, error) {
	return initiate(cfg, our, peer, bundle, &system)
}

func initiate(cfg Config, our Identity, peer Peer, bundle *VerifiedBundle, e *entropy) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if bundle == nil || bundle.used {
		return nil, ErrBundle
	}
	a, b, err := parties(our, peer)
	if err != nil {
		return nil, err
	}
	// The bundle's signatures do not cover the identity key: the manifest does.
	if bundle.bundle.Identity != peer.IK || bundle.bundle.Device != peer.Device {
		return nil, ErrIdentity
	}
	offered, theirs := our.Capabilities.orDefault(), peer.Capabilities.orDefault()
	suite, err := choose(offered, theirs)
	if err != nil {
		return nil, err
	}
	ek := e.dh()
	shared, ciphertext := e.encapsulate(bundle.kem)
	signed, pair := &bundle.bundle.Signed, &bundle.bundle.OneTime
	first := PrekeyMessage{
		Suite: suite, InitiatorManifest: our.ManifestVersion, ResponderManifest: peer.ManifestVersion,
		SignedPrekey: signed.ID, OneTime: pair.ID, LastResort: pair.LastResort,
		EK: ek.Public(), Ciphertext: [KEMCiphertextSize]byte(ciphertext),
	}
	id, err := sessionID(&first, a, b, signed, pair, capabilitiesHash(offered, theirs, suite))
	if err != nil {
		return nil, err
	}
	secrets, err := agree([4]agreement{
		{our.IK, signed.Key}, {ek, b.identity}, {ek, signed.Key}, {ek, pair.DH},
	}, shared)
	if err != nil {
		return nil, ErrBundle
	}
	s := &Session{cfg: cfg, initiator: true, id: id, remote: peer.IK, prekey: wire.MustMarshal(&first)}
	s.c.remote = signed.Key
	s.c.root, s.c.sendNext, s.c.recvNext, s.pqSeed = handshakeKeys(secrets, &id)
	bundle.used = true
	return s, nil
}

// agreement is one Diffie-Hellman of the handshake.
type agreement struct {
	ours   *keys.DHKey
	theirs keys.DHPublic
}

// agree returns DH1 | DH2 | DH3 | DH4 | SS (PQXDH section 3.3). Both sides
// list the four in the initiator's order. shared is erased.
func agree(dhs [4]agreement, shared []byte) ([]byte, error) {
	secrets := make([]byte, 0, 4*keys.DHSize+len(shared))
	for _, d := range dhs {
		dh, err := d.ours.DH(d.theirs)
		if err != nil {
			clear(secrets)
			return nil, err
		}
		secrets = append(secrets, dh...)
		clear(dh)
	}
	secrets = append(secrets, shared...)
	clear(shared)
	return secrets, nil
}

// sessionID hashes what both sides agree on.
func sessionID(m *PrekeyMessage, a, b party, signed *PublicSignedPrekey, pair *PublicOneTime, capabilities [sha256.Size]byte) ([sha256.Size]byte, error) {
	a.manifest, b.manifest = m.InitiatorManifest, m.ResponderManifest
	t := transcript{
		suite: m.Suite, initiator: a, responder: b, capabilities: capabilities,
		signedID: signed.ID, signedKey: signed.Key,
		oneTimeID: pair.ID, lastResort: pair.LastResort, oneTimeDH: pair.DH, oneTimeKEM: sha256.Sum256(pair.KEM[:]),
		ek: m.EK, ciphertext: sha256.Sum256(m.Ciphertext[:]),
	}
	return t.hash()
}

// Prekeys finds our private prekeys. A prekey that is not there is
// ErrPrekeyUnknown; other errors are passed through by AcceptSession.
type Prekeys interface {
	SignedPrekey(id PrekeyID) (*SignedPrekey, error)
	OneTime(id PrekeyID, lastResort bool) (*OneTimePair, error)
}

// Used says what a first message has used up. In one batch with the session, a
// one-time pair is deleted and a last-resort pair stored again after Remember.
type Used struct {
	ID         PrekeyID
	LastResort bool // weak forward secrecy until the peer's first answer to us
	EK         keys.DHPublic
}

// AcceptSession makes the session that first describes and opens the message
// that it came with. It is for messages that no existing session with the peer
// accepts (CanOpenHeader); it also refuses a repeated first message, as its
// pair is gone or remembers it.
//
// Nothing is changed, on success neither: the caller stores the session and
// settles what was used in one batch. A crash before it leaves the pair, and
// the message, delivered again, opens again.
//
// Errors are ErrConfig, ErrIdentity, ErrSuite, ErrPrekeyUnknown, ErrReplay,
// ErrLastResortFull, ErrTooFarAhead, ErrDecrypt and those of prekeys.
func AcceptSession(cfg Config, our Identity, prekeys Prekeys, first PrekeyMessage, peer Peer, message, ad []byte) (*Session, []byte, Used, error) {
	s, err := accept(cfg, our, prekeys, &first, peer)
	if err != nil {
		return nil, nil, Used{}, err
	}
	plaintext, err := s.Decrypt(message, ad)
	if err != nil {
		s.Erase()
		if errors.Is(err, ErrWrongSession) {
			err = ErrDecrypt // there is no other session to look for
		}
		return nil, nil, Used{}, err
	}
	return s, plaintext, Used{first.OneTime, first.LastResort, first.EK}, nil
}

// accept derives the responder's session, in which nothing was received yet.
func accept(cfg Config, our Identity, prekeys Prekeys, first *PrekeyMessage, peer Peer) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	b, a, err := parties(our, peer)
	if err != nil {
		return nil, err
	}
	if peer.ManifestVersion != 0 && peer.ManifestVersion != first.InitiatorManifest {
		return nil, ErrIdentity
	}
	offered, ours := peer.Capabilities.orDefault(), our.Capabilities.orDefault()
	if suite, err := choose(offered, ours); err != nil || suite != first.Suite {
		return nil, ErrSuite
	}
	signed, pair, err := lookUp(prekeys, first)
	if err != nil {
		return nil, err
	}
	if _, err := keys.ParseDHPublic(first.EK[:]); err != nil {
		return nil, ErrDecrypt
	}
	signedPub, pairPub := signed.Public(), pair.Public()
	id, err := sessionID(first, a, b, &signedPub, &pairPub, capabilitiesHash(offered, ours, first.Suite))
	if err != nil {
		return nil, err
	}
	// A ciphertext that was not made for this key gives a secret that nobody
	// knows (FIPS 203 section 6.3), and the message does not open.
	shared, err := pair.kem.Decapsulate(first.Ciphertext[:])
	if err != nil {
		return nil, ErrDecrypt
	}
	secrets, err := agree([4]agreement{
		{signed.key, a.identity}, {our.IK, first.EK}, {signed.key, first.EK}, {pair.dh, first.EK},
	}, shared)
	if err != nil {
		return nil, ErrIdentity // EK was checked above: it is the peer's identity key
	}
	s := &Session{cfg: cfg, id: id, remote: peer.IK, ratchet: signed.key}
	s.c.root, s.c.recvNext, s.c.sendNext, s.pqSeed = handshakeKeys(secrets, &id)
	// The signed prekey is the first ratchet key; opening the message erases
	// it from the session.
	s.c.sending, s.c.public = true, signedPub.Key
	return s, nil
}

// lookUp finds the prekeys that a first message names.
func lookUp(prekeys Prekeys, first *PrekeyMessage) (*SignedPrekey, *OneTimePair, error) {
	pair, err := prekeys.OneTime(first.OneTime, first.LastResort)
	if err != nil {
		return nil, nil, err
	}
	if pair == nil || pair.id != first.OneTime || pair.lastResort != first.LastResort {
		return nil, nil, ErrPrekeyUnknown
	}
	if err := pair.accepts(first.EK); err != nil {
		return nil, nil, err
	}
	signed, err := prekeys.SignedPrekey(first.SignedPrekey)
	if err != nil {
		return nil, nil, err
	}
	if signed == nil || signed.id != first.SignedPrekey {
		return nil, nil, ErrPrekeyUnknown
	}
	return signed, pair, nil
}
