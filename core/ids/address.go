package ids

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
)

// MaxAddress is the longest canonical address, in bytes. It keeps a sender
// certificate small enough to travel in a 2 KiB envelope.
const MaxAddress = 64

// MaxDomain is the longest canonical provider domain, in bytes: an address
// needs at least one byte of local part and the "@".
const MaxDomain = MaxAddress - 2

// ErrAddress and ErrDomain say that a name is not valid; the error that wraps
// them says why, without repeating the name.
var (
	ErrAddress = errors.New("ids: invalid address")
	ErrDomain  = errors.New("ids: invalid provider domain")
)

// domainProfile is strict IDNA 2008 lookup: it maps case and width, refuses
// what STD3 refuses, and limits label and name lengths.
var domainProfile = idna.New(
	idna.MapForLookup(),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
	idna.BidiRule(),
	idna.Transitional(false),
)

// Domain is the canonical name of a provider: lower-case A-labels, at most
// MaxDomain bytes. The zero value is no domain.
type Domain struct{ name string }

// ParseDomain brings s into canonical form. Errors wrap ErrDomain.
func ParseDomain(s string) (Domain, error) {
	if len(s) > 4*MaxDomain { // A U-label shrinks by less than that.
		return Domain{}, fmt.Errorf("%w: longer than %d bytes", ErrDomain, MaxDomain)
	}
	if !utf8.ValidString(s) {
		return Domain{}, fmt.Errorf("%w: not UTF-8", ErrDomain)
	}
	a, err := domainProfile.ToASCII(s)
	if err != nil {
		return Domain{}, fmt.Errorf("%w: not a host name", ErrDomain)
	}
	if again, err := domainProfile.ToASCII(a); err != nil || again != a {
		return Domain{}, fmt.Errorf("%w: no stable form", ErrDomain)
	}
	switch {
	case a == "" || strings.HasSuffix(a, "."):
		return Domain{}, fmt.Errorf("%w: empty label", ErrDomain)
	case len(a) > MaxDomain:
		return Domain{}, fmt.Errorf("%w: longer than %d bytes", ErrDomain, MaxDomain)
	}
	return Domain{a}, nil
}

// MustParseDomain is ParseDomain for names in the source; it panics on a bad one.
func MustParseDomain(s string) Domain {
	d, err := ParseDomain(s)
	if err != nil {
		panic(err)
	}
	return d
}

// String returns the canonical form, or "" for the zero value.
func (d Domain) String() string { return d.name }

// IsZero reports whether d is no domain.
func (d Domain) IsZero() bool { return d.name == "" }

// Address is the canonical name of an account, "local@domain". The zero value
// is no address. Addresses compare with ==.
type Address struct {
	local  string
	domain Domain
}

// ParseAddress brings s into canonical form (RFC 8265 section 3.3 for the
// local part). Errors wrap ErrAddress.
func ParseAddress(s string) (Address, error) {
	local, host, ok := strings.Cut(s, "@")
	if !ok || local == "" || strings.Contains(host, "@") {
		return Address{}, fmt.Errorf("%w: want local@domain", ErrAddress)
	}
	if len(local) > 4*MaxAddress {
		return Address{}, fmt.Errorf("%w: longer than %d bytes", ErrAddress, MaxAddress)
	}
	domain, err := ParseDomain(host)
	if err != nil {
		return Address{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	l, err := canonicalLocal(local)
	if err != nil {
		return Address{}, fmt.Errorf("%w: local part has characters that a user name cannot have", ErrAddress)
	}
	a := Address{l, domain}
	if len(a.String()) > MaxAddress {
		return Address{}, fmt.Errorf("%w: longer than %d bytes", ErrAddress, MaxAddress)
	}
	return a, nil
}

// canonicalLocal applies the profile until it no longer changes anything: one
// pass is not idempotent for every input, and a name must have one encoding.
func canonicalLocal(s string) (string, error) {
	for range 4 {
		t, err := precis.UsernameCaseMapped.String(s)
		if err != nil {
			return "", err
		}
		if t == s {
			if strings.ContainsAny(t, "@/") {
				return "", errors.New("reserved character")
			}
			return t, nil
		}
		s = t
	}
	return "", errors.New("no stable form")
}

// MustParseAddress is ParseAddress for names in the source; it panics on a bad one.
func MustParseAddress(s string) Address {
	a, err := ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// Local returns the part before the "@".
func (a Address) Local() string { return a.local }

// Domain returns the provider that the account belongs to.
func (a Address) Domain() Domain { return a.domain }

// IsZero reports whether a is no address.
func (a Address) IsZero() bool { return a.local == "" }

// String returns the canonical form, or "" for the zero value.
func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	return a.local + "@" + a.domain.name
}
