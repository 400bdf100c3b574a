package ratchet

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// modelSide is what a session does, in numbers and without keys: which message
// of which chain opens, and what is kept of those that are missing.
type modelSide struct {
	sending        bool
	chain          int // number of the own sending chain, -1 before the first
	sent, prevSent int
	peerChain      int // the peer's chain that is being received, -1 before the first
	received       int
	sets           []modelSet
}

type modelSet struct {
	chain int
	n     []int
}

func (m modelSide) clone() modelSide {
	m.sets = slices.Clone(m.sets)
	for i := range m.sets {
		m.sets[i].n = slices.Clone(m.sets[i].n)
	}
	return m
}

// modelMessage is a message under way, in numbers and in bytes.
type modelMessage struct {
	chain, n, prev int
	text, bytes    []byte
}

func (m *modelSide) encrypt() modelMessage {
	if !m.sending {
		m.sending = true
		m.chain++
		m.prevSent, m.sent = m.sent, 0
	}
	m.sent++
	return modelMessage{chain: m.chain, n: m.sent - 1, prev: m.prevSent}
}

func (m *modelSide) add(cfg Config, chain, from, to int) {
	if from >= to {
		return
	}
	i := slices.IndexFunc(m.sets, func(s modelSet) bool { return s.chain == chain })
	if i < 0 {
		m.sets = append(m.sets, modelSet{chain: chain})
		i = len(m.sets) - 1
	}
	for ; from < to; from++ {
		m.sets[i].n = append(m.sets[i].n, from)
	}
	if len(m.sets) > MaxSkippedSets {
		m.sets = m.sets[1:]
	}
	count := 0
	for _, s := range m.sets {
		count += len(s.n)
	}
	for ; count > cfg.MaxSkipped; count-- {
		if m.sets[0].n = m.sets[0].n[1:]; len(m.sets[0].n) == 0 {
			m.sets = m.sets[1:]
		}
	}
}

// decrypt says how a message must be received, and changes the model if well.
func (m *modelSide) decrypt(cfg Config, x modelMessage) error {
	switch {
	case x.chain == m.peerChain && x.n >= m.received:
		if x.n-m.received > cfg.MaxJump {
			return ErrTooFarAhead
		}
		m.add(cfg, x.chain, m.received, x.n)
		m.received = x.n + 1
		return nil
	case x.chain == m.peerChain+1:
		if x.n > cfg.MaxJump {
			return ErrTooFarAhead
		}
		if m.peerChain >= 0 {
			m.add(cfg, m.peerChain, m.received, min(x.prev, m.received+cfg.MaxJump))
		}
		m.add(cfg, x.chain, 0, x.n)
		m.peerChain, m.received, m.sending = x.chain, x.n+1, false
		return nil
	}
	for i := range m.sets {
		if m.sets[i].chain != x.chain {
			continue
		}
		j := slices.Index(m.sets[i].n, x.n)
		if j < 0 {
			return ErrReplay
		}
		m.sets[i].n = slices.Delete(m.sets[i].n, j, j+1)
		if len(m.sets[i].n) == 0 {
			m.sets = slices.Delete(m.sets, i, i+1)
		}
		return nil
	}
	if x.chain == m.peerChain {
		return ErrReplay
	}
	return ErrWrongSession
}

// modelClient is a side with its session, both as in memory and as stored.
type modelClient struct {
	cfg     Config
	session *Session // nil: a responder that has received nothing
	model   modelSide
	stored  []byte
	saved   modelSide
	inbox   []modelMessage // under way to it, and copies of what has arrived
}

// save is the client's batch; crash loses what was not in one.
func (c *modelClient) save() { c.stored, c.saved = c.session.Marshal(), c.model.clone() }

func (c *modelClient) crash(t *rapid.T) {
	c.model = c.saved.clone()
	if c.stored == nil {
		c.session = nil
		return
	}
	s, err := UnmarshalSession(c.cfg, c.stored)
	if err != nil || !bytes.Equal(s.Marshal(), c.stored) {
		t.Fatal("stored session:", err)
	}
	c.session = s
}

