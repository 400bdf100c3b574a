package node

import (
	"encoding/binary"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
)

// The keys of what is stored of a peer, by its domain.
const (
	prefixDescriptor store.Key = "peer/descriptor/" // the newest descriptor, as it was received
	prefixEntry      store.Key = "peer/entry/"      // peerEntry
)

// prefixLimit begins the keys of what was set by command about limits:
// limits.Change by limits.Target.
const prefixLimit store.Key = "limit/change/"

func limitKey(t limits.Target) store.Key { return prefixLimit + store.Key(t.Key()) }

func descriptorKey(d ids.Domain) store.Key { return prefixDescriptor + store.Key(d.String()) }
func entryKey(d ids.Domain) store.Key      { return prefixEntry + store.Key(d.String()) }

// parseVerifier parses the record of a verifier, whose file is named like that
// of its private half:
//
//	public key 32 | last day 4
func parseVerifier(b []byte) (v verifier, err error) {
	if len(b) != 36 {
		return v, keys.ErrKey
	}
	v.last = ids.Day(binary.BigEndian.Uint32(b[32:]))
	v.key, err = keys.ParseVerifyKey(b[:32])
	return v, err
}

func (v *verifier) record() []byte {
	return binary.BigEndian.AppendUint32(append([]byte(nil), v.key[:]...), uint32(v.last))
}

// A wrapped key file, and the check of the secret in wrapHeader:
//
//	"waxwing key file v1" | nonce 12 |
//	AES-256-GCM(key; content; aad = "waxwing key file v1" | name of the file) | tag 16
//
// The key is Argon2id (RFC 9106) of the operator's secret and the salt, with
// 3 passes over 64 MiB in 4 lanes, 32 bytes.
const (
	wrapMagic  = "waxwing key file v1"
	wrapPrefix = len(wrapMagic) + 12
)

// wrapHeader is the file wrapping, beside the key files.
//
//	version 1 | salt 16 | check: a wrapped file of that name without content
type wrapHeader struct {
	salt  [16]byte
	check []byte
}

func (h *wrapHeader) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Fixed("salt", h.salt[:])
	c.Exact("check", &h.check, wrapPrefix+16)
}

// maxPeerAddr bounds the address of a peer: a host name has up to 253 bytes.
const maxPeerAddr = 262

// peerEntry is what the operator last said by command about a peer. It wins
// over the configuration.
//
//	version 1 | removed 1 | address | pin 32
//
// Of a removed one the address is empty and the pin zero.
type peerEntry struct {
	removed bool
	addr    string
	pin     [32]byte
}

func (e *peerEntry) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Bool("removed", &e.removed)
	c.String("address", &e.addr, maxPeerAddr)
	c.Fixed("pin", e.pin[:])
	c.Check(e.removed == (e.addr == ""), "address", "does not fit")
	c.Check(e.removed == (e.pin == [32]byte{}), "pin", "does not fit")
}
