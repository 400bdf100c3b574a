package wire

import (
	"encoding/binary"

	"waxwing/core/ids"
)

// The frames that every message passes through are parsed and built here
// without copying the envelope. Tests hold these functions to the schema.

var (
	errForward = &FieldError{"forward", "truncated"}
	errSubmit  = &FieldError{"submit", "truncated"}
	errAuth    = &FieldError{"submit.auth", "unknown value"}
	errLong    = &FieldError{"envelope", "too long"}
)

// ParseForward parses a Forward. The envelope points into b.
func ParseForward(b []byte) (number uint64, envelope []byte, err error) {
	switch {
	case len(b) < 8:
		return 0, nil, errForward
	case len(b)-8 > MaxEnvelope:
		return 0, nil, errLong
	}
	return binary.BigEndian.Uint64(b), b[8:], nil
}

// SubmitParser parses the Submits of one stream. It remembers the last
// destination, as most follow one to the same.
type SubmitParser struct{ dest ids.Domain }

// Parse parses a Submit. Token, empty without one, and envelope point into b.
func (p *SubmitParser) Parse(b []byte) (number uint64, dest ids.Domain, token, envelope []byte, err error) {
	if len(b) < 9 || len(b) < 9+int(b[8])+1 {
		return 0, dest, nil, nil, errSubmit
	}
	n := 9 + int(b[8])
	if name := b[9:n]; string(name) != p.dest.String() || p.dest.IsZero() {
		d, err := ids.ParseDomain(string(name))
		if err != nil || d.String() != string(name) {
			return 0, dest, nil, nil, &FieldError{"submit.dest", "not a canonical domain"}
		}
		p.dest = d
	}
	rest := b[n+1:]
	switch auth := SubmitAuth(b[n]); {
	case auth == AuthToken && len(rest) >= SubmissionTokenSize:
		token, rest = rest[:SubmissionTokenSize], rest[SubmissionTokenSize:]
	case auth == AuthToken:
		return 0, dest, nil, nil, errSubmit
	case auth != AuthConnection:
		return 0, dest, nil, nil, errAuth
	}
	if len(rest) > MaxEnvelope {
		return 0, dest, nil, nil, errLong
	}
	return binary.BigEndian.Uint64(b), p.dest, token, rest, nil
}

// AppendForward builds a Forward frame.
func AppendForward(dst []byte, number uint64, envelope []byte) ([]byte, error) {
	return appendNumbered(dst, TypeForward, number, envelope)
}

// AppendDelivered builds a Delivered frame.
func AppendDelivered(dst []byte, sequence uint64, delivery []byte) ([]byte, error) {
	return appendNumbered(dst, TypeDelivery, sequence, delivery)
}

func appendNumbered(dst []byte, t FrameType, n uint64, rest []byte) ([]byte, error) {
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(BeginFrame(dst, t), n)
	dst = append(dst, rest...)
	return dst, EndFrame(dst, start)
}

// ParseDelivered parses a Delivered. The delivery points into b.
func ParseDelivered(b []byte) (sequence uint64, delivery []byte, err error) {
	switch {
	case len(b) < 8:
		return 0, nil, &FieldError{"delivered", "truncated"}
	case len(b)-8 > MaxDelivery:
		return 0, nil, errLong
	}
	return binary.BigEndian.Uint64(b), b[8:], nil
}
