package storetest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"waxwing/core/store"
)

// smallDiskVar names the test that runs on a disk of its own.
const smallDiskVar = "WAXWING_SMALL_DISK"

// noMount is the exit code of a child that may not mount.
const noMount = 77

// SmallDisk runs a test on a file system of its own of size bytes, in memory:
// the test binary runs the same test again as a child with user and mount
// namespaces, which takes no rights. Where the system allows none of it, the test
// is skipped. It is for tests that are no subtests.
func SmallDisk(t *testing.T, size int64, test func(t *testing.T, d *Disk)) {
	t.Helper()
	if os.Getenv(smallDiskVar) == t.Name() {
		at := t.TempDir()
		if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size="+strconv.FormatInt(size, 10)); err != nil {
			os.Exit(noMount)
		}
		t.Cleanup(func() { _ = syscall.Unmount(at, syscall.MNT_DETACH) })
		test(t, &Disk{t: t, at: at})
		return
	}
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe, "-test.run", "^"+t.Name()+"$", "-test.v="+strconv.FormatBool(testing.Verbose()))
	cmd.Env = append(os.Environ(), smallDiskVar+"="+t.Name())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		t.Skip("this system gives no namespaces:", err)
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == noMount {
		t.Skip("this system allows no mount")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	t.Logf("on a disk of its own:\n%s", out.Bytes())
}

// Disk is a small file system.
type Disk struct {
	t  *testing.T
	at string
}

// Dir returns the folder of a name on it.
func (d *Disk) Dir(name string) string { return filepath.Join(d.at, name) }

// Fill lets something else take size bytes of it, or with 0 all that is left.
func (d *Disk) Fill(size int64) {
	d.t.Helper()
	f, err := os.OpenFile(d.Dir("ballast"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(d.t, err)
	defer f.Close()
	const step = 64 << 10
	block := bytes.Repeat([]byte{1}, step)
	for n := int64(0); size == 0 || n < size; n += step {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			if size != 0 {
				d.t.Fatalf("the disk is full after %d bytes", n)
			}
			return
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

// Free gives back what Fill took.
func (d *Disk) Free() {
	d.t.Helper()
	must(d.t, os.Remove(d.Dir("ballast")))
}

// FullDisk is Crash on a disk that something else fills up while a child writes,
// until not a byte is left. The child has to end by itself, as does one that
// starts on the full disk; when there is space again, all that was acknowledged
// is there.
func FullDisk(t *testing.T, d *Disk, open func(t testing.TB, dir string) store.Store) {
	t.Helper()
	dir, acked := d.Dir("store"), newCrashLedger()
	for round := range 3 {
		before := acked.count
		fullDiskChild(t, dir, 2*round, acked, func() { d.Fill(0) })
		if acked.count == before {
			t.Fatalf("round %d: nothing was acknowledged", round)
		}
		fullDiskChild(t, dir, 2*round+1, acked, nil)
		d.Free()
		s := open(t, dir)
		acked.check(t, s, round)
		must(t, s.Close())
	}
	t.Logf("%d acknowledged operations", acked.count)
}

// fullDiskChild runs a child until it ends, and meanwhile a function as soon as
// the child has said some thousand bytes.
func fullDiskChild(t *testing.T, dir string, round int, acked *crashLedger, meanwhile func()) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashDirVar+"="+dir, crashRoundVar+"="+strconv.Itoa(round))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	timer := time.AfterFunc(faultTime, func() { _ = cmd.Process.Kill() })
	acked.read(t, &interrupted{Reader: out, left: 8 << 10, call: meanwhile})
	inTime := timer.Stop()
	if err := cmd.Wait(); err == nil || !inTime {
		t.Fatalf("the child goes on on a full disk, %v", err)
	}
	t.Logf("the child: %.200s", stderr.Bytes())
}

// interrupted calls a function when about so many bytes were read.
type interrupted struct {
	io.Reader
	left int
	call func() // nil once called, or if there is none
}

func (r *interrupted) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if r.left -= n; r.left <= 0 && r.call != nil {
		r.call()
		r.call = nil
	}
	return n, err
}
