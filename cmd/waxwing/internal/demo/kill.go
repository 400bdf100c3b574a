package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

const (
	// chunk is how many messages of the load are handed to the SDK at once.
	chunk = 250
	// downTime is how long beta stays dead.
	downTime = 500 * time.Millisecond
	// settleTime is how long nothing may change for something to count as being
	// at rest: longer than receipts are collected.
	settleTime = 400 * time.Millisecond
)

// text makes the i-th text of the load. All are different and of one length.
func text(i int) string {
	s := fmt.Sprintf("message %05d ", i)
	return s + rand.Text() + rand.Text() + rand.Text() + rand.Text() + rand.Text() + rand.Text()[:textSize-len(s)-5*26]
}

// kill sends the load, and kills beta in the middle of it.
func (d *demo) kill(ctx context.Context) error {
	n := d.conf.Messages
	before, err := d.bob.shown()
	if err != nil {
		return err
	}
	base := len(before)
	texts := make([]string, n)
	for i := range texts {
		texts[i] = text(i)
	}
	began := time.Now()
	sent, err := d.write(ctx, texts)
	if err != nil {
		return err
	}
	progress := func(got int) { d.progress(got-base, n, "messages have reached bob") }
	if err := d.crash(ctx, base, progress); err != nil {
		return err
	}
	long, cancel := within(ctx)
	defer cancel()
	if _, err := d.bob.await(long, base+n, progress); err != nil {
		return err
	}
	took := time.Since(began)
	d.clear()
	d.say("%d messages in %.1f s, %.0f messages/s with both clients, all their layers and the outage on this machine",
		n, took.Seconds(), float64(n)/took.Seconds())
	return all(d.compare(ctx, texts, base), d.receipts(long, sent))
}

// write hands the texts to Alice's client.
func (d *demo) write(ctx context.Context, texts []string) (sent []client.MessageID, err error) {
	for len(texts) > 0 {
		k := min(chunk, len(texts))
		some, err := d.alice.c.SendAll(ctx, d.bob.address, texts[:k])
		if err != nil {
			return nil, err
		}
		sent, texts = append(sent, some...), texts[k:]
	}
	return sent, nil
}

// crash kills beta when a third of the load has arrived and starts it again.
func (d *demo) crash(ctx context.Context, base int, progress func(int)) error {
	ctx, cancel := within(ctx)
	defer cancel()
	n := d.conf.Messages
	if _, err := d.bob.await(ctx, base+n/3, progress); err != nil {
		return err
	}
	d.beta.Kill()
	got, err := d.bob.shown()
	if err != nil {
		return err
	}
	d.clear()
	at := len(got) - base
	err = d.check(!d.beta.Running() && at < n, fmt.Sprintf("%d messages had arrived", at),
		"beta.example is dead (kill -9) when bob has read %d of %d messages", at, n)
	if err != nil {
		return err
	}
	if err := pause(ctx, downTime); err != nil {
		return err
	}
	began := time.Now()
	if d.beta, err = d.beta.Provider.Start(ctx); err != nil {
		return err
	}
	return d.check(d.beta.Running(), "it is not running", "started again with the same data, at the same address, it is ready after %d ms",
		time.Since(began).Milliseconds())
}

// lateNote says how many messages came after what was written later, which is so where
// the outage lasts longer than a client waits for what is missing.
func lateNote(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", but for %d that were on their way for longer than bob's client waits, which it marks as late", n)
}

// compare checks what Bob was shown against what Alice wrote, after some time
// in which a copy could still come.
func (d *demo) compare(ctx context.Context, texts []string, base int) error {
	if err := pause(ctx, settleTime); err != nil {
		return err
	}
	got, err := d.bob.shown()
	if err != nil {
		return err
	}
	got = got[base:]
	times, place := make(map[string]int, len(texts)), make(map[string]int, len(texts))
	for i, t := range texts {
		place[t] = i
	}
	disorder, late, last := 0, 0, -1
	for _, o := range got {
		times[o.Text()]++
		switch at := place[o.Text()]; {
		case o.Late():
			late++
		case at < last:
			disorder++
		default:
			last = at
		}
	}
	missing, twice := 0, 0
	for _, t := range texts {
		switch {
		case times[t] == 0:
			missing++
		case times[t] > 1:
			twice++
		}
	}
	n := len(texts)
	return all(
		d.check(missing == 0, fmt.Sprintf("%d are missing", missing), "all %d messages were shown to bob: nothing is lost", n),
		d.check(twice == 0 && len(got) == n, fmt.Sprintf("%d more than once, %d in all", twice, len(got)), "each of them once: %d different texts, %d shown", len(times), len(got)),
		d.check(disorder == 0, fmt.Sprintf("%d are not", disorder), "in the order in which alice wrote them%s", lateNote(late)),
	)
}

// receipts checks what Alice knows of her messages.
func (d *demo) receipts(ctx context.Context, sent []client.MessageID) error {
	delivered := 0
	for _, id := range sent {
		e, err := d.alice.reaches(ctx, id, state.StatusDelivered)
		if err != nil {
			return err
		}
		if e.Status == state.StatusDelivered {
			delivered++
		}
	}
	return d.check(delivered == len(sent), fmt.Sprintf("for %d", delivered), "alice has bob's receipt for each of the %d", len(sent))
}
