package quicnet

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// controlMessage builds one as the kernel does.
func controlMessage(level, kind int32, body []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(body)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(len(body)))
	copy(b[unix.CmsgLen(0):], body)
	return b
}

func TestSegmentSize(t *testing.T) {
	size := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	tos := controlMessage(unix.IPPROTO_IP, unix.IP_TOS, []byte{1})
	for name, c := range map[string]struct {
		oob  []byte
		want int
	}{
		"nothing":       {nil, 5000},
		"other message": {tos, 5000},
		"size":          {controlMessage(unix.IPPROTO_UDP, unix.UDP_GRO, size(1400)), 1400},
		"behind other":  {append(tos, controlMessage(unix.IPPROTO_UDP, unix.UDP_GRO, size(1400))...), 1400},
		"zero":          {controlMessage(unix.IPPROTO_UDP, unix.UDP_GRO, size(0)), 5000},
		"cut":           {controlMessage(unix.IPPROTO_UDP, unix.UDP_GRO, size(1400))[:10], 5000},
	} {
		if got := segmentSize(c.oob, 5000); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestJoinedPackets sends trains of packets with one system call each and reads
// them one by one, with their bounds.
func TestJoinedPackets(t *testing.T) {
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	socket := must(net.ListenUDP("udp4", local))
	defer socket.Close()
	j, ok := receiveJoined(socket, 2).(*joined)
	if !ok {
		t.Skip("this kernel does not join packets")
	}
	from := must(net.ListenUDP("udp4", local))
	defer from.Close()

	var want [][]byte
	for train, sizes := range [][]int{{100}, {700, 700, 700, 1}, {1200, 1200, 1200, 1200, 1200}, {9}} {
		var all []byte
		for i, n := range sizes {
			p := bytes.Repeat([]byte{byte(16*train + i)}, n)
			want = append(want, p)
			all = append(all, p...)
		}
		segment := controlMessage(unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(sizes[0])))
		if _, _, err := from.WriteMsgUDP(all, segment, socket.LocalAddr().(*net.UDPAddr)); err != nil {
			t.Skip("this kernel does not cut packets up:", err)
		}
	}
	if err := j.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	ms := make([]ipv4.Message, 3)
	for i := range ms {
		ms[i].Buffers, ms[i].OOB = [][]byte{make([]byte, 1452)}, make([]byte, groOOB)
	}
	for len(want) > 0 {
		n, err := j.ReadBatch(ms, 0)
		if err != nil || n == 0 {
			t.Fatalf("%d packets, %v", n, err)
		}
		for _, m := range ms[:n] {
			if got := m.Buffers[0][:m.N]; !bytes.Equal(got, want[0]) {
				t.Fatalf("%d bytes of %d, want %d of %d", len(got), got[0], len(want[0]), want[0][0])
			}
			if m.Addr.String() != from.LocalAddr().String() {
				t.Fatal("another sender")
			}
			want = want[1:]
		}
	}
	_ = j.SetReadDeadline(time.Now())
	if _, err := j.ReadBatch(ms, 0); err == nil {
		t.Error("a packet nobody sent")
	}
}
