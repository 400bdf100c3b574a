package blocklist

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

func entry(i int) (e EntryID) {
	binary.BigEndian.PutUint64(e[:], uint64(i)+1)
	return e
}

func nr(i byte) (n [32]byte) {
	n[0] = i
	return n
}

func drawSerials(t *rapid.T) []Serial {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Serial {
		return Serial{Day: ids.Day(rapid.Uint32Range(100, 130).Draw(t, "day")), N: rapid.Uint64Range(0, 40).Draw(t, "n")}
	}), 0, 200).Draw(t, "serials")
}

func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		serials, e := drawSerials(t), NewEntryID()
		var got []Serial
		p := Pseudonym{}
		if rapid.Bool().Draw(t, "pseudonym") {
			p = Pseudonym{rapid.Uint32Range(1, 9).Draw(t, "generation"), nr(7)}
		}
		for _, r := range NewRequests(e, p, serials) {
			b, err := r.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseRequest(b)
			if err != nil || again.Entry != e || again.Pseudonym != p || !slices.Equal(again.Serials, r.Serials) {
				t.Fatalf("changed: %v", err)
			}
			got = append(got, again.Serials...)
		}
		slices.SortFunc(serials, compareSerials)
		if want := slices.Compact(serials); !slices.Equal(got, want) {
			t.Fatalf("%d serials, want %d", len(got), len(want))
		}
	})
}

// A block of many serials goes in several requests, each within the limits of
// the frame and of the store.
func TestRequestsAreSplit(t *testing.T) {
	var serials []Serial
	for i := range 2*MaxSerials + 1 {
		serials = append(serials, Serial{Day: ids.Day(100 + i%MaxDays), N: uint64(i)})
	}
	reqs := NewRequests(entry(1), Pseudonym{}, serials)
	if len(reqs) != 3 {
		t.Fatalf("%d requests", len(reqs))
	}
	for _, r := range reqs {
		if b, err := r.Marshal(); err != nil || len(b) > MaxRequestSize || r.Entry != entry(1) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
	var days []Serial
	for i := range MaxDays + 1 {
		days = append(days, Serial{Day: ids.Day(i)})
	}
	if n := len(NewRequests(entry(1), Pseudonym{}, days)); n != 2 {
		t.Errorf("%d requests for too many days", n)
	}
	if reqs := NewRequests(entry(1), Pseudonym{}, nil); len(reqs) != 1 || len(reqs[0].Serials) != 0 {
		t.Error("a block without serials is no request")
	}
	if MaxRequestSize > wire.MaxBlock || MaxSerials > store.MaxBatch || MaxListSize > store.MaxValue {
		t.Error("limits do not fit together")
	}
}

func TestRequestRefuses(t *testing.T) {
	many := make([]Serial, MaxSerials+1)
	for i := range many {
		many[i].N = uint64(i)
	}
	days := make([]Serial, MaxDays+1)
	for i := range days {
		days[i].Day = ids.Day(i)
	}
	for name, r := range map[string]Request{
		"zero entry":     {},
		"serial twice":   {Entry: entry(1), Serials: []Serial{{1, 1}, {1, 1}}},
		"not ascending":  {Entry: entry(1), Serials: []Serial{{1, 2}, {1, 1}}},
		"day descending": {Entry: entry(1), Serials: []Serial{{2, 1}, {1, 1}}},
		"day twice":      {Entry: entry(1), Serials: []Serial{{1, 1}, {2, 1}, {1, 2}}},
		"too many":       {Entry: entry(1), Serials: many},
		"too many days":  {Entry: entry(1), Serials: days},
	} {
		if _, err := r.Marshal(); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: built, %v", name, err)
		}
	}
	head := append([]byte{1}, bytes.Repeat([]byte{7}, 16)...)
	for name, b := range map[string][]byte{
		"version":        append([]byte{2}, append(bytes.Repeat([]byte{7}, 16), 0, 0, 0)...),
		"pseudonym":      append(bytes.Clone(head), 1, 0, 0),
		"day of none":    append(bytes.Clone(head), 0, 0, 1, 0, 0, 0, 1, 0, 0),
		"serial twice":   append(bytes.Clone(head), 0, 0, 0, 1, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5),
		"days of number": append(bytes.Clone(head), 0, 0, 0xff, 0xff),
		"zero entry":     append([]byte{1}, make([]byte, 20)...),
	} {
		if _, err := ParseRequest(b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: parsed, %v", name, err)
		}
	}
	if _, err := ParseRequest(append(head, 0, 0, 0, 0)); err != nil {
		t.Errorf("the good one: %v", err)
	}
	// Many serials spread over days, each list below its own limit.
	b := append(bytes.Clone(head), 0, 0, 0, 2)
	for day := range byte(2) {
		b = append(b, 0, 0, 0, day, MaxSerials>>8, MaxSerials&0xff)
		for i := range MaxSerials {
			b = binary.BigEndian.AppendUint64(b, uint64(i))
		}
	}
	if _, err := ParseRequest(b); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("too many serials in all: %v", err)
	}
}

