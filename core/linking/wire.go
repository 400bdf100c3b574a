package linking

import (
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The layouts, integers big-endian, lists and texts behind their length:
//
//	Code     version 1 | address | server | provider pin 32 | rendezvous 16 | commitment 32 | check 4
//	Join     version 1 | X-Wing key 1216 | nonce 32 | signing key 32 | DH key 32
//	opening  version 1 | nonce 32
//	answer   HPKE of the opening to the X-Wing key, info "waxwing linking opening v1" | SHA-256(Join), no aad
//	confirmation  32
//	secrets  HPKE of the Handover to the X-Wing key, info "waxwing linking secrets v1" | transcript 32, no aad; tag 32
//
// The tag is HMAC-SHA256 under the existing device's nonce of
// "waxwing linking tag v1" | transcript | all before the tag, and the confirmation
// of "waxwing linking confirmation v1" | transcript. HPKE says nothing
// of who sealed; the nonce, which only the two devices know, does.
//
// As text a code is "waxwing-link:" and base64url without padding. The hashes,
// SHA-256, each of these after a label of which none is a prefix of another:
//
//	check       "waxwing linking check v1"      | code up to the check             first 4 bytes
//	commitment  "waxwing linking commitment v1" | code up to the commitment | existing device's nonce 32
//	transcript  "waxwing linking transcript v1" | SHA-256(code up to the check) | SHA-256(Join) | opening
//	digits      "waxwing linking digits v1"     | transcript                       first 8 bytes modulo 10^6
const (
	formatVersion = 1
	codePrefix    = "waxwing-link:"
	nonceSize     = 32
	checkSize     = 4

	labelCheck      = "waxwing linking check v1"
	labelCommitment = "waxwing linking commitment v1"
	labelTranscript = "waxwing linking transcript v1"
	labelDigits     = "waxwing linking digits v1"
	labelOpening    = "waxwing linking opening v1"
	labelSecrets    = "waxwing linking secrets v1"
	labelTag        = "waxwing linking tag v1"
	tagSize         = 32

	labelConfirmation = "waxwing linking confirmation v1"
)

// Code is what the existing device shows. It names where to meet; who reads it
// can answer it, but the digits then differ.
type Code struct {
	Address    ids.Address
	Server     string   // "host:port" of the provider
	Pin        [32]byte // of the provider's root key
	Rendezvous [16]byte // where the messages are exchanged, random
	commitment [32]byte
}

// Fields lists the layout.
func (k *Code) Fields(c *wire.Codec) {
	k.place(c)
	c.Fixed("commitment", k.commitment[:])
}

func (k *Code) place(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Address("address", &k.Address)
	c.String("server", &k.Server, MaxServer)
	c.Check(len(k.Server) > 0, "server", "empty")
	c.Fixed("pin", k.Pin[:])
	c.Fixed("rendezvous", k.Rendezvous[:])
}

// place is a code up to its commitment.
type place struct{ *Code }

func (p place) Fields(c *wire.Codec) { p.Code.place(c) }

// join is the new device's message.
type join struct {
	key   keys.SealPublic
	nonce [nonceSize]byte
	sign  keys.VerifyKey
	dh    keys.DHPublic
}

func (j *join) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	b := []byte(nil)
	if !c.Parsing() {
		b = j.key.Bytes()
	}
	c.Exact("key", &b, keys.SealPublicSize)
	if c.Parsing() && len(b) == keys.SealPublicSize {
		k, err := keys.ParseSealPublic(b)
		c.Check(err == nil, "key", "not a usable key")
		j.key = k
	}
	c.Fixed("nonce", j.nonce[:])
	c.Fixed("signing key", j.sign[:])
	_, err := keys.ParseVerifyKey(j.sign[:])
	c.Check(err == nil, "signing key", "not a usable key")
	c.Fixed("DH key", j.dh[:])
	_, err = keys.ParseDHPublic(j.dh[:])
	c.Check(err == nil, "DH key", "not a usable key")
}

// opening is the existing device's answer to it.
type opening struct{ nonce [nonceSize]byte }

func (o *opening) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Fixed("nonce", o.nonce[:])
}
