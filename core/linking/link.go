package linking

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The steps of a run, on either side.
type step uint8

const (
	begun     step = iota
	compared       // the digits are known and shown
	confirmed      // the user said that they are equal
	agreed         // and so did the other side's
	over
)

// Offer is the existing device's side of one run. It is not safe for concurrent
// use.
type Offer struct {
	code  Code
	nonce [nonceSize]byte
	at    step
	key   keys.SealPublic // the new device's
	seen  [32]byte        // transcript
	keys.Redacted
}

// NewOffer begins a run. The error is wire.ErrMalformed if the server is empty
// or too long.
func NewOffer(address ids.Address, server string, pin [32]byte) (*Offer, error) {
	o := &Offer{code: Code{Address: address, Server: server, Pin: pin}}
	rand.Read(o.code.Rendezvous[:])
	rand.Read(o.nonce[:])
	if _, err := wire.Marshal(&o.code); err != nil {
		return nil, err
	}
	o.code.commitment = o.code.commit(&o.nonce)
	return o, nil
}

// Code returns what the new device needs to be told.
func (o *Offer) Code() *Code { k := o.code; return &k }

// Device is what the new device made for itself. It is the new device's only
// if the users confirm the digits.
type Device struct {
	Sign keys.VerifyKey
	DH   keys.DHPublic
}

// Answer takes the new device's message and returns what to send back, the
// digits to show, and the keys to let in once they are confirmed. Errors are
// ErrOrder (a message was answered: two answers would be two chances to be in the
// middle) and wire.ErrMalformed, after which another may come.
func (o *Offer) Answer(message []byte) (answer []byte, show string, d Device, err error) {
	if o.at != begun {
		return nil, "", d, ErrOrder
	}
	var j join
	if len(message) > MaxJoin {
		return nil, "", d, &wire.FieldError{Field: "join", Reason: "too long"}
	}
	if err := wire.Unmarshal(message, &j); err != nil {
		return nil, "", d, err
	}
	opened := wire.MustMarshal(&opening{o.nonce})
	defer clear(opened)
	h := sha256.Sum256(message)
	if answer, _, err = j.key.Seal(info(labelOpening, &h), nil, opened); err != nil {
		return nil, "", d, err
	}
	o.at, o.key, o.seen = compared, j.key, transcript(&o.code, message, opened)
	return answer, digits(&o.seen), Device{j.sign, j.dh}, nil
}

// Confirm says that the user found the digits equal on both devices. The error
// is ErrOrder.
func (o *Offer) Confirm() error { return advance(&o.at, compared, confirmed) }

// Abort ends the run: the digits differ, or the user gave up.
func (o *Offer) Abort() { o.at = over; clear(o.nonce[:]) }

// Confirmed takes the new device's confirmation: its user found the digits equal
// too. Errors are ErrOrder (not confirmed here) and ErrSealed, after which another
// may come.
func (o *Offer) Confirmed(confirmation []byte) error {
	if o.at != confirmed {
		return ErrOrder
	}
	if !hmac.Equal(confirmation, tag(labelConfirmation, &o.nonce, &o.seen, nil)) {
		return ErrSealed
	}
	o.at = agreed
	return nil
}

// Seal seals the secrets to the new device, once. Errors are ErrOrder (not
// confirmed on both sides, or sealed already) and wire.ErrMalformed (more than MaxSecrets).
func (o *Offer) Seal(secrets []byte) ([]byte, error) {
	if len(secrets) > MaxSecrets {
		return nil, &wire.FieldError{Field: "secrets", Reason: "too long"}
	}
	if err := advance(&o.at, agreed, over); err != nil {
		return nil, err
	}
	sealed, _, err := o.key.Seal(info(labelSecrets, &o.seen), nil, secrets)
	if err != nil {
		return nil, err
	}
	sealed = append(sealed, tag(labelTag, &o.nonce, &o.seen, sealed)...)
	clear(o.nonce[:])
	return sealed, nil
}

// Joining is the new device's side of one run. It is not safe for concurrent
// use.
type Joining struct {
	code    Code
	key     *keys.SealKey
	message []byte
	at      step
	nonce   [nonceSize]byte // the existing device's
	seen    [32]byte        // transcript
	keys.Redacted
}

// Join begins the new device's side, with the public keys that it made for
// itself and a key for this run alone.
func Join(k *Code, d Device) *Joining {
	n := &Joining{code: *k, key: keys.NewSealKey()}
	j := join{key: n.key.Public(), sign: d.Sign, dh: d.DH}
	rand.Read(j.nonce[:])
	n.message = wire.MustMarshal(&j)
	return n
}

// Message returns what to send to the existing device.
func (n *Joining) Message() []byte { return append([]byte(nil), n.message...) }

// Compare takes the existing device's answer and returns the digits to show.
// Errors are ErrOrder; ErrSealed and ErrCommitment, after which the run is over:
// another answer would be another chance.
func (n *Joining) Compare(answer []byte) (show string, err error) {
	if n.at != begun {
		return "", ErrOrder
	}
	n.at = over
	h := sha256.Sum256(n.message)
	opened, _, err := n.key.Open(info(labelOpening, &h), nil, answer)
	if err != nil {
		return "", ErrSealed
	}
	defer clear(opened)
	var o opening
	if wire.Unmarshal(opened, &o) != nil {
		return "", ErrSealed
	}
	if commitment := n.code.commit(&o.nonce); !hmac.Equal(commitment[:], n.code.commitment[:]) {
		return "", ErrCommitment
	}
	n.at, n.nonce, n.seen = compared, o.nonce, transcript(&n.code, n.message, opened)
	return digits(&n.seen), nil
}

// Confirm says that the user found the digits equal on both devices, and returns
// what to send to the existing device, which waits for it. The error is
// ErrOrder.
func (n *Joining) Confirm() (confirmation []byte, err error) {
	if err := advance(&n.at, compared, confirmed); err != nil {
		return nil, err
	}
	return tag(labelConfirmation, &n.nonce, &n.seen, nil), nil
}

// Abort ends the run and gives up its key.
func (n *Joining) Abort() { n.at, n.key = over, nil; clear(n.nonce[:]) }

// Open opens the secrets, once. Errors are ErrOrder (not confirmed, or opened
// already) and ErrSealed, after which they may come again.
func (n *Joining) Open(sealed []byte) ([]byte, error) {
	if n.at != confirmed {
		return nil, ErrOrder
	}
	if len(sealed) < tagSize {
		return nil, ErrSealed
	}
	sealed, mac := sealed[:len(sealed)-tagSize], sealed[len(sealed)-tagSize:]
	if !hmac.Equal(mac, tag(labelTag, &n.nonce, &n.seen, sealed)) {
		return nil, ErrSealed
	}
	secrets, _, err := n.key.Open(info(labelSecrets, &n.seen), nil, sealed)
	if err != nil {
		return nil, ErrSealed
	}
	n.Abort()
	return secrets, nil
}

func advance(at *step, from, to step) error {
	if *at != from {
		return ErrOrder
	}
	*at = to
	return nil
}
