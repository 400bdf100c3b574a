package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exec runs a command line and returns its exit code and outputs.
func exec(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	code, out, errs := exec(t, "init", "--data", dir, "--json", "Alpha.Example")
	var id identity
	if err := json.Unmarshal([]byte(out), &id); code != ExitOK || err != nil || id.Domain != "alpha.example" {
		t.Fatalf("init: %d, %q, %q", code, out, errs)
	}
	if st, err := os.Stat(id.Config); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("configuration: %v, %v", st, err)
	}
	if code, out, _ := exec(t, "pin", "--data", dir); code != ExitOK || out != id.Pin.String()+"\n" {
		t.Errorf("pin: %d, %q", code, out)
	}
	if code, _, errs := exec(t, "init", "--data", dir, "alpha.example"); code != ExitInUse || !strings.Contains(errs, dir) {
		t.Errorf("second init: %d, %q", code, errs)
	}
	if code, out, errs := exec(t, "check-config", "--data", dir); code != ExitOK || !strings.Contains(out, "ok: "+id.Config) {
		t.Errorf("check-config: %d, %q, %q", code, out, errs)
	}
}

// init says what comes next and leaves a configuration that is there alone.
func TestInitForPeople(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, configName)
	own := "listen = \":1234\"\n"
	if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := exec(t, "init", "alpha.example", "--data", dir)
	if code != ExitOK || errs != "" {
		t.Fatalf("%d, %q", code, errs)
	}
	for _, want := range []string{"pin: ", "waxwingd serve --data " + dir, "waxwing admin invite", "waxwing peer add", path} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %q", want, out)
		}
	}
	if b, _ := os.ReadFile(path); string(b) != own {
		t.Error("the configuration was overwritten")
	}
}

func TestMistakesInUse(t *testing.T) {
	dir := t.TempDir()
	pin := strings.Repeat("A", 43)
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"dance"}, ExitUsage, `"dance"`},
		{[]string{"--dance"}, ExitUsage, "--dance"},
		{[]string{"init", "alpha.example"}, ExitUsage, "--data"},
		{[]string{"init", "--data", dir}, ExitUsage, "domain"},
		{[]string{"init", "--data", dir, "alpha_example"}, ExitUsage, "domain"},
		{[]string{"pin"}, ExitUsage, "--data"},
		{[]string{"pin", "--data", dir, "more"}, ExitUsage, `"more"`},
		{[]string{"pin", "--data", dir}, ExitFailed, "waxwingd init"},
		{[]string{"serve"}, ExitUsage, "--data"},
		{[]string{"serve", "--data", dir}, ExitFailed, "waxwingd init"},
		{[]string{"serve", "--config", filepath.Join(dir, "nowhere.toml")}, ExitFailed, "--config"},
		{[]string{"serve", "--data", dir, "--listen", "nowhere"}, ExitUsage, "HOST:PORT"},
		{[]string{"serve", "--data", dir, "--endpoint", "nowhere"}, ExitUsage, "HOST:PORT"},
		{[]string{"serve", "--data", dir, "--registration", "maybe"}, ExitUsage, "invite or open or closed"},
		{[]string{"serve", "--data", dir, "--limit", "dance=1/s"}, ExitUsage, "account-envelopes"},
		{[]string{"serve", "--data", dir, "--limit", "peer-bytes=1/y"}, ExitUsage, "COUNT/s"},
		{[]string{"serve", "--data", dir, "--peer", "beta.example"}, ExitUsage, "DOMAIN=HOST:PORT,PIN"},
		{[]string{"check-config", "--data", dir, "--peer", "beta.example=127.0.0.1,AAAA"}, ExitUsage, "HOST:PORT"},
		{[]string{"check-config", "--data", dir, "--peer", "beta.example=127.0.0.1:1," + pin[1:]}, ExitUsage, "43 characters"},
	} {
		code, out, errs := exec(t, tt.args...)
		if code != tt.code || out != "" || !strings.Contains(errs, tt.says) || !strings.Contains(errs, "next: ") {
			t.Errorf("%q: %d, %q, %q", tt.args, code, out, errs)
		}
	}
}
