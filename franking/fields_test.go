package franking

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/attachment"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// encoded are all structures of this package with what refuses a changed one.
func encoded(t testing.TB, w *world) map[string]struct {
	raw   []byte
	new   func() wire.Schema
	check func([]byte) error // nil if only the form can be checked
} {
	type entry = struct {
		raw   []byte
		new   func() wire.Schema
		check func([]byte) error
	}
	s := w.hello(t)
	m := w.substantiate(t, s.e)
	verdict, err := m.Countersign(w.decision(), w.b.countersign, noon)
	if err != nil {
		t.Fatal(err)
	}
	full := w.decision()
	full.Consents = allConsents
	disclosed, err := m.Countersign(full, w.b.countersign, noon)
	if err != nil {
		t.Fatal(err)
	}
	opened := w.open(t, verdict)
	answer, err := opened.Answer(ActionLimit, w.a.answer, noon)
	if err != nil {
		t.Fatal(err)
	}
	evidence, _ := s.e.Marshal()
	file := fileOf(t, attachment.ChunkSize+20)
	shown := w.sendFiles(t, file).e
	shown.Leaves = []Leaf{reveal(t, 0, file, 1)}
	leavesEvidence, err := shown.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	group, _ := w.groupMessage(t, w.bob)
	groupEvidence, _ := group.e.Marshal()
	req, mine, _ := NewRequest(w.alice.context(today), 2)
	c, err := CheckRequest(w.alice.context(today), req, today)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := c.Take(Allowance{}, 9)
	is, _ := NewIssuer(w.a.sign.Of(today), w.a.wrap.Of(today))
	issued, err := is.Issue(c, g)
	if err != nil {
		t.Fatal(err)
	}
	share, err := MakeShare(m.Verified, mustBundle(t, w, s).Escrow(), w.bob.recipient(), w.bob.z)
	if err != nil {
		t.Fatal(err)
	}
	report := wire.MustMarshal(&Report{
		ID: NewReportID(), Reason: ReasonHate, Consents: ConsentBan, Note: "é", Messages: []Evidence{*s.e},
		Escrows: []EscrowOpening{{Escrow: *mustBundle(t, w, s).Escrow(), Share: *share}},
	})
	list := wire.MustMarshal(w.list)
	key, _ := w.list.Of(today)
	entry0 := wire.MustMarshal(&openingEntry{provider: beta, reason: ReasonFraud, opened: 5})
	exported := w.export(t, s.e)
	return map[string]entry{
		"token": {wire.MustMarshal(&s.e.Token), func() wire.Schema { return new(Token) }, func(b []byte) error {
			tok, err := ParseToken(b)
			if err != nil {
				return err
			}
			return tok.verify(key)
		}},
		"evidence": {evidence, func() wire.Schema { return new(Evidence) }, nil}, // attackBits
		"group's evidence": {groupEvidence, func() wire.Schema { return new(Evidence) }, func(b []byte) error {
			e, err := ParseEvidence(b)
			if err != nil {
				return err
			}
			return errors.Join(w.verify(e), w.examine(e))
		}},
		"evidence with leaves": {leavesEvidence, func() wire.Schema { return new(Evidence) }, func(b []byte) error {
			e, err := ParseEvidence(b)
			if err != nil {
				return err
			}
			return errors.Join(w.verify(e), w.examine(e))
		}},
		"request": {wire.MustMarshal(req), func() wire.Schema { return new(IssueRequest) }, func(b []byte) error {
			r := new(IssueRequest)
			if err := wire.Unmarshal(b, r); err != nil {
				return err
			}
			_, err := CheckRequest(w.alice.context(today), r, today)
			return err
		}},
		"issued": {wire.MustMarshal(issued), func() wire.Schema { return new(IssueAnswer) }, func(b []byte) error {
			a := new(IssueAnswer)
			if err := wire.Unmarshal(b, a); err != nil {
				return err
			}
			_, err := mine.Accept(a, key)
			return err
		}},
		"bundle": {s.bundle, func() wire.Schema { return new(BundleFields) }, func(b []byte) error {
			_, err := CheckBundle(b, w.alice.sender(), w.bob.recipient(), &s.e.Audience, w.snapshot)
			return err
		}},
		"epoch keys": {list, func() wire.Schema { return new(EpochKeys) }, func(b []byte) error {
			_, err := ParseEpochKeys(b, alpha, w.a.root.Public(), nil)
			return err
		}},
		"snapshot": {w.snapshot.Bytes(), func() wire.Schema { return new(SnapshotFields) }, func(b []byte) error {
			_, err := ParseSnapshot(b, beta, w.b.root.Public())
			return err
		}},
		"desk": {w.b.desk.Bytes(), func() wire.Schema { return new(DeskFields) }, func(b []byte) error {
			_, err := ParseDesk(b, beta, w.b.root.Public())
			return err
		}},
		"report": {report, func() wire.Schema { return new(Report) }, nil}, // sealed: TestSealedReports
		"verdict": {verdict, func() wire.Schema { return new(VerdictFields) }, func(b []byte) error {
			_, err := CheckVerdict(b, w.b.desk, alpha, w.list, noon)
			return err
		}},
		"verdict with content": {disclosed, func() wire.Schema { return new(VerdictFields) }, func(b []byte) error {
			_, err := CheckVerdict(b, w.b.desk, alpha, w.list, noon)
			return err
		}},
		"answer": {answer, func() wire.Schema { return new(AnswerFields) }, func(b []byte) error {
			_, err := ParseAnswer(b, verdict, w.a.desk)
			return err
		}},
		"opening":   {entry0, func() wire.Schema { return new(openingEntry) }, nil}, // core/auditlog
		"own token": {s.own.Marshal(), func() wire.Schema { return new(ownRecord) }, nil},
		"evidence file": {exported, func() wire.Schema { return new(exportFile) }, func(b []byte) error {
			_, err := VerifyExport(b, w.b.countersign.Public(), w.b.root.Public(), readFrame)
			return err
		}},
	}
}

