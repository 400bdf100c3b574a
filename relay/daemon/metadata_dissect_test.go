package daemon_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"waxwing/blocklist"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/ratchet"
	"waxwing/core/store/badgerstore/badgerstoretest"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/quicnet/quicnettest"
	"waxwing/sealedsender"
)

// item is something that a party has: a row, a frame, a line of the log, a
// sample of a metric, a file.
type item struct {
	place  string
	fields []field
	broken bool // it is not laid out as things in its place are
}

type field struct {
	name  string
	bytes []byte
}

func (i *item) add(name string, b []byte) { i.fields = append(i.fields, field{name, b}) }

// cut parses b as s, strictly, and returns its fields as the layout of s names
// them. Counts and lengths are no fields.
func cut(s wire.Schema, b []byte) ([]field, error) {
	if err := wire.Unmarshal(b, s); err != nil {
		return nil, err
	}
	fields, rest, err := cutRows(wire.Layout(s), "", b)
	if err == nil && len(rest) > 0 {
		err = errors.New("fields do not cover all bytes")
	}
	return fields, err
}

// optional is the size of a field that is there if one before it has a value.
var optional = regexp.MustCompile(`^0 or (\d+) if (\w+) is (\d+)$`)

var layoutSize = regexp.MustCompile(`^(?:(\d+) \+ )?(up to )?(\d+)( elements)?$`)

// cutRows cuts off what the rows of a layout describe.
func cutRows(rows []wire.Row, prefix string, b []byte) (fields []field, rest []byte, err error) {
	take := func(n uint64) (f []byte) {
		if uint64(len(b)) < n {
			err = errors.New("truncated")
			return nil
		}
		f, b = b[:n], b[n:]
		return f
	}
	for i := 0; i < len(rows) && err == nil; i++ {
		r := rows[i]
		m := layoutSize.FindStringSubmatch(r.Size)
		last := i == len(rows)-1
		if o := optional.FindStringSubmatch(r.Size + " " + r.Note); o != nil {
			n, _ := strconv.ParseUint(o[1], 10, 32)
			if have(fields, prefix+o[2], o[3]) {
				fields = append(fields, field{r.Name, take(n)})
			}
			continue
		}
		switch {
		case r.Size == "rest" || m != nil && m[1] == "" && (m[2] != "" || last && prefix == ""):
			fields = append(fields, field{r.Name, take(uint64(len(b)))})
		case m == nil:
			return nil, nil, fmt.Errorf("unknown size %q", r.Size)
		case m[4] != "": // a list
			inner := rows[i+1:]
			n := slices.IndexFunc(inner, func(o wire.Row) bool { return !strings.HasPrefix(o.Name, r.Name+"[].") })
			if n >= 0 {
				inner = inner[:n]
			}
			i += len(inner)
			for range badgerstoretest.Number(take(2)) {
				var some []field
				if some, b, err = cutRows(inner, r.Name, b); err != nil {
					return nil, nil, err
				}
				fields = append(fields, some...)
			}
		case m[1] != "": // a length in front
			n, _ := strconv.Atoi(m[1])
			fields = append(fields, field{r.Name, take(badgerstoretest.Number(take(uint64(n))))})
		default:
			n, _ := strconv.ParseUint(m[3], 10, 32)
			fields = append(fields, field{r.Name, take(n)})
		}
	}
	return fields, b, err
}

// have reports whether a field is a number.
func have(fields []field, name, number string) bool {
	return slices.ContainsFunc(fields, func(f field) bool {
		return f.name == name && strconv.FormatUint(badgerstoretest.Number(f.bytes), 10) == number
	})
}

// structures are what a field can be as a whole, by the names in metadata.md.
var structures = map[string]func() wire.Schema{
	"manifest":      func() wire.Schema { return new(directory.ManifestFields) },
	"mailbox key":   func() wire.Schema { return new(directory.MailboxKeyFields) },
	"descriptor":    func() wire.Schema { return new(directory.DescriptorFields) },
	"certificate":   func() wire.Schema { return new(sealedsender.CertificateFields) },
	"signed prekey": func() wire.Schema { return new(ratchet.PublicSignedPrekey) },
	"prekey pair":   func() wire.Schema { return new(ratchet.PublicOneTime) },
	"block request": func() wire.Schema { return new(blocklist.Request) },
	"envelope":      func() wire.Schema { return new(wire.Envelope) },
	"delivery":      func() wire.Schema { return new(wire.Delivery) },
	"log head":      func() wire.Schema { return new(franking.LogHead) },
	"epoch keys":    func() wire.Schema { return new(franking.EpochKeys) },
	"snapshot":      func() wire.Schema { return new(franking.SnapshotFields) },
	"desk":          func() wire.Schema { return new(franking.DeskFields) },
	"key list":      func() wire.Schema { return new(signedKeyList) },
	"verdict":       func() wire.Schema { return new(franking.VerdictFields) },
}

