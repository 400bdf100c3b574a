package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/store/badgerstore/badgerstoretest"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet/quicnettest"
)

// world is two providers, or three, and their users.
type world struct {
	t           *testing.T
	root        string
	allow       allowList
	alpha, beta *provider
	gamma       *provider // nil but where it is a hop

	alice, carol *user // at alpha
	bob, dave    *user // at beta
	texts        []string
	secrets      [][]byte
}

func newWorld(ctx context.Context, t *testing.T) *world {
	w := &world{t: t, root: t.TempDir(), allow: loadAllowList(t)}
	w.alpha, w.beta = newProvider(t, w.root, "alpha-metadata.example"), newProvider(t, w.root, "beta-metadata.example")
	w.alpha.federate(w.beta)
	w.beta.federate(w.alpha)
	w.alpha.start()
	w.beta.start()
	w.alice, w.carol = newUser(ctx, t, w.root, w.alpha, "alice"), newUser(ctx, t, w.root, w.alpha, "carol")
	w.bob, w.dave = newUser(ctx, t, w.root, w.beta, "bob"), newUser(ctx, t, w.root, w.beta, "dave")
	return w
}

func (w *world) providers() []*provider {
	all := []*provider{w.alpha, w.beta}
	if w.gamma != nil {
		all = append(all, w.gamma)
	}
	return all
}

func (w *world) users() []*user { return []*user{w.alice, w.carol, w.bob, w.dave} }

// talk has one write to the other, and waits until it was read.
func (w *world) talk(from, to *user) {
	w.t.Helper()
	text, _ := from.send(to)
	w.texts = append(w.texts, text)
	to.reads(text)
}

// leave has one write to another who is not there, and waits until the own
// provider has it.
func (w *world) leave(from, to *user) (text string) {
	w.t.Helper()
	text, id := from.send(to)
	w.texts = append(w.texts, text)
	from.reaches(id, state.StatusAccepted)
	return text
}

// needles returns everything that identifies somebody, as it is to one provider:
// what the users registered and what they wrote.
func (w *world) needles(at *provider) *needles {
	w.t.Helper()
	n := new(needles)
	for _, p := range w.providers() {
		is := func(own, other kind) kind {
			if p == at {
				return own
			}
			return other
		}
		n.add(is(ownDomain, otherDomain), []byte(p.domain.String()))
		box := mailbox.Outbox(p.domain)
		n.addForms(is(ownDomain, otherDomain), box[:])
		for _, u := range w.users() {
			if u != nil && u.p == p {
				n.add(is(ownAddress, otherAddress), []byte(u.address.String()))
				n.add(is(ownAddress, otherAddress), []byte(u.address.Local()))
			}
		}
		for _, f := range p.recorded() {
			if f.Peer != "" {
				continue
			}
			w.registered(n, &f, is)
		}
	}
	for _, text := range w.texts {
		n.add(aText, []byte(text))
	}
	for _, s := range w.secrets {
		n.add(aSecret, s)
	}
	return n
}