// Every structure has one encoding; no shorter or longer one; and where its
// bytes are signed or proven, no bit of it can be changed.
func TestEveryField(t *testing.T) {
	w := newWorld(t)
	for name, s := range encoded(t, w) {
		t.Run(name, func(t *testing.T) {
			v := s.new()
			if err := wire.Unmarshal(s.raw, v); err != nil {
				t.Fatal(err)
			}
			if again, err := wire.Marshal(v); err != nil || !bytes.Equal(again, s.raw) {
				t.Fatal("not the same encoding again", err)
			}
			padded := name == "report"
			for n := range s.raw {
				if err := wire.Unmarshal(s.raw[:n], s.new()); !errors.Is(err, wire.ErrMalformed) {
					t.Fatalf("%d bytes: %v", n, err)
				}
			}
			if err := wire.Unmarshal(append(bytes.Clone(s.raw), 0), s.new()); (err == nil) != padded {
				t.Errorf("a byte more: %v", err)
			}
			if s.check == nil {
				return
			}
			if err := s.check(s.raw); err != nil {
				t.Fatal(err)
			}
			step := 1
			if len(s.raw) > 400 && name != "verdict" { // one bit of each byte; attackBits flips all of evidence
				step = 8
			}
			for bit := 0; bit < len(s.raw)*8; bit += step {
				at := bit + bit/8%step
				bad := bytes.Clone(s.raw)
				bad[at/8] ^= 1 << (at % 8)
				if s.check(bad) == nil {
					t.Fatalf("bit %d of byte %d is not covered", at%8, at/8)
				}
			}
		})
	}
}

// The same for bundles against the limit that heads leave for them.
func TestBundleFitsAHead(t *testing.T) {
	const room = 961 // sealedsender's place for a whole bundle
	if MaxBundle > room {
		t.Errorf("%d bytes", MaxBundle)
	}
	w := newWorld(t)
	if s := w.hello(t); len(s.bundle) > MaxBundle || len(s.bundle) != MaxBundle-ids.MaxDomain+len("alpha.example") {
		t.Errorf("%d bytes", len(s.bundle))
	}
}

