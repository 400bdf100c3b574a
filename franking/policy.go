package franking

import (
	"errors"
	"slices"
)

// ErrPolicy: the steps of a policy do not ascend.
var ErrPolicy = errors.New("franking: policy's steps do not ascend")

// Steps say how many verdicts, within the time that a provider counts over, lead to
// what. Zero leaves a step out.
type Steps struct{ Warn, Limit, Suspend uint32 }

// Check returns ErrPolicy unless the steps that there are ascend.
func (s *Steps) Check() error {
	last := uint32(0)
	for _, n := range []uint32{s.Warn, s.Limit, s.Suspend} {
		if n != 0 && n < last {
			return ErrPolicy
		}
		last = max(last, n)
	}
	return nil
}

// at returns the action at a verdict before which there were so many.
func (s *Steps) at(before uint32) Action {
	action := ActionNone
	for i, n := range []uint32{s.Warn, s.Limit, s.Suspend} {
		if n != 0 && before >= n-1 {
			action = ActionWarn + Action(i)
		}
	}
	return action
}

// Policy is what a provider does about an account that verdicts name. All verdicts
// against it count, whatever their reasons.
type Policy struct {
	Steps
	// Severe are the reasons for which one verdict is enough for what is asked.
	Severe []Reason
	// Reasons are steps for some reasons in place of Steps; it is not changed.
	Reasons map[Reason]Steps
}

// DefaultPolicy warns at once, limits at the second verdict and suspends at the
// third; threats and what harms children are suspended at once if asked.
func DefaultPolicy() Policy {
	return Policy{Steps: Steps{Warn: 1, Limit: 2, Suspend: 3}, Severe: []Reason{ReasonThreat, ReasonChildSafety}}
}

// Check returns ErrPolicy unless the steps that there are ascend.
func (p *Policy) Check() error {
	for _, s := range p.Reasons {
		if err := s.Check(); err != nil {
			return err
		}
	}
	return p.Steps.Check()
}

// Decide returns the action on an opened verdict, given how many were opened
// against the account before it. It never goes beyond what the reviewers asked,
// who saw the content; what they asked binds nobody.
func (p *Policy) Decide(o *Opened, before uint32) Action {
	asked := o.Asked()
	if slices.Contains(p.Severe, o.Reason()) {
		return asked
	}
	steps, ok := p.Reasons[o.Reason()]
	if !ok {
		steps = p.Steps
	}
	return min(steps.at(before), asked)
}
