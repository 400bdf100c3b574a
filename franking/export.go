package franking

import (
	"bytes"
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// ErrExport: a file is no exported evidence, or was changed.
var ErrExport = errors.New("franking: not an evidence file, or changed")

// ErrExportRoot: the file is of another provider than the pin's.
var ErrExportRoot = errors.New("franking: evidence of another provider")

// exportMagic begins an evidence file.
const exportMagic = "waxwing evidence 1"

// PartKind says what a part of an evidence file is.
type PartKind uint8

// The kinds of parts.
const (
	PartEvidence PartKind = iota + 1
	PartSnapshot
	PartVerdict
	PartAnswer
	PartDesk // the desk's keys, signed by the root key
	PartRoot // the provider's root key, for who knows its pin
	partEnd
)

func (k PartKind) valid() bool { return k >= PartEvidence && k < partEnd }

// Part is one part as the manifest names it.
type Part struct {
	Kind PartKind
	// Finding is what the desk found about evidence: its statement about stamp,
	// ownership and age, which nobody else can check.
	Finding Fault
	Hash    [32]byte
}

// Manifest lists what an evidence file holds. The desk signs it.
type Manifest struct {
	Provider ids.Domain
	Key      keys.VerifyKey // the desk's countersigning key, which signs
	Made     uint64
	Report   ReportID
	Reader   ids.Address // who reported: aud is opened with it
	Parts    []Part
}

// exportFile is a whole file.
type exportFile struct {
	magic     []byte
	manifest  Manifest
	signature [keys.SignatureSize]byte
	contents  [][]byte
}

func partHash(kind PartKind, content []byte) [32]byte {
	return hashed(labelPart, []byte{byte(kind)}, content)
}

// Export collects an evidence file. It contains kf of each message, so it is for
// reviewers and courts, never for the provider that opens tokens.
type Export struct {
	Report    ReportID
	Reader    ids.Address
	Messages  []Evidence
	Findings  []Fault // of each message
	Snapshots []*Snapshot
	Verdict   []byte // or nil
	Answer    []byte // or nil
	// Desk and Root go along so that whoever knows the provider's pin needs nothing
	// else; Desk may be nil.
	Desk *Desk
	Root keys.VerifyKey
	keys.Redacted
}

// Sign makes the file. Errors wrap wire.ErrMalformed.
func (x *Export) Sign(provider ids.Domain, key *keys.SigningKey, now time.Time) ([]byte, error) {
	f := &exportFile{magic: []byte(exportMagic), manifest: Manifest{
		Provider: provider, Key: key.Public(), Made: uint64(now.UnixMilli()), Report: x.Report, Reader: x.Reader,
	}}
	add := func(kind PartKind, finding Fault, content []byte) {
		f.manifest.Parts = append(f.manifest.Parts, Part{Kind: kind, Finding: finding, Hash: partHash(kind, content)})
		f.contents = append(f.contents, content)
	}
	if len(x.Findings) != len(x.Messages) {
		return nil, &wire.FieldError{Field: "findings", Reason: "not one for each message"}
	}
	for i := range x.Messages {
		b, err := x.Messages[i].Marshal()
		if err != nil {
			return nil, err
		}
		add(PartEvidence, x.Findings[i], b)
	}
	for _, s := range x.Snapshots {
		add(PartSnapshot, FaultNone, s.raw)
	}
	if x.Verdict != nil {
		add(PartVerdict, FaultNone, x.Verdict)
	}
	if x.Answer != nil {
		add(PartAnswer, FaultNone, x.Answer)
	}
	if x.Desk != nil {
		add(PartDesk, FaultNone, x.Desk.raw)
		add(PartRoot, FaultNone, x.Root[:])
	}
	signed, err := wire.Marshal(&f.manifest)
	if err != nil {
		return nil, err
	}
	copy(f.signature[:], key.Sign(keys.ContextExport, signed))
	return wire.Marshal(f)
}

// Exported is an evidence file, read offline.
type Exported struct {
	Manifest Manifest
	Messages []ExportedMessage
	Verdict  []byte // as it was sent, nil if there was none
	Answer   []byte
	keys.Redacted
}

// ExportedMessage is one message of an evidence file.
type ExportedMessage struct {
	Stated   Fault     // what the desk states, stamp, ownership and age included
	Fault    Fault     // what Verify says here
	Verified *Verified // nil unless FaultNone
}

// ReadExport is VerifyExport with the keys that the file brings along: trusted says
// whether the reader knows the root key, by its pin. Errors wrap ErrExport; a root
// key that is not trusted is ErrExportRoot.
func ReadExport(b []byte, trusted func(keys.VerifyKey) bool, frame FrameReader) (*Exported, error) {
	f := new(exportFile)
	if err := wire.Unmarshal(b, f); err != nil {
		return nil, errors.Join(ErrExport, err)
	}
	var desk []byte
	var root keys.VerifyKey
	for i, p := range f.manifest.Parts[:min(len(f.manifest.Parts), len(f.contents))] {
		switch p.Kind {
		case PartDesk:
			desk = f.contents[i]
		case PartRoot:
			k, err := keys.ParseVerifyKey(f.contents[i])
			if err != nil {
				return nil, errors.Join(ErrExport, err)
			}
			root = k
		}
	}
	if desk == nil || root == (keys.VerifyKey{}) {
		return nil, ErrExport
	}
	if !trusted(root) {
		return nil, errors.Join(ErrExport, ErrExportRoot)
	}
	d, err := ParseDesk(desk, f.manifest.Provider, root)
	if err != nil {
		return nil, errors.Join(ErrExport, err)
	}
	return VerifyExport(b, d.f.Countersign, root, frame)
}

// VerifyExport checks a file with nothing but the provider's root key and its
// countersigning key, both from wherever the reader trusts: the manifest's
// signature, that the parts are those, and Verify on every message. That a
// message was delivered rests on the provider's statement, as stamps are MACs.
// After the keys of an epoch were published, sigma1 and sigma2 prove nothing to
// anybody: the time of the manifest says when they were looked at. The error
// wraps ErrExport.
func VerifyExport(b []byte, countersign, root keys.VerifyKey, frame FrameReader) (*Exported, error) {
	f := new(exportFile)
	if err := wire.Unmarshal(b, f); err != nil {
		return nil, errors.Join(ErrExport, err)
	}
	signed, err := wire.Marshal(&f.manifest)
	if err != nil || f.manifest.Key != countersign || countersign.Verify(keys.ContextExport, signed, f.signature[:]) != nil {
		return nil, ErrExport
	}
	if len(f.contents) != len(f.manifest.Parts) {
		return nil, ErrExport
	}
	x := &Exported{Manifest: f.manifest}
	snapshots := map[SnapshotID]*Snapshot{}
	for i, p := range f.manifest.Parts {
		content := f.contents[i]
		if partHash(p.Kind, content) != p.Hash {
			return nil, ErrExport
		}
		switch p.Kind {
		case PartSnapshot:
			s, err := ParseSnapshot(content, f.manifest.Provider, root)
			if err != nil {
				return nil, errors.Join(ErrExport, err)
			}
			snapshots[s.id] = s
		case PartVerdict:
			x.Verdict = bytes.Clone(content)
		case PartAnswer:
			x.Answer = bytes.Clone(content)
		}
	}
	for i, p := range f.manifest.Parts {
		if p.Kind != PartEvidence {
			continue
		}
		e, err := ParseEvidence(f.contents[i])
		if err != nil {
			return nil, errors.Join(ErrExport, err)
		}
		x.Messages = append(x.Messages, verifyExported(e, p.Finding, snapshots[e.Snapshot], f.manifest.Reader, frame))
	}
	return x, nil
}

func verifyExported(e *Evidence, stated Fault, s *Snapshot, reader ids.Address, frame FrameReader) ExportedMessage {
	m := ExportedMessage{Stated: stated}
	if s == nil {
		m.Fault = FaultSnapshot
		return m
	}
	v, err := Verify(e, s, reader, frame)
	if err != nil {
		m.Fault = FaultFrame
		_ = errors.As(err, &m.Fault)
		return m
	}
	m.Verified = v
	return m
}