func TestSealedReports(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	sizes := map[int]bool{}
	for _, n := range []int{0, 1, 2000, 5000, 40_000} {
		e := *s.e
		e.Frame = frame(1, Digest{}, strings.Repeat("x", n))
		r := &Report{ID: NewReportID(), Reason: ReasonSpam, Messages: []Evidence{e}}
		sealed, err := r.Seal(w.b.desk, bob)
		if err != nil {
			t.Fatal(err)
		}
		sizes[len(sealed)] = true
		got, err := OpenReport(sealed, w.b.seal, w.b.desk, bob)
		if err != nil || got.ID != r.ID || !bytes.Equal(got.Messages[0].Frame, e.Frame) {
			t.Fatal(err)
		}
		_, err = OpenReport(sealed, w.b.seal, w.b.desk, carol)
		wants(t, "uploaded by carol", err, ErrReport)
		_, err = OpenReport(sealed, w.b.seal, w.a.desk, bob)
		wants(t, "for another desk", err, ErrReport)
		_, err = OpenReport(sealed, w.a.seal, w.b.desk, bob)
		wants(t, "another key", err, ErrReport)
		places := []int{0, keys.SealEncSize, len(sealed) - 1}
		if n == 0 {
			for at := range sealed {
				places = append(places, at)
			}
		}
		for _, at := range places {
			bad := bytes.Clone(sealed)
			bad[at] ^= 1 << (at % 8)
			_, err = OpenReport(bad, w.b.seal, w.b.desk, bob)
			wants(t, "changed", err, ErrReport)
		}
	}
	if len(sizes) != 3 {
		t.Errorf("%d sizes of sealed reports", len(sizes))
	}
	// What is sealed and no report, or no class.
	for _, plain := range [][]byte{nil, make([]byte, 4<<10), []byte("x")} {
		sealed, _, err := w.b.desk.seal.Seal(w.b.desk.reportInfo(), reportData(bob), plain)
		if err != nil {
			t.Fatal(err)
		}
		_, err = OpenReport(sealed, w.b.seal, w.b.desk, bob)
		wants(t, "no report", err, ErrReport)
	}
	_, err := OpenReport(make([]byte, MaxReport+1), w.b.seal, w.b.desk, bob)
	wants(t, "too long", err, ErrReport)
	m := w.substantiate(t, s.e)
	share, err := MakeShare(m.Verified, mustBundle(t, w, s).Escrow(), w.bob.recipient(), w.bob.z)
	if err != nil {
		t.Fatal(err)
	}
	esc := &Report{Reason: ReasonSpam, Messages: []Evidence{*s.e}, Escrows: []EscrowOpening{{Escrow: *mustBundle(t, w, s).Escrow(), Share: *share}}}
	plain, err := wire.MarshalPadded(esc, reportClasses[0])
	if err != nil {
		t.Fatal(err)
	}
	sealed, _, err := w.b.desk.seal.Seal(w.b.desk.reportInfo(), reportData(bob), plain)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenReport(sealed, w.b.seal, w.b.desk, bob)
	wants(t, "a share without consent, sealed all the same", err, ErrReport)
	_, err = esc.Seal(w.b.desk, bob)
	wants(t, "a share without consent", err, wire.ErrMalformed)
	for name, r := range map[string]*Report{
		"no message": {Reason: ReasonSpam}, "no reason": {Messages: []Evidence{*s.e}},
		"unknown reason":  {Reason: reasonEnd, Messages: []Evidence{*s.e}},
		"unknown consent": {Reason: ReasonSpam, Consents: 8, Messages: []Evidence{*s.e}},
		"long note":       {Reason: ReasonSpam, Note: strings.Repeat("x", MaxNote+1), Messages: []Evidence{*s.e}},
		"note":            {Reason: ReasonSpam, Note: "\xff", Messages: []Evidence{*s.e}},
		"escrow of no message": {Reason: ReasonSpam, Consents: ConsentBan, Messages: []Evidence{*s.e}, Escrows: []EscrowOpening{
			{Message: 1, Escrow: *mustBundle(t, w, s).Escrow()},
		}},
	} {
		_, err := r.Seal(w.b.desk, bob)
		wants(t, name, err, wire.ErrMalformed)
	}
}

