package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"waxwing/core/content"
	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/ticket"
)

// samples has one record of each table, with every optional part.
func samples() map[string]wire.Schema {
	address, domain := ids.MustParseAddress("bob@beta.example"), ids.MustParseDomain("beta.example")
	secrets, pair, drawn := DrawSecrets(), DrawMailboxKeys(), DrawAccountKey()
	return map[string]wire.Schema{
		"profile": &Profile{
			Address: address, Device: 1, Registered: true, Server: "h:1", Invite: []byte{1}, Secrets: secrets,
			Manifest: []byte{2}, Cert: []byte{3}, Part: introduction.Part{Period: 1, From: 2, To: 3},
		},
		"secrets":  &secrets,
		"counters": &Counters{Contact: 1, Position: 2},
		"contact": &Contact{
			Address: address, Status: ContactKnown, HasFirst: true, FirstExpiry: 9, SealKey: []byte{1, 2}, Confirm: [][32]byte{{1}, {2}}, Missed: [][32]byte{{3}},
		},
		"ref": &Ref{5}, "blob": &Blob{[]byte{1}}, "digest": &Digest{}, "session": &Session{State: []byte{1}},
		"peer":     &Peer{Sending: 1, Asked: 2, Next: 3, ParkedSince: 4},
		"known":    &Known{Cert: []byte{1}},
		"message":  &Message{Contact: 1, Status: StatusDelivered, Late: true, Frame: []byte("frame")},
		"envelope": &Envelope{Contact: 1, Dest: domain, Bytes: []byte{1}},
		"held":     &HeldDelivery{Reason: HeldProvider, Domain: domain, Delivery: []byte{1}},
		"unheld":   &HeldDelivery{Reason: HeldSerial, Hidden: true, Delivery: []byte{1}},
		"code":     &Code{Serial: 1}, "ownkey": &OwnKey{Key: []byte{1}},
		"provider": &Provider{Pinned: true, Descriptor: []byte{1}},
		"setting":  &Setting{ReadReceipts: true, SyncEvery: 5},
		"hop":      &Hop{Domain: domain, Trouble: TroubleKey, Failures: 1, Retry: 2},
		"item":     &SyncItem{Bytes: []byte{1}},
		"batch":    &SyncBatch{Day: 1, Class: wire.Class4K, Payload: []byte{1}, UpTo: 2, Cursor: devicesync.Cursor{Index: 1, Offset: 2}},
		"sync":     &SyncState{Record: 1, Cursor: devicesync.Cursor{Index: 1, Offset: 2}},
		"assembly": &devicesync.Assembly{Record: 1, Next: 1, Bytes: []byte{1}},
		"early":    &Early{Status: StatusDelivered, Failure: 1, Day: 2},
		"told":     &Told{Changed: 1},
		"ahead":    &Ahead{Epoch: 1, Ref: [32]byte{2}, Manifest: 3, Wanted: true, Next: 4, Rounds: 5},
		"want":     &Want{Until: 1, Held: 2},
		"gathered": &Gathered{Day: 1, Gathering: content.Gathering{ID: content.PieceID{2}, Have: 3, Bytes: make([]byte, 40)}},
		"admission": &Admission{
			Identified: true, Alarm: AlarmProof, Batch: 1, Token: 2, Epoch: 3, Size: 128, FetchAt: 4, Remaining: 5, Refill: 6, Refused: wire.CodeLimit,
		},
		"submission": &Submission{Epoch: 1},
		"membership": &Membership{Tier: ratelimit.TierMember},
		"credential": &Credential{Tier: ratelimit.TierNew, Share: introduction.Share{Period: 1, Next: 2, End: 3}},
		"stamp":      &Stamp{Since: 1, Week: 2, Generation: 3, Tries: 4, Has: true, Stamp: [32]byte{5}, Day: 6, Told: true},
		"share":      &introduction.Share{Period: 1, Next: 2, End: 3},
		"doorcode":   &DoorCode{Code: [32]byte{1}},
		"strike":     &Strike{Kind: StrikeBlock, Request: []byte{1}},
		"renewal":    &Strike{Kind: StrikeRenew, Generation: 2},
		"accountkey": &AccountKey{K: drawn.K, Made: 1, Follows: 2, Told: 3},
		"pair":       &pair, "rotation": &Rotation{Draft: 1, Removed: true, Watched: 3, Ahead: 2},
		"wallet":   &ticket.Held{Expiry: 5},
		"stock":    &ticket.Stocked{Serial: 1, Expiry: 5},
		"given":    &ticket.Given{Serial: 1, Expiry: 5, Account: address, Batch: 1},
		"token":    &Token{Epoch: 1, Record: []byte{1}},
		"offer":    &Offer{Epoch: 1, Bundle: []byte{1}, Confirmed: []ids.DeviceID{1, 2}},
		"bundle":   &Bundle{Epoch: 1, Bytes: []byte{1}},
		"proof":    &Proof{Hour: 1},
		"snapshot": &Published{Fetched: 1, Bytes: []byte{1}},
	}
}

