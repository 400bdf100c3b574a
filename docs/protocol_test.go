package docs_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"waxwing/core/wire"
)

var update = flag.Bool("update", false, "rewrite the layouts in protocol.md")

// layouts are the structures whose tables protocol.md shows, by the name that
// stands in its marker.
var layouts = map[string]wire.Schema{
	"Envelope": new(wire.Envelope), "Delivery": new(wire.Delivery),
	"Submit": new(wire.Submit), "Forward": new(wire.Forward), "Ack": new(wire.Ack), "Refused": new(wire.Refused),
	"Subscribe": new(wire.Subscribe), "Delivered": new(wire.Delivered), "CaughtUp": new(wire.CaughtUp),
	"Hello": new(wire.Hello), "AuthInput": new(wire.AuthInput),
}

func init() {
	for i := range 256 {
		if m := wire.NewMessage(wire.FrameType(i)); m != nil {
			layouts[strings.TrimPrefix(fmt.Sprintf("%T", m), "*wire.")] = m
		}
	}
}

var marker = regexp.MustCompile(`(?s)(<!-- layout (\w+) -->\n).*?(<!-- end -->)`)

// The byte layouts in protocol.md are those of the code.
func TestProtocolLayouts(t *testing.T) {
	raw, err := os.ReadFile("protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	want := marker.ReplaceAllStringFunc(string(raw), func(block string) string {
		m := marker.FindStringSubmatch(block)
		s, ok := layouts[m[2]]
		if !ok {
			t.Errorf("protocol.md shows a layout %s that the code does not have", m[2])
			return block
		}
		shown[m[2]] = true
		return m[1] + table(s) + m[3]
	})
	for name := range layouts {
		if !shown[name] {
			t.Errorf("protocol.md lacks <!-- layout %s -->", name)
		}
	}
	if want == string(raw) {
		return
	}
	if !*update {
		t.Fatal("the layouts in protocol.md are not those of the code; run: go test ./docs -run ProtocolLayouts -update")
	}
	if err := os.WriteFile("protocol.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table(s wire.Schema) string {
	var b strings.Builder
	b.WriteString("| field | bytes | |\n|---|---|---|\n")
	for _, r := range wire.Layout(s) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Name, r.Size, r.Note)
	}
	return b.String()
}
