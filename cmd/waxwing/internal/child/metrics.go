package child

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// scrapeTime bounds one reading of a child's metrics.
	scrapeTime = 10 * time.Second
	// scrapeBytes bounds its size: a few thousand lines.
	scrapeBytes = 4 << 20
)

// Metrics holds one reading: values by the metric's name with its labels, as
// the text format of Prometheus writes them.
type Metrics map[string]float64

// scrape reads the metrics of a server.
func scrape(ctx context.Context, addr string) (Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	// Connections are not kept: a reading must not depend on an earlier one,
	// and a killed child leaves none behind.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("child: metrics: %s", resp.Status)
	}
	return parseMetrics(io.LimitReader(resp.Body, scrapeBytes))
}

func parseMetrics(r io.Reader) (Metrics, error) {
	m := Metrics{}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		line := scan.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 {
			return nil, fmt.Errorf("child: metrics: a line without a value")
		}
		v, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("child: metrics: a value is not a number: %w", err)
		}
		m[line[:cut]] = v
	}
	return m, scan.Err()
}

// Value returns one metric, 0 if it is not there. labels are pairs in
// alphabetical order of their names.
func (m Metrics) Value(name string, labels ...string) float64 {
	if len(labels) > 0 {
		pairs := make([]string, 0, len(labels)/2)
		for i := 0; i+1 < len(labels); i += 2 {
			pairs = append(pairs, labels[i]+"="+strconv.Quote(labels[i+1]))
		}
		name += "{" + strings.Join(pairs, ",") + "}"
	}
	return m[name]
}

// Envelopes returns how many envelopes came from clients ("client") or peers
// ("peer") and met the given end, a relay.Reason.
func (m Metrics) Envelopes(from, result string) int {
	return int(m.Value("waxwing_envelopes_total", "from", from, "result", result))
}

// CPU returns the processor time that the process has used.
func (m Metrics) CPU() time.Duration {
	return time.Duration(m.Value("process_cpu_seconds_total") * float64(time.Second))
}
