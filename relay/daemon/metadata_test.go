package daemon_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waxwing/core/query"
	"waxwing/core/wire"
)

// TestMetadata holds two running providers to docs/metadata.md: with two senders
// at alpha and two mailboxes at beta, messages both ways, a block, and both
// restarted, one of them by kill -9. Then what each of them stored, logged,
// counted, held in memory and said and heard inside TLS is cut into fields, and
// no field holds what its row does not allow. Then leaks are planted, and each
// is found.
func TestMetadata(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	w := newWorld(ctx, t)
	alpha, beta, memory := w.happen()

	outboxes := outboxesTo(w.alpha.domain, w.beta.domain)
	seen := newScanner(w.allow, nil).seen
	for _, side := range []struct {
		p  *provider
		ev *evidence
	}{{w.alpha, alpha}, {w.beta, beta}} {
		s := newScanner(w.allow, w.needles(side.p))
		s.seen = seen
		s.examine(t, side.ev, outboxes)
		for _, f := range s.findings() {
			t.Errorf("%s: %s, %s: %s (%d times)", side.p.domain, f.place, f.field, f.kind, s.found[f])
		}
	}
	if len(memory) != 2 {
		t.Log("the system does not let one process read another's memory: it was not searched")
	}
	for p, s := range memory {
		for _, f := range s.findings() {
			t.Errorf("%s: %s: %s (%d times)", p.domain, f.place, f.kind, s.found[f])
		}
		if s.seen["memory"]["content"][ownAddress] == 0 {
			t.Errorf("%s: its own accounts are not found in its memory", p.domain)
		}
	}
	t.Run("found", func(t *testing.T) { checkSeen(t, w.allow, seen) })
	t.Run("nobody's", func(t *testing.T) {
		for _, p := range []*provider{w.alpha, w.beta} {
			checkNobody(t, p)
		}
	})
	t.Run("lengths", func(t *testing.T) { checkLengths(t, alpha, beta) })
	t.Run("profiles", func(t *testing.T) { w.checkProfiles(t) })
	if t.Failed() {
		return // beside real leaks, planted ones prove nothing
	}
	t.Run("planted", func(t *testing.T) { w.plantLeaks(t, alpha, beta) })
}

// checkNobody: clients submit with tokens, on connections on which nothing is said
// that is an account's, and no token comes with two envelopes.
func checkNobody(t *testing.T, p *provider) {
	t.Helper()
	types, tokens, submitted := map[uint32]map[wire.FrameType]bool{}, map[string]string{}, map[uint32]bool{}
	for _, f := range p.recorded() {
		if types[f.Conn] == nil {
			types[f.Conn] = map[wire.FrameType]bool{}
		}
		types[f.Conn][f.Type] = true
		if f.Type != wire.TypeSubmit {
			continue
		}
		var m wire.Submit
		must(t, wire.Unmarshal(f.Body, &m))
		submitted[f.Conn] = true
		if m.Auth != wire.AuthToken {
			t.Errorf("%s: an envelope came as an account's", p.domain)
			continue
		}
		if before, ok := tokens[string(m.Token)]; ok && before != string(m.Envelope) {
			t.Errorf("%s: one token came with two envelopes", p.domain)
		}
		tokens[string(m.Token)] = string(m.Envelope)
	}
	if len(submitted) == 0 {
		t.Errorf("%s: nothing was submitted", p.domain)
	}
	for c := range submitted {
		for typ := range types[c] {
			if typ != wire.TypeSubmit && typ != wire.TypeAck && typ != wire.TypeRefused {
				t.Errorf("%s: a connection that submits also has %v", p.domain, typ)
			}
		}
	}
}

