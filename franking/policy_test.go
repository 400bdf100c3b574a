package franking

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func against(reason Reason, asked Action) *Opened {
	return &Opened{c: &CheckedVerdict{f: VerdictFields{Reason: reason, Asked: asked}}}
}

func TestPolicy(t *testing.T) {
	p := DefaultPolicy()
	for _, tt := range []struct {
		reason Reason
		asked  Action
		before uint32
		want   Action
	}{
		{ReasonSpam, ActionSuspend, 0, ActionWarn},
		{ReasonSpam, ActionSuspend, 1, ActionLimit},
		{ReasonSpam, ActionSuspend, 2, ActionSuspend},
		{ReasonSpam, ActionSuspend, ^uint32(0), ActionSuspend},
		{ReasonSpam, ActionWarn, 9, ActionWarn},
		{ReasonSpam, ActionNone, 9, ActionNone},
		{ReasonThreat, ActionSuspend, 0, ActionSuspend},
		{ReasonThreat, ActionWarn, 0, ActionWarn},
	} {
		if got := p.Decide(against(tt.reason, tt.asked), tt.before); got != tt.want {
			t.Errorf("%v, asked %v, %d before: %v", tt.reason, tt.asked, tt.before, got)
		}
	}
	none := Policy{}
	if got := none.Decide(against(ReasonSpam, ActionSuspend), 100); got != ActionNone || none.Check() != nil {
		t.Errorf("without steps: %v", got)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	for _, bad := range []Policy{
		{Steps: Steps{Warn: 3, Suspend: 2}},
		{Reasons: map[Reason]Steps{ReasonSpam: {Limit: 5, Suspend: 1}}},
	} {
		if err := bad.Check(); !errors.Is(err, ErrPolicy) {
			t.Error(err)
		}
	}
	// A reason has steps of its own, whatever the count is made of.
	own := DefaultPolicy()
	own.Reasons = map[Reason]Steps{ReasonSpam: {Warn: 3}, ReasonHate: {}}
	for _, tt := range []struct {
		reason Reason
		before uint32
		want   Action
	}{{ReasonSpam, 0, ActionNone}, {ReasonSpam, 2, ActionWarn}, {ReasonSpam, 99, ActionWarn}, {ReasonHate, 99, ActionNone}, {ReasonFraud, 2, ActionSuspend}} {
		if got := own.Decide(against(tt.reason, ActionSuspend), tt.before); got != tt.want {
			t.Errorf("%v after %d: %v", tt.reason, tt.before, got)
		}
	}
}

// More verdicts never lead to less, and nothing leads beyond what was asked.
func TestPolicyIsMonotonous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Steps: Steps{
			Warn: rapid.Uint32Range(0, 5).Draw(t, "warn"), Limit: rapid.Uint32Range(0, 5).Draw(t, "limit"),
			Suspend: rapid.Uint32Range(0, 5).Draw(t, "suspend"),
		}}
		o := against(Reason(rapid.IntRange(1, int(reasonEnd)-1).Draw(t, "reason")), Action(rapid.IntRange(1, int(actionEnd)-1).Draw(t, "asked")))
		last := ActionNone
		for before := range uint32(8) {
			a := p.Decide(o, before)
			if a < last || a > o.Asked() || !a.valid() {
				t.Fatalf("%v after %v, asked %v", a, last, o.Asked())
			}
			last = a
		}
	})
}
