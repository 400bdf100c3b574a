package daemon_test

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// kind is what an identifier is to the provider that has it: its own users'
// and domain, or others'.
type kind string

const (
	ownDomain      kind = "own domain"
	otherDomain    kind = "other domain"
	ownAddress     kind = "own address" // or its local part
	otherAddress   kind = "other address"
	ownMailbox     kind = "own mailbox"
	otherMailbox   kind = "other mailbox"
	ownKey         kind = "own key" // any public key of an account or device
	otherKey       kind = "other key"
	ownTicketKey   kind = "own ticket key"
	otherTicketKey kind = "other ticket key"
	aTicket        kind = "ticket"
	ownToken       kind = "own franking token" // key, wrapped account, blinded X_S or hash of one
	otherToken     kind = "other franking token"
	aText          kind = "text"
	aSecret        kind = "secret" // private key of a user

	// What a scan can find beside identifiers.
	malformed    kind = "malformed"
	unknownPlace kind = "unknown place"
	unknownField kind = "unknown field"
	aPair        kind = "pair" // an account here beside the provider it writes to
)

// holdable is what a row of docs/metadata.md may allow.
var holdable = []kind{
	ownDomain, otherDomain, ownAddress, otherAddress, ownMailbox, otherMailbox, ownKey, otherKey,
	ownTicketKey, otherTicketKey, aTicket, ownToken, otherToken, aText, aSecret,
}

// rule is what one field of one place may hold.
type rule struct {
	may  map[kind]bool
	into string // the structure that it is, if any
}

// allowList is the tables of docs/metadata.md: rules by place and field.
type allowList map[string]map[string]*rule

const (
	metadataPath   = "../../docs/metadata.md"
	metadataHeader = "| where | field | may hold | kept | why |"
)

// loadAllowList parses the document.
func loadAllowList(t *testing.T) allowList {
	t.Helper()
	b, err := os.ReadFile(metadataPath)
	if err != nil {
		t.Fatal(err)
	}
	a, err := parseAllowList(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// parseAllowList reads every table with the header. The first two cells may
// list several names with commas between.
func parseAllowList(doc string) (allowList, error) {
	a := allowList{}
	in := false
	for n, line := range strings.Split(doc, "\n") {
		if line == metadataHeader {
			in = true
			continue
		}
		if !strings.HasPrefix(line, "|") {
			in = false
		}
		if !in || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 5 {
			return nil, fmt.Errorf("metadata.md:%d: %d cells", n+1, len(cells))
		}
		for i := range cells {
			if cells[i] = strings.TrimSpace(cells[i]); cells[i] == "" {
				return nil, fmt.Errorf("metadata.md:%d: an empty cell", n+1)
			}
		}
		r, err := parseRule(cells[2])
		if err != nil {
			return nil, fmt.Errorf("metadata.md:%d: %w", n+1, err)
		}
		for _, place := range splitPlaces(cells[0]) {
			if a[place] == nil {
				a[place] = map[string]*rule{}
			}
			for field := range strings.SplitSeq(cells[1], ", ") {
				if field = strings.Trim(field, "`"); a[place][field] != nil {
					return nil, fmt.Errorf("metadata.md:%d: %s, %s stands twice", n+1, place, field)
				}
				a[place][field] = r
			}
		}
	}
	if len(a) == 0 {
		return nil, fmt.Errorf("metadata.md has no table %q", metadataHeader)
	}
	return a, nil
}

// places begin with one of these.
var placeWords = []string{"client", "peer", "in", "document", "pool", "item", "row", "file", "memory", "log", "output", "metric"}

// splitPlaces splits a list of places at the commas before a new one: texts of
// the log have commas too.
func splitPlaces(cell string) (out []string) {
	for part := range strings.SplitSeq(cell, ", ") {
		word, _, _ := strings.Cut(part, " ")
		if len(out) > 0 && !slices.Contains(placeWords, word) {
			out[len(out)-1] += ", " + part
			continue
		}
		out = append(out, part)
	}
	return out
}

// parseRule parses "nothing", "= STRUCTURE" or kinds with commas between.
func parseRule(cell string) (*rule, error) {
	r := &rule{may: map[kind]bool{}}
	if into, ok := strings.CutPrefix(cell, "= "); ok {
		r.into = into
		return r, nil
	}
	if cell == "nothing" {
		return r, nil
	}
	for k := range strings.SplitSeq(cell, ", ") {
		if !slices.Contains(holdable, kind(k)) {
			return nil, fmt.Errorf("%q is nothing that a field can hold", k)
		}
		r.may[kind(k)] = true
	}
	return r, nil
}

// place returns the rules of a place: its own, or those of the first pattern
// with a star that it fits.
func (a allowList) place(name string) (fields map[string]*rule, as string) {
	if f := a[name]; f != nil {
		return f, name
	}
	var patterns []string
	for p := range a {
		if strings.Contains(p, "*") {
			patterns = append(patterns, p)
		}
	}
	slices.Sort(patterns)
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return a[p], p
		}
	}
	return nil, ""
}
