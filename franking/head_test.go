package franking

import (
	"bytes"
	"testing"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func TestLogHeads(t *testing.T) {
	w := newWorld(t)
	m := w.substantiate(t, w.hello(t).e)
	log := w.a.openings.Log()
	head := func(at time.Time) *LogHead {
		b, err := SignHead(alpha, LogOpenings, log.Head(), w.a.answer, at)
		if err != nil {
			t.Fatal(err)
		}
		h, err := ParseHead(b, LogOpenings, w.a.desk)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	heads := []*LogHead{head(noon)}
	for i := range 5 {
		v, _ := m.Countersign(w.decision(), w.b.countersign, noon)
		w.open(t, v)
		heads = append(heads, head(noon.Add(time.Duration(i+1)*time.Minute)))
	}
	last := heads[len(heads)-1]
	for _, old := range heads {
		proof, err := auditlog.Prove(old.Head(), last.Head(), func(uint32) ([]auditlog.Hash, error) { return log.Leaves(), nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := last.Continues(old, proof); err != nil {
			t.Errorf("from %d: %v", old.Size, err)
		}
		if old.Size == last.Size {
			continue
		}
		wants(t, "backwards", old.Continues(last, proof), ErrForked)
		if old.Size > 0 { // anything continues nothing
			forged := *old
			forged.Root[0] ^= 1
			wants(t, "another past", last.Continues(&forged, proof), auditlog.ErrProof)
		}
	}
	other := *heads[0]
	other.Kind = LogTrail
	wants(t, "another log", last.Continues(&other, new(auditlog.Proof)), ErrForked)

	b, _ := SignHead(alpha, LogOpenings, log.Head(), w.a.answer, noon)
	_, err := ParseHead(b, LogTrail, w.a.desk)
	wants(t, "read as a trail's", err, FaultAnswer)
	_, err = ParseHead(b, LogOpenings, w.b.desk)
	wants(t, "another provider's", err, FaultAnswer)
	for bit := range len(b) * 8 {
		bad := bytes.Clone(b)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := ParseHead(bad, LogOpenings, w.a.desk); err == nil {
			t.Fatalf("bit %d of byte %d is not covered", bit%8, bit/8)
		}
	}
	_, err = SignHead(alpha, logEnd, log.Head(), w.a.answer, noon)
	wants(t, "no log", err, wire.ErrMalformed)
}

func FuzzLogHead(f *testing.F) {
	f.Add(wire.MustMarshal(&LogHead{Provider: alpha, Kind: LogTrail, Segment: 1, Size: 3}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := new(LogHead)
		if wire.Unmarshal(b, h) == nil && !bytes.Equal(wire.MustMarshal(h), b) {
			t.Error("not canonical")
		}
	})
}

func FuzzLogProof(f *testing.F) {
	f.Add(wire.MustMarshal(&LogProof{auditlog.Proof{
		Consistency: []auditlog.Hash{{1}}, Links: []auditlog.LinkProof{{Size: 3, Inclusion: []auditlog.Hash{{2}, {3}}}},
	}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := new(LogProof)
		if wire.Unmarshal(b, p) == nil && !bytes.Equal(wire.MustMarshal(p), b) {
			t.Error("not canonical")
		}
	})
}

func FuzzLogFile(f *testing.F) {
	file := LogFile{Root: keys.NewSigningKey().Public(), Desk: []byte{1}, Head: []byte{2}, Since: []byte{3}}
	b, err := file.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		x := new(LogFile)
		if wire.Unmarshal(b, x) == nil && !bytes.Equal(wire.MustMarshal(x), b) {
			t.Error("not canonical")
		}
	})
}
