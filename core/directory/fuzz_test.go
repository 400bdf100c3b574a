package directory

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func FuzzAccountRecords(f *testing.F) {
	f.Add(wire.MustMarshal(&Standing{Warned: 1, LimitedUntil: 2, SuspendedUntil: 3, Openings: 4, Last: 5}))
	for claim := claimRegistered; claim <= claimFormer; claim++ {
		f.Add(wire.MustMarshal(&accountKeyRecord{bob, claim}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []wire.Schema{new(Standing), new(accountKeyRecord)} {
			if err := wire.Unmarshal(b, s); err == nil && !bytes.Equal(wire.MustMarshal(s), b) {
				t.Errorf("%T is not canonical", s)
			} else if err != nil && !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%T: untyped error %v", s, err)
			}
		}
	})
}

// FuzzSigned: behind the layouts, which have targets of their own, every signature
// is checked: what is taken is taken as it is, and no byte of its signature can be
// another.
func FuzzSigned(f *testing.F) {
	a := newAccount(f, bob, 2)
	parsers := []func([]byte) ([]byte, error){
		func(b []byte) ([]byte, error) {
			m, err := ParseManifest(b)
			if err != nil {
				return nil, err
			}
			return m.Bytes(), nil
		},
		func(b []byte) ([]byte, error) {
			k, err := ParseMailboxKey(b, a.identity.Public())
			if err != nil {
				return nil, err
			}
			return k.Bytes(), nil
		},
		func(b []byte) ([]byte, error) {
			d, err := parseDescriptor(b)
			if err != nil {
				return nil, err
			}
			return d.Bytes(), nil
		},
	}
	f.Add(uint8(0), a.manifest.Bytes())
	f.Add(uint8(1), a.mailboxKey(f, ids.MailboxID{1}, 3).Bytes())
	f.Add(uint8(2), sampleDescriptor(f, keys.NewSigningKey()).Bytes())
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		parse := parsers[int(kind)%len(parsers)]
		again, err := parse(b)
		if err != nil {
			if !typed(err) && !errors.Is(err, ErrPossession) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if !bytes.Equal(again, b) {
			t.Error("taken as something else")
		}
		other := bytes.Clone(b)
		other[len(b)-1-int(kind)%keys.SignatureSize] ^= 1
		if _, err := parse(other); err == nil {
			t.Error("a changed signature is taken")
		}
	})
}
