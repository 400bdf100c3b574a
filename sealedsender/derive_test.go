package sealedsender

import (
	"bytes"
	"encoding/hex"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Known answers, computed apart from this code from the definitions of DESIGN
// section 5, with HMAC-SHA256, X25519 and SHA-256 of another library.
func TestKnownAnswers(t *testing.T) {
	counting := func(from byte, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = from + byte(i)
		}
		return b
	}
	is := func(name string, got []byte, want string) {
		t.Helper()
		if w, err := hex.DecodeString(want); err != nil || !bytes.Equal(got, w) {
			t.Errorf("%s is %x, not %s (%v)", name, got, want, err)
		}
	}
	s, _ := keys.SecretFrom(counting(0, 32))
	ticket := [wire.TicketSize]byte(counting(100, wire.TicketSize))
	is("steady key", steadyKey(s, &ticket), "fba0f189c9a513287bc74e21fc28c0df830dcfa33353baf838384247ff9a92cf")

	sender, _ := keys.DHKeyFrom(counting(1, 32))
	account, _ := keys.DHKeyFrom(counting(65, 32))
	com, hash := [32]byte(bytes.Repeat([]byte{1}, 32)), [32]byte(bytes.Repeat([]byte{2}, 32))
	for _, side := range []struct {
		own  *keys.DHKey
		peer keys.DHPublic
	}{{sender, account.Public()}, {account, sender.Public()}} {
		tag, err := deniableTag(side.own, side.peer, sender.Public(), account.Public(), &com, &hash)
		if err != nil {
			t.Fatal(err)
		}
		is("tag", tag[:], "abc4944cb9ee6b818c02d63856aee94b")
	}

	m := Mailbox{ids.MustParseDomain("beta.example"), ids.MailboxID(bytes.Repeat([]byte{7}, 16)), 2954}
	is("info", m.info(), "77617877696e67207365616c0000000c626574612e6578616d706c650707070707070707070707070707070700000b8a")

	h := CertificateHash([]byte("abc"))
	is("certificate hash", h[:], "08111a198bb7b32f9acc52d39a699ebb1e9c3768c06ff0385016fbd604aab3b6")

	o := Outer{Com: com}
	is("aad", o.aad(), "01"+hex.EncodeToString(com[:]))
}
