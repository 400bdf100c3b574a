package client

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// words are notices in short.
func words(all []Notice) string {
	var out []string
	for _, n := range all {
		switch {
		case n.Submission != nil:
			out = append(out, fmt.Sprintf("tokens %d", n.Submission.Tokens))
		case n.Introductions != nil:
			out = append(out, fmt.Sprintf("introductions %d", n.Introductions.Left))
		case n.Rekeyed != nil:
			out = append(out, "rekeyed "+n.Rekeyed.Local())
		case n.AccountKey != nil:
			out = append(out, fmt.Sprintf("lacking %v", n.AccountKey.Lacking))
		default:
			out = append(out, "request "+n.Request.From.Local())
		}
	}
	return strings.Join(out, ", ")
}

// What the user is told is told once, when it begins and when it ends.
func TestTold(t *testing.T) {
	beta := ids.MustParseAddress("bob@beta.example").Domain()
	now := time.UnixMilli(1_700_000_000_000)
	well := Submission{Anonymous: true, Tokens: 5}
	asking := Submission{Anonymous: true, Waiting: 1}
	short := Submission{Anonymous: true, Waiting: 1, Code: wire.CodeLimit, More: now}
	later := Submission{Anonymous: true, Waiting: 2, Code: wire.CodeLimit, More: now.Add(time.Hour)}
	alarm := Submission{Anonymous: true, Tokens: 5, Alarm: state.AlarmForked}
	left := Introductions{Provider: beta, Known: true, Left: 1, Waiting: 1}
	spent := Introductions{Provider: beta, Known: true, Waiting: 1}
	unknown := Introductions{Provider: beta, Waiting: 1}
	idle := Introductions{Provider: beta, Known: true}
	carol := Request{From: ids.MustParseAddress("carol@alpha.example")}
	dave := Request{From: ids.MustParseAddress("dave@alpha.example")}
	told := newTold()
	for i, step := range []struct {
		s    Submission
		i    []Introductions
		r    []Request
		want string
	}{
		{well, nil, nil, ""},
		{asking, []Introductions{left}, nil, ""},
		{short, []Introductions{spent}, []Request{carol}, "tokens 0, introductions 0, request carol"},
		{short, []Introductions{spent}, []Request{carol}, ""},
		{asking, []Introductions{unknown}, []Request{carol, dave}, "request dave"},
		{later, []Introductions{spent}, []Request{dave}, "tokens 0"},
		{well, []Introductions{left}, []Request{dave}, "tokens 5, introductions 1"},
		{well, []Introductions{idle}, []Request{carol, dave}, "request carol"},
		{alarm, []Introductions{idle}, nil, "tokens 5"},
		{alarm, []Introductions{spent}, nil, "introductions 0"},
		{well, []Introductions{idle}, nil, "tokens 5, introductions 0"},
		{well, []Introductions{idle}, nil, ""},
	} {
		if got := words(told.of(step.s, step.i, step.r)); got != step.want {
			t.Errorf("step %d: %q, not %q", i, got, step.want)
		}
	}
}

// The same of account keys: one that is replaced again is news.
func TestToldOfAccountKeys(t *testing.T) {
	alice, bob := ids.MustParseAddress("alice@alpha.example"), ids.MustParseAddress("bob@beta.example")
	told := newTold()
	for i, step := range []struct {
		lacking bool
		rekeyed map[ids.Address]ids.Day
		want    string
	}{
		{false, nil, ""},
		{false, map[ids.Address]ids.Day{bob: 5, alice: 5}, "rekeyed alice, rekeyed bob"},
		{true, map[ids.Address]ids.Day{bob: 5, alice: 5}, "lacking true"},
		{true, map[ids.Address]ids.Day{alice: 5}, ""},
		{false, map[ids.Address]ids.Day{alice: 95, bob: 95}, "lacking false, rekeyed alice, rekeyed bob"},
	} {
		if got := words(told.keys(step.lacking, step.rekeyed)); got != step.want {
			t.Errorf("step %d: %q, not %q", i, got, step.want)
		}
	}
}
