package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/ids"
)

// view is what one relay saw and stored.
type view struct {
	server  *child.Server
	own     *user
	other   *view
	metrics child.Metrics
	hits    []int // by the patterns of secrets
	size    int64 // bytes that were searched
}

// The patterns that are searched for, by their places in view.hits.
const (
	ownAddress = iota // must be there: it is an account of the provider
	ownMailbox        // must be there
	otherAddress
	otherMailbox
	firstText // and the other texts behind it
)

// secrets returns what is searched for at one provider.
func secrets(own, other *user, ownBox, otherBox ids.MailboxID, texts []string) []pattern {
	out := []pattern{
		ownAddress:   patternOf("own address", []byte(own.address.String())),
		ownMailbox:   patternOf("own mailbox", ownBox[:]),
		otherAddress: patternOf("other address", []byte(other.address.String())),
		otherMailbox: patternOf("other mailbox", otherBox[:]),
	}
	for _, t := range texts {
		out = append(out, patternOf("text", []byte(t)))
	}
	return out
}

func (d *demo) seen(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	a, b, err := d.settled(ctx)
	if err != nil {
		return err
	}
	code, err := d.alice.c.ContactCode(ctx, 0)
	if err != nil {
		return err
	}
	aliceBox, err := mailbox(code, d.alpha.Provider)
	if err != nil {
		return err
	}
	bobBox, err := mailbox(d.code, d.beta.Provider)
	if err != nil {
		return err
	}
	views := []*view{{server: d.alpha, own: d.alice, metrics: a}, {server: d.beta, own: d.bob, metrics: b}}
	views[0].other, views[1].other = views[1], views[0]
	if err := views[0].search(secrets(d.alice, d.bob, aliceBox, bobBox, d.texts)); err != nil {
		return err
	}
	if err := views[1].search(secrets(d.bob, d.alice, bobBox, aliceBox, d.texts)); err != nil {
		return err
	}
	d.table(views)
	for _, v := range views {
		if err := d.judge(v, v.other.own); err != nil {
			return err
		}
	}
	sent, got := a.Envelopes("client", "queued"), b.Envelopes("peer", "delivered")
	return d.check(sent == got && sent > 0, fmt.Sprintf("%d and %d", sent, got),
		"every envelope that alpha.example took for beta.example was delivered there: %d", sent)
}

// settled waits until nothing moves between the relays and returns their
// metrics. Those of a server that was restarted begin anew, so their rest is
// what is waited for, not that they match.
func (d *demo) settled(ctx context.Context) (a, b child.Metrics, err error) {
	last := []int{-1}
	for {
		if a, err = d.alpha.Metrics(ctx); err != nil {
			return nil, nil, err
		}
		if b, err = d.beta.Metrics(ctx); err != nil {
			return nil, nil, err
		}
		now := []int{
			a.Envelopes("client", "queued"), int(a.Value("waxwing_relayed_total")), a.Envelopes("peer", "delivered"),
			b.Envelopes("client", "queued"), int(b.Value("waxwing_relayed_total")), b.Envelopes("peer", "delivered"),
		}
		if slices.Equal(now, last) {
			return a, b, nil
		}
		last = now
		if err := pause(ctx, settleTime); err != nil {
			return nil, nil, fmt.Errorf("the relays do not come to rest: %w", err)
		}
	}
}

// search looks for the patterns in the provider's directory, its log and the
// names of its metrics.
func (v *view) search(patterns []pattern) (err error) {
	if v.hits, v.size, err = search(patterns, v.server.Dir, v.server.Log); err != nil {
		return err
	}
	names := make([]string, 0, len(v.metrics))
	for name := range v.metrics {
		names = append(names, name)
	}
	n, err := searchReader(strings.NewReader(strings.Join(names, "\n")), patterns, v.hits)
	v.size += n
	return err
}

// texts returns in how many places any text of a message was found.
func (v *view) texts() (n int) {
	for _, hits := range v.hits[firstText:] {
		n += hits
	}
	return n
}

func (d *demo) table(views []*view) {
	t := tabwriter.NewWriter(d.text, 0, 0, 3, ' ', 0)
	row := func(what string, value func(*view) string) {
		fmt.Fprintf(t, "   %s\t%s\t%s\n", what, value(views[0]), value(views[1]))
	}
	places := func(i int) func(*view) string {
		return func(v *view) string {
			if v.hits[i] == 0 {
				return "nowhere"
			}
			return fmt.Sprintf("in %d places", v.hits[i])
		}
	}
	row("", func(v *view) string { return v.server.Domain })
	row("its account", func(v *view) string { return v.own.address.String() })
	row("envelopes of its user, and the provider they go to", func(v *view) string {
		return fmt.Sprintf("%d, %s", v.metrics.Envelopes("client", "queued"), v.other.server.Domain)
	})
	row("envelopes for its user, and the provider they come from", func(v *view) string {
		return fmt.Sprintf("%d, %s", v.metrics.Envelopes("peer", "delivered"), v.other.server.Domain)
	})
	row("bytes on disk, in log and metrics that were searched", func(v *view) string { return fmt.Sprintf("%.1f MB", float64(v.size)/1e6) })
	row("  its own user's address, to see that the search works", places(ownAddress))
	row("  its own user's mailbox, likewise", places(ownMailbox))
	row("  the other user's address", places(otherAddress))
	row("  the other user's mailbox", places(otherMailbox))
	row("  any text of a message", func(v *view) string {
		if v.texts() == 0 {
			return "nowhere"
		}
		return fmt.Sprintf("in %d places", v.texts())
	})
	_ = t.Flush()
}

// judge makes claims of what was found at one relay.
func (d *demo) judge(v *view, other *user) error {
	return all(
		d.check(v.hits[ownAddress] > 0 && v.hits[ownMailbox] > 0, fmt.Sprint("found in so many places: ", v.hits),
			"the search finds %s and the mailbox at %s, which needs both", v.own.address, v.server.Domain),
		d.check(v.hits[otherAddress] == 0 && v.hits[otherMailbox] == 0, fmt.Sprint("found in so many places: ", v.hits),
			"%s has neither the address nor the mailbox of %s anywhere", v.server.Domain, other.address.Local()),
		d.check(v.texts() == 0, fmt.Sprint("found in so many places: ", v.hits), "%s has no text of any message anywhere", v.server.Domain),
	)
}
