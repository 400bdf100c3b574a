package daemon

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"waxwing/core/ids"
	"waxwing/franking"
)

// What stands in [reports] is what the node gets.
func TestReportsReachTheNode(t *testing.T) {
	def := franking.DefaultPolicy()
	for name, tt := range map[string]struct {
		text      string
		allowance uint32
		policy    *franking.Policy
	}{
		"nothing set": {"", 0, nil},
		"tokens":      {"[reports]\ntokens_per_day = \"5\"\n", 5, nil},
		"steps": {"[reports]\nsteps = \"warn 2, suspend 9\"\n", 0, &franking.Policy{
			Steps: franking.Steps{Warn: 2, Suspend: 9}, Severe: def.Severe,
		}},
		"nothing is done": {"[reports]\nsteps = \"nothing\"\n", 0, &franking.Policy{Severe: def.Severe}},
		"all at once":     {"[reports]\nsteps = \"at once\"\n", 0, &franking.Policy{Severe: franking.Reasons()}},
		"reasons": {
			"[reports.reason]\nspam = \"limit 3\"\nfraud = \"at once\"\nchild_safety = \"at once\"\nthreat = \"nothing\"\n", 0,
			&franking.Policy{
				Steps: def.Steps, Severe: []franking.Reason{franking.ReasonChildSafety, franking.ReasonFraud},
				Reasons: map[franking.Reason]franking.Steps{franking.ReasonSpam: {Limit: 3}, franking.ReasonThreat: {}},
			},
		},
	} {
		l, err := from("", writeConfig(t, tt.text)).load()
		must(t, err)
		r, err := l.resolve(ids.Domain{})
		must(t, err)
		if p := r.node.Policy; p != nil {
			slices.Sort(p.Severe)
		}
		if tt.policy != nil {
			slices.Sort(tt.policy.Severe)
		}
		if r.node.Allowance != tt.allowance || !reflect.DeepEqual(r.node.Policy, tt.policy) {
			t.Errorf("%s: %d, %+v", name, r.node.Allowance, r.node.Policy)
		}
	}
	// The environment wins over the file.
	l, err := from("", writeConfig(t, "[reports]\nsteps = \"warn 2\"\n"), "WAXWING_REPORTS_STEPS=limit 4", "WAXWING_REPORTS_REASON_SPAM=nothing").load()
	must(t, err)
	r, err := l.resolve(ids.Domain{})
	must(t, err)
	if p := r.node.Policy; p == nil || p.Steps != (franking.Steps{Limit: 4}) || len(p.Reasons) != 1 || len(l.warnings) != 0 {
		t.Errorf("%+v, %q", p, l.warnings)
	}
}

// The template's steps are the default's.
func TestTemplateOfReports(t *testing.T) {
	text := "[reports]\nsteps = \"warn 1, limit 2, suspend 3\"\n[reports.reason]\n" + strings.ReplaceAll(reasonTemplate(), "#", "")
	l, err := from("", writeConfig(t, text)).load()
	must(t, err)
	r, err := l.resolve(ids.Domain{})
	must(t, err)
	def := franking.DefaultPolicy()
	for _, reason := range franking.Reasons() {
		steps, own := r.node.Policy.Reasons[reason]
		if !own {
			steps = r.node.Policy.Steps
		}
		if severe := slices.Contains(def.Severe, reason); severe != slices.Contains(r.node.Policy.Severe, reason) || !severe && steps != def.Steps {
			t.Errorf("%v: %+v", reason, steps)
		}
	}
}

func TestMistakesInReports(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"unknown":          {"[reports]\nstep = \"warn 1\"\n", ":2:1: there is no setting \"reports.step\""},
		"number":           {"[reports]\ntokens_per_day = 5\n", ":2:18: "},
		"no tokens":        {"[reports]\ntokens_per_day = \"0\"\n", "reports.tokens_per_day: \"0\": want a count from 1 to 256"},
		"too many tokens":  {"[reports]\ntokens_per_day = \"257\"\n", "reports.tokens_per_day: \"257\": want a count"},
		"no steps":         {"[reports]\nsteps = \"often\"\n", "reports.steps: \"often\": want steps"},
		"unknown step":     {"[reports]\nsteps = \"none 1\"\n", "reports.steps: \"none 1\": want steps"},
		"twice":            {"[reports]\nsteps = \"warn 1, warn 2\"\n", "reports.steps: \"warn 2\": want each step once"},
		"zero":             {"[reports]\nsteps = \"warn 0\"\n", "reports.steps: \"warn 0\": want each step once, with a count from 1 to 1000"},
		"descending":       {"[reports]\nsteps = \"warn 5, suspend 2\"\n", "reports.steps: \"warn 5, suspend 2\": want steps that ascend"},
		"unknown reason":   {"[reports.reason]\nboredom = \"at once\"\n", "reports.reason.boredom: there is no such reason: want one of child_safety, "},
		"wrong for reason": {"[reports.reason]\nspam = \"now\"\n", "reports.reason.spam: \"now\": want steps"},
	} {
		path := writeConfig(t, tt.text)
		l, err := from("", path).load()
		if err == nil {
			_, err = l.resolve(ids.Domain{})
		}
		var all problems
		if !errors.As(err, &all) || len(all) != 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
