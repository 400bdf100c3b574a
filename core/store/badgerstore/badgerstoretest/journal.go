package badgerstoretest

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

// Sizes of the journal's layout, see badgerstore's journal.go.
const (
	page         = 4096
	header       = 4 + 8 + 8 + 4
	recordHeader = 4 + 4 + 8 + 4
)

// journalRows returns the rows of all records in the segments, those of older
// generations included: they are on the disk until they are written over. What is
// neither a record nor zeros nor the rest of one is ErrLayout.
func journalRows(dir string) (rows []Raw, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if rows, err = segmentRows(rows, b); err != nil {
			return nil, fmt.Errorf("%w: %s", err, filepath.Base(name))
		}
	}
	return rows, nil
}

func segmentRows(rows []Raw, b []byte) ([]Raw, error) {
	if len(b) < page || string(b[:4]) != "wxjl" {
		if zeros(b) {
			return rows, nil
		}
		return nil, ErrLayout
	}
	if !zeros(b[header:page]) {
		return nil, ErrLayout
	}
	newest := binary.BigEndian.Uint64(b[4:])
	salt := binary.BigEndian.Uint64(b[12:])
	for at := page; at+recordHeader <= len(b); {
		n := int(binary.BigEndian.Uint32(b[at+4:]))
		current := binary.BigEndian.Uint64(b[at+8:]) == salt
		end := at + recordHeader + n
		if n == 0 || end > len(b) {
			at += page // zeros, or the rest of a record whose beginning was written over
			continue
		}
		found, ok := recordRows(b[at+recordHeader:end], newest)
		switch {
		case !ok && current:
			return nil, ErrLayout
		case !ok:
			at += page
			continue
		}
		rows = append(rows, found...)
		next := (end + page - 1) / page * page
		if current && !zeros(b[end:next]) {
			return nil, ErrLayout
		}
		at = next
	}
	return rows, nil
}

func recordRows(b []byte, generation uint64) (rows []Raw, ok bool) {
	for len(b) > 0 {
		if len(b) < 5 {
			return nil, false
		}
		key, value := int(b[0]), int(binary.BigEndian.Uint32(b[1:]))
		if b = b[5:]; key == 0 || key+value > len(b) {
			return nil, false
		}
		rows = append(rows, Raw{Key: b[:key], Value: b[key : key+value], Gone: value == 0, Version: generation})
		b = b[key+value:]
	}
	return rows, true
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