func TestFormatsAreStrict(t *testing.T) {
	req, _ := NewRequests(entry(5), Pseudonym{}, []Serial{{1, 1}, {1, 2}, {3, 1}})[0].Marshal()
	var l List
	for i := range 3 {
		l.Add(entry(i), Pseudonym{})
	}
	for name, tt := range map[string]struct {
		b     []byte
		parse func([]byte) ([]byte, error)
	}{
		"request": {req, reparseRequest},
		"list":    {l.Marshal(), reparseList},
	} {
		if again, err := tt.parse(tt.b); err != nil || !bytes.Equal(again, tt.b) {
			t.Errorf("%s: %v", name, err)
		}
		for n := range tt.b {
			if _, err := tt.parse(tt.b[:n]); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: %d bytes: %v", name, n, err)
			}
		}
		if _, err := tt.parse(append(bytes.Clone(tt.b), 0)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: trailing byte: %v", name, err)
		}
		for i := range tt.b {
			for x := 1; x < 256; x <<= 1 {
				bad := bytes.Clone(tt.b)
				bad[i] ^= byte(x)
				if again, err := tt.parse(bad); err == nil && !bytes.Equal(again, bad) {
					t.Errorf("%s: byte %d is not canonical", name, i)
				}
			}
		}
	}
}

func reparseRequest(b []byte) ([]byte, error) {
	r, err := ParseRequest(b)
	if err != nil {
		return nil, err
	}
	return r.Marshal()
}

func reparseList(b []byte) ([]byte, error) {
	l, err := ParseList(b)
	if err != nil {
		return nil, err
	}
	return l.Marshal(), nil
}

// The list is a set: it agrees with a map after any operations, and with
// itself after storing and loading.
func TestListIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, model := new(List), map[EntryID]bool{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			e := entry(rapid.IntRange(0, 12).Draw(t, "entry"))
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0, 1:
				if changed, err := l.Add(e, Pseudonym{}); err != nil || changed == model[e] {
					t.Fatalf("add: %v, %v", changed, err)
				}
				model[e] = true
			case 2:
				if l.Remove(e) != model[e] {
					t.Fatal("remove")
				}
				delete(model, e)
			case 3:
				var err error
				if l, err = ParseList(l.Marshal()); err != nil {
					t.Fatal(err)
				}
			}
			if l.Len() != len(model) || l.Contains(e) != model[e] {
				t.Fatal("differs from the model")
			}
		}
	})
}