// export is an evidence file of one message.
func (w *world) export(t testing.TB, e *Evidence) []byte {
	t.Helper()
	x := &Export{Report: ReportID{4}, Reader: bob, Messages: []Evidence{*e}, Findings: []Fault{FaultNone}, Snapshots: []*Snapshot{w.snapshot}, Verdict: []byte("verdict"), Answer: []byte("answer")}
	b, err := x.Sign(beta, w.b.countersign, noon)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	file := w.export(t, s.e)
	x, err := VerifyExport(file, w.b.countersign.Public(), w.b.root.Public(), readFrame)
	if err != nil {
		t.Fatal(err)
	}
	if m := x.Messages[0]; len(x.Messages) != 1 || m.Fault != FaultNone || m.Stated != FaultNone || !bytes.Equal(m.Verified.Frame(), s.e.Frame) {
		t.Errorf("%v", x.Messages[0].Fault)
	}
	if string(x.Verdict) != "verdict" || string(x.Answer) != "answer" || x.Manifest.Reader != bob || x.Manifest.Provider != beta {
		t.Error("other parts")
	}
	_, err = VerifyExport(file, w.a.countersign.Public(), w.b.root.Public(), readFrame)
	wants(t, "another desk's key", err, ErrExport)
	_, err = VerifyExport(file, w.b.countersign.Public(), w.a.root.Public(), readFrame)
	wants(t, "another root", err, ErrExport)
	_, err = VerifyExport([]byte("text"), w.b.countersign.Public(), w.b.root.Public(), readFrame)
	wants(t, "no file", err, ErrExport)

	for name, change := range map[string]func(*exportFile){
		"a content more":       func(f *exportFile) { f.contents = append(f.contents, []byte("more")) },
		"a content less":       func(f *exportFile) { f.contents = f.contents[1:] },
		"contents exchanged":   func(f *exportFile) { f.contents[0], f.contents[1] = f.contents[1], f.contents[0] },
		"another key, signed":  func(f *exportFile) { f.manifest.Key = w.a.countersign.Public() },
		"another kind, signed": func(f *exportFile) { f.manifest.Parts[0].Kind = PartVerdict },
	} {
		var f exportFile
		if err := wire.Unmarshal(file, &f); err != nil {
			t.Fatal(err)
		}
		change(&f)
		copy(f.signature[:], w.b.countersign.Sign(keys.ContextExport, wire.MustMarshal(&f.manifest)))
		_, err = VerifyExport(wire.MustMarshal(&f), w.b.countersign.Public(), w.b.root.Public(), readFrame)
		wants(t, name, err, ErrExport)
	}

	// What is revealed of attachments goes along, and is proven to whoever reads it.
	f := fileOf(t, 2*attachment.ChunkSize)
	shown := w.sendFiles(t, f).e
	shown.Leaves = []Leaf{reveal(t, 0, f, 1)}
	x, err = VerifyExport(w.export(t, shown), w.b.countersign.Public(), w.b.root.Public(), readFrame)
	if err != nil || x.Messages[0].Verified == nil || len(x.Messages[0].Verified.Leaves()) != 1 || !bytes.Equal(x.Messages[0].Verified.Leaves()[0].Chunk, shown.Leaves[0].Chunk) {
		t.Fatal("exported leaves:", err)
	}
	shown.Leaves[0].Chunk[0] ^= 1
	x, err = VerifyExport(w.export(t, shown), w.b.countersign.Public(), w.b.root.Public(), readFrame)
	if err != nil || x.Messages[0].Fault != FaultLeaf {
		t.Error("a changed leaf is proven", err)
	}

	// Refused messages stay in the file with what the desk found, and what
	// anybody finds.
	bad := *s.e
	bad.Author[0] ^= 1
	stranger := *s.e
	stranger.Snapshot = SnapshotID{1}
	e := &Export{Reader: bob, Messages: []Evidence{bad, stranger, *s.e}, Findings: []Fault{FaultAuthor, FaultSnapshot, FaultStamp}, Snapshots: []*Snapshot{w.snapshot}}
	file, err = e.Sign(beta, w.b.countersign, noon)
	if err != nil {
		t.Fatal(err)
	}
	if x, err = VerifyExport(file, w.b.countersign.Public(), w.b.root.Public(), readFrame); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ stated, fault Fault }{{FaultAuthor, FaultAuthor}, {FaultSnapshot, FaultSnapshot}, {FaultStamp, FaultNone}} {
		if m := x.Messages[i]; m.Stated != want.stated || m.Fault != want.fault || (m.Verified == nil) != (want.fault != FaultNone) {
			t.Errorf("message %d: %v, %v", i, m.Stated, m.Fault)
		}
	}
	e.Findings = nil
	_, err = e.Sign(beta, w.b.countersign, noon)
	wants(t, "without findings", err, wire.ErrMalformed)
}

