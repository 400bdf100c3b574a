package daemon_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// needles finds identifiers in bytes, in every form in which a program might
// write them.
type needles struct {
	byHead map[uint64][]form // by their first 8 bytes
	maybe  [1 << 14]uint64   // bits of the hashes of those, so that most bytes cost one look
}

type form struct {
	bytes []byte
	kind  kind
}

const headSize = 8

// add adds an identifier of at least 12 bytes, and the hashes by which a program
// might try to hide it.
func (n *needles) add(k kind, raw []byte) {
	n.addForms(k, raw)
	if k != aTicket && k != aText {
		h := sha256.Sum256(raw)
		n.addForms(k, h[:16])
	}
}

func (n *needles) addForms(k kind, raw []byte) {
	if len(raw) < 12 {
		panic(fmt.Sprintf("a needle of %d bytes is found by chance", len(raw)))
	}
	n.put(k, raw[:12]) // cut off, as fingerprints are
	n.put(k, []byte(hex.EncodeToString(raw[:12])))
	lower := hex.EncodeToString(raw)
	spaced := fmt.Sprint(raw)
	n.put(k, raw)
	n.put(k, []byte(lower))
	n.put(k, []byte(strings.ToUpper(lower)))
	n.put(k, []byte(strings.Trim(spaced, "[]")))
	n.put(k, []byte(strings.ReplaceAll(strings.Trim(spaced, "[]"), " ", ",")))
	for skip := range 3 { // whole groups, at all alignments that base64 can have
		if whole := raw[skip : len(raw)-(len(raw)-skip)%3]; len(whole) >= 9 {
			n.put(k, []byte(base64.RawStdEncoding.EncodeToString(whole)))
			n.put(k, []byte(base64.RawURLEncoding.EncodeToString(whole)))
		}
	}
}

func (n *needles) put(k kind, b []byte) {
	if n.byHead == nil {
		n.byHead = map[uint64][]form{}
	}
	head := binary.LittleEndian.Uint64(b)
	if slices.ContainsFunc(n.byHead[head], func(f form) bool { return bytes.Equal(f.bytes, b) }) {
		return
	}
	n.byHead[head] = append(n.byHead[head], form{bytes.Clone(b), k})
	// The longest first: an address counts as that and not as its domain too.
	slices.SortFunc(n.byHead[head], func(a, b form) int { return cmp.Compare(len(b.bytes), len(a.bytes)) })
	h := hashHead(head)
	n.maybe[h/64] |= 1 << (h % 64)
}

func hashHead(head uint64) uint64 { return head * 0x9e3779b97f4a7c15 >> 44 }

// find calls hit for every identifier in b.
func (n *needles) find(b []byte, hit func(k kind, at int)) {
	for i := 0; i+headSize <= len(b); {
		head := binary.LittleEndian.Uint64(b[i:])
		if head == 0 { // most of a disk; no identifier begins with so many zeros
			for i += headSize; i < len(b) && b[i] == 0; i++ {
			}
			i -= headSize - 1
			continue
		}
		h := hashHead(head)
		step := 1
		if n.maybe[h/64]&(1<<(h%64)) != 0 {
			for _, f := range n.byHead[head] {
				if bytes.HasPrefix(b[i:], f.bytes) {
					hit(f.kind, i)
					step = len(f.bytes)
					break
				}
			}
		}
		i += step
	}
}

// kinds returns the kinds that are in b, in order.
func (n *needles) kinds(b []byte) (out []kind) {
	n.find(b, func(k kind, _ int) {
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	})
	slices.Sort(out)
	return out
}