func TestListRefuses(t *testing.T) {
	var l List
	for i := range MaxEntries {
		if changed, err := l.Add(entry(i), Pseudonym{}); !changed || err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Add(entry(MaxEntries), Pseudonym{}); !errors.Is(err, ErrFull) {
		t.Errorf("above the limit: %v", err)
	}
	if changed, err := l.Add(entry(3), Pseudonym{}); changed || err != nil {
		t.Errorf("known entry of a full list: %v", err)
	}
	if b := l.Marshal(); len(b)+MaxEntries*MaxGenerations*pseudonymSize != MaxListSize {
		t.Errorf("%d bytes", len(b))
	}
	l.Remove(entry(3))
	if changed, err := l.Add(entry(MaxEntries), Pseudonym{}); !changed || err != nil {
		t.Errorf("after a removal: %v", err)
	}
	if _, err := l.Add(EntryID{}, Pseudonym{}); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("zero id: %v", err)
	}
	a, b := entry(1), entry(2)
	put := func(entries ...EntryID) []byte {
		out := []byte{1, 0, byte(len(entries))}
		for _, e := range entries {
			out = append(append(out, e[:]...), 0, 0)
		}
		return out
	}
	pseudonym := put(a)
	pseudonym[len(pseudonym)-1] = 1
	for name, doc := range map[string][]byte{
		"twice": put(a, a), "not sorted": put(b, a), "zero": put(EntryID{}, a),
		"pseudonym": pseudonym, "too many": {1, 0xff, 0xff}, "empty": {},
	} {
		if _, err := ParseList(doc); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseList(put(a, b)); err != nil {
		t.Error(err)
	}
}

// An entry blocks its pseudonyms of two generations, whatever order they come in.
func TestPseudonyms(t *testing.T) {
	var l List
	add := func(e EntryID, g uint32, n byte, want bool) {
		t.Helper()
		if changed, err := l.Add(e, Pseudonym{g, nr(n)}); err != nil || changed != want {
			t.Fatalf("%v, %v", changed, err)
		}
	}
	blocks := func(want string) {
		t.Helper()
		again, err := ParseList(l.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for n := range byte(10) {
			if again.Blocks(nr(n)) {
				got += string('0' + n)
			}
		}
		if got != want {
			t.Fatalf("blocked: %q, want %q", got, want)
		}
	}
	blocks("")
	add(entry(1), 1, 1, true)
	add(entry(1), 1, 1, false)
	add(entry(2), 1, 2, true)
	blocks("12")
	add(entry(1), 1, 3, true) // another account under the same entry
	blocks("23")
	if !l.Renew([]Renewal{{entry(1), Pseudonym{2, nr(4)}}, {entry(9), Pseudonym{2, nr(5)}}}) || l.Contains(entry(9)) {
		t.Fatal("renewal")
	}
	blocks("234")
	if l.Renew([]Renewal{{entry(1), Pseudonym{2, nr(4)}}}) {
		t.Fatal("renewed twice")
	}
	add(entry(1), 3, 6, true)
	blocks("246") // that of generation 1 is over
	add(entry(1), 1, 3, false)
	blocks("246")
	l.Remove(entry(1))
	blocks("2")
}

func FuzzFormats(f *testing.F) {
	req, _ := NewRequests(entry(5), Pseudonym{}, []Serial{{1, 1}, {1, 2}, {3, 1}})[0].Marshal()
	f.Add(req)
	f.Add((&List{entries: []entryOf{{entry(1), nil}, {entry(2), []Pseudonym{{1, nr(1)}, {2, nr(2)}}}}}).Marshal())
	blocking, _ := NewRequests(entry(5), Pseudonym{3, nr(9)}, nil)[0].Marshal()
	f.Add(blocking)
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := reparseRequest(b); err == nil && !bytes.Equal(again, b) {
			t.Error("request is not canonical")
		}
		if again, err := reparseList(b); err == nil && !bytes.Equal(again, b) {
			t.Error("list is not canonical")
		}
	})
}

func BenchmarkBlocklist(b *testing.B) {
	var l List
	for i := range MaxEntries {
		l.Add(entry(i), Pseudonym{})
	}
	doc := l.Marshal()
	b.Run("floor: one HMAC", func(b *testing.B) {
		key, msg := make([]byte, 32), make([]byte, 64)
		for b.Loop() {
			h := hmac.New(sha256.New, key)
			h.Write(msg)
			h.Sum(nil)
		}
	})
	b.Run("contains, full list", func(b *testing.B) {
		for b.Loop() {
			l.Contains(entry(b.N % MaxEntries))
		}
	})
	b.Run("parse full list", func(b *testing.B) {
		for b.Loop() {
			if _, err := ParseList(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
