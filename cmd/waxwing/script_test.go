package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"waxwing/cmd/waxwing/internal/bench"
	"waxwing/cmd/waxwing/internal/child"
)

// TestMain lets the test's own binary be every program of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"waxwing":       func() { os.Exit(user()) },
		"waxwingd":      func() { os.Exit(server()) },
		bench.FloorName: func() { os.Exit(bench.FloorMain(os.Stdin, os.Stdout, os.Stderr)) },
		crashTalk: func() {
			if err := crashTalkMain(os.Args[1], os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		},
	})
}

// TestScripts runs testdata/script/*.txtar against real servers. Beside the
// usual commands there are:
//
//	providers DOMAIN...      make and start providers that are each other's peers;
//	                         sets $alpha_server and $alpha_pin for alpha.example, and so on
//	lone DOMAIN FLAG...      make and start one without peers, with flags of serve
//	crash DOMAIN             kill -9 one of them
//	start DOMAIN FLAG...     start it again, with further flags of serve
//	person NAME              register NAME (alice@alpha.example) with a profile named after its local part
//	keep VARIABLE            set a variable to the last output
//	exits CODE COMMAND...    run a command that must end with the exit code
//	await REGEXP COMMAND...  run a command again and again until its output matches
//	tickets PROFILE REGEXP   fetch again and again until a line of the profile's contacts matches
//	invitefrom FILE CODE ID  set variables to the code and id of an invite in JSON
//	ended DOMAIN             wait until a server has ended by itself
//	history PROFILE ADDRESS REGEXP  fetch until a line of the conversation matches
//	link OLD NEW ANSWER ANSWER CODE CODE  link a profile to another; the users' answers and the exit codes
//	chat PROFILE ADDRESS     open a chat, which stays open
//	follow PROFILE FLAG...   open an inbox, which stays open until the script ends
//	say PROFILE TEXT         type a line into it
//	hears PROFILE REGEXP     wait until it shows something
//	hangup PROFILE           end its input; it must end well
//	firstid JSON VARIABLE    set a variable to the id in the first of some lines of JSON
//	today VARIABLE           set a variable to the UTC day
//	keys KEY...              each line of the last output is a JSON object with exactly these keys
func TestScripts(t *testing.T) {
	dir, some := "testdata/script", []string(nil)
	if testing.Short() {
		dir = ""
		for _, name := range []string{"chat", "exchange", "link", "outage", "report"} {
			some = append(some, "testdata/script/"+name+".txtar")
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: dir, Files: some,
		Setup: func(e *testscript.Env) error {
			e.Values[terminalsKey{}] = map[string]*terminal{}
			e.Values[rigKey{}] = &rig{root: e.WorkDir, running: map[string]*child.Server{}}
			e.Defer(e.Values[rigKey{}].(*rig).stop)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"providers": positive(cmdProviders),
			"lone":      positive(cmdLone),
			"crash":     positive(cmdCrash),
			"start":     positive(cmdStart),
			"person":    positive(cmdPerson),
			"keep":      positive(cmdKeep),
			"exits":     positive(cmdExits),
			"await":     positive(cmdAwait),
			"tickets":   positive(cmdTickets),
			"history":   positive(cmdHistory),
			"keys":      positive(cmdKeys),
			"firstid":   positive(cmdFirstID),
			"chat":      positive(cmdChat),
			"follow":    positive(cmdFollow),
			"say":       positive(cmdSay),
			"hears":     positive(cmdHears),
			"hangup":    positive(cmdHangUp),
			"link":      positive(cmdLink),

			"invitefrom": positive(cmdInviteFrom),
			"ended":      positive(cmdEnded),
			"today": positive(func(ts *testscript.TestScript, args []string) {
				ts.Setenv(args[0], time.Now().UTC().Format(time.DateOnly))
			}),
		},
	})
}

type rigKey struct{}

// rig is the servers of one script.
type rig struct {
	root    string
	running map[string]*child.Server // by domain; killed ones stay
}

func rigOf(ts *testscript.TestScript) *rig { return ts.Value(rigKey{}).(*rig) }

func (r *rig) stop() {
	for _, s := range r.running {
		s.Kill()
	}
}

// server returns the server that the first argument names.
func (r *rig) server(ts *testscript.TestScript, args []string) *child.Server {
	if len(args) == 0 || r.running[args[0]] == nil {
		ts.Fatalf("no such provider: %v", args)
	}
	return r.running[args[0]]
}

