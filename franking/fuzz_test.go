package franking

import (
	"bytes"
	"testing"

	"waxwing/core/wire"
)

// fuzzForm says that a parser takes one encoding of each value and nothing else
// happens to it.
func fuzzForm(f *testing.F, new func() wire.Schema, names ...string) {
	w := newWorld(f)
	all := encoded(f, w)
	for _, n := range names {
		f.Add(all[n].raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v := new()
		if wire.Unmarshal(b, v) != nil {
			return
		}
		again, err := wire.Marshal(v)
		if err != nil || !bytes.Equal(again, b) {
			if _, padded := v.(*Report); !padded || !bytes.HasPrefix(b, again) || len(bytes.Trim(b[len(again):], "\x00")) != 0 {
				t.Error("not canonical", err)
			}
		}
	})
}

func FuzzToken(f *testing.F) { fuzzForm(f, func() wire.Schema { return new(Token) }, "token") }
func FuzzIssueRequest(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(IssueRequest) }, "request")
}

func FuzzIssueAnswer(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(IssueAnswer) }, "issued")
}

func FuzzOwnToken(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(ownRecord) }, "own token")
}

func FuzzEpochKeys(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(EpochKeys) }, "epoch keys")
}

func FuzzSnapshot(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(SnapshotFields) }, "snapshot")
}

func FuzzBundle(f *testing.F) { fuzzForm(f, func() wire.Schema { return new(BundleFields) }, "bundle") }

func FuzzEvidence(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(Evidence) }, "evidence", "group's evidence", "evidence with leaves")
}
func FuzzReport(f *testing.F) { fuzzForm(f, func() wire.Schema { return new(Report) }, "report") }
func FuzzDesk(f *testing.F)   { fuzzForm(f, func() wire.Schema { return new(DeskFields) }, "desk") }
func FuzzVerdict(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(VerdictFields) }, "verdict", "verdict with content")
}

func FuzzAnswer(f *testing.F) { fuzzForm(f, func() wire.Schema { return new(AnswerFields) }, "answer") }

func FuzzOpening(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(openingEntry) }, "opening")
}

func FuzzEvidenceFile(f *testing.F) {
	fuzzForm(f, func() wire.Schema { return new(exportFile) }, "evidence file")
}

// FuzzVerify: evidence that is not the real one is never accepted.
func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	s := w.hello(f)
	raw, _ := s.e.Marshal()
	f.Add(raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEvidence(b)
		if err != nil {
			return
		}
		if w.examine(e) == nil && !bytes.Equal(b[:len(b)-33], raw[:len(raw)-33]) { // snapshot: the desk takes its own
			t.Error("accepted")
		}
	})
}
