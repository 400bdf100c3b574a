package daemon_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"waxwing/core/wire"
)

// newWorldWithHop is alice at alpha and bob at beta, and gamma, through which alice asks.
func newWorldWithHop(ctx context.Context, t *testing.T) *world {
	w := &world{t: t, root: t.TempDir(), allow: loadAllowList(t)}
	w.alpha, w.beta = newProvider(t, w.root, "alpha-hop.example"), newProvider(t, w.root, "beta-hop.example")
	w.gamma = newProvider(t, w.root, "gamma-hop.example")
	w.gamma.flags = []string{"--hop", "on"}
	w.alpha.federate(w.beta, w.gamma)
	w.beta.federate(w.alpha, w.gamma)
	w.gamma.federate(w.alpha, w.beta)
	for _, p := range w.providers() {
		p.start()
	}
	w.alice, w.bob = newUser(ctx, t, w.root, w.alpha, "alice"), newUser(ctx, t, w.root, w.beta, "bob")
	must(t, w.alice.c.SetHop(w.gamma.domain, w.gamma.pin))
	return w
}

// TestMetadataOfHop holds three running providers to docs/metadata.md where alice looks bob
// up, gets the day's credential, introduces herself and writes with him, and asks it all
// through gamma: what each of the three stored, logged, counted, said and heard.
func TestMetadataOfHop(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	w := newWorldWithHop(ctx, t)
	must(t, w.alice.c.AddAddress(ctx, w.bob.address, ""))
	text, _ := w.alice.send(w.bob)
	w.texts = append(w.texts, text)
	await(t, ctx, "alice's request", func() bool {
		asked, err := w.bob.c.Requests()
		must(t, err)
		return len(asked) == 1
	})
	must(t, w.bob.c.Accept(ctx, w.alice.address))
	w.bob.reads(text)
	for range 3 {
		w.talk(w.bob, w.alice)
		w.talk(w.alice, w.bob)
	}
	for _, u := range []*user{w.alice, w.bob} {
		u.close()
		w.secrets = append(w.secrets, u.secrets()...)
	}
	outboxes := outboxesTo(w.alpha.domain, w.beta.domain, w.gamma.domain)
	for _, p := range w.providers() {
		metrics := []byte(p.scrape())
		p.stop()
		end := filepath.Join(w.root, p.domain.String()+"-end")
		copyTree(t, p.dir, end)
		ev := p.collect(end)
		ev.metrics = [][]byte{metrics}
		s := newScanner(w.allow, w.needles(p))
		s.examine(t, ev, outboxes)
		for _, f := range s.findings() {
			t.Errorf("%s: %s, %s: %s (%d times)", p.domain, f.place, f.field, f.kind, s.found[f])
		}
	}
	w.checkHop(t)
}

// checkHop: alpha carries none of alice's questions; gamma has each on a connection of its
// own, on which nobody says who it is; beta has them from gamma alone.
func (w *world) checkHop(t *testing.T) {
	t.Helper()
	for _, f := range w.alpha.recorded() {
		if f.Type == wire.TypeQuery && f.Peer == "" {
			t.Error("alpha was asked to carry a question")
		}
	}
	said := map[uint32]map[wire.FrameType]int{}
	for _, f := range w.gamma.recorded() {
		if f.Peer != "" {
			continue
		}
		if said[f.Conn] == nil {
			said[f.Conn] = map[wire.FrameType]int{}
		}
		said[f.Conn][f.Type]++
	}
	asked := 0
	for _, types := range said {
		asked += types[wire.TypeQuery]
		for typ, n := range types {
			switch {
			case typ != wire.TypeHello && typ != wire.TypeQuery && typ != wire.TypeAnswer && typ != wire.TypeRefusal:
				t.Errorf("a connection to the hop has %v", typ)
			case n > 1:
				t.Errorf("a connection to the hop has %d of %v", n, typ)
			}
		}
	}
	if asked < 2 { // a lookup and a refill
		t.Errorf("%d questions came to the hop", asked)
	}
	from := map[string]int{}
	for _, f := range w.beta.recorded() {
		if f.Type == wire.TypeQuery && f.Peer != "" && !f.Sent {
			from[f.Peer]++
		}
	}
	if from[w.gamma.domain.String()] < asked || from[w.alpha.domain.String()] != 0 {
		t.Errorf("beta was asked: %v, of %d", from, asked)
	}
}
