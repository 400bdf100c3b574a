package wire

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
)

// The parsers and builders that do not copy accept, refuse and produce exactly
// what the schema does.
func checkHotPath(t interface{ Fatalf(string, ...any) }, b []byte) {
	var f Forward
	n, env, err := ParseForward(b)
	if want := Unmarshal(b, &f); (err == nil) != (want == nil) || err == nil && (n != f.Number || !bytes.Equal(env, f.Envelope)) {
		t.Fatalf("forward: %v, schema says %v", err, want)
	}
	var s Submit
	var p SubmitParser
	for range 2 { // the second time from memory
		n, dest, token, env, err := p.Parse(b)
		if want := Unmarshal(b, &s); (err == nil) != (want == nil) ||
			err == nil && (n != s.Number || dest != s.Dest || !bytes.Equal(token, s.Token) || !bytes.Equal(env, s.Envelope)) {
			t.Fatalf("submit: %v, schema says %v", err, want)
		}
	}
	var d Delivered
	n, body, err := ParseDelivered(b)
	if want := Unmarshal(b, &d); (err == nil) != (want == nil) || err == nil && (n != d.Sequence || !bytes.Equal(body, d.Delivery)) {
		t.Fatalf("delivered: %v, schema says %v", err, want)
	}
}

func TestHotPathFollowsTheSchema(t *testing.T) {
	long := make([]byte, MaxEnvelope)
	for _, n := range []int{0, 1, 7, 8, 9, 10, 100} {
		checkHotPath(t, make([]byte, n))
	}
	for _, s := range []Schema{
		&Forward{5, long}, &Delivered{6, long},
		&Submit{7, ids.MustParseDomain("beta.example"), AuthConnection, nil, long},
		&Submit{8, ids.MustParseDomain("b.example"), AuthConnection, nil, nil},
		&Submit{9, ids.MustParseDomain("b.example"), AuthToken, long[:SubmissionTokenSize], nil},
		&Submit{10, ids.MustParseDomain("b.example"), AuthToken, long[:SubmissionTokenSize], long},
	} {
		b := MustMarshal(s)
		checkHotPath(t, b)
		checkHotPath(t, append(b, 0))
		checkHotPath(t, append(b, make([]byte, 1<<12)...))
		for i := range min(len(b), 40) {
			m := bytes.Clone(b)
			m[i] ^= 0x20
			checkHotPath(t, m)
			checkHotPath(t, b[:i])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n, env := rapid.Uint64().Draw(t, "n"), rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "env")
		got, err := AppendForward([]byte("x"), n, env)
		want, _ := AppendFrame([]byte("x"), TypeForward, &Forward{n, env})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatal("forward frame differs", err)
		}
		got, err = AppendDelivered(nil, n, env)
		want, _ = AppendFrame(nil, TypeDelivery, &Delivered{n, env})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatal("delivered frame differs", err)
		}
	})
}

func FuzzHotPath(f *testing.F) {
	f.Add(MustMarshal(&Submit{7, ids.MustParseDomain("beta.example"), AuthConnection, nil, []byte("envelope")}))
	f.Add(MustMarshal(&Submit{7, ids.MustParseDomain("beta.example"), AuthToken, make([]byte, SubmissionTokenSize), []byte("envelope")}))
	f.Add(MustMarshal(&Forward{7, []byte("envelope")}))
	f.Fuzz(func(t *testing.T, b []byte) { checkHotPath(t, b) })
}