func (c *modelClient) send(t *rapid.T, to *modelClient) {
	if c.session == nil {
		return
	}
	x := c.model.encrypt()
	x.text = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "text")
	var err error
	if x.bytes, err = c.session.Encrypt(x.text, []byte("ad")); err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 9).Draw(t, "crash before storing") == 0 {
		c.crash(t) // the message has not left
		return
	}
	c.save()
	to.inbox = append(to.inbox, x)
}

func (c *modelClient) receive(t *rapid.T, first *PrekeyMessage) {
	if len(c.inbox) == 0 {
		return
	}
	i := rapid.IntRange(0, len(c.inbox)-1).Draw(t, "which")
	x := c.inbox[i]
	crash := rapid.IntRange(0, 9).Draw(t, "crash before storing") == 0
	if !crash && rapid.IntRange(0, 3).Draw(t, "stays under way") > 0 {
		c.inbox = slices.Delete(c.inbox, i, i+1)
	}
	want := c.model.decrypt(c.cfg, x)
	var got, before []byte
	var err error
	if c.session == nil {
		var s *Session
		if s, got, _, err = AcceptSession(c.cfg, bob.Identity, bob, *first, alice.peer(), x.bytes, []byte("ad")); err == nil {
			c.session = s
		}
	} else {
		before = c.session.Marshal()
		got, err = c.session.Decrypt(x.bytes, []byte("ad"))
	}
	if !errors.Is(err, want) || want == nil && !bytes.Equal(got, x.text) {
		t.Fatalf("message %d of chain %d: %v, want %v", x.n, x.chain, err, want)
	}
	switch {
	case err != nil:
		if before != nil && !bytes.Equal(before, c.session.Marshal()) {
			t.Fatal("a refused message changed the session")
		}
	case crash:
		c.crash(t) // not acknowledged: it comes again
	default:
		c.save()
	}
}

// Any order of sending, receiving, loss, repetition, damage and crashes on both
// sides does what the model says, down to which keys the limits leave.
func TestAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, err := VerifyBundle(bob.bundle(false), bob.signing.Public())
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{MaxJump: rapid.IntRange(1, 8).Draw(t, "jump"), MaxSkipped: rapid.IntRange(1, 12).Draw(t, "skipped")}
		s, err := InitiateSession(cfg, alice.Identity, bob.peer(), v)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := s.PrekeyHeader()
		none := modelSide{chain: -1, peerChain: -1}
		a := &modelClient{cfg: cfg, session: s, model: none}
		a.save()
		// A responder has never sent, but may: its first chain is number 0.
		b := &modelClient{cfg: cfg, model: none, saved: none}
		t.Repeat(map[string]func(*rapid.T){
			"a sends":       func(t *rapid.T) { a.send(t, b) },
			"b sends":       func(t *rapid.T) { b.send(t, a) },
			"a receives":    func(t *rapid.T) { a.receive(t, nil) },
			"b receives":    func(t *rapid.T) { b.receive(t, &first) },
			"b receives +":  func(t *rapid.T) { b.receive(t, &first) },
			"a restarts":    func(t *rapid.T) { a.crash(t) },
			"b restarts":    func(t *rapid.T) { b.crash(t) },
			"a gets damage": func(t *rapid.T) { a.damage(t) },
			"b gets damage": func(t *rapid.T) { b.damage(t) },
			"": func(t *rapid.T) {
				for _, c := range []*modelClient{a, b} {
					if c.session != nil && len(c.session.skipped.sets) != len(c.model.sets) {
						t.Fatalf("%d chains of missing messages, want %d", len(c.session.skipped.sets), len(c.model.sets))
					}
				}
				if _, waiting := a.session.PrekeyHeader(); waiting != (a.model.peerChain < 0) {
					t.Fatal("prekey header")
				}
			},
		})
	})
}

func (c *modelClient) damage(t *rapid.T) {
	if c.session == nil || len(c.inbox) == 0 {
		return
	}
	m := bytes.Clone(rapid.SampledFrom(c.inbox).Draw(t, "damaged").bytes)
	m[rapid.IntRange(0, len(m)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
	before := c.session.Marshal()
	if got, err := c.session.Decrypt(m, []byte("ad")); err == nil || got != nil {
		t.Fatal("a damaged message opens")
	}
	if !bytes.Equal(before, c.session.Marshal()) {
		t.Fatal("a damaged message changed the session")
	}
}
