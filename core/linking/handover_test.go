package linking

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

func handover() *Handover {
	return &Handover{
		Day: 20_000, From: 1, To: 9, Archive: []byte("the account"),
		Week: 2_857, WeekFrom: 3, WeekTo: 8, Standings: []Standing{
			{Provider: ids.MustParseAddress("a@alpha.example").Domain(), Next: 1, End: 2}, {Provider: bob.Domain(), Next: 7, End: 9},
		},
		Credentials: []Credential{
			{Provider: ids.MustParseAddress("a@alpha.example").Domain(), Tier: 1, New: 4, Member: 32, Credential: [CredentialSize]byte{1}, Next: 2, End: 3},
			{Provider: bob.Domain(), Tier: 2, New: 4, Member: 32, Credential: [CredentialSize]byte{2}, Over: true},
		},
	}
}

// Every byte of what is handed over counts, and it has one encoding.
func TestHandover(t *testing.T) {
	want := handover()
	b := wire.MustMarshal(want)
	var got Handover
	must(t, wire.Unmarshal(b, &got))
	if !reflect.DeepEqual(&got, want) {
		t.Fatalf("%+v", got.Credentials)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		var other Handover
		if wire.Unmarshal(bad, &other) == nil && reflect.DeepEqual(&other, want) {
			t.Errorf("byte %d does not count", i)
		}
	}
	for name, change := range map[string]func(*Handover){
		"a part backwards":              func(h *Handover) { h.From = 10 },
		"a share backwards":             func(h *Handover) { h.Credentials[0].Next = 4 },
		"twice a provider":              func(h *Handover) { h.Credentials[1].Provider = h.Credentials[0].Provider },
		"too many":                      func(h *Handover) { h.Credentials = make([]Credential, MaxCredentials+1) },
		"a part of the week backwards":  func(h *Handover) { h.WeekFrom = 9 },
		"a share of the week backwards": func(h *Handover) { h.Standings[0].Next = 4 },
		"a provider of the week twice":  func(h *Handover) { h.Standings[1].Provider = h.Standings[0].Provider },
		"too many of the week":          func(h *Handover) { h.Standings = make([]Standing, MaxCredentials+1) },
		"too long an account":           func(h *Handover) { h.Archive = make([]byte, MaxArchive+1) },
	} {
		bad := handover()
		change(bad)
		if _, err := wire.Marshal(bad); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got.Erase()
	if got.Credentials[0].Credential != [CredentialSize]byte{} || bytes.Contains(got.Archive, []byte("account")) {
		t.Error("not erased")
	}
	if shown := fmt.Sprintf("%v %+v %#v", want, want, want.Credentials); bytes.Contains([]byte(shown), []byte("account")) {
		t.Errorf("shows itself: %s", shown)
	}
}

// The longest of everything fits into what is sealed.
func TestLargestHandover(t *testing.T) {
	h := &Handover{Archive: make([]byte, MaxArchive)}
	for i := range MaxCredentials {
		d, err := ids.ParseDomain(fmt.Sprintf("n%04d.%s.example", i, bytes.Repeat([]byte("a"), ids.MaxDomain-len("n0000..example"))))
		must(t, err)
		h.Credentials = append(h.Credentials, Credential{Provider: d})
		h.Standings = append(h.Standings, Standing{Provider: d})
	}
	h.Sort()
	b, err := wire.Marshal(h)
	must(t, err)
	if len(b) > MaxSecrets {
		t.Errorf("%d bytes of %d", len(b), MaxSecrets)
	}
}

func FuzzHandover(f *testing.F) {
	f.Add(wire.MustMarshal(handover()))
	f.Add(wire.MustMarshal(new(Handover)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Handover
		if wire.Unmarshal(b, &h) == nil && !bytes.Equal(wire.MustMarshal(&h), b) {
			t.Fatal("not canonical")
		}
	})
}