// happen is what the users and operators do.
func (w *world) happen() (alpha, beta *evidence, memory map[*provider]*scanner) {
	w.t.Helper()
	memory = map[*provider]*scanner{}
	look := func(p *provider) {
		if s := newScanner(w.allow, w.needles(p)); s.memory(w.t, p) {
			memory[p] = s
		}
	}
	w.alice.meet(w.bob)
	w.carol.meet(w.bob)
	w.carol.meet(w.dave)
	for range 3 {
		w.talk(w.alice, w.bob)
		w.talk(w.bob, w.alice)
		w.talk(w.carol, w.bob)
		w.talk(w.bob, w.carol)
		w.talk(w.carol, w.dave)
		w.talk(w.dave, w.carol)
	}
	// Carol writes into a block, which takes scratch rows and struck serials,
	// and again when it is over.
	must(w.t, w.bob.c.Block(w.t.Context(), w.carol.address))
	disposed := `waxwing_envelopes_total{from="peer",result="disposed_struck"}`
	w.leave(w.carol, w.bob)
	await(w.t, w.alice.ctx, "a message to be disposed of", func() bool { return w.beta.counter(disposed) > 0 })
	must(w.t, w.bob.c.Unblock(w.t.Context(), w.carol.address))
	w.talk(w.bob, w.carol)
	w.talk(w.carol, w.bob)

	// What operators do meanwhile.
	w.alpha.operate()
	w.beta.operate()
	w.talk(w.alice, w.bob)

	// What waits in mailboxes when beta is killed.
	w.bob.disconnect()
	w.dave.disconnect()
	waiting := []string{w.leave(w.alice, w.bob), w.leave(w.carol, w.dave)}
	delivered := `waxwing_envelopes_total{from="peer",result="delivered"}`
	await(w.t, w.alice.ctx, "what was left to arrive", func() bool {
		return w.beta.counter(delivered) >= w.alpha.counter("waxwing_relayed_total")-w.beta.counter(disposed) &&
			w.alpha.counter("waxwing_relayed_total") >= w.alpha.counter(`waxwing_envelopes_total{from="client",result="queued"}`)
	})
	look(w.beta)
	kept := [][]byte{w.beta.scraped}
	w.beta.kill()
	betaKilled := filepath.Join(w.root, "beta-killed")
	copyTree(w.t, w.beta.dir, betaKilled)

	// What waits in the outbox when alpha is stopped.
	waiting = append(waiting, w.leave(w.alice, w.bob), w.leave(w.carol, w.bob))
	look(w.alpha)
	keptAlpha := [][]byte{[]byte(w.alpha.scrape())}
	alphaRunning, alphaStopped := filepath.Join(w.root, "alpha-running"), filepath.Join(w.root, "alpha-stopped")
	copyTree(w.t, w.alpha.dir, alphaRunning)
	w.alpha.stop()
	copyTree(w.t, w.alpha.dir, alphaStopped)

	w.alpha.start()
	w.beta.start()
	w.bob.connect()
	w.dave.connect()
	w.bob.reads(waiting[0])
	w.dave.reads(waiting[1])
	w.bob.reads(waiting[2])
	w.bob.reads(waiting[3])
	w.talk(w.alice, w.bob)
	w.talk(w.bob, w.alice)
	w.talk(w.dave, w.carol)
	for _, u := range w.users() {
		u.close()
		w.secrets = append(w.secrets, u.secrets()...)
	}
	kept, keptAlpha = append(kept, []byte(w.beta.scrape())), append(keptAlpha, []byte(w.alpha.scrape()))
	w.alpha.stop()
	w.beta.stop()
	alphaEnd, betaEnd := filepath.Join(w.root, "alpha-end"), filepath.Join(w.root, "beta-end")
	copyTree(w.t, w.alpha.dir, alphaEnd)
	copyTree(w.t, w.beta.dir, betaEnd)
	alpha, beta = w.alpha.collect(alphaRunning, alphaStopped, alphaEnd), w.beta.collect(betaKilled, betaEnd)
	alpha.metrics, beta.metrics = keptAlpha, kept
	return alpha, beta, memory
}