// registered takes identifiers from the frames between a provider and a client.
func (w *world) registered(n *needles, f *quicnettest.Frame, is func(own, other kind) kind) {
	w.t.Helper()
	key := is(ownKey, otherKey)
	switch f.Type {
	case wire.TypeSession:
		var m wire.Session
		must(w.t, wire.Unmarshal(f.Body, &m))
		n.add(is(ownMailbox, otherMailbox), m.Mailbox[:])
	case wire.TypeRegister:
		var m wire.Register
		var man directory.ManifestFields
		must(w.t, wire.Unmarshal(f.Body, &m))
		must(w.t, wire.Unmarshal(m.Manifest, &man))
		n.add(key, man.Identity[:])
		n.add(key, man.DH[:])
		n.add(key, man.AccountKey.Key[:])
		for _, d := range man.Devices {
			n.add(key, d.Sign[:])
			n.add(key, d.DH[:])
		}
	case wire.TypeSealKey:
		var m wire.SealKey
		var k directory.MailboxKeyFields
		must(w.t, wire.Unmarshal(f.Body, &m))
		must(w.t, wire.Unmarshal(m.Key, &k))
		n.add(key, k.Key.Bytes())
		n.add(key, k.W.Key[:])
		n.add(key, k.Z.Key[:])
	case wire.TypeIssuedTokens:
		var m wire.IssuedTokens
		var a franking.IssueAnswer
		must(w.t, wire.Unmarshal(f.Body, &m))
		must(w.t, wire.Unmarshal(m.Tokens, &a))
		for i := range a.Tokens {
			tok := &a.Tokens[i]
			hash := tok.Hash()
			for _, part := range [][]byte{tok.Key[:], tok.Wrapped[:], tok.Identity[:], hash[:]} {
				n.add(is(ownToken, otherToken), part)
			}
		}
	case wire.TypeMinted:
		var m wire.Minted
		must(w.t, wire.Unmarshal(f.Body, &m))
		for i := range m.Tickets {
			n.add(aTicket, m.Tickets[i].Ticket[:])
			n.add(is(ownTicketKey, otherTicketKey), m.Tickets[i].Key[:])
		}
	}
}

// evidence is what one provider has.
type evidence struct {
	dirs    []string // copies of its data directory
	log     []byte
	metrics [][]byte
	ready   []byte
	frames  []quicnettest.Frame
}

// collect takes what is left when a provider has ended.
func (p *provider) collect(dirs ...string) *evidence {
	p.t.Helper()
	log, err := os.ReadFile(p.log)
	must(p.t, err)
	return &evidence{dirs: dirs, log: log, ready: p.ready, frames: p.recorded()}
}

// examine scans all evidence.
func (s *scanner) examine(t *testing.T, ev *evidence, outboxes map[ids.MailboxID]bool) {
	t.Helper()
	for _, dir := range ev.dirs {
		s.files(t, dir)
		s.rows(t, filepath.Join(dir, "store"), outboxes)
	}
	for _, i := range logItems(ev.log) {
		s.scan(i)
	}
	for line := range bytes.Lines(ev.ready) {
		s.scan(outputItem(line))
	}
	for _, m := range ev.metrics {
		for _, i := range metricItems(m) {
			s.scan(i)
		}
	}
	for _, f := range ev.frames {
		s.scan(frameItem(&f))
	}
}

// files scans the files of a data directory as they are.
func (s *scanner) files(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		s.whole("file "+filepath.ToSlash(name), b)
		s.whole("file "+filepath.ToSlash(name), []byte(name+"        ")) // keys are found in names too
		return err
	}))
}

// rows scans the rows of a store.
func (s *scanner) rows(t *testing.T, dir string, outboxes map[ids.MailboxID]bool) {
	t.Helper()
	rows, err := badgerstoretest.Dump(dir)
	must(t, err)
	for _, r := range rows {
		s.scan(rowItem(r, outboxes))
	}
}

// memory scans what a running process can write to in its memory, files that
// are mapped excepted. False if the system does not let us.
func (s *scanner) memory(t *testing.T, p *provider) bool {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	maps, err := os.Open(proc + "maps")
	if err != nil {
		return false
	}
	defer maps.Close()
	mem, err := os.Open(proc + "mem")
	if err != nil {
		return false
	}
	defer mem.Close()
	read := 0
	for scan := bufio.NewScanner(maps); scan.Scan(); {
		var from, to int64
		var perms string
		var offset, device string
		var inode int64
		if n, _ := fmt.Sscanf(scan.Text(), "%x-%x %s %s %s %d", &from, &to, &perms, &offset, &device, &inode); n < 6 || inode != 0 || !strings.HasPrefix(perms, "rw") {
			continue
		}
		b := make([]byte, to-from)
		n, _ := mem.ReadAt(b, from) // some cannot be read
		read += n
		s.whole("memory", b[:n])
	}
	return read > 1<<20
}