// otherFrames are the frames that are no control messages.
var otherFrames = map[wire.FrameType]func() wire.Schema{
	wire.TypeHello:     func() wire.Schema { return new(wire.Hello) },
	wire.TypeSubmit:    func() wire.Schema { return new(wire.Submit) },
	wire.TypeForward:   func() wire.Schema { return new(wire.Forward) },
	wire.TypeAck:       func() wire.Schema { return new(wire.Ack) },
	wire.TypeRefused:   func() wire.Schema { return new(wire.Refused) },
	wire.TypeSubscribe: func() wire.Schema { return new(wire.Subscribe) },
	wire.TypeDelivery:  func() wire.Schema { return new(wire.Delivered) },
	wire.TypeCaughtUp:  func() wire.Schema { return new(wire.CaughtUp) },
}

func newFrame(t wire.FrameType) wire.Schema {
	if f := otherFrames[t]; f != nil {
		return f()
	}
	if m := wire.NewMessage(t); m != nil {
		return m
	}
	return nil
}

func frameName(s wire.Schema) string {
	_, name, _ := strings.Cut(fmt.Sprintf("%T", s), ".")
	return name
}

// frameItem is a frame as a server reads or writes it.
func frameItem(f *quicnettest.Frame) item {
	with := "client"
	if f.Peer != "" {
		with = "peer"
	}
	s := newFrame(f.Type)
	if s == nil {
		return item{place: fmt.Sprintf("%s frame %d", with, f.Type), fields: []field{{"body", f.Body}}, broken: true}
	}
	i := item{place: with + " frame " + frameName(s)}
	var err error
	if i.fields, err = cut(s, f.Body); err != nil {
		return item{place: i.place, fields: []field{{"body", f.Body}}, broken: true}
	}
	return i
}

// rowItem is a row of the store. Rows of a mailbox are those of an outbox if
// it is one to a peer.
func rowItem(raw badgerstoretest.Raw, outboxes map[ids.MailboxID]bool) item {
	r, err := badgerstoretest.Parse(raw)
	if err != nil {
		return item{place: fmt.Sprintf("row %q", raw.Key[:min(1, len(raw.Key))]), broken: true, fields: []field{{"key", raw.Key}, {"value", raw.Value}}}
	}
	i := item{place: "row " + r.Kind}
	if box := r.Get("mailbox"); box != nil {
		i.place = "row mailbox " + r.Kind
		if outboxes[ids.MailboxID(box)] {
			i.place = "row outbox " + r.Kind
		}
	}
	for _, f := range r.Fields {
		i.add(f.Name, f.Bytes)
	}
	switch r.Kind {
	case "document":
		return documentItem(r, raw.Gone)
	case "pool", "item":
		return poolItem(r)
	}
	return i
}

func documentItem(r *badgerstoretest.Row, gone bool) item {
	key, value := r.Get("key"), r.Get("value")
	for prefix, l := range documents {
		rest, ok := bytes.CutPrefix(key, []byte(prefix))
		if !ok {
			continue
		}
		i := item{place: "document " + strings.TrimSuffix(prefix, "/")}
		if i.fields, ok = l.key(rest); !ok {
			break
		}
		if gone {
			return i
		}
		i.add("row version", r.Get("version"))
		fields, err := cut(l.value(), value)
		if err != nil {
			i.broken, fields = true, []field{{"value", value}}
		}
		i.fields = append(i.fields, fields...)
		return i
	}
	return item{place: "document " + printable(key), fields: []field{{"key", key}, {"value", value}}, broken: true}
}

