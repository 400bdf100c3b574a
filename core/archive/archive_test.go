package archive

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"waxwing/core/devicesync"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

var bob = ids.MustParseAddress("bob@beta.example")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

func drawScalar() (b [32]byte) {
	copy(b[:], group.Ristretto255().RandomScalar().Bytes())
	return b
}

func account() *Account {
	a := &Account{
		Address: ids.MustParseAddress("alice@alpha.example"), Server: "alpha.example:4433", Pin: [32]byte{1},
		Mailbox: ids.MailboxID{2}, Identity: [32]byte(keys.NewSigningKey().Seed()), DH: [32]byte{3},
		K: drawScalar(), W: drawScalar(), Z: drawScalar(), Generation: 1, Manifest: []byte("manifest"),
		Roots:     []Root{{Number: 0, Made: 10, Until: 30, Key: [32]byte{4}}, {Number: 2, Made: 20, Key: [32]byte{5}}},
		Keys:      []MailboxKey{{Week: 3, Made: 1, Until: 60, Seed: [32]byte{6}}, {Week: 4, Made: 2, Seed: [32]byte{7}}},
		ChainWeek: 5, Chain: [32]byte{8}, Hop: ids.MustParseDomain("gamma.example"),
	}
	return a
}

func items() []devicesync.Item {
	return []devicesync.Item{
		&devicesync.Provider{Domain: bob.Domain(), Pin: [32]byte{1}},
		&devicesync.Contact{Address: bob, Changed: 7},
		&devicesync.Given{Giver: 1, Batch: 2, Account: bob, Tickets: []devicesync.GivenTicket{{Serial: 1, Expiry: 2}, {Serial: 5, Used: true}}},
		&devicesync.Code{Giver: 1, Number: 2, Serial: 3, Expiry: 4},
		&devicesync.Received{Contact: bob, D: [32]byte{1}, Frame: []byte("F")},
		&devicesync.Sent{Contact: bob, Status: devicesync.StatusRead, D: [32]byte{2}, Frame: []byte("G")},
		&devicesync.Received{Contact: bob, D: [32]byte{3}, Frame: []byte("H")},
	}
}

func written(t testing.TB, a *Account, list []devicesync.Item) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, a)
	must(t, err)
	for _, i := range list {
		must(t, w.Add(i))
	}
	must(t, w.Close())
	return b.Bytes()
}

// all reads an archive to its end.
func all(r io.Reader) (*Account, []devicesync.Item, error) {
	in, a, err := NewReader(r)
	if err != nil {
		return nil, nil, err
	}
	var list []devicesync.Item
	for {
		i, err := in.Next()
		if errors.Is(err, io.EOF) {
			return a, list, nil
		}
		if err != nil {
			return nil, nil, err
		}
		list = append(list, i)
	}
}

func TestRoundTrip(t *testing.T) {
	a, list := account(), items()
	got, gotItems, err := all(bytes.NewReader(written(t, a, list)))
	must(t, err)
	if !reflect.DeepEqual(got, a) || !reflect.DeepEqual(gotItems, list) {
		t.Error("another archive")
	}
	a.Erase()
	if a.Identity != [32]byte{} || a.Roots[1].Key != [32]byte{} || a.Keys[0].Seed != [32]byte{} || a.K != [32]byte{} {
		t.Error("a secret stayed")
	}
}

// The hop goes along, whether there is one or not; the account's own provider is
// none.
func TestHop(t *testing.T) {
	a := account()
	for _, hop := range []ids.Domain{{}, ids.MustParseDomain("gamma.example")} {
		a.Hop = hop
		got, _, err := all(bytes.NewReader(written(t, a, nil)))
		must(t, err)
		if got.Hop != hop {
			t.Errorf("the hop is %v", got.Hop)
		}
	}
	a.Hop = a.Address.Domain()
	_, err := NewWriter(io.Discard, a)
	is(t, err, wire.ErrMalformed)
}

// Every byte matters: changed, the archive is refused or another one, and never
// with a second encoding; cut or longer, it is refused.
func TestMutation(t *testing.T) {
	b := written(t, account(), items())
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if a, list, err := all(bytes.NewReader(bad)); err == nil && !bytes.Equal(written(t, a, list), bad) {
			t.Errorf("byte %d: two encodings", i)
		}
		_, _, err := all(bytes.NewReader(b[:i]))
		is(t, err, ErrTruncated)
	}
	_, _, err := all(bytes.NewReader(append(bytes.Clone(b), 0)))
	is(t, err, wire.ErrMalformed)
}