// positive makes a command that cannot be negated.
func positive(f func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be negated")
		}
		f(ts, args)
	}
}

func name(domain string) string {
	short, _, _ := strings.Cut(domain, ".")
	return short
}

func cmdProviders(ts *testscript.TestScript, args []string) {
	r := rigOf(ts)
	var list []*child.Provider
	for _, domain := range args {
		p, err := child.NewProvider(context.Background(), r.root, domain)
		ts.Check(err)
		list = append(list, p)
		ts.Setenv(name(domain)+"_server", p.Addr)
		ts.Setenv(name(domain)+"_pin", p.Pin.String())
	}
	for _, p := range list {
		for _, q := range list {
			if p != q {
				p.Peer(q)
			}
		}
		s, err := p.Start(context.Background())
		ts.Check(err)
		r.running[p.Domain] = s
	}
}

func cmdLone(ts *testscript.TestScript, args []string) {
	r := rigOf(ts)
	p, err := child.NewProvider(context.Background(), r.root, args[0])
	ts.Check(err)
	ts.Setenv(name(args[0])+"_server", p.Addr)
	ts.Setenv(name(args[0])+"_pin", p.Pin.String())
	p.Flags = args[1:]
	r.running[p.Domain], err = p.Start(context.Background())
	ts.Check(err)
}

func cmdInviteFrom(ts *testscript.TestScript, args []string) {
	var invite struct{ Code, ID string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &invite))
	ts.Setenv(args[1], invite.Code)
	ts.Setenv(args[2], invite.ID)
}

func cmdEnded(ts *testscript.TestScript, args []string) {
	s := rigOf(ts).server(ts, args)
	socket := filepath.Join(s.Dir, "admin.sock")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); errors.Is(err, os.ErrNotExist) {
			return
		}
	}
	ts.Fatalf("%s still runs", args[0])
}

func cmdCrash(ts *testscript.TestScript, args []string) { rigOf(ts).server(ts, args).Kill() }

func cmdStart(ts *testscript.TestScript, args []string) {
	r := rigOf(ts)
	p := r.server(ts, args).Provider
	p.Flags = append(p.Flags, args[1:]...)
	s, err := p.Start(context.Background())
	ts.Check(err)
	r.running[s.Domain] = s
}

func cmdPerson(ts *testscript.TestScript, args []string) {
	for _, address := range args {
		local, domain, _ := strings.Cut(address, "@")
		s := rigOf(ts).server(ts, []string{domain})
		ts.Check(ts.Exec("waxwing", "--profile", local, "register", address, "--server", s.Addr, "--pin", s.Pin.String()))
	}
}

func cmdKeep(ts *testscript.TestScript, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func cmdExits(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdAwait(ts *testscript.TestScript, args []string) {
	await(ts, args[0], args[1:])
}

func cmdTickets(ts *testscript.TestScript, args []string) {
	profile := []string{"waxwing", "--profile", args[0]}
	await(ts, args[1], slices.Concat(profile, []string{"inbox"}), slices.Concat(profile, []string{"contacts"}))
}

// await runs commands until the output of the last one matches. A message needs
// two hops and, at first, a lookup; servers that were restarted are dialled
// again with a pause that grows.
func await(ts *testscript.TestScript, pattern string, commands ...[]string) {
	want, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		for _, c := range commands {
			_ = ts.Exec(c[0], c[1:]...)
		}
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("no output matched %q", pattern)
}

func cmdHistory(ts *testscript.TestScript, args []string) {
	profile := []string{"waxwing", "--profile", args[0]}
	await(ts, args[2], slices.Concat(profile, []string{"inbox"}), slices.Concat(profile, []string{"history", args[1]}))
}

func cmdKeys(ts *testscript.TestScript, args []string) {
	slices.Sort(args)
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("%q is not a JSON object: %v", line, err)
		}
		var got []string
		for key := range object {
			got = append(got, key)
		}
		slices.Sort(got)
		if !slices.Equal(got, args) {
			ts.Fatalf("keys %v, want %v", got, args)
		}
	}
}

func cmdFirstID(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: firstid JSON VARIABLE")
	}
	line, _, _ := strings.Cut(args[0], "\n")
	var v struct {
		ID string `json:"id"`
	}
	ts.Check(json.Unmarshal([]byte(line), &v))
	ts.Setenv(args[1], v.ID)
}