func poolItem(r *badgerstoretest.Row) item {
	key := r.Get("key")
	for prefix, body := range pools {
		rest, ok := bytes.CutPrefix(key, []byte(prefix))
		if !ok {
			continue
		}
		i := item{place: r.Kind + " " + strings.TrimSuffix(prefix, "/")}
		if i.fields, ok = deviceKey(rest); !ok {
			break
		}
		for _, f := range r.Fields {
			switch f.Name {
			case "key", "length":
			case "body":
				fields, err := cut(body(), f.Bytes)
				if err != nil {
					i.broken, fields = true, []field{{"body", f.Bytes}}
				}
				i.fields = append(i.fields, fields...)
			default:
				i.add(f.Name, f.Bytes)
			}
		}
		return i
	}
	return item{place: r.Kind + " " + printable(key), fields: []field{{"key", key}, {"body", r.Get("body")}}, broken: true}
}

// printable is the readable beginning of a key.
func printable(key []byte) string {
	n := slices.IndexFunc(key, func(b byte) bool { return b < 0x20 || b > 0x7e })
	if n < 0 {
		n = len(key)
	}
	return string(key[:min(n, 40)])
}

// logItems is a log in JSON, a line each.
func logItems(log []byte) (out []item) {
	for line := range bytes.Lines(log) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		var msg struct {
			Msg string `json:"msg"`
		}
		i := outputItem(line)
		if json.Unmarshal(line, &msg) != nil || msg.Msg == "" {
			i.broken = true
		}
		i.place = "log " + msg.Msg
		out = append(out, i)
	}
	return out
}

// outputItem is a line of JSON.
func outputItem(line []byte) item {
	i := item{place: "output"}
	var attrs map[string]json.RawMessage
	if json.Unmarshal(line, &attrs) != nil {
		i.broken = true
		i.add("line", line)
		return i
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		i.add(name, attrs[name])
	}
	return i
}

var (
	metricLine = regexp.MustCompile(`^([a-z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	label      = regexp.MustCompile(`([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?`)
)

// metricItems is metrics in the text form of Prometheus, a sample each.
func metricItems(text []byte) (out []item) {
	scan := bufio.NewScanner(bytes.NewReader(text))
	for scan.Scan() {
		line := scan.Text()
		if name, help, ok := strings.Cut(strings.TrimPrefix(line, "# "), " "); ok && strings.HasPrefix(line, "# ") && (name == "HELP" || name == "TYPE") {
			name, help, _ = strings.Cut(help, " ")
			out = append(out, item{place: "metric " + name, fields: []field{{"help", []byte(help)}}})
			continue
		}
		m := metricLine.FindStringSubmatch(line)
		if m == nil || label.ReplaceAllString(m[2], "") != "" {
			out = append(out, item{place: "metric", fields: []field{{"line", []byte(line)}}, broken: true})
			continue
		}
		i := item{place: "metric " + m[1], fields: []field{{"value", []byte(m[3])}}}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			i.add(l[1], []byte(l[2]))
		}
		out = append(out, i)
	}
	return out
}

// outboxesTo are the outboxes to providers.
func outboxesTo(domains ...ids.Domain) map[ids.MailboxID]bool {
	out := map[ids.MailboxID]bool{}
	for _, d := range domains {
		out[mailbox.Outbox(d)] = true
	}
	return out
}

// frames reads what a recorder wrote (writeFrame).
func readFrames(b []byte) (out []quicnettest.Frame, err error) {
	next := func(n int) []byte {
		if err != nil || len(b) < n {
			err = errors.New("recorded frames are truncated")
			return make([]byte, n)
		}
		f := b[:n:n]
		b = b[n:]
		return f
	}
	for len(b) > 0 && err == nil {
		var f quicnettest.Frame
		f.Conn = binary.BigEndian.Uint32(next(4))
		flags := next(3)
		f.Opened, f.Sent = flags[0]&1 != 0, flags[0]&2 != 0
		f.Kind, f.Type = wire.StreamKind(flags[1]), wire.FrameType(flags[2])
		f.Peer = string(next(int(next(1)[0])))
		f.Body = next(int(binary.BigEndian.Uint32(next(4))))
		out = append(out, f)
	}
	return out, err
}

// appendFrame is how a server under test writes down a frame.
func appendFrame(b []byte, f *quicnettest.Frame) []byte {
	b = binary.BigEndian.AppendUint32(b, f.Conn)
	flags := byte(0)
	if f.Opened {
		flags |= 1
	}
	if f.Sent {
		flags |= 2
	}
	b = append(b, flags, byte(f.Kind), byte(f.Type), byte(len(f.Peer)))
	b = append(b, f.Peer...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Body)))
	return append(b, f.Body...)
}
