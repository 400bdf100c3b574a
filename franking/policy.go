package franking

import (
	"errors"
	"slices"
)

// ErrPolicy: the steps of a policy do not ascend.
var ErrPolicy = errors.New("franking: policy's steps do not ascend")

// Policy is what a provider does about an account that verdicts name: so many
// within the time that it counts over lead to a step. Zero leaves a step out.
type Policy struct {
	Warn, Limit, Suspend uint32
	// Severe are the reasons for which one verdict is enough for what is asked.
	Severe []Reason
}

// DefaultPolicy warns at once, limits at the second verdict and suspends at the
// third; threats and what harms children are suspended at once if asked.
func DefaultPolicy() Policy {
	return Policy{Warn: 1, Limit: 2, Suspend: 3, Severe: []Reason{ReasonThreat, ReasonChildSafety}}
}

// Check returns ErrPolicy unless the steps that there are ascend.
func (p *Policy) Check() error {
	last := uint32(0)
	for _, n := range []uint32{p.Warn, p.Limit, p.Suspend} {
		if n != 0 && n < last {
			return ErrPolicy
		}
		last = max(last, n)
	}
	return nil
}

// Decide returns the action on an opened verdict, given how many were opened
// against the account before it. It never goes beyond what the reviewers asked,
// who saw the content; what they asked binds nobody.
func (p *Policy) Decide(o *Opened, before uint32) Action {
	asked := o.Asked()
	if slices.Contains(p.Severe, o.Reason()) {
		return asked
	}
	action := ActionNone
	for i, n := range []uint32{p.Warn, p.Limit, p.Suspend} {
		if n != 0 && before >= n-1 {
			action = ActionWarn + Action(i)
		}
	}
	return min(action, asked)
}
