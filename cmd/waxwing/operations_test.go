package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"waxwing/cmd/waxwing/internal/child"
)

// The blocks of commands in the documents are run as they stand, but for
// paths, addresses and what the commands before them printed. The words behind
// "sh test" say for whom: "both" is run for alpha and then, with the names
// exchanged, for beta; "alice" and "bob" are run in profiles of theirs. A block
// "toml both" is the configuration of each.
func TestDocumentedCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("the scripts have the same goroutines; without -short this runs")
	}
	var files []string
	dir := t.TempDir()
	for _, doc := range []string{"../../docs/operations.md", "../../README.md"} {
		b, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		script := scriptOf(string(b))
		// What the readers are promised; and a document without marks fails.
		for _, w := range []string{"waxwingd init", "peer add", "admin invite", "register", "contact-code", "send", "await", "verify"} {
			if !strings.Contains(script, w) {
				t.Errorf("%s: no block that is run has %q", doc, w)
			}
		}
		path := filepath.Join(dir, strings.ToLower(strings.TrimSuffix(filepath.Base(doc), ".md"))+".txtar")
		if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			h := &hosts{running: map[string]*child.Process{}}
			e.Values[hostsKey{}] = h
			e.Defer(h.stop)
			for _, host := range []string{"alpha", "beta"} {
				for _, network := range []string{"udp", "tcp"} {
					addr, err := freeAddress(network)
					if err != nil {
						return err
					}
					e.Setenv(host+"_"+network, addr)
				}
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await":   positive(cmdAwait),
			"capture": positive(cmdCapture),
			"copy":    positive(cmdCopy),
			"curl":    positive(cmdCurl),
			"serve":   positive(cmdServe),
			"end":     positive(func(ts *testscript.TestScript, args []string) { hostsOf(ts).end(ts, args[0]) }),
			"talk":    positive(cmdTalk),
		},
	})
}

var (
	// fence finds a block: what is behind its opening, and its lines.
	fence = regexp.MustCompile("(?ms)^```([a-z ]+)\n(.*?)^```$")
	// execStart is what systemd runs.
	execStart = regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/waxwingd serve (.*)$`)
	// exchanged turns a command of alpha's operator into one of beta's.
	exchanged = strings.NewReplacer("alpha", "beta", "beta", "alpha", "ALPHA", "BETA", "BETA", "ALPHA")
	comment   = regexp.MustCompile(`\s+#.*$`)
)

// placed puts the addresses of this run in place of those of the documents.
var placed = strings.NewReplacer(
	"relay.alpha.example:4433", "$alpha_udp", "relay.beta.example:4433", "$beta_udp",
	"127.0.0.1:4433", "$alpha_udp", "127.0.0.1:4434", "$beta_udp",
	"PIN-OF-ALPHA", "$alpha_pin", "PIN-OF-BETA", "$beta_pin",
	"INVITE-OF-ALPHA", "$alpha_invite", "INVITE-OF-BETA", "$beta_invite", "CODE", "$code", `"`, `'`,
)

// scriptOf turns a document's blocks into a script.
func scriptOf(doc string) string {
	var out, files strings.Builder
	unit := execStart.FindStringSubmatch(doc)
	for _, m := range fence.FindAllStringSubmatch(doc, -1) {
		mark := append(strings.Fields(m[1]), "", "")
		who := mark[2]
		switch {
		case mark[0] == "toml" && mark[1] == "both":
			files.WriteString("-- alpha.toml --\n" + m[2] + "-- beta.toml --\n" + exchanged.Replace(m[2]))
			out.WriteString("copy alpha.toml alpha/waxwing.toml\ncopy beta.toml beta/waxwing.toml\n")
		case mark[0] != "sh" || mark[1] != "test":
		case who == "both":
			translate(&out, "alpha", m[2], unit)
			translate(&out, "beta", exchanged.Replace(m[2]), unit)
		default:
			translate(&out, who, m[2], unit)
		}
	}
	return out.String() + files.String()
}