// checkSeen wants the scan to have found what has to be there: a scan that finds
// nothing proves nothing.
func checkSeen(t *testing.T, a allowList, seen map[string]map[string]map[kind]int) {
	for _, must := range []finding{
		{"client frame Auth", "address", ownAddress},
		{"client frame Session", "mailbox", ownMailbox},
		{"client frame Submit", "dest", otherDomain},
		{"in envelope", "ticket", aTicket},
		{"in delivery", "ticket", aTicket},
		{"in manifest", "identity key", ownKey},
		{"in manifest", "devices[].DH key", ownKey},
		{"in mailbox key", "W", ownKey},
		{"in certificate", "X_S", ownKey},
		{"row mailbox chunk", "mailbox", ownMailbox},
		{"row outbox chunk", "mailbox", otherDomain},
		{"document dir/account", "key.address", ownAddress},
		{"document peer/entry", "key.domain", otherDomain},
		{"document limit/change", "key.domain", otherDomain},
		{"client frame IssuedTokens", "tokens", ownToken},
		{"file store/*.vlog", "content", aTicket},
		{"file store/*.mem", "content", ownMailbox},
		{"file store/*.mem", "content", ownAddress},
		{"file domain", "content", ownDomain},
	} {
		if seen[must.place][must.field][must.kind] == 0 {
			t.Errorf("the scan never came upon the %s in %s, %s", must.kind, must.place, must.field)
		}
	}
	// Rows of the document that this run did not come upon are named with -v.
	for place, fields := range a {
		for field := range fields {
			if seen[place][field] == nil {
				t.Logf("not in this run: %s, %s", place, field)
			}
		}
	}
}

// checkLengths: what one can measure from outside TLS. Every envelope has the
// length of a class, whether it carries a text, a receipt or tickets; every
// question and every answer has the one length of its kind.
func checkLengths(t *testing.T, all ...*evidence) {
	envelopes, questions, answers := map[int]int{}, map[int]int{}, map[int]int{}
	for _, ev := range all {
		for _, f := range ev.frames {
			s := newFrame(f.Type)
			if wire.Unmarshal(f.Body, s) != nil {
				t.Fatalf("a %s frame does not parse", frameName(s))
			}
			switch m := s.(type) {
			case *wire.Submit:
				envelopes[len(m.Envelope)]++
			case *wire.Forward:
				envelopes[len(m.Envelope)]++
			case *wire.Query:
				questions[len(m.Sealed)]++
				if len(m.Sealed) != query.Kind(m.Kind).QuestionSize() {
					t.Errorf("a question of kind %d has %d bytes", m.Kind, len(m.Sealed))
				}
			case *wire.Answer:
				answers[len(m.Sealed)]++
			}
		}
	}
	for n := range envelopes {
		if _, ok := wire.ClassOf(n); !ok {
			t.Errorf("%d envelopes of %d bytes", envelopes[n], n)
		}
	}
	for n := range answers {
		if n != query.KindLookup.AnswerSize() && n != query.KindRefill.AnswerSize() && n != query.KindStanding.AnswerSize() {
			t.Errorf("an answer has %d bytes", n)
		}
	}
	if len(envelopes) < 2 || questions[query.KindLookup.QuestionSize()] == 0 || answers[query.KindLookup.AnswerSize()] == 0 {
		t.Errorf("lengths of envelopes %v, questions %v, answers %v", envelopes, questions, answers)
	}
}

// checkProfiles: a client's file holds its user and who that user writes to,
// and nobody else.
func (w *world) checkProfiles(t *testing.T) {
	knows := map[*user][]*user{
		w.alice: {w.bob}, w.carol: {w.bob, w.dave}, w.bob: {w.alice, w.carol}, w.dave: {w.carol},
	}
	for u, contacts := range knows {
		n := new(needles)
		for _, other := range w.users() {
			k := otherAddress
			if other == u || slices.Contains(contacts, other) {
				k = ownAddress
			}
			n.add(k, []byte(other.address.String()))
			n.add(k, []byte(other.address.Local()))
		}
		s := newScanner(allowList{"file profile.db": {"content": {may: map[kind]bool{ownAddress: true}}}}, n)
		s.files(t, u.dir)
		for _, f := range s.findings() {
			t.Errorf("the profile of %s has the %s of a stranger", u.address.Local(), f.kind)
		}
		if s.seen["file profile.db"]["content"][ownAddress] == 0 {
			t.Errorf("the profile of %s does not have its contacts", u.address.Local())
		}
	}
}
