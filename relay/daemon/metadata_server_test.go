package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/relay/admin"
	"waxwing/relay/daemon"
	"waxwing/relay/node"
	"waxwing/relay/quicnet/quicnettest"
)

// What TestMetadataServer is told by its environment.
const (
	envArgs   = "METADATA_TEST_ARGS"   // the server's arguments, with line breaks between
	envFrames = "METADATA_TEST_FRAMES" // file to append frames to
)

// TestMetadataServer is no test but a server of one, in a process of its own:
// the real main, with everything that it reads and writes inside TLS written
// down.
func TestMetadataServer(t *testing.T) {
	args, ok := os.LookupEnv(envArgs)
	if !ok {
		return
	}
	f, err := os.OpenFile(os.Getenv(envFrames), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	quicnettest.Record(func(fr quicnettest.Frame) {
		buf = appendFrame(buf[:0], &fr)
		if _, err := f.Write(buf); err != nil { // at once: it may be killed
			panic(err)
		}
	})
	os.Exit(daemon.Main(strings.Split(args, "\n"), os.Stdin, os.Stdout, os.Stderr))
}

// provider is a provider under test. It outlives its processes.
type provider struct {
	t      *testing.T
	domain ids.Domain
	dir    string // data directory
	addr   string
	pin    keys.Pin
	log    string // file of standard error
	frames string // files of frames, one for each process: frames-1, ...
	runs   int
	invite string
	flags  []string // further ones of serve

	cmd     *exec.Cmd
	stdin   io.Closer
	done    chan error
	metrics string // address

	ready   []byte // ready lines
	scraped []byte // metrics, as they were before each end
}

// newProvider makes a data directory with an invite, and chooses an address.
func newProvider(t *testing.T, root, domain string) *provider {
	p := &provider{
		t: t, domain: ids.MustParseDomain(domain), dir: filepath.Join(root, domain), log: filepath.Join(root, domain+".log"),
		frames: filepath.Join(root, domain+".frames"), addr: freeUDP(t),
	}
	if code := daemon.Main([]string{"init", "--data", p.dir, domain}, strings.NewReader(""), io.Discard, io.Discard); code != 0 {
		t.Fatalf("init ended with %d", code)
	}
	_, pin, err := node.Identify(p.dir)
	must(t, err)
	p.pin = pin
	return p
}

// federate does what an operator does by command: it adds peers and makes an
// invite.
func (p *provider) federate(others ...*provider) {
	p.t.Helper()
	n, err := node.Open(node.Config{Dir: p.dir, Listen: "127.0.0.1:0", Endpoints: []string{p.addr}})
	must(p.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	for _, o := range others {
		must(p.t, n.AddPeer(ctx, node.Peer{Domain: o.domain, Addr: o.addr, Pin: o.pin}, false))
	}
	code, _, err := n.NewInvite(ctx, 10, time.Hour)
	must(p.t, err)
	p.invite = code.Text()
	cancel()
	must(p.t, n.Run(ctx)) // closes what Open opened
}

func freeUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	defer c.Close()
	return c.LocalAddr().String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts a process and waits for its ready line.
func (p *provider) start() *provider {
	p.t.Helper()
	p.runs++
	args := []string{
		"serve", "--data", p.dir, "--listen", p.addr, "--metrics", "127.0.0.1:0", "--exit-with-stdin",
		"--log-format", "json", "--log-level", "debug",
	}
	args = append(args, p.flags...)
	log, err := os.OpenFile(p.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(p.t, err)
	defer log.Close()
	p.cmd = exec.Command(os.Args[0], "-test.run=^TestMetadataServer$")
	p.cmd.Env = append(os.Environ(), envArgs+"="+strings.Join(args, "\n"), fmt.Sprintf("%s=%s-%d", envFrames, p.frames, p.runs))
	p.cmd.Stderr = log
	p.stdin, err = p.cmd.StdinPipe()
	must(p.t, err)
	out, err := p.cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, p.cmd.Start())
	p.done = make(chan error, 1)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(p.cmd, p.done)
	p.t.Cleanup(p.kill)
	var ready struct {
		Ready   bool   `json:"ready"`
		Metrics string `json:"metrics"`
	}
	if err != nil || json.Unmarshal(line, &ready) != nil || !ready.Ready {
		b, _ := os.ReadFile(p.log)
		p.t.Fatalf("first line of %s: %q, %v\n%s", p.domain, line, err, b)
	}
	p.metrics, p.ready = ready.Metrics, append(p.ready, line...)
	return p
}

// operate looks at the server, changes limits of its peers and has it renew its
// keys.
func (p *provider) operate() {
	p.t.Helper()
	socket := filepath.Join(p.dir, "admin.sock")
	peers, err := admin.Call[admin.PeersResult](p.t.Context(), socket, admin.PeerList, nil)
	must(p.t, err)
	for _, peer := range peers.Peers {
		for _, dry := range []bool{false, true} {
			of := admin.LimitParams{Name: "peer_requests", Peer: peer.Domain, DryRun: dry}
			_, err := admin.Call[admin.Limit](p.t.Context(), socket, admin.LimitSet, &admin.LimitSetParams{LimitParams: of, Rate: "1000/s"})
			must(p.t, err)
		}
		_, err := admin.Call[admin.Limit](p.t.Context(), socket, admin.LimitReset, &admin.LimitParams{Name: "peer_requests", Peer: peer.Domain, DryRun: true})
		must(p.t, err)
		_, err = admin.Call[admin.LimitsResult](p.t.Context(), socket, admin.LimitList, &admin.LimitListParams{Peer: peer.Domain})
		must(p.t, err)
	}
	_, err = admin.Call[admin.StatsResult](p.t.Context(), socket, admin.Stats, nil)
	must(p.t, err)
	_, err = admin.Call[admin.RotateResult](p.t.Context(), socket, admin.KeysRotate, nil)
	must(p.t, err)
}

// kill ends the process as kill -9 does.
func (p *provider) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	_ = p.stdin.Close()
	p.cmd = nil
}

// stop has the process drain and end.
func (p *provider) stop() {
	p.t.Helper()
	_ = p.stdin.Close()
	select {
	case err := <-p.done:
		must(p.t, err)
		p.cmd = nil
	case <-time.After(20 * time.Second):
		p.t.Fatal("the server does not end")
	}
}

// scrape reads the metrics and keeps them.
func (p *provider) scrape() string {
	p.t.Helper()
	r, err := http.Get("http://" + p.metrics + "/metrics")
	must(p.t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	must(p.t, err)
	p.scraped = b
	return string(b)
}

// counter reads one sample of the metrics.
func (p *provider) counter(name string) (n float64) {
	p.t.Helper()
	for line := range strings.Lines(p.scrape()) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			_, err := fmt.Sscan(rest, &n)
			must(p.t, err)
		}
	}
	return n
}

// recorded returns the frames of all processes so far, each connection with a
// number of its own.
func (p *provider) recorded() (out []quicnettest.Frame) {
	p.t.Helper()
	for run := 1; run <= p.runs; run++ {
		b, err := os.ReadFile(fmt.Sprintf("%s-%d", p.frames, run))
		must(p.t, err)
		frames, err := readFrames(b)
		must(p.t, err)
		for _, f := range frames {
			f.Conn += uint32(run) << 24
			out = append(out, f)
		}
	}
	return out
}

// copyTree copies a directory. Long runs of zeros, of which files that are
// mapped into memory consist mostly, become holes.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !d.Type().IsRegular():
			return os.WriteFile(target, nil, 0o600) // a socket: there is a file of its name
		}
		return copySparse(path, target)
	})
	must(t, err)
}

func copySparse(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	buf, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	at := int64(0)
	for {
		n, err := io.ReadFull(in, buf)
		if n > 0 && !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return out.Truncate(at)
		}
		if err != nil {
			return err
		}
	}
}