func TestSnapshots(t *testing.T) {
	w := newWorld(t)
	h := new(History)
	if h.At(uint64(noon.UnixMilli())) != nil {
		t.Error("a snapshot of nothing")
	}
	first := w.snapshot
	f, changed := NextSnapshot(first, beta, w.list, first.f.Joins, first.f.Reviewers, noon)
	if changed || f.Number != 2 {
		t.Error("changed by time alone")
	}
	second, err := SignSnapshot(f, w.b.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Snapshot{first, second} {
		if err := h.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, "an older one", h.Add(first), ErrForked)
	at := second.From()
	if h.At(at) != second || h.At(at-1) != first || h.At(first.From()-1) != nil || h.At(^uint64(0)) != second {
		t.Error("not the one in force")
	}
	// A clock that steps back gives no snapshot an earlier time.
	if f, _ := NextSnapshot(second, beta, w.list, nil, nil, noon.Add(-time.Hour)); f.From <= second.From() {
		t.Error("from before the last")
	}
	// Keys without possession, of another provider, and out of order.
	for name, change := range map[string]func(*SnapshotFields){
		"possession": func(f *SnapshotFields) { f.Joins[0].Proof[0] ^= 1 },
		"id":         func(f *SnapshotFields) { f.Reviewers[0].ID++ },
		"moved":      func(f *SnapshotFields) { f.Reviewers[0].Key, f.Reviewers[0].Proof = f.Joins[0].Key, f.Joins[0].Proof },
	} {
		f := first.f
		f.Joins, f.Reviewers = slices.Clone(f.Joins), slices.Clone(f.Reviewers)
		change(&f)
		_, err := SignSnapshot(f, w.b.root)
		wants(t, name, err, ErrPossession)
	}
	f = first.f
	f.Epochs = []EpochKey{f.Epochs[1], f.Epochs[0]}
	_, err = SignSnapshot(f, w.b.root)
	wants(t, "order", err, wire.ErrMalformed)
	_, err = ParseSnapshot(first.Bytes(), alpha, w.b.root.Public())
	wants(t, "another provider's", err, ErrForked)
	// Epochs that no delivery can be of yet, or any more, fall out.
	early, _ := NextSnapshot(nil, beta, w.list, nil, nil, (today - 2).Start())
	if len(early.Epochs) != 1 || early.Epochs[0].Epoch != today {
		t.Errorf("%d epochs to come", len(early.Epochs))
	}
	old, _ := NextSnapshot(nil, beta, w.list, nil, nil, (today + ids.MaxDelay + 3).Start())
	if len(old.Epochs) != 0 {
		t.Errorf("%d old epochs", len(old.Epochs))
	}
	for range MaxSnapshots + 2 {
		last := h.list[len(h.list)-1]
		f, _ := NextSnapshot(last, beta, w.list, nil, nil, noon)
		s, err := SignSnapshot(f, w.b.root)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.list) != MaxSnapshots {
		t.Errorf("%d snapshots", len(h.list))
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for f := range faultEnd {
		if f.String() == "" || seen[f.String()] || !strings.HasSuffix(f.Error(), f.String()) {
			t.Errorf("fault %d is called %q", f, f)
		}
		seen[f.String()] = true
	}
	if faultEnd.String() != fmt.Sprintf("fault(%d)", faultEnd) {
		t.Error(faultEnd)
	}
	for r := Reason(1); r < reasonEnd; r++ {
		if got, ok := ParseReason(r.String()); !ok || got != r {
			t.Errorf("reason %d is called %q", r, r)
		}
	}
	if _, ok := ParseReason("none"); ok || Reason(0).String() != "invalid" || reasonEnd.String() != "invalid" {
		t.Error("a name for no reason")
	}
	if ActionSuspend.String() != "suspend" || Action(0).String() != "invalid" {
		t.Error("actions")
	}
}

func TestMoreSecretsPrintRedacted(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	m := w.substantiate(t, s.e)
	for _, v := range []any{
		s.own, *s.e, m, *m.Verified, mustBundle(t, w, s), w.a.sign, w.a.wrap.Of(today),
		Report{},
		VerdictFields{},
		Export{},
		Exported{},
		CheckedVerdict{},
		Opened{},
		Pseudonym{},
		NewReportID(),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if out := fmt.Sprintf(verb, v); !strings.Contains(out, "redacted") && verb != "%#v" || len(out) > 400 {
				t.Errorf("%T with %s prints %.200s", v, verb, out)
			}
		}
	}
}
