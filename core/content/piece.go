package content

import (
	"math/bits"

	"waxwing/core/keys"
)

// Piece is a part of something that is too long for the padding of one message,
// and so goes in the padding of several: of a token bundle, for now.
type Piece struct {
	ID     PieceID
	Length uint16 // of the whole, in bytes, at most MaxWhole
	First  uint8  // where Bytes begins, in units of PieceUnit
	Bytes  []byte // whole units, but at the end of the whole
}

// PieceID tells one whole from the next. Whoever puts it together compares it with
// what it names.
type PieceID [PieceIDSize]byte

// Cut returns the longest piece of whole that begins at unit first and takes at
// most room bytes in a control part (PieceRoom), nil if none does, or whole has no
// such unit.
func Cut(id PieceID, whole []byte, first uint8, room int) *Piece {
	at := int(first) * PieceUnit
	if at >= len(whole) || len(whole) > MaxWhole {
		return nil
	}
	n := room / PieceUnit * PieceUnit
	if rest := len(whole) - at; rest <= room {
		n = rest
	}
	if n <= 0 {
		return nil
	}
	return &Piece{ID: id, Length: uint16(len(whole)), First: first, Bytes: whole[at : at+n]}
}

// Units returns how many units of PieceUnit n bytes fill or begin.
func Units(n int) int { return (n + PieceUnit - 1) / PieceUnit }

// PieceRoom returns how many bytes a piece may have so that the control part stays
// within room bytes, 0 if there is no room for any. What Piece holds now does not
// count.
func (ctl *Control) PieceRoom(room int) int {
	rest := *ctl
	rest.Piece = nil
	b, err := rest.Marshal()
	if err != nil {
		return 0
	}
	return max(0, min(MaxWhole, min(room, MaxControl)-max(len(b), controlFixed)-itemFixed-pieceFixed))
}

// Gathering is what came of one whole until all of it is there. It is stored; its
// zero value has nothing.
type Gathering struct {
	ID    PieceID
	Have  uint64 // bit i: unit i is there
	Bytes []byte // of the whole; zeros where nothing came yet
	keys.Redacted
}

// Take takes a piece, in any order and any number of times, and reports whether
// the whole is there. A piece of another whole, or of one with another length,
// begins anew.
func (g *Gathering) Take(p *Piece) (complete bool) {
	if g.ID != p.ID || len(g.Bytes) != int(p.Length) {
		g.ID, g.Have, g.Bytes = p.ID, 0, make([]byte, p.Length)
	}
	copy(g.Bytes[int(p.First)*PieceUnit:], p.Bytes)
	for i := range Units(len(p.Bytes)) {
		g.Have |= 1 << (int(p.First) + i)
	}
	return g.Complete()
}

// Complete reports whether the whole is there.
func (g *Gathering) Complete() bool {
	return len(g.Bytes) > 0 && bits.OnesCount64(g.Have) == Units(len(g.Bytes))
}