// translate writes a block's lines as commands of a script.
func translate(out *strings.Builder, who, block string, unit []string) {
	for line := range strings.Lines(block) {
		line = placed.Replace(comment.ReplaceAllString(strings.TrimSpace(line), ""))
		line = strings.ReplaceAll(line, "/var/lib/waxwing", who)
		line = strings.ReplaceAll(line, "127.0.0.1:9090", "$"+who+"_tcp")
		host := who
		for _, h := range []string{"alpha", "beta"} { // the README names the directory
			if strings.Contains(line, "--data "+h[:1]+" ") || strings.HasSuffix(line, "--data "+h[:1]) {
				host = h
			}
		}
		if (who == "alice" || who == "bob") && strings.HasPrefix(line, "waxwing ") {
			line = "waxwing --profile " + who + strings.TrimPrefix(line, "waxwing")
		}
		flags := ""
		if len(unit) == 2 {
			flags = strings.ReplaceAll(unit[1], "/var/lib/waxwing", who)
		}
		switch {
		case line == "systemctl enable --now waxwingd", line == "systemctl start waxwingd":
			line = fmt.Sprintf("serve %s %s --listen $%s_udp", host, flags, host)
		case line == "systemctl stop waxwingd":
			line = "end " + host
		case line == "systemctl restart waxwingd":
			line = fmt.Sprintf("end %s\nserve %s %s --listen $%s_udp", host, host, flags, host)
		case strings.HasPrefix(line, "waxwingd serve "):
			line = "serve " + host + strings.TrimPrefix(line, "waxwingd serve")
		case strings.HasPrefix(line, "waxwingd init "):
			line += fmt.Sprintf("\ncapture %s_pin 'pin: (.{43})'", host)
		case strings.HasPrefix(line, "waxwingd pin "):
			line += fmt.Sprintf("\nstdout $%s_pin", host)
		case strings.HasPrefix(line, "waxwing admin invite "):
			line += fmt.Sprintf("\ncapture %s_invite '^([a-z2-7-]{39})'", host)
		case strings.HasSuffix(line, " contact-code"):
			line += "\ncapture code '^(waxwing:.*)'"
		case strings.HasSuffix(line, " inbox"):
			line = "await hello " + line
		case strings.Contains(line, " verify "):
			line = "await '^waxwing-verify:' " + line
		case strings.Contains(line, " chat "):
			line = "talk"
		case strings.HasPrefix(line, "curl "), line == "":
		case strings.HasPrefix(line, "cp -a "):
			line = "exec " + line
		}
		out.WriteString(line + "\n")
	}
}

type hostsKey struct{}

// hosts is the servers of one document.
type hosts struct{ running map[string]*child.Process }

func hostsOf(ts *testscript.TestScript) *hosts { return ts.Value(hostsKey{}).(*hosts) }

func (h *hosts) stop() {
	for _, p := range h.running {
		p.Kill()
	}
}

// end drains a host's server.
func (h *hosts) end(ts *testscript.TestScript, host string) {
	p := h.running[host]
	if p == nil {
		ts.Fatalf("%s does not run", host)
	}
	delete(h.running, host)
	ts.Check(p.Stop())
}

// cmdServe starts a host's server and waits for its line.
func cmdServe(ts *testscript.TestScript, args []string) {
	h, host := hostsOf(ts), args[0]
	if h.running[host] != nil {
		ts.Fatalf("%s runs already", host)
	}
	args = slices.Clone(args[1:])
	for i, a := range args {
		if i > 0 && args[i-1] == "--data" {
			args[i] = ts.MkAbs(a)
		}
	}
	args = slices.Concat([]string{"waxwingd", "serve"}, args, []string{"--exit-with-stdin"})
	p, err := child.Spawn(ts.MkAbs(host+".log"), args...)
	ts.Check(err)
	h.running[host] = p
	_, err = p.Line(context.Background())
	ts.Check(err)
}

// cmdCapture sets a variable to what the last output has in the place of the
// expression's group.
func cmdCapture(ts *testscript.TestScript, args []string) {
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("the output does not match %q", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// cmdCopy copies a file with its variables replaced.
func cmdCopy(ts *testscript.TestScript, args []string) {
	host := strings.TrimSuffix(args[0], ".toml")
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "127.0.0.1:9090", ts.Getenv(host+"_tcp"))
	text = strings.ReplaceAll(text, "relay."+host+".example:4433", ts.Getenv(host+"_udp"))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// cmdCurl wants the answer 200.
func cmdCurl(ts *testscript.TestScript, args []string) {
	c := http.Client{Timeout: 10 * time.Second}
	r, err := c.Get(args[len(args)-1])
	ts.Check(err)
	ts.Check(r.Body.Close())
	if r.StatusCode != http.StatusOK {
		ts.Fatalf("the answer is %s", r.Status)
	}
}

// cmdTalk holds a conversation between two chats that run at once.
func cmdTalk(ts *testscript.TestScript, _ []string) {
	people := []struct{ name, with string }{{"alice", "bob@beta.example"}, {"bob", "alice@alpha.example"}}
	var chats []*child.Process
	for _, p := range people {
		c, err := child.Spawn(ts.MkAbs(p.name+".log"), "waxwing", "--profile", ts.MkAbs(p.name), "chat", p.with)
		ts.Check(err)
		defer c.Kill()
		chats = append(chats, c)
	}
	for i, text := range []string{"can you read this", "I can", "then it works"} {
		from, to := chats[i%2], chats[(i+1)%2]
		_, err := from.Write([]byte(text + "\n"))
		ts.Check(err)
		for end := time.Now().Add(20 * time.Second); ; {
			line, err := to.Line(context.Background())
			ts.Check(err)
			if strings.HasSuffix(string(line), ": "+text) {
				break
			}
			if time.Now().After(end) {
				ts.Fatalf("%q does not arrive", text)
			}
		}
	}
	for _, c := range chats {
		ts.Check(c.Stop())
	}
}

// freeAddress returns an address of the loopback interface that is free now.
func freeAddress(network string) (string, error) {
	if network == "tcp" {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		return l.Addr().String(), l.Close()
	}
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return c.LocalAddr().String(), c.Close()
}
