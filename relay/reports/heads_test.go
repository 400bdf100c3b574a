package reports

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
)

// The log goes on in further segments, over restarts, and whoever kept a file of it
// is shown that nothing of it was changed.
func TestLogGoesOn(t *testing.T) {
	p := newProvider(t, "alpha.example", begin)
	trusted := func(root keys.VerifyKey) bool { return root == p.root.Public() }
	var files [][]byte
	const entries = 11
	for i := range entries {
		p.audit.limit = 3
		must(t, p.note(t.Context(), &Entry{Act: ActLifted, Reviewer: string(rune('a' + i))}, begin))
		at := begin.Add(time.Duration(i) * time.Minute)
		for _, since := range files {
			f, err := p.LogFile(t.Context(), franking.LogTrail, since, at)
			must(t, err)
			head, continued, err := franking.ReadLogFile(f, trusted)
			must(t, err)
			old, _, err := franking.ReadLogFile(since, trusted)
			must(t, err)
			if *continued != *old || head.Head() != p.OwnHeads()[franking.LogTrail] {
				t.Fatalf("%v continues %v", head, continued)
			}
		}
		f, err := p.LogFile(t.Context(), franking.LogTrail, nil, at)
		must(t, err)
		files = append(files, f)
		if i%2 == 0 {
			p.open(begin)
		}
	}
	if p.audit.log.Head().Segment < 4 {
		t.Fatal("still in an early segment")
	}
	for from := range uint64(6) {
		all, err := p.Trail(t.Context(), from, 100)
		must(t, err)
		if from == 0 && len(all) != entries || all[len(all)-1].Reviewer != "k" {
			t.Errorf("from %d: %d entries", from, len(all))
		}
	}
	if two, err := p.Trail(t.Context(), 2, 2); err != nil || len(two) != 2 || two[0].Reviewer != "c" || two[1].Reviewer != "d" {
		t.Errorf("across segments: %+v, %v", two, err)
	}

	// A file that was changed, of another log, or by another provider.
	for i := range files[0] {
		bad := bytes.Clone(files[0])
		bad[i] ^= 1 << (i % 8)
		if _, _, err := franking.ReadLogFile(bad, trusted); err == nil {
			t.Fatalf("byte %d is not covered", i)
		}
	}
	if _, err := p.LogFile(t.Context(), franking.LogOpenings, files[0], begin); !errors.Is(err, franking.ErrForked) {
		t.Errorf("since another log: %v", err)
	}
	other := newProvider(t, "alpha.example", begin)
	if _, err := other.LogFile(t.Context(), franking.LogTrail, files[0], begin); !errors.Is(err, franking.ErrLogRoot) {
		t.Errorf("since another provider's: %v", err)
	}
	// The same provider with another log: what was shown cannot be continued.
	other = &provider{t: t, domain: p.domain, root: p.root, files: p.files, store: store.NewMemory(store.MemoryConfig{})}
	other.open(begin)
	for range entries {
		must(t, other.note(t.Context(), &Entry{Act: ActLifted, Reviewer: "z"}, begin))
	}
	f, err := other.LogFile(t.Context(), franking.LogTrail, files[2], begin.Add(time.Hour))
	if err == nil {
		_, _, err = franking.ReadLogFile(f, trusted)
	}
	if !errors.Is(err, franking.ErrLogFile) {
		t.Errorf("another log continues the one that was kept: %v", err)
	}
}

