package node

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/privacypass"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

// submissionTokens fetches the provider's list of keys and eight tokens.
func (d *device) submissionTokens(s *server, seed *keys.Secret) [][]byte {
	d.t.Helper()
	p, err := quicnet.Ask[*wire.AdmissionKeysAre](testContext(d.t), d.caller, &wire.AdmissionKeys{Provider: s.domain})
	must(d.t, err)
	list, err := keylist.Parse(p.List, s.domain, s.node.keyring.root.Public())
	must(d.t, err)
	epoch := privacypass.EpochOf(today())
	key, ok := list.Token(epoch)
	if !ok {
		d.t.Fatal("no key of this epoch")
	}
	pending, err := key.RequestSeeded(seed, 0, privacypass.SubmissionChallenge(s.domain, epoch), 8)
	must(d.t, err)
	m, err := quicnet.Ask[*wire.SubmissionIssued](testContext(d.t), d.caller, &wire.IssueSubmission{Tokens: pending.Bytes()})
	must(d.t, err)
	tokens, err := pending.Finish(m.Tokens)
	must(d.t, err)
	var out [][]byte
	for _, x := range tokens {
		out = append(out, x.Bytes())
	}
	return out
}

// bear submits one envelope on a new connection that is nobody's, and returns the
// refusal, if any.
func bear(t testing.TB, s *server, dest ids.Domain, token, raw []byte) wire.Code {
	t.Helper()
	d := &device{t: t}
	d.dial(s)
	defer d.conn.Close(quicnet.CodeNone)
	stream := d.stream(wire.StreamSubmit)
	must(t, stream.WriteFrame(wire.TypeSubmit, &wire.Submit{Number: 1, Dest: dest, Auth: wire.AuthToken, Token: token, Envelope: raw}))
	must(t, stream.Flush())
	typ, body, err := stream.ReadFrame()
	must(t, err)
	if typ != wire.TypeRefused {
		return 0
	}
	var r wire.Refused
	must(t, wire.Unmarshal(body, &r))
	return r.Code
}

// An account gets tokens, and a connection that is nobody's submits with them.
func TestAnonymousSubmission(t *testing.T) {
	alpha, beta := federated(t)
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	seed := keys.NewSecret()
	tokens, minted := alice.submissionTokens(alpha, seed), bob.mint(3)
	if again := alice.submissionTokens(alpha, seed); !bytes.Equal(again[0], tokens[0]) {
		t.Error("the same request has other tokens")
	}
	first := envelope(&minted.Tickets[0], wire.Class1K)
	for range 2 { // the second is a resend
		if code := bear(t, alpha, beta.domain, tokens[0], first); code != 0 {
			t.Fatalf("refused: %v", code)
		}
	}
	if code := bear(t, alpha, beta.domain, tokens[0], envelope(&minted.Tickets[1], wire.Class1K)); code != wire.CodeToken {
		t.Errorf("a spent token: %v", code)
	}
	if code := bear(t, alpha, beta.domain, tokens[1], envelope(&minted.Tickets[2], wire.Class1K)); code != 0 {
		t.Errorf("the next token: %v", code)
	}
	bob.receive(0, 2)
	if n := alpha.count(relay.RefusedToken, "client"); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
}

// A token on an account's connection, and none on one that is nobody's, end it.
func TestTokensAndAccountsDoNotMix(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	bob := newDevice(t, beta, "bob@beta.example")
	nobody := &device{t: t}
	nobody.dial(beta)
	raw, token := envelope(&bob.mint(1).Tickets[0], wire.Class1K), make([]byte, wire.SubmissionTokenSize)
	for name, tt := range map[string]struct {
		d *device
		m *wire.Submit
	}{
		"token of an account": {bob, &wire.Submit{Number: 1, Dest: beta.domain, Auth: wire.AuthToken, Token: token, Envelope: raw}},
		"nobody's account":    {nobody, &wire.Submit{Number: 1, Dest: beta.domain, Auth: wire.AuthConnection, Envelope: raw}},
	} {
		s := tt.d.stream(wire.StreamSubmit)
		must(t, s.WriteFrame(wire.TypeSubmit, tt.m))
		must(t, s.Flush())
		if _, _, err := s.ReadFrame(); !errors.Is(err, quicnet.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Keys outlive a restart, those of an epoch stay the same, and what is over is
// erased.
func TestSubmissionKeys(t *testing.T) {
	s := newServer(t, "beta.example").start()
	dir := s.keys()
	day := privacypass.EpochOf(ids.DayOf(time.Now())).First()
	open := func(d ids.Day) *submissions {
		t.Helper()
		k, err := openSubmissions(dir, s.domain, d)
		must(t, err)
		return k
	}
	a, b := open(day), open(day+3)
	if !slices.Equal(a.listed(), b.listed()) || len(a.listed()) != 2 {
		t.Error("the keys of one epoch changed")
	}
	must(t, a.rotate(day+7, true))
	if a.listed()[0] != b.listed()[1] {
		t.Error("the next epoch's key changed")
	}
	must(t, a.rotate(day+6+privacypass.OverlapDays+1, true))
	if _, err := dir.get(submissionName(privacypass.EpochOf(day))); err != nil {
		t.Errorf("erased early: %v", err)
	}
	must(t, a.rotate(day+6+privacypass.OverlapDays+2, true))
	if _, err := dir.get(submissionName(privacypass.EpochOf(day))); err == nil {
		t.Error("the key was kept")
	}
}