func TestRefused(t *testing.T) {
	list := items()
	for name, wrong := range map[string][]devicesync.Item{
		"a contact behind a message": {list[4], list[1]},
		"roots":                      {&devicesync.Roots{Root: [32]byte{1}}},
		"a status":                   {&devicesync.StatusOf{Contact: bob, D: [32]byte{1}, Status: devicesync.StatusRead}},
		"a removal":                  {&devicesync.Removed{Address: bob}},
	} {
		w, err := NewWriter(io.Discard, account())
		must(t, err)
		for _, i := range wrong {
			err = w.Add(i)
		}
		if !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v", name, err)
		}
		// And by whoever reads it.
		var b bytes.Buffer
		_, err = NewWriter(&b, account())
		must(t, err)
		for _, i := range wrong {
			r, err := devicesync.Marshal(i)
			must(t, err)
			must(t, writePart(&b, r))
		}
		if _, _, err := all(&b); !errors.Is(err, ErrOrder) {
			t.Errorf("%s read: %v", name, err)
		}
	}
	for name, change := range map[string]func(a *Account){
		"no server":          func(a *Account) { a.Server = "" },
		"no mailbox":         func(a *Account) { a.Mailbox = ids.MailboxID{} },
		"k is no scalar":     func(a *Account) { a.K = [32]byte{31: 0xff} },
		"generation zero":    func(a *Account) { a.Generation = 0 },
		"no roots":           func(a *Account) { a.Roots = nil },
		"roots not rising":   func(a *Account) { a.Roots[1].Number = 0 },
		"no root in use":     func(a *Account) { a.Roots[1].Until = 3 },
		"two roots in use":   func(a *Account) { a.Roots[0].Until = 0 },
		"an empty root":      func(a *Account) { a.Roots[0].Key = [32]byte{} },
		"many roots":         func(a *Account) { a.Roots = make([]Root, MaxRoots+1) },
		"keys not rising":    func(a *Account) { a.Keys[1].Week = 3 },
		"no chain":           func(a *Account) { a.Chain = [32]byte{} },
		"a manifest too big": func(a *Account) { a.Manifest = make([]byte, wire.MaxManifest+1) },
	} {
		a := account()
		change(a)
		if _, err := NewWriter(io.Discard, a); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := &Writer{w: io.Discard, items: MaxItems}
	is(t, full.Add(list[0]), ErrFull)
	var b bytes.Buffer
	r, err := devicesync.Marshal(list[0])
	must(t, err)
	must(t, writePart(&b, r))
	_, err = (&Reader{r: &b, items: MaxItems}).Next()
	is(t, err, ErrFull)
}

func sealed(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := encrypt(&b, []byte("correct horse"), 10) // cheaper than the files of users
	must(t, err)
	_, err = w.Write(plain)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func opened(b []byte, passphrase string) ([]byte, error) {
	r, err := Decrypt(bytes.NewReader(b), []byte(passphrase))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestFile(t *testing.T) {
	plain := bytes.Repeat([]byte("secret"), 30_000) // more than one chunk of age
	file := sealed(t, plain)
	if bytes.Contains(file, []byte("secretsecret")) {
		t.Error("the file says something")
	}
	got, err := opened(file, "correct horse")
	must(t, err)
	if !bytes.Equal(got, plain) {
		t.Error("another content")
	}
	for _, p := range []string{"", "Correct horse", string(make([]byte, MaxPassphrase+1))} {
		_, err := opened(file, p)
		is(t, err, ErrPassphrase)
	}
	_, err = Encrypt(io.Discard, nil)
	is(t, err, ErrPassphrase)
	header := bytes.Index(file, []byte("\n--- ")) + 48
	for _, cut := range []int{0, 1, 40, header, header + 16, header + 16 + 65536 + 16, len(file) - 1} {
		if _, err := opened(file[:cut], "correct horse"); !errors.Is(err, ErrFile) {
			t.Errorf("cut to %d of %d: %v", cut, len(file), err)
		}
	}
	for _, at := range []int{0, len(file) / 2, len(file) - 1} {
		bad := bytes.Clone(file)
		bad[at] ^= 1
		if _, err := opened(bad, "correct horse"); !errors.Is(err, ErrFile) {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
	if _, err := opened(append(bytes.Clone(file), 0), "correct horse"); !errors.Is(err, ErrFile) {
		t.Errorf("longer: %v", err)
	}
}

// A file that asks for more work than a machine has is refused before any is done.
func TestFileWork(t *testing.T) {
	file := sealed(t, nil)
	bad := bytes.Replace(file, []byte(" 10\n"), []byte(" 30\n"), 1)
	if bytes.Equal(bad, file) {
		t.Fatal("the work factor stands elsewhere")
	}
	_, err := opened(bad, "correct horse")
	is(t, err, ErrFile)
}

// Files of users ask for the work that the constant says, and open.
func TestEncrypt(t *testing.T) {
	var b bytes.Buffer
	w, err := Encrypt(&b, []byte("correct horse"))
	must(t, err)
	must(t, w.Close())
	if !bytes.Contains(b.Bytes(), []byte(" 18\n")) {
		t.Error("another work factor")
	}
	_, err = opened(b.Bytes(), "correct horse")
	must(t, err)
}

type failing struct{}

var errDisk = errors.New("disk")

func (failing) Read([]byte) (int, error) { return 0, errDisk }

func TestFileErrorIsTheDisks(t *testing.T) {
	_, err := Decrypt(failing{}, []byte("correct horse"))
	is(t, err, errDisk)
	file := sealed(t, make([]byte, 100_000))
	r, err := Decrypt(io.MultiReader(bytes.NewReader(file[:70_000]), failing{}), []byte("correct horse"))
	must(t, err)
	_, err = io.ReadAll(r)
	is(t, err, errDisk)
}

func FuzzReader(f *testing.F) {
	f.Add(written(f, account(), items()))
	f.Add(written(f, account(), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, list, err := all(bytes.NewReader(b))
		if err == nil && !bytes.Equal(written(t, a, list), b) {
			t.Error("two encodings")
		}
	})
}

// FuzzDecrypt: a file is the one that was encrypted, or refused with an error of
// this package. Little work is allowed, so that each execution is cheap.
func FuzzDecrypt(f *testing.F) {
	const work = 1
	plain := []byte("secret")
	var b bytes.Buffer
	w, err := encrypt(&b, []byte("correct horse"), work)
	must(f, err)
	_, err = w.Write(plain)
	must(f, err)
	must(f, w.Close())
	f.Add(b.Bytes())
	f.Add(sealed(f, plain)) // asks for more work
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := decrypt(bytes.NewReader(file), []byte("correct horse"), work)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r)
		}
		switch {
		case err != nil && !errors.Is(err, ErrFile) && !errors.Is(err, ErrPassphrase):
			t.Errorf("untyped error %v", err)
		case err == nil && !bytes.Equal(got, plain):
			t.Error("another content")
		}
	})
}
