package demo

import (
	"context"
	"fmt"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/relay"
	"waxwing/relay/client/state"
)

// answers is what a relay counted of its peer's answers.
type answers struct{ acked, later, never float64 }

func answersOf(m child.Metrics) answers {
	return answers{
		m.Value("waxwing_relayed_total"), m.Value("waxwing_peer_refused_total"), m.Value("waxwing_given_up_total"),
	}
}

func (a answers) since(b answers) answers {
	return answers{a.acked - b.acked, a.later - b.later, a.never - b.never}
}

// attempt is what one message of Alice's met.
type attempt struct {
	status    state.Status // what Alice's client knows when the relays have done with it
	toAlpha   answers      // what beta answered to alpha
	disposed  int          // envelopes that beta disposed of
	delivered int          // envelopes that beta put into Bob's mailbox
	pushed    int          // deliveries that beta sent to Bob's device
	shown     int          // messages that Bob was shown
}

// try sends one message and observes it until the relays are at rest.
func (d *demo) try(ctx context.Context, text string) (t attempt, err error) {
	a0, b0, err := d.settled(ctx)
	if err != nil {
		return t, err
	}
	shown0, err := d.bob.shown()
	if err != nil {
		return t, err
	}
	id, err := d.alice.c.Send(ctx, d.bob.address, text)
	if err != nil {
		return t, err
	}
	if _, err := d.alice.reaches(ctx, id, state.StatusAccepted); err != nil {
		return t, err
	}
	delivered, err := d.arrived(ctx, b0)
	if err != nil {
		return t, err
	}
	if delivered {
		if _, err := d.alice.reaches(ctx, id, state.StatusDelivered); err != nil {
			return t, err
		}
	}
	a1, b1, err := d.settled(ctx)
	if err != nil {
		return t, err
	}
	shown1, err := d.bob.shown()
	if err != nil {
		return t, err
	}
	e, err := d.alice.c.Status(id)
	if err != nil {
		return t, err
	}
	return attempt{
		status:    e.Status,
		toAlpha:   answersOf(a1).since(answersOf(a0)),
		disposed:  b1.Envelopes("peer", "disposed_struck") - b0.Envelopes("peer", "disposed_struck"),
		delivered: b1.Envelopes("peer", "delivered") - b0.Envelopes("peer", "delivered"),
		pushed:    int(b1.Value("waxwing_deliveries_total") - b0.Value("waxwing_deliveries_total")),
		shown:     len(shown1) - len(shown0),
	}, nil
}

// arrived waits until beta has settled an envelope from alpha since a reading of
// its metrics, and reports whether it delivered one.
func (d *demo) arrived(ctx context.Context, before child.Metrics) (delivered bool, err error) {
	for {
		now, err := d.beta.Metrics(ctx)
		if err != nil {
			return false, err
		}
		for result := range relay.ReasonEnd {
			if now.Envelopes("peer", result.String()) > before.Envelopes("peer", result.String()) {
				return result == relay.Delivered, nil
			}
		}
		if err := pause(ctx, poll); err != nil {
			return false, fmt.Errorf("nothing arrives at %s: %w", d.beta.Domain, err)
		}
	}
}

func (d *demo) block(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	open, err := d.try(ctx, "Bob, one more thing.")
	if err != nil {
		return err
	}
	err = d.check(open.shown == 1 && open.disposed == 0 && open.toAlpha.later == 0 && open.toAlpha.never == 0,
		fmt.Sprintf("%+v", open), "before: alice's message is shown to bob, and beta.example acks it to alpha.example")
	if err != nil {
		return err
	}
	if err := d.bob.c.Block(ctx, d.alice.address); err != nil {
		return err
	}
	d.say("bob blocks %s: one call, which strikes her tickets at beta.example", d.alice.address)
	struck, err := d.try(ctx, "Bob? Do you hear me?")
	if err != nil {
		return err
	}
	found := fmt.Sprintf("%+v", struck)
	return all(
		d.check(struck.disposed == 1 && struck.delivered == 0, found,
			"beta.example disposed of her next envelope and counts it: waxwing_envelopes_total{from=\"peer\",result=\"disposed_struck\"} rose by 1"),
		d.check(struck.toAlpha == answers{acked: 1}, found,
			"its ack to alpha.example is the one of a delivery: 1 acked, 0 refused, like before"),
		d.check(struck.status == state.StatusAccepted, found,
			"alice's client has the same ack, and waits for a receipt as if bob were offline"),
		d.check(struck.pushed == 0 && struck.shown == 0, found, "nothing was sent to bob's device, and he was shown nothing"),
	)
}
