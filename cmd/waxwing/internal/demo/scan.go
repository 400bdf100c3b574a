package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// scanBuffer is how much of a file is searched at a time.
const scanBuffer = 1 << 20

// pattern is something to look for, in every form in which a program might
// write it.
type pattern struct {
	name  string
	forms [][]byte
}

// patternOf makes a pattern of a text or of raw bytes: as they are, and in
// hexadecimal and base64 without padding, whole groups only, at all three
// alignments that base64 can have.
func patternOf(name string, raw []byte) pattern {
	p := pattern{name, [][]byte{raw, []byte(hex.EncodeToString(raw)), bytes.ToUpper([]byte(hex.EncodeToString(raw)))}}
	for skip := 0; skip < 3 && len(raw)-skip >= 9; skip++ {
		whole := raw[skip : len(raw)-(len(raw)-skip)%3]
		p.forms = append(p.forms,
			[]byte(base64.RawStdEncoding.EncodeToString(whole)), []byte(base64.RawURLEncoding.EncodeToString(whole)))
	}
	return p
}

// search returns in how many places each pattern occurs in the files below the
// given paths, and how many bytes were searched.
func search(patterns []pattern, paths ...string) (hits []int, size int64, err error) {
	hits = make([]int, len(patterns))
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // the store deleted it meanwhile
			}
			if err != nil || !d.Type().IsRegular() { // folders, and the operators' socket
				return err
			}
			n, err := searchFile(path, patterns, hits)
			size += n
			return err
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return hits, size, nil
}

func searchFile(path string, patterns []pattern, hits []int) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return searchReader(f, patterns, hits)
}

// searchReader adds to hits. Blocks overlap by the length of the longest form,
// so that none is cut in two; what lies wholly in the overlap counts twice.
func searchReader(r io.Reader, patterns []pattern, hits []int) (size int64, err error) {
	overlap := 0
	for _, p := range patterns {
		for _, form := range p.forms {
			overlap = max(overlap, len(form)-1)
		}
	}
	buf := make([]byte, overlap+scanBuffer)
	kept := 0
	for {
		n, err := io.ReadFull(r, buf[kept:])
		size += int64(n)
		block := buf[:kept+n]
		for i, p := range patterns {
			for _, form := range p.forms {
				hits[i] += bytes.Count(block, form)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		kept = copy(buf, block[len(block)-overlap:])
	}
}
