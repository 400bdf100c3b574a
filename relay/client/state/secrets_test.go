package state

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"waxwing/core/group"
	"waxwing/core/wire"
)

// What is no secret is not taken for one, and none is printed.
func TestAccountSecrets(t *testing.T) {
	s := DrawSecrets()
	for name, change := range map[string]func(*AccountSecrets){
		"no k":           func(s *AccountSecrets) { s.K = [32]byte{} },
		"no w":           func(s *AccountSecrets) { s.W = [32]byte{} },
		"no z":           func(s *AccountSecrets) { s.Z = [32]byte{} },
		"k not reduced":  func(s *AccountSecrets) { s.K[31] = 0xff },
		"no generation":  func(s *AccountSecrets) { s.Generation = 0 },
		"z out of range": func(s *AccountSecrets) { s.Z = [32]byte(bytes.Repeat([]byte{0x7f}, 32)) },
	} {
		bad := s
		change(&bad)
		if _, err := wire.Marshal(&bad); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out := fmt.Sprintf("%v %+v %#v", s, &s, s); strings.Contains(out, fmt.Sprint(s.K[0], " ", s.K[1])) || !strings.Contains(out, "redacted") {
		t.Errorf("prints %s", out)
	}
	s.Erase()
	if s.K != [32]byte{} || s.W != [32]byte{} || s.Z != [32]byte{} {
		t.Error("not erased")
	}
	if _, err := s.AccountKey(); !errors.Is(err, group.ErrDecode) {
		t.Error(err)
	}
	if _, _, err := s.MailboxKeys(); !errors.Is(err, group.ErrDecode) {
		t.Error(err)
	}
}
