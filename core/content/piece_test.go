package content

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/wire"
)

// Pieces of any size, repeated, lost and in any order, make the whole once each unit
// came, and not before.
func TestGathering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.Byte(), 1, MaxWhole).Draw(t, "whole")
		var g Gathering
		had := make([]bool, Units(len(whole)))
		for {
			first := uint8(rapid.IntRange(0, len(had)-1).Draw(t, "first"))
			p := Cut(PieceID{7}, whole, first, rapid.IntRange(1, 200).Draw(t, "room"))
			if p == nil {
				continue
			}
			again := new(Piece)
			if err := wire.Unmarshal(wire.MustMarshal(p), again); err != nil {
				t.Fatal(err)
			}
			for i := range Units(len(p.Bytes)) {
				had[int(first)+i] = true
			}
			all := true
			for _, h := range had {
				all = all && h
			}
			if g.Take(again) != all || g.Complete() != all {
				t.Fatalf("complete %v, %v", g.Complete(), all)
			}
			stored := new(Gathering)
			if err := wire.Unmarshal(wire.MustMarshal(&g), stored); err != nil || stored.Have != g.Have || stored.ID != g.ID {
				t.Fatalf("stored: %v", err)
			}
			g = *stored
			if all {
				break
			}
		}
		if !bytes.Equal(g.Bytes, whole) {
			t.Fatal("another whole")
		}
	})
}

// A piece of another whole begins anew: two are never mixed.
func TestGatheringBeginsAnew(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 64), bytes.Repeat([]byte{2}, 64)
	for name, p := range map[string]*Piece{
		"another id":     Cut(PieceID{2}, two, 0, 32),
		"another length": Cut(PieceID{1}, two[:48], 0, 32),
	} {
		var g Gathering
		g.Take(Cut(PieceID{1}, one, 2, 64))
		if g.Take(p) || g.Take(Cut(PieceID{1}, one, 2, 16)) || bytes.Contains(g.Bytes, []byte{2}) {
			t.Errorf("%s: mixed", name)
		}
	}
}

func TestPieceIsStrict(t *testing.T) {
	whole := make([]byte, 100)
	for name, p := range map[string]Piece{
		"nothing":          {Length: 100},
		"no length":        {Bytes: whole[:16]},
		"too long":         {Length: MaxWhole + 1, Bytes: whole[:16]},
		"beyond the end":   {Length: 100, First: 6, Bytes: whole[:16]},
		"far beyond":       {Length: 100, First: 255, Bytes: whole[:16]},
		"not whole units":  {Length: 100, First: 1, Bytes: whole[:15]},
		"short of the end": {Length: 100, First: 6, Bytes: whole[:3]},
	} {
		if b, err := wire.Marshal(&p); !errors.Is(err, wire.ErrMalformed) || b != nil {
			t.Errorf("%s: built, %v", name, err)
		}
	}
	for _, p := range []*Piece{Cut(PieceID{9}, whole, 0, 1000), Cut(PieceID{9}, whole, 2, 40), Cut(PieceID{9}, whole, 6, 4)} {
		checkCanonical(t, "piece", wire.MustMarshal(p), func(b []byte) ([]byte, error) {
			p := new(Piece)
			if err := wire.Unmarshal(b, p); err != nil {
				return nil, err
			}
			return wire.Marshal(p)
		}, pieceFixed)
	}
	if Cut(PieceID{9}, whole, 7, 100) != nil || Cut(PieceID{9}, whole, 0, 15) != nil || Cut(PieceID{9}, nil, 0, 15) != nil {
		t.Error("a piece of nothing")
	}
	g := &Gathering{Have: 1 << 7, Bytes: whole}
	if _, err := wire.Marshal(g); !errors.Is(err, wire.ErrMalformed) {
		t.Error("a unit beyond the end")
	}
}

// A piece that was cut to the room fits, and one unit more does not.
func TestPieceRoom(t *testing.T) {
	whole := make([]byte, MaxWhole)
	for _, ctl := range []Control{{}, {Delivered: digests(0, 1)}, {Confirmed: digests(0, 2), Wanted: digests(0, 1)}} {
		for room := range 400 {
			with := ctl
			with.Piece = Cut(PieceID{1}, whole, 0, ctl.PieceRoom(room))
			b, err := with.Marshal()
			if err != nil || with.Piece != nil && len(b) > room {
				t.Fatalf("%d bytes in %d: %v", len(b), room, err)
			}
			if more := Cut(PieceID{1}, whole, 0, ctl.PieceRoom(room)/PieceUnit*PieceUnit+PieceUnit); len(more.Bytes) < MaxWhole {
				with.Piece = more
				if b, _ := with.Marshal(); len(b) <= room {
					t.Fatalf("%d bytes would fit into %d", len(b), room)
				}
			}
		}
	}
}

func FuzzPiece(f *testing.F) {
	f.Add(wire.MustMarshal(full.Piece))
	f.Add(wire.MustMarshal(Cut(PieceID{9}, make([]byte, 100), 6, 4)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := new(Piece)
		if wire.Unmarshal(b, p) != nil {
			return
		}
		if again, err := wire.Marshal(p); err != nil || !bytes.Equal(again, b) {
			t.Error("two encodings")
		}
		var g Gathering
		if g.Take(p) && len(g.Bytes) != int(p.Length) {
			t.Error("complete without its bytes")
		}
	})
}
