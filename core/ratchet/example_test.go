package ratchet_test

import (
	"fmt"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
)

// prekeys is a client's store of its own prekeys.
type prekeys struct {
	signed *ratchet.SignedPrekey
	pairs  map[ratchet.PrekeyID]*ratchet.OneTimePair
}

func (p *prekeys) SignedPrekey(id ratchet.PrekeyID) (*ratchet.SignedPrekey, error) {
	if id != p.signed.ID() {
		return nil, ratchet.ErrPrekeyUnknown
	}
	return p.signed, nil
}

func (p *prekeys) OneTime(id ratchet.PrekeyID, lastResort bool) (*ratchet.OneTimePair, error) {
	if pair := p.pairs[id]; pair != nil && !lastResort {
		return pair, nil
	}
	return nil, ratchet.ErrPrekeyUnknown
}

func Example() {
	// What bob's device has, and what it published.
	signing := keys.NewSigningKey()
	bob := ratchet.Identity{Address: ids.MustParseAddress("bob@beta.example"), Device: 1, IK: keys.NewDHKey(), ManifestVersion: 1}
	store := &prekeys{ratchet.GenerateSignedPrekey(1, signing), map[ratchet.PrekeyID]*ratchet.OneTimePair{
		1: ratchet.GenerateOneTime(1, signing, false),
	}}
	bundle := ratchet.Bundle{
		Device: 1, Identity: bob.IK.Public(), Signed: store.signed.Public(), OneTime: store.pairs[1].Public(),
	}

	// Alice verifies it against bob's manifest and begins.
	alice := ratchet.Identity{Address: ids.MustParseAddress("alice@alpha.example"), Device: 1, IK: keys.NewDHKey(), ManifestVersion: 1}
	verified, err := ratchet.VerifyBundle(bundle, signing.Public())
	if err != nil {
		panic(err)
	}
	a, err := ratchet.InitiateSession(ratchet.Config{}, alice,
		ratchet.Peer{Address: bob.Address, Device: 1, IK: bob.IK.Public(), ManifestVersion: 1}, verified)
	if err != nil {
		panic(err)
	}
	message, err := a.Encrypt([]byte("hello"), nil)
	if err != nil {
		panic(err)
	}
	stored := a.Marshal() // durable before message and first leave
	first, _ := a.PrekeyHeader()

	// Bob accepts; session, plaintext and the deleted pair go into one batch.
	b, plaintext, used, err := ratchet.AcceptSession(ratchet.Config{}, bob, store, first,
		ratchet.Peer{Address: alice.Address, Device: 1, IK: alice.IK.Public(), ManifestVersion: first.InitiatorManifest}, message, nil)
	if err != nil {
		panic(err)
	}
	delete(store.pairs, used.ID)
	fmt.Printf("bob reads %q\n", plaintext)

	// Alice, restarted, reads the reply and needs the prekey header no more.
	if a, err = ratchet.UnmarshalSession(ratchet.Config{}, stored); err != nil {
		panic(err)
	}
	reply, err := b.Encrypt([]byte("hi"), nil)
	if err != nil {
		panic(err)
	}
	if plaintext, err = a.Decrypt(reply, nil); err != nil {
		panic(err)
	}
	_, waiting := a.PrekeyHeader()
	fmt.Printf("alice reads %q, waiting for a reply: %v\n", plaintext, waiting)
	// Output:
	// bob reads "hello"
	// alice reads "hi", waiting for a reply: false
}
