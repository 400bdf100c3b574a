package bench

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path/filepath"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/sync/errgroup"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/wire"
)

const (
	// FloorName is the name under which this program is the floor's receiver.
	FloorName = "waxwing-floor"

	floorALPN = "waxwing-floor"
	// floorBuffer is how much the receiver reads and the sender writes at once,
	// as much as the relay does.
	floorBuffer = 64 << 10
	// ackSize is the size of an ack: how many messages have come, as a number.
	ackSize = 8
)

// FloorMain is the receiver: a quic-go server with its default configuration
// that reads frames from one stream per connection and acknowledges what has
// come whenever its buffer is empty. It prints its address, then its processor
// time for each line on stdin, and ends with stdin. It returns the exit code.
func FloorMain(stdin io.Reader, stdout, stderr io.Writer) int {
	if err := serveFloor(stdin, stdout); err != nil {
		fmt.Fprintln(stderr, FloorName+":", err)
		return 1
	}
	return 0
}

func serveFloor(stdin io.Reader, stdout io.Writer) error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	listener, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: []string{floorALPN}, MinVersion: tls.VersionTLS13,
	}, nil)
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			go receiveFloor(conn)
		}
	}()
	enc := json.NewEncoder(stdout)
	if err := enc.Encode(floorLine{Addr: listener.Addr().String()}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		used, err := processorTime()
		if err != nil {
			return err
		}
		if err := enc.Encode(floorLine{CPU: used}); err != nil {
			return err
		}
	}
	return nil
}

// floorLine is what the receiver prints.
type floorLine struct {
	Addr string        `json:"addr,omitempty"`
	CPU  time.Duration `json:"cpu_ns,omitempty"`
}

func selfSigned() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}

// receiveFloor reads one stream of frames to its end.
func receiveFloor(conn *quic.Conn) {
	defer func() { _ = conn.CloseWithError(0, "") }()
	s, err := conn.AcceptStream(context.Background())
	if err != nil {
		return
	}
	in := bufio.NewReaderSize(s, floorBuffer)
	header, body := make([]byte, wire.FrameHeaderSize), make([]byte, wire.MaxFrame)
	var ack [ackSize]byte
	for count := uint64(1); ; count++ {
		if _, err := io.ReadFull(in, header); err != nil {
			return
		}
		_, n, err := wire.ParseFrameHeader(header)
		if err != nil {
			return
		}
		if _, err := io.ReadFull(in, body[:n]); err != nil {
			return
		}
		if in.Buffered() > 0 {
			continue
		}
		binary.BigEndian.PutUint64(ack[:], count)
		if _, err := s.Write(ack[:]); err != nil {
			return
		}
	}
}

// floor is a running receiver.
type floor struct {
	proc *child.Process
	addr string
}

func startFloor(ctx context.Context, root string) (*floor, error) {
	proc, err := child.Spawn(filepath.Join(root, "floor.log"), FloorName)
	if err != nil {
		return nil, err
	}
	f := &floor{proc: proc}
	line, err := f.line(ctx)
	if err != nil {
		proc.Kill()
		return nil, err
	}
	f.addr = line.Addr
	return f, nil
}

func (f *floor) line(ctx context.Context) (line floorLine, err error) {
	b, err := f.proc.Line(ctx)
	if err != nil {
		return line, err
	}
	return line, json.Unmarshal(b, &line)
}

func (f *floor) cpu(ctx context.Context) (time.Duration, error) {
	if _, err := f.proc.Write([]byte("\n")); err != nil {
		return 0, err
	}
	line, err := f.line(ctx)
	return line.CPU, err
}

// run sends the frames to the receiver.
func (f *floor) run(ctx context.Context, frames [][]byte) (sample, error) {
	before, err := f.cpu(ctx)
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	if err := f.transfer(ctx, frames); err != nil {
		return sample{}, fmt.Errorf("floor: %w", err)
	}
	took := time.Since(start)
	time.Sleep(quiet)
	after, err := f.cpu(ctx)
	if err != nil {
		return sample{}, err
	}
	n := float64(len(frames))
	return sample{perSecond: n / took.Seconds(), cpu: micros(after-before) / n}, nil
}

func (f *floor) transfer(ctx context.Context, frames [][]byte) error {
	// The receiver is a child on the loopback interface with a certificate made
	// a moment ago; there is nobody to tell it from.
	conn, err := quic.DialAddr(ctx, f.addr, &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{floorALPN}, MinVersion: tls.VersionTLS13,
	}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseWithError(0, "") }()
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	w, out := newWindow(), bufio.NewWriterSize(s, floorBuffer)
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = conn.CloseWithError(0, "") })
	defer stop()
	group.Go(func() error {
		in := bufio.NewReader(s)
		var ack [ackSize]byte
		for {
			if _, err := io.ReadFull(in, ack[:]); err != nil {
				return err
			}
			n := binary.BigEndian.Uint64(ack[:])
			if n > uint64(len(frames)) {
				return errors.New("more was acknowledged than sent")
			}
			w.ack(n)
			if n == uint64(len(frames)) {
				return nil
			}
		}
	})
	group.Go(func() error {
		return w.send(ctx, len(frames), Window, func(i int) error {
			_, err := out.Write(frames[i])
			return err
		}, out.Flush)
	})
	return group.Wait()
}
