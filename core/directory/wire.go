package directory

import (
	"bytes"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
)

// formatVersion begins every structure of this package.
const formatVersion = 1

// ManifestFields is the content of a Manifest.
//
//	version 1 | address | manifest version 8 | identity key 32 |
//	account DH key 32 | X_S 32, proof 64 | capabilities | last device id 4 |
//	devices: {id 4, signing key 32, DH key 32, suites: {1}} |
//	previous hash 32 | signature 64
//
// The identity key signs all before the signature (keys.ContextManifest).
// Capabilities, device ids and suites are strictly increasing. The version is
// below 2^32, because sessions name it in 4 bytes. The previous hash is
// SHA-256 of the whole manifest before this one, zero in version 1. The proof is
// laid out in wire_possession.go.
type ManifestFields struct {
	Address  ids.Address
	Version  uint64 // from 1, one more each time
	Identity keys.VerifyKey
	// DH is shared by the account's devices; deniable tags are made to it.
	DH keys.DHPublic
	// AccountKey is X_S = k*G: what pseudonyms and credentials of the account
	// are tied to (design section 8).
	AccountKey ProvenKey
	// Capabilities names what all devices of the account understand.
	Capabilities [][]byte
	// LastDevice is the highest device id ever used, so that none is used for
	// another device again after its removal.
	LastDevice ids.DeviceID
	Devices    []Device
	Previous   [32]byte
	Signature  [keys.SignatureSize]byte
}

// Device is one device of an account.
type Device struct {
	ID   ids.DeviceID
	Sign keys.VerifyKey // authenticates, signs prekeys
	DH   keys.DHPublic  // identity in sessions (IK of PQXDH)
	// Suites are what the device offers in sessions, ascending. They stand here
	// so that nobody can shorten the list on the way.
	Suites ratchet.Capabilities
}

// Fields lists the layout.
func (m *ManifestFields) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Address("address", &m.Address)
	wire.U64(c, "manifest version", &m.Version)
	c.Check(m.Version >= 1 && m.Version < 1<<32, "manifest version", "out of range")
	verifyKey(c, "identity key", &m.Identity)
	dhPublic(c, "account DH key", &m.DH)
	provenKey(c, "X_S", &m.AccountKey)
	wire.List(c, "capabilities", &m.Capabilities, MaxCapabilities, func(c *wire.Codec, p *[]byte) {
		c.Bytes("capability", p, MaxCapability)
		c.Check(len(*p) > 0, "capability", "empty")
	})
	for i := 1; i < len(m.Capabilities); i++ {
		c.Check(bytes.Compare(m.Capabilities[i-1], m.Capabilities[i]) < 0, "capabilities", "not increasing")
	}
	wire.U32(c, "last device id", &m.LastDevice)
	wire.List(c, "devices", &m.Devices, MaxDevices, device)
	m.checkDevices(c)
	c.Fixed("previous hash", m.Previous[:])
	c.Check((m.Version == 1) == (m.Previous == [32]byte{}), "previous hash", "does not fit the version")
	c.Fixed("signature", m.Signature[:])
}

func device(c *wire.Codec, d *Device) {
	wire.U32(c, "id", &d.ID)
	verifyKey(c, "signing key", &d.Sign)
	dhPublic(c, "DH key", &d.DH)
	suites := []ratchet.Suite(d.Suites)
	wire.List(c, "suites", &suites, ratchet.MaxCapabilities, func(c *wire.Codec, s *ratchet.Suite) { wire.U8(c, "suite", s) })
	d.Suites = suites
	c.Check(len(suites) > 0, "suites", "none")
	last := ratchet.Suite(0)
	for _, s := range suites {
		c.Check(s > last, "suites", "not increasing from 1")
		last = s
	}
}

func (m *ManifestFields) checkDevices(c *wire.Codec) {
	c.Check(len(m.Devices) > 0, "devices", "none")
	last := ids.DeviceID(0)
	for _, d := range m.Devices {
		c.Check(d.ID > last, "devices", "ids not increasing from 1")
		last = d.ID
	}
	c.Check(m.LastDevice >= last, "last device id", "below a device's id")
}

// MailboxKeyFields is the content of a MailboxKey.
//
//	version 1 | mailbox 16 | address | key id 4 | X-Wing key 1216 |
//	expiry day 4 | generation of W and Z 4 | W 32, proof 64 | Z 32, proof 64 |
//	signature 64
//
// The identity key signs all before the signature (keys.ContextMailboxKey). The
// proofs are laid out in wire_possession.go.
type MailboxKeyFields struct {
	Mailbox ids.MailboxID
	Address ids.Address
	Week    Week // the key's id
	Key     keys.SealPublic
	Expiry  ids.Day // the last day on which something may be sealed to it
	// Generation counts the pairs of W and Z that the mailbox has had, from 1.
	Generation uint32
	W          ProvenKey // w*G: pseudonyms N_R = k*W towards the mailbox
	Z          ProvenKey // z*G: the recipient's share in opening an escrow
	Signature  [keys.SignatureSize]byte
}

// Fields lists the layout.
func (k *MailboxKeyFields) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Fixed("mailbox", k.Mailbox[:])
	c.Address("address", &k.Address)
	wire.U32(c, "key id", &k.Week)
	sealPublic(c, "key", &k.Key)
	wire.U32(c, "expiry", &k.Expiry)
	first := int64(k.Week) * daysPerWeek
	c.Check(int64(k.Expiry) >= first && int64(k.Expiry) <= first+MailboxKeyDays, "expiry", "too far from the key's week")
	wire.U32(c, "generation", &k.Generation)
	c.Check(k.Generation != 0, "generation", "zero")
	provenKey(c, "W", &k.W)
	provenKey(c, "Z", &k.Z)
	// One secret in both places would open escrows to whoever learns w.
	c.Check(k.W.Key != k.Z.Key, "Z", "the same as W")
	c.Fixed("signature", k.Signature[:])
}

