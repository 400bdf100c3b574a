package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"waxwing/franking"
	"waxwing/relay/node"
)

// reportsKey is the table about reports in the file, reasonKey the one in it with
// the steps of single reasons.
const (
	reportsKey = "reports"
	reasonKey  = "reason"
)

// ReportsConfig is how many messages can be written that could be reported, and how
// far other providers' reviewers are followed.
type ReportsConfig struct {
	// TokensPerDay is how many franking tokens an account may have of one day: to so
	// many others can it write. Default: 128.
	TokensPerDay string `toml:"tokens_per_day"`
	// Steps is what becomes of an account at which verdict within 30 days, as "warn 1,
	// limit 2, suspend 3"; "at once" for what is asked at the first one, "nothing" for
	// no more than an entry of the audit log. Never more than was asked is done.
	// Default: that.
	Steps string `toml:"steps"`
	// Reason is the same for verdicts for one reason. Default: "at once" for threat and
	// child_safety, otherwise Steps.
	Reason map[string]*string `toml:"reason"`
}

// value returns the place of a reason's steps.
func (c *ReportsConfig) value(key string) *string {
	if c.Reason == nil {
		c.Reason = map[string]*string{}
	}
	if c.Reason[key] == nil {
		c.Reason[key] = new(string)
	}
	return c.Reason[key]
}

// reasons are all reasons by the key of their setting.
var reasons = func() map[string]franking.Reason {
	out := map[string]franking.Reason{}
	for _, r := range franking.Reasons() {
		out[strings.ReplaceAll(r.String(), "-", "_")] = r
	}
	return out
}()

// reportSettings are the settings about reports.
func reportSettings() []setting {
	out := []setting{
		{reportsKey + ".tokens_per_day", func(c *Config) *string { return &c.Reports.TokensPerDay }},
		{reportsKey + ".steps", func(c *Config) *string { return &c.Reports.Steps }},
	}
	for _, key := range slices.Sorted(maps.Keys(reasons)) {
		out = append(out, setting{reportsKey + "." + reasonKey + "." + key, func(c *Config) *string { return c.Reports.value(key) }})
	}
	return out
}

// What a value about steps can say besides counts.
const (
	stepsAtOnce  = "at once"
	stepsNothing = "nothing"
)

var errSteps = fmt.Errorf("want steps that ascend, as \"warn 1, limit 2, suspend 3\" or some of them, %q or %q", stepsAtOnce, stepsNothing)

// maxStep bounds a count: beyond it the step may as well be left out.
const maxStep = 1000

// parseSteps parses steps. The error is errSteps, perhaps with what is wrong.
func parseSteps(text string) (s franking.Steps, atOnce bool, err error) {
	switch text = strings.TrimSpace(text); text {
	case stepsAtOnce:
		return s, true, nil
	case stepsNothing:
		return s, false, nil
	}
	places := map[string]*uint32{
		franking.ActionWarn.String(): &s.Warn, franking.ActionLimit.String(): &s.Limit, franking.ActionSuspend.String(): &s.Suspend,
	}
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) != 2 || places[words[0]] == nil {
			return s, false, fmt.Errorf("%q: %w", strings.TrimSpace(part), errSteps)
		}
		n, err := strconv.ParseUint(words[1], 10, 32)
		if err != nil || n < 1 || n > maxStep || *places[words[0]] != 0 {
			return s, false, fmt.Errorf("%q: want each step once, with a count from 1 to %d", strings.TrimSpace(part), maxStep)
		}
		*places[words[0]] = uint32(n)
	}
	if s.Check() != nil {
		return s, false, fmt.Errorf("%q: %w", text, errSteps)
	}
	return s, false, nil
}

// resolve checks all values and sets what they mean; nil is the default.
func (c *ReportsConfig) resolve(k *checker, out *node.Config) {
	if c.TokensPerDay != "" {
		n, err := strconv.ParseUint(c.TokensPerDay, 10, 32)
		if err != nil || n < 1 || n > franking.MaxAllowance {
			k.fail(reportsKey+".tokens_per_day", fmt.Errorf("%q: want a count from 1 to %d", c.TokensPerDay, franking.MaxAllowance))
		}
		out.Allowance = uint32(n)
	}
	policy := franking.DefaultPolicy()
	set := c.Steps != ""
	if set {
		steps, atOnce, err := parseSteps(c.Steps)
		k.fail(reportsKey+".steps", err)
		if policy.Steps = steps; atOnce {
			policy.Severe = franking.Reasons()
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Reason)) {
		text := *cmp.Or(c.Reason[key], new(string))
		if text == "" {
			continue
		}
		set = true
		at := reportsKey + "." + reasonKey + "." + key
		reason, ok := reasons[key]
		if !ok {
			k.fail(at, errors.New("there is no such reason: want one of "+strings.Join(slices.Sorted(maps.Keys(reasons)), ", ")))
			continue
		}
		steps, atOnce, err := parseSteps(text)
		k.fail(at, err)
		policy.Severe = slices.DeleteFunc(slices.Clone(policy.Severe), func(r franking.Reason) bool { return r == reason })
		if atOnce {
			policy.Severe = append(policy.Severe, reason)
			continue
		}
		if policy.Reasons == nil {
			policy.Reasons = map[franking.Reason]franking.Steps{}
		}
		policy.Reasons[reason] = steps
	}
	if set {
		out.Policy = &policy
	}
}

// reasonTemplate shows the steps of all reasons, commented out.
func reasonTemplate() string {
	var b strings.Builder
	policy := franking.DefaultPolicy()
	for _, key := range slices.Sorted(maps.Keys(reasons)) {
		text := fmt.Sprintf("warn %d, limit %d, suspend %d", policy.Warn, policy.Limit, policy.Suspend)
		if slices.Contains(policy.Severe, reasons[key]) {
			text = stepsAtOnce
		}
		fmt.Fprintf(&b, "#%s = %q\n", key, text)
	}
	return b.String()
}
