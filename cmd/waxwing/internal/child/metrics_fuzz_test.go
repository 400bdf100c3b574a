package child

import (
	"strings"
	"testing"
)

// FuzzMetrics: a reading is taken whole or refused; every line of it that has a
// value is there.
func FuzzMetrics(f *testing.F) {
	f.Add("# HELP waxwing_envelopes_total x\nwaxwing_envelopes_total{from=\"client\",result=\"ok\"} 3\nprocess_cpu_seconds_total 0.5\n")
	f.Add("a NaN\nb +Inf\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMetrics(strings.NewReader(text))
		if err != nil {
			return
		}
		names := map[string]bool{}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if line == "" || line[0] == '#' {
				continue
			}
			names[line[:strings.LastIndexByte(line, ' ')]] = true
		}
		if len(m) != len(names) {
			t.Errorf("%d values of %d", len(m), len(names))
		}
		m.Envelopes("client", "ok")
		m.CPU()
	})
}
