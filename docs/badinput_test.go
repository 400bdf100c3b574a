package docs_test

import (
	"strings"
	"testing"
)

// badInput is what protocol.md has to have a row for, by how the row begins.
var badInput = []string{
	"unknown recipient", "expired ticket", "spent ticket", "struck ticket", "mis-bound ticket", "oversized frame", "wrong class",
	"replay within a window", "replay after every window", "full mailbox", "full outbox",
	"envelopes that wait long for one mailbox", "full disk", "unreachable peer",
	"clock of a client off by a day", "clock of a client that is set", "wrong certificate", "expired certificate", "foreign certificate",
	"wrong, expired or foreign certificate of a sender", "corrupt client state", "truncated state file", "mismatched devices",
	"depleted prekeys", "malformed handshake", "wrong protocol version", "slow reader", "flood from one peer",
	"handshakes that are never completed", "flood of streams", "slow writer", "amplification", "kill -9",
	"lost replies", "lost, repeated and reordered packets", "another address of a client",
}

// Every case of bad input, faults and overload stands in protocol.md with the
// sender's answer, the metric and tests that exist.
func TestBadInputIsDocumented(t *testing.T) {
	tr, doc := loadTree(t), document(t, "protocol.md")
	_, table, ok := strings.Cut(doc, "### Bad input, faults and overload")
	if !ok {
		t.Fatal("protocol.md has no table of bad input")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	for _, name := range badInput {
		found := false
		for line := range strings.Lines(table) {
			if !strings.HasPrefix(line, "| "+name) {
				continue
			}
			found = true
			if cells := strings.Split(line, "|"); len(cells) != 6 || strings.TrimSpace(cells[2]) == "" || strings.TrimSpace(cells[3]) == "" {
				t.Errorf("protocol.md: %s: want case, answer, metric and tests", name)
			}
			tr.checkTests(t, name, line)
		}
		if !found {
			t.Errorf("protocol.md lacks the case %q of bad input", name)
		}
	}
}