// What a peer shows of its log is kept, and a log that was changed is noticed once.
func TestPeersLogIsKept(t *testing.T) {
	w := newCrashWorld(t, &faults{at: -1})
	ctx := t.Context()
	asked := 0
	learn := func(s *server) error {
		head, err := s.Publication(ctx, &wire.Publish{Kind: wire.PublicationLogHead, Provider: s.domain}, w.now)
		must(t, err)
		return w.beta.LearnHead(ctx, w.now, w.alpha.domain, w.alpha.root.Public(), head, func(id [32]byte) ([]byte, error) {
			asked++
			return s.Publication(ctx, &wire.Publish{Kind: wire.PublicationLogProof, Provider: s.domain, ID: id}, w.now)
		})
	}
	must(t, learn(w.alpha))
	must(t, w.fetch())
	for i := range 5 {
		w.now = w.now.Add(time.Minute)
		id, sealed := w.report(w.write(uint64(i+1), "one"))
		w.take("report", sealed)
		w.decide(id, franking.ActionWarn, "dora")
		must(t, w.deliver())
	}
	// Within the hour nobody is shown more.
	must(t, learn(w.alpha))
	if kept, err := w.beta.KeptHeads(ctx); err != nil || len(kept) != 1 || kept[0].Size != 0 || asked != 0 {
		t.Errorf("kept %+v, %v", kept, err)
	}
	w.now = w.now.Add(headEvery)
	must(t, learn(w.alpha))
	kept, err := w.beta.KeptHeads(ctx)
	must(t, err)
	if len(kept) != 1 || kept[0].Head() != w.alpha.OwnHeads()[franking.LogOpenings] || kept[0].Segment != 2 || asked != 1 {
		t.Errorf("kept %+v, asked for %d proofs", kept, asked)
	}
	// No proof of what was not shown, and none of the own audit log.
	shown := kept[0].Head()
	more := shown
	more.Size++
	for name, id := range map[string][32]byte{
		"more":    ProofID(franking.LogOpenings, shown, more),
		"trail":   ProofID(franking.LogTrail, auditlog.Head{Segment: 1, Size: 1}, auditlog.Head{Segment: 1, Size: 2}),
		"nothing": {},
		"back":    ProofID(franking.LogOpenings, shown, auditlog.Head{Segment: 1, Size: 2}),
	} {
		if _, err := w.alpha.Publication(ctx, &wire.Publish{Kind: wire.PublicationLogProof, Provider: w.alpha.domain, ID: id}, w.now); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Alpha comes back from a backup, and opens other tokens.
	lost := w.server("alpha.example")
	lost.root, lost.files = w.alpha.root, w.alpha.files
	w.start(lost)
	for range 2 {
		if err := learn(lost); !errors.Is(err, ErrForkedLog) {
			t.Fatalf("a log that lost its entries: %v", err)
		}
	}
	if n := w.count(w.beta, ActForked); n != 1 {
		t.Errorf("noted %d times", n)
	}
	if kept, err := w.beta.KeptHeads(ctx); err != nil || !kept[0].Forked || kept[0].Head() != shown {
		t.Errorf("kept %+v, %v", kept, err)
	}
	must(t, w.beta.ForgetHead(ctx, w.now, w.alpha.domain))
	must(t, learn(lost))
	if err := w.beta.ForgetHead(ctx, w.now, w.beta.domain); !errors.Is(err, ErrUnknown) {
		t.Errorf("forgotten what is not kept: %v", err)
	}
	// A head of somebody else's.
	head, err := w.beta.Head(franking.LogOpenings, w.now)
	must(t, err)
	if err := w.beta.LearnHead(ctx, w.now, w.alpha.domain, w.alpha.root.Public(), head, nil); !errors.Is(err, franking.FaultAnswer) {
		t.Errorf("another provider's head: %v", err)
	}
}

// An opening is known by its report in a later segment, for as long as a verdict on
// it can come.
func TestOpeningsAreKnownAcrossSegments(t *testing.T) {
	w := newCrashWorld(t, &faults{at: -1})
	ctx := t.Context()
	must(t, w.fetch())
	var verdicts [][]byte
	for i := range 7 {
		w.now = w.now.Add(time.Minute)
		id, sealed := w.report(w.write(uint64(i+1), "one"))
		w.take("report", sealed)
		w.decide(id, franking.ActionWarn, "dora")
		pending, err := w.beta.Pending(ctx, w.alpha.domain)
		must(t, err)
		verdicts = append(verdicts, pending[0].Verdict)
		must(t, w.deliver())
	}
	if h := w.alpha.OwnHeads()[franking.LogOpenings]; h.Segment < 3 {
		t.Fatalf("still in %v", h)
	}
	for range 2 {
		for i, v := range verdicts {
			must(t, w.alpha.put(ctx, openedKey(w.beta.domain, v), nil)) // the answer was lost
			before := w.openings("again")
			if _, err := w.alpha.OpenVerdict(ctx, w.now, w.beta.domain, w.beta.root.Public(), v); err != nil {
				t.Errorf("verdict %d again: %v", i, err)
			}
			if after := w.openings("again"); after != before {
				t.Errorf("verdict %d is in the log twice", i)
			}
		}
		w.reopen()
	}
}
