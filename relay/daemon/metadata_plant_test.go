package daemon_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waxwing/core/mailbox"
	"waxwing/core/store/badgerstore/badgerstoretest"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/quicnet/quicnettest"
)

// planted is the evidence of one provider with a leak in it.
type planted struct {
	t   *testing.T
	dir string // a copy of a data directory, with nothing else in it yet
	*evidence
}

func (p *planted) log(line string, args ...any) {
	p.evidence.log = append(slices.Clone(p.evidence.log), fmt.Sprintf(line+"\n", args...)...)
}

func (p *planted) metric(line string, args ...any) {
	p.metrics = append(slices.Clone(p.metrics), fmt.Appendf(nil, line+"\n", args...))
}

// row changes the first row with a key like that.
func (p *planted) row(prefix []byte, f func(key, value []byte) ([]byte, []byte)) {
	p.t.Helper()
	must(p.t, badgerstoretest.Change(filepath.Join(p.dir, "store"), prefix, func(key, value []byte) ([]byte, []byte) {
		if key == nil {
			p.t.Fatalf("no row begins with %q", prefix)
		}
		return f(key, value)
	}))
}

func (p *planted) file(name string, b []byte) {
	p.t.Helper()
	f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(p.t, err)
	_, err = f.Write(b)
	must(p.t, err)
	must(p.t, f.Close())
}

// frame changes a copy of the first frame of a type.
func (p *planted) frame(t wire.FrameType, f func(body []byte) []byte) {
	p.t.Helper()
	i := slices.IndexFunc(p.frames, func(fr quicnettest.Frame) bool { return fr.Type == t })
	if i < 0 {
		p.t.Fatalf("no frame %d", t)
	}
	fr := p.frames[i]
	fr.Body = f(bytes.Clone(fr.Body))
	p.frames = append(slices.Clone(p.frames), fr)
}

// Places in a chunk's first record and in an envelope.
const (
	recordID   = 1 + 4
	recordBody = 1 + 4 + 32 + 8
	envCom     = 1 + 1 + wire.TicketSize + wire.BinderSize
	envPayload = envCom + wire.ComSize + 4 + 1 + 4
)