func empty(name string) wire.Schema {
	return map[string]wire.Schema{
		"profile": new(Profile), "secrets": new(AccountSecrets), "counters": new(Counters), "contact": new(Contact), "ref": new(Ref), "blob": new(Blob),
		"digest": new(Digest), "session": new(Session), "peer": new(Peer), "known": new(Known), "message": new(Message),
		"envelope": new(Envelope), "held": new(HeldDelivery), "unheld": new(HeldDelivery), "code": new(Code),
		"ownkey": new(OwnKey), "provider": new(Provider), "strike": new(Strike), "renewal": new(Strike), "accountkey": new(AccountKey), "pair": new(MailboxKeys), "rotation": new(Rotation), "setting": new(Setting), "hop": new(Hop),
		"item": new(SyncItem), "batch": new(SyncBatch), "sync": new(SyncState), "assembly": new(devicesync.Assembly),
		"admission": new(Admission), "submission": new(Submission),
		"membership": new(Membership), "credential": new(Credential), "doorcode": new(DoorCode),
		"stamp": new(Stamp), "share": new(introduction.Share),
		"early": new(Early), "told": new(Told), "wallet": new(ticket.Held), "stock": new(ticket.Stocked), "given": new(ticket.Given),
		"token": new(Token), "offer": new(Offer), "bundle": new(Bundle), "proof": new(Proof), "snapshot": new(Published),
		"ahead": new(Ahead), "gathered": new(Gathered), "want": new(Want),
	}[name]
}

// What is tried below is tried with the record of each table.
func TestEveryTableHasASample(t *testing.T) {
	source, err := os.ReadFile("tables.go")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for name, s := range samples() {
		have[strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", s), "*"), "state.")] = true
		if empty(name) == nil {
			t.Errorf("%s has no empty record", name)
		}
	}
	found := regexp.MustCompile(`= new(?:Table|Named)\[([\w.]+)\]`).FindAllStringSubmatch(string(source), -1)
	if len(found) != len(tables) {
		t.Errorf("%d tables in the source, %d there", len(found), len(tables))
	}
	for _, m := range found {
		if !have[m[1]] {
			t.Errorf("no sample of %s", m[1])
		}
	}
}

// TestRecords: every record survives, and every mutation of one byte, every
// truncation and every byte more is refused or another record's one encoding.
func TestRecords(t *testing.T) {
	for name, s := range samples() {
		b, err := wire.Marshal(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again := empty(name)
		if err := wire.Unmarshal(b, again); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(wire.MustMarshal(again), b) {
			t.Errorf("%s: changed", name)
		}
		for i := range b {
			if err := wire.Unmarshal(b[:i], empty(name)); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: cut to %d: %v", name, i, err)
			}
			bad := bytes.Clone(b)
			bad[i] ^= 0x81
			p := empty(name)
			if wire.Unmarshal(bad, p) == nil && !bytes.Equal(wire.MustMarshal(p), bad) {
				t.Errorf("%s: byte %d: two encodings", name, i)
			}
		}
		if err := wire.Unmarshal(append(b, 0), empty(name)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: one byte more: %v", name, err)
		}
	}
}

// TestEveryByteMatters: the checksum refuses what the parser would take.
func TestEveryByteMatters(t *testing.T) {
	key := U64(Position(7))
	record := wire.MustMarshal(&Message{Contact: 1, Status: StatusReceived, Frame: []byte("frame")})
	value := append(make([]byte, sumSize), record...)
	sum := Log.sum(key, record)
	for i := range sumSize {
		value[i] = byte(sum >> (8 * (sumSize - 1 - i)))
	}
	if _, err := Log.parse(key, value); err != nil {
		t.Fatal(err)
	}
	for i := range value {
		value[i] ^= 1
		if _, err := Log.parse(key, value); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
		value[i] ^= 1
	}
	if _, err := Log.parse(U64(Position(8)), value); !errors.Is(err, ErrCorrupt) {
		t.Error("under another key")
	}
	if _, err := Log.parse(key, nil); !errors.Is(err, ErrCorrupt) {
		t.Error("empty")
	}
}

func FuzzRecords(f *testing.F) {
	for name, s := range samples() {
		f.Add(name, wire.MustMarshal(s))
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		s := empty(name)
		if s == nil || wire.Unmarshal(b, s) != nil {
			return
		}
		if again, err := wire.Marshal(s); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s has two encodings", name)
		}
	})
}

// FuzzRow: a stored value is taken under its own key, table and checksum only.
func FuzzRow(f *testing.F) {
	row := func(key, record []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, Log.sum(key, record)), record...)
	}
	record := wire.MustMarshal(samples()["message"])
	f.Add(U64(Position(7)), record, true)
	f.Add(U64(Position(7)), row(U64(Position(7)), record), false)
	f.Fuzz(func(t *testing.T, key, value []byte, whole bool) {
		if whole {
			value = row(key, value)
		}
		m, err := Log.parse(key, value)
		switch {
		case err != nil && !errors.Is(err, ErrCorrupt):
			t.Errorf("untyped error %v", err)
		case err == nil && !bytes.Equal(row(key, wire.MustMarshal(m)), value):
			t.Error("two encodings")
		}
	})
}
