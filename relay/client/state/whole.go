package state

import (
	"encoding/binary"
	"os"
)

// The engine's two meta pages: a page header of 16 bytes, then magic 4,
// version 4, page size 4, flags 4, root 16, free list 8, end of file 8 (in
// pages), transaction 8, checksum 8, in the machine's order of bytes.
const (
	metaMagic = 0xED0CDAED
	offMagic  = 16
	offSize   = offMagic + 8
	offEnd    = offMagic + 40
	offTx     = offMagic + 48
	metaSize  = offMagic + 64
)

// openWhole opens the engine's file and refuses one that is shorter than its
// newest meta page says: the engine would read beyond its end and crash the
// process.
func openWhole(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	if !whole(f) {
		f.Close()
		return nil, &CorruptError{"file"}
	}
	return f, nil
}

func whole(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return true // new, or for the engine to refuse
	}
	var end, newest uint64
	first := make([]byte, metaSize)
	if _, err := f.ReadAt(first, 0); err != nil {
		return false
	}
	page := uint64(binary.NativeEndian.Uint32(first[offSize:]))
	for i := range int64(2) {
		b := make([]byte, metaSize)
		if _, err := f.ReadAt(b, i*int64(page)); err != nil {
			return false
		}
		if binary.NativeEndian.Uint32(b[offMagic:]) != metaMagic {
			continue // the engine uses the other one
		}
		if tx := binary.NativeEndian.Uint64(b[offTx:]); end == 0 || tx > newest {
			newest, end = tx, binary.NativeEndian.Uint64(b[offEnd:])
		}
	}
	return end != 0 && page != 0 && end <= uint64(info.Size())/page
}
