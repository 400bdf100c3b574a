package node

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
)

func files(t testing.TB, dir keydir, prefix string) []string {
	t.Helper()
	names, err := dir.list(prefix)
	must(t, err)
	return names
}

// A hundred days with a look at the keys every hour: each kind has as many
// files as its life says, each key is a file of its own, and no name is used
// for two keys.
func TestKeysComeAndGo(t *testing.T) {
	dir := keydir{path: t.TempDir()}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k, err := openKeyring(dir, keys.NewSigningKey(), now)
	must(t, err)
	content := map[string]string{}
	for range 100 * 24 {
		now = now.Add(time.Hour)
		must(t, k.rotate(now))
		for _, name := range append(files(t, dir, prefixCert), files(t, dir, prefixRelay)...) {
			b, err := dir.get(name)
			must(t, err)
			if old, ok := content[name]; ok && old != string(b) {
				t.Fatalf("%s was overwritten", name)
			}
			content[name] = string(b)
		}
	}
	for prefix, most := range map[string]int{prefixCert: 2, prefixVerify: 3, prefixRelay: 4, prefixTicket: 23, prefixStamp: 40} {
		if n := len(files(t, dir, prefix)); n < 1 || n > most {
			t.Errorf("%d files of %s, at most %d expected", n, prefix, most)
		}
	}
	again, err := openKeyring(dir, k.root, now)
	must(t, err)
	if c1, _ := k.Certificate(ids.DayOf(now)); true {
		if c2, _ := again.Certificate(ids.DayOf(now)); c1.Public() != c2.Public() {
			t.Error("another certificate key after a restart")
		}
	}
	if again.tickets.Len() != k.tickets.Len() || again.stamps.Len() != k.stamps.Len() || len(again.relay) != len(k.relay) ||
		!slices.Equal(again.retired, k.retired) {
		t.Error("keys lost in a restart")
	}
}

// A clock that jumps ahead for a few minutes erases nothing.
func TestClockJumpErasesNothing(t *testing.T) {
	dir := keydir{path: t.TempDir()}
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	k, err := openKeyring(dir, keys.NewSigningKey(), now)
	must(t, err)
	box := ids.NewMailboxID()
	minted, err := k.tickets.Mint(ids.DayOf(now), &box, 1, 1, ids.DayOf(now)+14)
	must(t, err)
	before := len(files(t, dir, ""))
	ahead := now.Add(60 * 24 * time.Hour)
	for range 5 {
		ahead = ahead.Add(time.Minute)
		must(t, k.rotate(ahead))
	}
	must(t, k.rotate(now.Add(6*time.Minute)))
	if n := len(files(t, dir, "")); n < before {
		t.Errorf("%d files, %d before the jump", n, before)
	}
	if _, err := k.tickets.Open(&minted[0].Ticket, new(ticket.Scratch)); err != nil {
		t.Errorf("a ticket from before the jump: %v", err)
	}
}

func TestKeyFilesArePrivate(t *testing.T) {
	s := newServer(t, "beta.example")
	s.start()
	s.halt()
	for _, prefix := range []string{keyRoot, prefixCert, prefixRelay, prefixTicket, prefixStamp} {
		names := files(t, keydir{path: s.conf.Dir + "/" + dirKeys}, prefix)
		if len(names) == 0 {
			t.Errorf("no file of %s", prefix)
		}
		for _, name := range names {
			st, err := os.Stat(s.conf.Dir + "/" + dirKeys + "/" + name)
			must(t, err)
			if st.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", name, st.Mode())
			}
		}
	}
}

func TestDamagedKeyFile(t *testing.T) {
	for _, prefix := range []string{keyRoot, prefixCert, prefixVerify, prefixRelay, prefixTicket, prefixStamp} {
		s := newServer(t, "beta.example")
		s.start()
		s.halt()
		dir := keydir{path: s.conf.Dir + "/" + dirKeys}
		v := verifier{dated[keys.VerifyKey]{key: keys.NewSigningKey().Public()}, 5}
		must(t, dir.put(datedName(prefixVerify, 1, 200), v.record()))
		must(t, dir.put(files(t, dir, prefix)[0], []byte("short")))
		if n, err := Open(s.conf); err == nil {
			n.close()
			t.Errorf("a damaged %s file is used", prefix)
		}
	}
}

// The chain of descriptors goes on through restarts and key changes, and says
// what is true.
func TestDescriptorChain(t *testing.T) {
	s := newServer(t, "beta.example")
	now := time.Now()
	s.conf.Now = func() time.Time { return now }
	s.start()
	first, ok := s.node.peers.Descriptor(s.domain)
	if !ok {
		t.Fatal("no descriptor")
	}
	s.halt()
	s.start()
	if same, _ := s.node.peers.Descriptor(s.domain); same.Hash() != first.Hash() {
		t.Error("a restart made another descriptor")
	}
	s.halt()
	now = now.Add(40 * 24 * time.Hour) // longer than a descriptor lives
	s.start()
	next, _ := s.node.peers.Descriptor(s.domain)
	if next.Sequence() != first.Sequence()+1 || next.Expiry() <= ids.DayOf(now) || !next.Speaks(wire.Version) {
		t.Errorf("sequence %d after %d", next.Sequence(), first.Sequence())
	}
	key, ok := next.RelayKey()
	if k, has := s.node.keyring.RelayKey(key.ID); !ok || !has || string(k.Public().Bytes()) != string(key.Key.Bytes()) {
		t.Error("the relay key of the descriptor is not the node's")
	}
	if old, _ := first.RelayKey(); old.ID == key.ID || len(next.CertificateKeys(ids.DayOf(now))) != 2 {
		t.Error("keys did not change, or the old certificate key is gone")
	}
	if !strings.Contains(next.Endpoints()[0], ":") {
		t.Error("no endpoint")
	}
}
