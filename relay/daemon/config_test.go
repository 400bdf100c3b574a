package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"waxwing/core/ids"
	"waxwing/ratelimit/limits"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// writeConfig writes a configuration into a directory of its own and returns
// its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), configName)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// from returns sources with an environment of their own.
func from(data, file string, env ...string) sources {
	return sources{data: data, file: file, env: env, getenv: func(name string) (string, bool) {
		for _, e := range env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v, true
			}
		}
		return "", false
	}}
}

// What init writes is the default of everything; with its comments taken away
// it names every setting there is, and only the peer's pin is to be filled in.
func TestTemplate(t *testing.T) {
	must(t, os.WriteFile(filepath.Join(t.TempDir(), "x"), nil, 0o600))
	dir := t.TempDir()
	path, err := writeTemplate(dir, "alpha.example")
	must(t, err)
	l, err := from("", path).load()
	must(t, err)
	if len(l.from) != 0 || l.Data != dir {
		t.Errorf("the template sets %v, data %q", l.from, l.Data)
	}
	b, err := os.ReadFile(path)
	must(t, err)
	if strings.Contains(string(b), "DOMAIN") {
		t.Error("a place for the domain is left")
	}
	all := regexp.MustCompile(`(?m)^#(\w+ = |\[\[)`).ReplaceAllString(string(b), "$1")
	all = regexp.MustCompile(`(?m)^pin = .*$`).ReplaceAllString(all, `pin = "`+strings.Repeat("A", 43)+`"`)
	l, err = from("", writeConfig(t, all)).load()
	must(t, err)
	for _, key := range append(keysOf(settings), "endpoints", "peers") {
		if l.from[key] != fromFile {
			t.Errorf("the template does not show %s", key)
		}
	}
	r, err := l.resolve(ids.Domain{})
	must(t, err)
	zero, err := (&Config{Data: l.Data}).resolve(ids.Domain{})
	must(t, err)
	if r.secret != "/etc/waxwing/key-encryption-key" {
		t.Errorf("secret at %q", r.secret)
	}
	if r.node.Hop || zero.node.Hop || r.node.Listen != zero.node.Listen || r.node.Registration != zero.node.Registration || r.socket != zero.socket ||
		r.json != zero.json || r.level != zero.level {
		t.Errorf("the template's values are not the defaults: %+v, %+v", r, zero)
	}
}

func keysOf(list []setting) (out []string) {
	for _, s := range list {
		out = append(out, s.key)
	}
	return out
}