// plantLeaks plants one leak after the other into what two clean providers
// have, and wants the scan to report it and nothing else.
func (w *world) plantLeaks(t *testing.T, alpha, beta *evidence) {
	var aliceKey, bobBox []byte
	var token franking.Token
	for _, f := range w.alpha.recorded() {
		if f.Type == wire.TypeIssuedTokens {
			var m wire.IssuedTokens
			var a franking.IssueAnswer
			must(t, wire.Unmarshal(f.Body, &m))
			must(t, wire.Unmarshal(m.Tokens, &a))
			token = a.Tokens[0]
		}
		if f.Type == wire.TypeRegister && aliceKey == nil {
			fields, err := cut(newFrame(f.Type), f.Body)
			must(t, err)
			man, err := cut(structures["manifest"](), fields[slices.IndexFunc(fields, func(f field) bool { return f.name == "manifest" })].bytes)
			must(t, err)
			aliceKey = man[slices.IndexFunc(man, func(f field) bool { return f.name == "identity key" })].bytes
		}
	}
	for _, f := range w.beta.recorded() {
		if f.Type == wire.TypeSession {
			bobBox = f.Body[4 : 4+16]
			break
		}
	}
	alice, bob := w.alice.address.String(), w.bob.address.String()
	outbox := mailbox.Outbox(w.beta.domain)
	hash := sha256.Sum256([]byte(alice))

	atAlpha, atBeta := w.needles(w.alpha), w.needles(w.beta)
	for _, tt := range []struct {
		name  string
		at    *provider
		plant func(p *planted)
		want  []finding
	}{
		{"a line of the log with a mailbox", w.beta, func(p *planted) {
			p.log(`{"time":"now","level":"DEBUG","msg":"serving","peers":1,"mailbox":"%x"}`, bobBox)
		}, []finding{{"log serving", "mailbox", ownMailbox}, {"log serving", "mailbox", unknownField}}},
		{"a listed field of the log with a mailbox, as Go prints arrays", w.beta, func(p *planted) {
			p.log(`{"time":"now","level":"DEBUG","msg":"serving","peers":"%v"}`, bobBox)
		}, []finding{{"log serving", "peers", ownMailbox}}},
		{"a listed field of the log with a token's key", w.beta, func(p *planted) {
			p.log(`{"time":"now","level":"DEBUG","msg":"serving","peers":"%x"}`, token.Key)
		}, []finding{{"log serving", "peers", otherToken}}},
		{"a listed label with the hash of a token", w.beta, func(p *planted) {
			hash := token.Hash()
			p.metric(`waxwing_envelopes_total{from="%x",result="delivered"} 7`, hash[:16])
		}, []finding{{"metric waxwing_envelopes_total", "from", otherToken}}},
		{"a line of the log with both ends", w.alpha, func(p *planted) {
			p.log(`{"time":"now","level":"DEBUG","msg":"serving","peers":"%s to %s"}`, alice, w.beta.domain)
		}, []finding{{"log serving", "", aPair}, {"log serving", "peers", otherDomain}, {"log serving", "peers", ownAddress}}},
		{"a new message in the log", w.alpha, func(p *planted) {
			p.log(`{"time":"now","level":"DEBUG","msg":"forwarded","n":1}`)
		}, []finding{{"log forwarded", "", unknownPlace}}},
		{"a line of another form in the log", w.alpha, func(p *planted) {
			p.log("panic: %s", bob)
		}, []finding{{"log ", "", malformed}, {"log ", "line", otherAddress}}},
		{"a label with a pair of domains", w.alpha, func(p *planted) {
			p.metric(`waxwing_relayed_total{from="%s",to="%s"} 7`, w.alpha.domain, w.beta.domain)
		}, []finding{
			{"metric waxwing_relayed_total", "from", ownDomain},
			{"metric waxwing_relayed_total", "from", unknownField},
			{"metric waxwing_relayed_total", "to", otherDomain},
			{"metric waxwing_relayed_total", "to", unknownField},
		}},
		{"a listed label with a domain", w.beta, func(p *planted) {
			p.metric(`waxwing_envelopes_total{from="%s",result="delivered"} 7`, w.alpha.domain)
		}, []finding{{"metric waxwing_envelopes_total", "from", otherDomain}}},
		{"a new metric", w.beta, func(p *planted) {
			p.metric(`waxwing_mailbox_size{mailbox="%x"} 7`, bobBox)
		}, []finding{{"metric waxwing_mailbox_size", "", unknownPlace}, {"metric waxwing_mailbox_size", "mailbox", ownMailbox}}},

		{"an outbox row with an account behind the envelope", w.alpha, func(p *planted) {
			p.row(append([]byte{'m'}, outbox[:]...), func(key, value []byte) ([]byte, []byte) {
				n := binary.BigEndian.Uint32(value[1:])
				binary.BigEndian.PutUint32(value[1:], n+uint32(len(alice)))
				return key, slices.Insert(value, recordBody+int(n), []byte(alice)...)
			})
		}, []finding{
			{"row outbox chunk", "", aPair},
			{"row outbox chunk", "records[].body", malformed},
			{"row outbox chunk", "records[].body", ownAddress},
			{"row outbox chunk", "records[].body", aTicket},
		}},
		{"an outbox row with bytes behind its records", w.alpha, func(p *planted) {
			p.row(append([]byte{'m'}, outbox[:]...), func(key, value []byte) ([]byte, []byte) {
				return key, append(value, alice...)
			})
		}, []finding{
			{`row "m"`, "", malformed},
			{`row "m"`, "", aPair},
			{`row "m"`, "key", otherDomain},
			{`row "m"`, "value", aTicket},
			{`row "m"`, "value", ownAddress},
		}},
		{"an outbox row named by the account's hash", w.alpha, func(p *planted) {
			p.row(append([]byte{'m'}, outbox[:]...), func(key, value []byte) ([]byte, []byte) {
				copy(value[recordID:], hash[:])
				return key, value
			})
		}, []finding{{"row outbox chunk", "", aPair}, {"row outbox chunk", "records[].id", ownAddress}}},
		{"a delivery with the sender's address", w.beta, func(p *planted) {
			p.row(append([]byte{'m'}, bobBox...), func(key, value []byte) ([]byte, []byte) {
				copy(value[recordBody+400:], alice)
				return key, value
			})
		}, []finding{{"in delivery", "payload", otherAddress}}},
		{"a document named by another provider's user", w.beta, func(p *planted) {
			p.row([]byte("ddir/xs/"), func(key, value []byte) ([]byte, []byte) {
				return append([]byte("ddir/sealkey/"), alice...), value
			})
		}, []finding{
			{"document dir/sealkey", "", malformed}, {"document dir/sealkey", "key.address", otherAddress}, {"document dir/sealkey", "value", ownAddress},
		}},
		{"a document of a new kind, with a contact's name", w.alpha, func(p *planted) {
			p.row([]byte("ddir/xs/"), func(key, value []byte) ([]byte, []byte) {
				return []byte("ddir/contacts/" + alice), append([]byte("12345678"), w.bob.address.Local()...)
			})
		}, []finding{
			{"document " + printable([]byte("dir/contacts/"+alice)), "", malformed},
			{"document " + printable([]byte("dir/contacts/"+alice)), "key", ownAddress},
			{"document " + printable([]byte("dir/contacts/"+alice)), "value", otherAddress},
		}},
		{"who asked, with the prekey that it got", w.beta, func(p *planted) {
			p.row([]byte("pdir/onetime/"), func(key, value []byte) ([]byte, []byte) {
				if len(value) < 12+48 {
					p.t.Fatal("no prekey was taken")
				}
				copy(value[12:], hash[:])
				return key, value
			})
		}, []finding{{"pool dir/onetime", "claims[].claimant", otherAddress}}},
		{"a row of spent tickets that begins with the mailbox", w.beta, func(p *planted) {
			p.row([]byte{'x'}, func(key, value []byte) ([]byte, []byte) {
				copy(key[9:], bobBox)
				return key, value
			})
		}, []finding{{"row spent", "fingerprint", ownMailbox}}},

		{"a new file", w.alpha, func(p *planted) {
			p.file("store/recent.json", fmt.Appendf(nil, `{"to":%q}`, bob))
		}, []finding{{"file store/recent.json", "", unknownPlace}, {"file store/recent.json", "content", otherAddress}}},
		{"a text in a file", w.beta, func(p *planted) {
			p.file("waxwing.toml", []byte("# "+w.texts[0]))
		}, []finding{{"file waxwing.toml", "content", aText}}},
		{"a private key of a user in a file, in base64", w.beta, func(p *planted) {
			p.file("pin", fmt.Appendf(nil, "%s\n", base64.StdEncoding.EncodeToString(w.secrets[0])))
		}, []finding{{"file pin", "content", aSecret}}},
		{"an account in a key's file", w.alpha, func(p *planted) {
			p.file("keys/root", []byte(hex.EncodeToString([]byte(alice))))
		}, []finding{{"file keys/root", "content", ownAddress}}},

		{"a forwarded envelope with the sender's key for com", w.beta, func(p *planted) {
			p.frame(wire.TypeForward, func(body []byte) []byte {
				copy(body[8+envCom:], aliceKey)
				return body
			})
		}, []finding{{"in envelope", "com", otherKey}}},
		{"a frame to a peer with an account behind the envelope", w.alpha, func(p *planted) {
			p.frame(wire.TypeForward, func(body []byte) []byte { return append(body, alice...) })
		}, []finding{
			{"peer frame Forward", "envelope", malformed},
			{"peer frame Forward", "envelope", aTicket},
			{"peer frame Forward", "envelope", ownAddress},
		}},
		{"a submission with the recipient's mailbox", w.alpha, func(p *planted) {
			p.frame(wire.TypeSubmit, func(body []byte) []byte {
				copy(body[len(body)-wire.Class1K.Size()+envPayload+50:], bobBox)
				return body
			})
		}, []finding{{"in envelope", "payload", otherMailbox}}},
		{"a question that says who asks", w.beta, func(p *planted) {
			p.frame(wire.TypeQuery, func(body []byte) []byte {
				copy(body[100:], alice)
				return body
			})
		}, []finding{{"peer frame Query", "sealed", otherAddress}}},
		{"a frame that nobody knows", w.alpha, func(p *planted) {
			p.frame(wire.TypeForward, func([]byte) []byte { return []byte(bob) })
			p.frames[len(p.frames)-1].Type = 99
		}, []finding{{"peer frame 99", "", malformed}, {"peer frame 99", "body", otherAddress}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, ev := atAlpha, *alpha
			if tt.at == w.beta {
				n, ev = atBeta, *beta
			}
			p := &planted{t: t, dir: filepath.Join(t.TempDir(), "data"), evidence: &ev}
			// Of alpha after it was stopped, of beta after it was killed: with what
			// waits in the outbox and in the mailboxes.
			copyTree(t, ev.dirs[slices.IndexFunc(ev.dirs, func(d string) bool {
				return slices.Contains([]string{"alpha-stopped", "beta-killed"}, filepath.Base(d))
			})], p.dir)
			ev.dirs = []string{p.dir}
			tt.plant(p)
			s := newScanner(w.allow, n)
			s.examine(t, &ev, outboxesTo(w.alpha.domain, w.beta.domain))
			// What is planted into a row lies in the store's files as well.
			got := slices.DeleteFunc(s.findings(), func(f finding) bool {
				inStore := strings.HasPrefix(f.place, "file store/") && f.kind != unknownPlace
				return inStore && !slices.Contains(tt.want, f) && slices.ContainsFunc(tt.want, func(w finding) bool { return w.kind == f.kind })
			})
			slices.SortFunc(tt.want, finding.compare)
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, not %q", got, tt.want)
			}
		})
	}
	t.Run("in memory", func(t *testing.T) {
		s := newScanner(w.allow, atAlpha)
		s.whole("memory", append(make([]byte, 1<<20), bobBox...))
		if want := []finding{{"memory", "content", otherMailbox}}; !slices.Equal(s.findings(), want) {
			t.Errorf("found %q", s.findings())
		}
	})
}