// DescriptorFields is the content of a Descriptor.
//
//	version 1 | domain | sequence 8 | endpoints | root key 32 |
//	certificate keys: {key 32, first day 4, last day 4} |
//	relay keys: {id 1, X-Wing key 1216} | protocol versions: {2} |
//	further keys 2 = 0 | expiry day 4 | previous hash 32 | signature 64
//
// The root key signs all before the signature (keys.ContextDescriptor). The
// previous hash is SHA-256 of the whole descriptor before this one, zero in
// sequence 1. Further keys (token issuers, T&S, witnesses) will be a list of
// typed keys; a version that has none refuses any.
type DescriptorFields struct {
	Domain       ids.Domain
	Sequence     uint64   // from 1, one more each time
	Endpoints    []string // host:port, in order of preference
	Root         keys.VerifyKey
	Certificates []CertificateKey // all different
	Relay        []RelayKey       // all ids different, the one to use first
	Versions     []uint16         // strictly increasing
	Expiry       ids.Day          // the last day of validity
	Previous     [32]byte
	Signature    [keys.SignatureSize]byte
}

// CertificateKey verifies sender certificates issued from First to Last.
type CertificateKey struct {
	Key         keys.VerifyKey
	First, Last ids.Day
}

// RelayKey is a key of the provider that queries are sealed to.
type RelayKey struct {
	ID  uint8
	Key keys.SealPublic
}

// Fields lists the layout.
func (d *DescriptorFields) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Domain("domain", &d.Domain)
	wire.U64(c, "sequence", &d.Sequence)
	c.Check(d.Sequence >= 1, "sequence", "zero")
	wire.List(c, "endpoints", &d.Endpoints, MaxEndpoints, func(c *wire.Codec, p *string) {
		c.String("endpoint", p, MaxEndpoint)
		c.Check(ValidEndpoint(*p), "endpoint", "not host:port")
	})
	c.Check(len(d.Endpoints) > 0, "endpoints", "none")
	verifyKey(c, "root key", &d.Root)
	wire.List(c, "certificate keys", &d.Certificates, MaxCertificateKeys, func(c *wire.Codec, k *CertificateKey) {
		verifyKey(c, "key", &k.Key)
		wire.U32(c, "first day", &k.First)
		wire.U32(c, "last day", &k.Last)
		c.Check(k.First <= k.Last, "last day", "before the first")
	})
	wire.List(c, "relay keys", &d.Relay, MaxRelayKeys, func(c *wire.Codec, k *RelayKey) {
		wire.U8(c, "id", &k.ID)
		sealPublic(c, "key", &k.Key)
	})
	wire.List(c, "protocol versions", &d.Versions, MaxVersions, func(c *wire.Codec, v *uint16) {
		wire.U16(c, "version", v)
	})
	d.checkLists(c)
	var further uint16
	wire.U16(c, "further keys", &further)
	c.Check(further == 0, "further keys", "unknown type")
	wire.U32(c, "expiry", &d.Expiry)
	c.Fixed("previous hash", d.Previous[:])
	c.Check((d.Sequence == 1) == (d.Previous == [32]byte{}), "previous hash", "does not fit the sequence")
	c.Fixed("signature", d.Signature[:])
}

func (d *DescriptorFields) checkLists(c *wire.Codec) {
	for i, k := range d.Certificates {
		for _, o := range d.Certificates[:i] {
			c.Check(k.Key != o.Key, "certificate keys", "twice the same")
		}
	}
	for i, k := range d.Relay {
		for _, o := range d.Relay[:i] {
			c.Check(k.ID != o.ID, "relay keys", "twice the same id")
		}
	}
	c.Check(len(d.Versions) > 0, "protocol versions", "none")
	for i := 1; i < len(d.Versions); i++ {
		c.Check(d.Versions[i-1] < d.Versions[i], "protocol versions", "not increasing")
	}
}

// verifyKey is a signing key that keys.ParseVerifyKey accepts.
func verifyKey(c *wire.Codec, field string, k *keys.VerifyKey) {
	c.Fixed(field, k[:])
	_, err := keys.ParseVerifyKey(k[:])
	c.Check(err == nil, field, "not a usable key")
}

// dhPublic is a key that keys.ParseDHPublic accepts.
func dhPublic(c *wire.Codec, field string, k *keys.DHPublic) {
	c.Fixed(field, k[:])
	_, err := keys.ParseDHPublic(k[:])
	c.Check(err == nil, field, "not a usable key")
}

// sealPublic is a key that keys.ParseSealPublic accepts.
func sealPublic(c *wire.Codec, field string, k *keys.SealPublic) {
	b := k.Bytes()
	c.Exact(field, &b, keys.SealPublicSize)
	if !c.Parsing() || len(b) != keys.SealPublicSize {
		return
	}
	p, err := keys.ParseSealPublic(b)
	c.Check(err == nil, field, "not a usable key")
	*k = p
}

// splitSigned returns what a structure's trailing signature covers.
func splitSigned(b []byte) (msg, sig []byte) {
	n := len(b) - keys.SignatureSize
	return b[:n], b[n:]
}
