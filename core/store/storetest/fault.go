package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxwing/core/store"
)

// faultTime is how long a child may go on after the fault that is to end it.
const faultTime = 30 * time.Second

// NoFault is the exit code of a child that cannot make its own calls fail.
const NoFault = 78

// SyncFault runs the test binary as a child in a folder of its own, with a variable of
// the environment by which it makes one of its system calls fail. The child must end by
// itself, because its engine answers nothing any more, and what was acknowledged before
// must be there afterwards. It returns how many answers there were. The test is skipped
// where the child ends with NoFault.
func SyncFault(t *testing.T, fault string, open func(t testing.TB, dir string) store.Store) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashDirVar+"="+dir, crashRoundVar+"=0", fault)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(faultTime, func() { _ = cmd.Process.Kill() })
	acked := newCrashLedger()
	acked.read(t, out)
	inTime := timer.Stop()
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() == NoFault {
		t.Skip("this system makes no call fail:", stderr.String())
	}
	if err == nil || !inTime {
		t.Fatalf("the child goes on after a failed call, %v", err)
	}
	said := stderr.String()
	if !strings.Contains(said, store.ErrUnavailable.Error()) && !strings.Contains(said, store.ErrUnknownOutcome.Error()) &&
		!strings.Contains(said, "input/output error") {
		t.Fatalf("the child says %q", said)
	}
	s := open(t, dir)
	if acked.count > 0 {
		acked.check(t, s, 0)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return acked.count
}

// powerCutVar is how many times PowerCut cuts the power; 0 without it.
const powerCutVar = "WAXWING_POWERCUT_ROUNDS"

// PowerCut is Crash on a machine whose power goes: the engine works on a file
// system of its own in a file, and goes on with what of it had reached the
// file when the child was killed. Whatever was only in the kernel's memory is
// lost, of synced files nothing. It needs the right to mount, so it is run by
// hand: WAXWING_POWERCUT_ROUNDS=20.
func PowerCut(t *testing.T, open func(t testing.TB, dir string) store.Store) {
	var rounds int
	if _, err := fmt.Sscan(os.Getenv(powerCutVar), &rounds); err != nil || rounds < 1 {
		t.Skip("needs the right to mount; " + powerCutVar + " says how many rounds")
	}
	d := &disk{file: filepath.Join(t.TempDir(), "disk"), at: t.TempDir()}
	const size = 1 << 30
	must(t, os.WriteFile(d.file, nil, 0o600))
	must(t, os.Truncate(d.file, size))
	d.run(t, "mkfs.ext4", "-q", d.file)
	acked := newCrashLedger()
	for round := range rounds {
		d.mount(t)
		dir := filepath.Join(d.at, "store")
		crashRound(t, dir, round, acked)
		canary := filepath.Join(d.at, fmt.Sprint("canary", round))
		must(t, os.WriteFile(canary, bytes.Repeat([]byte{1}, 1<<16), 0o600)) // never synced
		d.cut(t)
		if b, err := os.ReadFile(canary); bytes.ContainsRune(b, 1) || err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("round %d: the power was not cut: what was not synced is there, %v", round, err)
		}
		s := open(t, dir)
		acked.check(t, s, round)
		must(t, s.Close())
		d.unmount(t)
	}
	if acked.count == 0 {
		t.Fatal("nothing was acknowledged in any round")
	}
	t.Logf("%d rounds, %d acknowledged operations", rounds, acked.count)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// disk is a file with a file system.
type disk struct {
	file, at string
	mounted  bool
}

func (d *disk) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// mount mounts the disk. Nothing is written without being asked for: neither
// the journal nor dirty pages are due for minutes.
func (d *disk) mount(t *testing.T) {
	t.Helper()
	d.run(t, "mount", "-o", "loop,commit=300", d.file, d.at)
	if !d.mounted {
		t.Cleanup(func() { _ = exec.Command("umount", d.at).Run() })
	}
	d.mounted = true
}

func (d *disk) unmount(t *testing.T) {
	t.Helper()
	d.run(t, "umount", d.at)
}

// cut replaces the disk by what of it has been written so far.
func (d *disk) cut(t *testing.T) {
	t.Helper()
	d.run(t, "cp", "--sparse=always", d.file, d.file+".cut")
	d.unmount(t) // writes what the power cut has lost, to the old file
	must(t, os.Rename(d.file+".cut", d.file))
	d.mount(t)
}
