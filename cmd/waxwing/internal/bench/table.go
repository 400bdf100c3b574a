package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Write prints the result for people.
func (r *Result) Write(w io.Writer) error {
	fmt.Fprintf(w, "%d messages of %d B per load, window %d, %d rounds (medians), %d processors, %s\n\n",
		r.Messages, r.Envelope, r.Window, r.Rounds, r.CPUs, r.Go)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tmessages/s\tserver CPU us/message\ttimes the floor\tp50 ms\tp99 ms\t")
	for i, h := range r.Hops {
		if i == 0 {
			fmt.Fprintf(t, "floor: bare quic-go receiver\t%.0f\t%.2f\t1.0\t\t\t\n", h.FloorPerSecond, h.FloorCPU)
		}
		name := "one durable hop"
		if h.Hops == 2 {
			name = "two durable hops, both relays"
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.1f\t%.2f\t%.2f\t\n", name, h.RelayPerSecond, h.RelayCPU, h.Ratio, h.P50, h.P99)
	}
	return t.Flush()
}
