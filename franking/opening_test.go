package franking

import (
	"bytes"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func TestAnswers(t *testing.T) {
	w := newWorld(t)
	m := w.substantiate(t, w.hello(t).e)
	verdict, _ := m.Countersign(w.decision(), w.b.countersign, noon)
	other, _ := m.Countersign(w.decision(), w.b.countersign, noon)
	o := w.open(t, verdict)
	for _, a := range []Action{ActionNone, ActionWarn, ActionLimit, ActionSuspend} {
		b, err := o.Answer(a, w.a.answer, noon)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseAnswer(b, verdict, w.a.desk); err != nil || got.Action != a {
			t.Error(err)
		}
		_, err = ParseAnswer(b, other, w.a.desk)
		wants(t, "to another verdict", err, FaultAnswer)
		_, err = ParseAnswer(b, verdict, w.b.desk)
		wants(t, "another provider's", err, FaultAnswer)
		if bytes.Contains(b, []byte("alice")) {
			t.Error("the answer names the account")
		}
	}
	// Signed by the right key, and saying what does not fit the verdict.
	for name, change := range map[string]func(*AnswerFields){
		"issuer":   func(a *AnswerFields) { a.Issuer = beta },
		"provider": func(a *AnswerFields) { a.Provider = alpha },
		"report":   func(a *AnswerFields) { a.Report[0]++ },
		"verdict":  func(a *AnswerFields) { a.Verdict[0]++ },
	} {
		a := &AnswerFields{Issuer: alpha, Provider: beta, Report: o.c.f.Report, Verdict: o.c.hash, Action: ActionWarn}
		change(a)
		b, err := signTrailing(a, w.a.answer, keys.ContextAnswer)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseAnswer(b, verdict, w.a.desk)
		wants(t, name, err, FaultAnswer)
	}
	gamma := newProvider(t, ids.MustParseDomain("gamma.example"))
	b, _ := signTrailing(&AnswerFields{Issuer: alpha, Provider: beta, Report: o.c.f.Report, Verdict: o.c.hash, Action: ActionWarn}, gamma.answer, keys.ContextAnswer)
	_, err := ParseAnswer(b, verdict, gamma.desk)
	wants(t, "gamma for alpha", err, FaultAnswer)
	_, err = o.Answer(actionEnd, w.a.answer, noon)
	wants(t, "unknown action", err, wire.ErrMalformed)
}

// The log survives a restart, refuses replays then too, and no record of it can
// be changed.
func TestOpeningsAreStored(t *testing.T) {
	w := newWorld(t)
	m := w.substantiate(t, w.hello(t).e)
	var records [][]byte
	var last *CheckedVerdict
	for range 3 {
		v, _ := m.Countersign(w.decision(), w.b.countersign, noon)
		c, err := CheckVerdict(v, w.b.desk, alpha, w.list, noon)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.a.openings.Prepare(c, noon)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(p.Record, []byte("alice")) {
			t.Error("the log names the account")
		}
		if _, err := w.a.openings.Commit(p); err != nil {
			t.Fatal(err)
		}
		records, last = append(records, p.Record), c
	}
	again, err := LoadOpenings(records...)
	if err != nil || again.Log().Root() != w.a.openings.Log().Root() {
		t.Fatal(err)
	}
	_, err = again.Prepare(last, noon)
	wants(t, "replayed after a restart", err, FaultReplayed)
	// The same verdict is gone on with under its entry; another one on the report is not.
	l := again.Again(last)
	if l == nil || l.Receipt().Index() != 2 || again.Log().Size() != 3 {
		t.Error("an opening that is in the log is not gone on with")
	}
	if o, err := l.Open(w.a.wrap.Of(today)); err != nil || o.Account() != alice || o.Entry() != 2 {
		t.Errorf("opened: %v", err)
	}
	other := *last
	other.hash[0] ^= 1
	if again.Again(&other) != nil {
		t.Error("another verdict on the report opens under its entry")
	}
	short, err := LoadOpenings(records[:2]...)
	if err != nil || short.Again(last) != nil {
		t.Error("opened without an entry")
	}
	wants(t, "a record that is not the next", short.Extend(records[1]), ErrRecord)
	if short.Extend(records[2]) != nil || short.Again(last) == nil {
		t.Error("a record that was found later")
	}
	records[1] = bytes.Clone(records[1])
	records[1][60] ^= 1
	_, err = LoadOpenings(records...)
	wants(t, "changed", err, ErrRecord)
}
