package reports

import (
	"errors"
	"testing"

	"waxwing/core/wire"
	"waxwing/franking"
)

// Two authors can write under one conversation's name. A decision about a report
// with messages of both has to say whose it is about: the first proven one's author
// answers for its own words only.
func TestDecisionNamesItsMessage(t *testing.T) {
	w := newCrashWorld(t, &faults{at: -1})
	must(t, w.fetch())
	harmless := w.write(1, "hello")
	w.tokens = nil
	must(t, w.fetch())
	threat := w.write(2, "I will find you")
	if harmless.e.Token.Hash() == threat.e.Token.Hash() {
		t.Fatal("one token")
	}
	id, sealed := w.report(harmless, threat)
	for i, f := range w.take("both", sealed) {
		if f != franking.FaultNone {
			t.Fatalf("message %d: %v", i, f)
		}
	}
	decide := func(message int, action franking.Action, reviewer string) error {
		return w.beta.Decide(t.Context(), w.now, id, message, action, reviewer)
	}
	if err := decide(FirstProven, franking.ActionWarn, "dora"); !errors.Is(err, ErrWhich) {
		t.Fatalf("about whom: %v", err)
	}
	for _, n := range []int{-2, 2, 100} {
		if err := decide(n, franking.ActionWarn, "dora"); !errors.Is(err, ErrUnproven) {
			t.Errorf("message %d: %v", n, err)
		}
	}
	// Two reviewers who mean two messages do not agree.
	for _, tt := range []struct {
		message  int
		reviewer string
	}{{1, "dora"}, {0, "erin"}} {
		if err := decide(tt.message, franking.ActionSuspend, tt.reviewer); !errors.Is(err, ErrSecond) {
			t.Fatalf("%s: %v", tt.reviewer, err)
		}
	}
	if err := decide(1, franking.ActionSuspend, "dora"); !errors.Is(err, ErrSecond) {
		t.Fatal(err)
	}
	must(t, decide(1, franking.ActionSuspend, "erin"))
	pending, err := w.beta.Pending(t.Context(), w.alpha.domain)
	must(t, err)
	if len(pending) != 1 {
		t.Fatalf("%d verdicts", len(pending))
	}
	var v franking.VerdictFields
	must(t, wire.Unmarshal(pending[0].Verdict, &v))
	if v.Token != threat.e.Token {
		t.Error("the verdict is about another author's token")
	}
}