func TestMistakesInFile(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"unknown key":      {"listen = \":1\"\n  lisen = \":1\"\n", `:2:3: there is no setting "lisen"`},
		"unknown table":    {"[loging]\nlevel = \"info\"\n", `:1:2: there is no setting "loging"`},
		"unknown in table": {"[log]\ncolour = true\n", `:2:1: there is no setting "log.colour"`},
		"unknown in peer":  {"[[peers]]\ndomain = \"beta.example\"\nport = 1\n", `:3:1: there is no setting "peers.port"`},
		"wrong type":       {"\nlisten = 4433\n", ":2:10: "},
		"not TOML":         {"listen = \n", ":1:"},
		"twice":            {"listen = \":1\"\nlisten = \":2\"\n", ":2:"},
	} {
		path := writeConfig(t, tt.text)
		_, err := from("", path).load()
		var all problems
		if !errors.As(err, &all) || !strings.Contains(err.Error(), path+tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	two := writeConfig(t, "a = 1\nb = 2\n")
	if _, err := from("", two).load(); !strings.Contains(err.Error(), "2 mistakes") {
		t.Errorf("not all mistakes: %v", err)
	}
	long := writeConfig(t, strings.Repeat("#", maxConfigSize+1))
	if _, err := from("", long).load(); err == nil {
		t.Error("an endless file is read")
	}
}

func badLimits() (c LimitsConfig) {
	c.All.Value[limits.PeerBytes], c.All.Value[limits.Registrations] = "1", "0/s"
	return c
}

// All mistakes are listed at once, by their keys.
func TestAllMistakesAreListed(t *testing.T) {
	pin := strings.Repeat("A", 43)
	c := Config{
		Listen: "nowhere", Endpoints: []string{"host", "HOST:1", "h:0"}, Registration: "maybe", Hop: "yes", Metrics: "1",
		Log: LogConfig{"xml", "loud"}, Limits: badLimits(),
		Peers: []PeerConfig{
			{"alpha.example", "h:1", pin},
			{"beta.example", "h:1", pin},
			{"beta.example", "h:1", pin},
			{"-", "h:1", pin},
			{"c.example", "h", pin},
			{"d.example", "h:1", "short"},
			{"e.example", "h:1", ""},
		},
	}
	_, err := c.resolve(ids.MustParseDomain("alpha.example"))
	var all problems
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"data: ", "listen: ", `"host"`, `"HOST:1"`, `"h:0"`, "registration: ", "hop: ", "metrics: ", "log.format: ", "log.level: ",
		"limits.peer_bytes: ", "limits.registrations: ", "this provider itself", "beta.example is given twice",
		"number 4", "number 5", "number 6", "number 7",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if len(all) != 18 {
		t.Errorf("%d mistakes: %v", len(all), err)
	}
	many := Config{Data: "x", Peers: make([]PeerConfig, maxPeers+1), Endpoints: slices.Repeat([]string{"h:1"}, 9)}
	if _, err := many.resolve(ids.Domain{}); !errors.As(err, &all) || len(all) != 2 {
		t.Errorf("too many: %v", err)
	}
}

// The environment overrides the file and the command line overrides both, for
// every setting.
func TestOverrides(t *testing.T) {
	good := map[string][3]string{ // file, environment, in a file that the environment names
		"data":                    {"d1", "d2", "d3"},
		"listen":                  {":1", ":2", ":3"},
		"registration":            {"open", "closed", "invite"},
		"hop":                     {"on", "off", "on"},
		"metrics":                 {"h:1", "h:2", "h:3"},
		"admin_socket":            {"a1", "a2", none},
		"log.format":              {"text", "json", "text"},
		"key_encryption_key_file": {"k1", "k2", "k3"},
		"log.level":               {"warn", "error", "debug"},
		"reports.tokens_per_day":  {"1", "2", "256"},
		"reports.steps":           {"warn 1", "at once", "nothing"},
	}
	for _, s := range settings {
		v, ok := good[s.key]
		if strings.HasPrefix(s.key, "reports.reason.") {
			v, ok = [3]string{"warn 1", "at once", "nothing"}, true
		}
		if !ok {
			v = [3]string{"1000000/s", "2000000/s", "3000000/s"}
			if n, ok := limits.ParseName(s.key[strings.LastIndex(s.key, ".")+1:]); ok && limits.All[n].AtOnce() {
				v = [3]string{"2", "3", "4"}
			}
		}
		i := strings.LastIndex(s.key, ".")
		table, key, inTable := s.key[:max(i, 0)], s.key[i+1:], i > 0
		text := fmt.Sprintf("[%s]\n%s = %q\n", table, key, v[0])
		if !inTable {
			text = fmt.Sprintf("%s = %q\n", s.key, v[0])
		}
		path := writeConfig(t, text)
		secret := filepath.Join(t.TempDir(), "value")
		must(t, os.WriteFile(secret, []byte(v[2]+"\n"), 0o600))
		for i, env := range [][]string{nil, {s.variable() + "=" + v[1]}, {s.variable() + "_FILE=" + secret}} {
			l, err := from("", path, env...).load()
			must(t, err)
			got := *s.in(&l.Config)
			want := v[i]
			if i == 0 && slices.Contains([]string{"data", "admin_socket", "key_encryption_key_file"}, s.key) {
				want = filepath.Join(filepath.Dir(path), want)
			}
			source := fromFile
			if i > 0 {
				source = fromEnv
			}
			if got != want || l.from[s.key] != source || len(l.warnings) != 0 {
				t.Errorf("%s with %q: %q from %s, %v", s.key, env, got, l.from[s.key], l.warnings)
			}
		}
		_, err := from("", path, s.variable()+"=x", s.variable()+"_FILE="+secret).load()
		if err == nil || !strings.Contains(err.Error(), "both set") {
			t.Errorf("%s given twice: %v", s.key, err)
		}
		if _, err := from("", path, s.variable()+"_FILE=/nonexistent").load(); err == nil {
			t.Errorf("%s from no file", s.key)
		}
	}
}

func TestListsInEnvironment(t *testing.T) {
	pin := strings.Repeat("A", 43)
	path := writeConfig(t, "endpoints = [\"a:1\"]\n[[peers]]\ndomain = \"x.example\"\naddress = \"h:1\"\npin = \""+pin+"\"\n")
	l, err := from("", path, "WAXWING_ENDPOINTS=b:1, c:2", "WAXWING_PEERS=beta.example=h:1,"+pin+"  gamma.example=[::1]:2,"+pin).load()
	must(t, err)
	r, err := l.resolve(ids.Domain{})
	must(t, err)
	if !slices.Equal(r.node.Endpoints, []string{"b:1", "c:2"}) || len(r.node.Peers) != 2 || r.node.Peers[1].Addr != "[::1]:2" {
		t.Errorf("%v, %v", r.node.Endpoints, r.node.Peers)
	}
	if _, err := from("", path, "WAXWING_PEERS=beta.example").load(); err == nil {
		t.Error("half a peer is taken")
	}
}

// A variable that was mistyped does not pass unnoticed.
func TestUnknownVariableIsWarnedOf(t *testing.T) {
	l, err := from(t.TempDir(), "", "WAXWING_LISTN=:1", "WAXWING_LISTEN=:2", "PATH=/bin").load()
	must(t, err)
	if len(l.warnings) != 1 || !strings.Contains(l.warnings[0], "WAXWING_LISTN") {
		t.Errorf("warnings %q", l.warnings)
	}
}

// Which file and which data directory are used, for every way to name them.
func TestWhereTheDataIs(t *testing.T) {
	path := writeConfig(t, "data = \"sub\"\nadmin_socket = \"s/a.sock\"\n")
	dir := filepath.Dir(path)
	for name, tt := range map[string]struct {
		s                  sources
		file, data, socket string
	}{
		"by file":             {from("", path), path, filepath.Join(dir, "sub"), filepath.Join(dir, "s/a.sock")},
		"by directory":        {from(dir, ""), path, dir, filepath.Join(dir, "s/a.sock")},
		"both":                {from("/elsewhere", path), path, "/elsewhere", filepath.Join(dir, "s/a.sock")},
		"by environment":      {from("", "", "WAXWING_DATA="+dir), path, dir, filepath.Join(dir, "s/a.sock")},
		"file by environment": {from("", "", "WAXWING_CONFIG="+path), path, filepath.Join(dir, "sub"), filepath.Join(dir, "s/a.sock")},
		"no file":             {from("/elsewhere", ""), "", "/elsewhere", "/elsewhere/admin.sock"},
		"no socket":           {from("/elsewhere", "", "WAXWING_ADMIN_SOCKET=none"), "", "/elsewhere", ""},
	} {
		l, err := tt.s.load()
		must(t, err)
		r, err := l.resolve(ids.Domain{})
		must(t, err)
		if l.file != tt.file || r.node.Dir != tt.data || r.socket != tt.socket {
			t.Errorf("%s: file %q, data %q, socket %q", name, l.file, r.node.Dir, r.socket)
		}
	}
	if _, err := from("", filepath.Join(dir, "other.toml")).load(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is named and missing: %v", err)
	}
}

func TestCheckConfig(t *testing.T) {
	path := writeConfig(t, "listen = \":1\"\nregistration = \"open\"\n")
	code, out, errs := exec(t, "check-config", "--config", path, "--json", "--registration", "closed", "--limit", "peer-bytes=70000/s")
	var c checked
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != ExitOK || errs != "" {
		t.Fatalf("%d, %q, %q", code, out, errs)
	}
	want := map[string]string{
		"listen": ":1 (file)", "registration": "closed (command line)", "limits.peer_bytes": "70000/s (command line)",
	}
	if !c.OK || c.File != path || fmt.Sprint(c.Settings) != fmt.Sprint(want) || len(c.Warnings) != 1 {
		t.Errorf("%+v", c)
	}
	bad := writeConfig(t, "listen = \":1\"\nregistraton = \"open\"\n")
	code, out, errs = exec(t, "check-config", "--config", bad)
	if code != ExitUsage || out != "" || !strings.Contains(errs, bad+":2:1: ") {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
}

// Whatever is in the file, reading it ends with a configuration or with
// mistakes that are named.
func FuzzConfig(f *testing.F) {
	f.Add(template)
	f.Add("listen = \":1\"\n[log]\nlevel = \"info\"\n[[peers]]\ndomain = \"a\"\n")
	f.Add("lisen = 1")
	f.Fuzz(func(t *testing.T, text string) {
		l := &loaded{from: map[string]string{}}
		err := l.parse("/data/"+configName, []byte(text))
		if err == nil {
			l.note(fromFile)
			l.anchor()
			_, err = l.resolve(ids.Domain{})
		}
		var all problems
		if err != nil && (!errors.As(err, &all) || len(all) == 0) {
			t.Errorf("%v", err)
		}
	})
}

// Whatever is in the environment and on the command line ends in the same way.
func FuzzOverrides(f *testing.F) {
	pin := strings.Repeat("A", 43)
	f.Add("listen", "h:1", "peer-bytes=70000/s,9000", "beta.example=h:1,"+pin)
	f.Add("endpoints", "b:1, c:2", "peer-connections=5", "gamma.example=[::1]:2,"+pin)
	f.Add("peers", "beta.example=h:1,"+pin+"  gamma.example=[::1]:2,"+pin, "account-messages=1/d,2", "x")
	f.Add("log.level", "debug", "limit", "=,")
	f.Fuzz(func(t *testing.T, key, value, limit, peer string) {
		o := &overrides{values: map[string]*string{}, limits: []string{limit}, peers: []string{peer}}
		s := sources{data: "/data", getenv: func(name string) (string, bool) {
			return value, name == (&setting{key: key}).variable()
		}}
		l := &loaded{from: map[string]string{}}
		values, _, all := s.overrides()
		for _, set := range settings {
			if v, ok := values[set.key]; ok {
				*set.in(&l.Config) = v
			}
		}
		all = append(all, l.lists(values)...)
		var more problems
		if err := o.apply(nil, l); err != nil && !errors.As(err, &more) {
			t.Errorf("%v", err)
		}
		r, err := l.resolve(ids.Domain{})
		if err != nil && !errors.As(err, &more) {
			t.Errorf("%v", err)
		}
		if err == nil && len(all) == 0 && len(r.node.Peers) != len(l.Peers) {
			t.Error("a peer was lost")
		}
	})
}
