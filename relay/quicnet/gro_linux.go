package quicnet

import (
	"encoding/binary"
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	// groBuffer is the most that the kernel joins into one read: the size that
	// an IP packet can have.
	groBuffer = 64 << 10
	// groOOB holds the control messages of one read: segment size, ECN bits and
	// the packet's destination need less than 100 bytes. quic-go's own are 128.
	groOOB = 128
)

// joined is a UDP socket that gives quic-go packets which the kernel has
// received joined (UDP generic receive offload, udp(7) UDP_GRO): one system
// call then brings dozens of packets instead of eight. quic-go asks for up to
// eight at a time through ReadBatch and knows nothing of it.
type joined struct {
	*net.UDPConn
	batch *ipv4.PacketConn // also for IPv6: the message format is the same

	// owned by the goroutine that reads
	reads   []ipv4.Message
	have    int    // reads[:have] were filled by the last system call
	next    int    // reads[next] is the one being cut up
	rest    []byte // of reads[next], what was not yet handed out
	segment int    // size of its packets; the last one may be shorter
}

// receiveJoined returns a socket that reads joined packets, up to reads of them
// with one system call, or c itself if the kernel cannot.
func receiveJoined(c *net.UDPConn, reads int) net.PacketConn {
	raw, err := c.SyscallConn()
	if err != nil {
		return c
	}
	refused := error(nil)
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	})
	if err != nil || refused != nil {
		return c
	}
	j := &joined{UDPConn: c, batch: ipv4.NewPacketConn(c), reads: make([]ipv4.Message, reads)}
	for i := range j.reads {
		j.reads[i].Buffers = [][]byte{make([]byte, groBuffer)}
		j.reads[i].OOB = make([]byte, groOOB)
	}
	return j
}

// ReadBatch fills ms with one packet each, reading from the socket only when
// all of the last read are handed out.
func (j *joined) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for len(j.rest) == 0 {
		if err := j.advance(flags); err != nil {
			return 0, err
		}
	}
	n := 0
	for n < len(ms) && len(j.rest) > 0 {
		from, m := &j.reads[j.next], &ms[n]
		size := min(j.segment, len(j.rest))
		m.N = copy(m.Buffers[0], j.rest[:size])
		m.NN = copy(m.OOB, from.OOB[:from.NN])
		m.Flags, m.Addr = from.Flags, from.Addr
		j.rest = j.rest[size:]
		n++
	}
	return n, nil
}

// advance takes the next read, from the socket if there is none left.
func (j *joined) advance(flags int) error {
	if j.next++; j.next >= j.have {
		j.next, j.have = 0, 0
		n, err := j.batch.ReadBatch(j.reads, flags)
		if err != nil {
			return err
		}
		j.have = n
		if n == 0 {
			return nil
		}
	}
	m := &j.reads[j.next]
	j.rest = m.Buffers[0][:m.N]
	j.segment = segmentSize(m.OOB[:m.NN], m.N)
	return nil
}

// segmentSize returns the size of the packets that a read of n bytes consists
// of: n, unless a control message says otherwise.
func segmentSize(oob []byte, n int) int {
	for len(oob) > 0 {
		h, body, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(body) >= 4 {
			if size := int(binary.NativeEndian.Uint32(body)); size > 0 {
				return size
			}
		}
		oob = rest
	}
	return n
}
