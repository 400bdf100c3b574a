package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Step is one part of the demo.
type Step struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Claims  []Claim `json:"claims"`
	Seconds float64 `json:"seconds"`
}

// Claim is something that was said and checked.
type Claim struct {
	Says  string `json:"says"`
	OK    bool   `json:"ok"`
	Found string `json:"found,omitempty"` // what was found instead
}

// Report is the whole demo. Its encoding begins with whether all is well.
type Report struct {
	OK      bool    `json:"ok"`
	Steps   []*Step `json:"steps"`
	Seconds float64 `json:"seconds"`
	Data    string  `json:"data,omitempty"` // where the servers' data are kept
	Error   string  `json:"error,omitempty"`
}

// FailedError says which claim did not hold.
type FailedError struct {
	Step  string
	Claim Claim
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("demo: %s: it is not true that %s: %s", e.Step, e.Claim.Says, e.Claim.Found)
}

// stage prints the steps as they happen and keeps them for the report.
type stage struct {
	text  io.Writer        // for people
	event func(step *Step) // called at the end of each step
	tty   io.Writer        // progress that is overwritten

	report *Report
	step   *Step
	began  time.Time
}

// begin starts a step.
func (s *stage) begin(name, title string) {
	s.step, s.began = &Step{Name: name, OK: true, Claims: []Claim{}}, time.Now()
	s.report.Steps = append(s.report.Steps, s.step)
	fmt.Fprintf(s.text, "\n%d. %s\n", len(s.report.Steps), title)
}

// end ends the step with what it returned.
func (s *stage) end(err error) error {
	s.step.Seconds = time.Since(s.began).Seconds()
	s.step.OK = err == nil
	s.event(s.step)
	return err
}

// say prints something that is not a claim: what somebody wrote, where
// something is.
func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.text, "   "+format+"\n", args...)
}

// check prints a claim with its outcome. found says what was found if it does
// not hold, and is not used otherwise.
func (s *stage) check(ok bool, found string, format string, args ...any) error {
	c := Claim{Says: fmt.Sprintf(format, args...), OK: ok}
	if !ok {
		c.Found = found
	}
	s.step.Claims = append(s.step.Claims, c)
	if ok {
		fmt.Fprintf(s.text, "   [ok] %s\n", c.Says)
		return nil
	}
	fmt.Fprintf(s.text, "   [FAILED] %s\n            %s\n", c.Says, c.Found)
	return &FailedError{s.step.Name, c}
}

// progress shows how far something is; the next call overwrites it.
func (s *stage) progress(done, of int, what string) {
	const width = 30
	full := min(width, width*done/max(of, 1))
	fmt.Fprintf(s.tty, "\r\x1b[K   [%s%s] %d of %d %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), done, of, what)
}

// clear removes the progress.
func (s *stage) clear() { fmt.Fprint(s.tty, "\r\x1b[K") }

// all returns the first error of claims that were checked one after another.
func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
