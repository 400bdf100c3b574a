package relay

import (
	"context"
	"sync"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/ticket"
)

// fewToAMailbox lets three envelopes an hour into each mailbox.
var fewToAMailbox = limits.Settings{{Name: limits.MailboxEnvelopes}: gcra.Limit{Burst: 3, Count: 3, Period: time.Hour}}

func (p *provider) used() int64 {
	return p.limits.Status(p.now, limits.MailboxEnvelopes, ids.Domain{}).Used
}

// Of very many envelopes to one mailbox as many are taken as its limit lets
// through, from whomever; the rest is refused with a time, before the stamp and
// the store, and its neighbours get theirs.
func TestMailboxesAreLimitedApart(t *testing.T) {
	p := newProvider(t, fewToAMailbox)
	bob := p.mailbox
	taken := 0
	for i := range 30 {
		var a Admitted
		var ref *Refusal
		if i%2 == 0 {
			ref = p.AdmitSubmit(p.now, alice, beta, p.fresh(), &a)
		} else {
			ref = p.AdmitForward(p.now, p.peer, p.fresh(), &a)
		}
		if ref == nil {
			taken++
			continue
		}
		if ref.Reason != RefusedMailbox || ref.Code() != wire.CodeMailbox || ref.RetryAfter < mailboxRetry {
			t.Fatalf("%+v", ref)
		}
		if a.body != nil {
			t.Error("a delivery was built for what is refused")
		}
	}
	if taken != 3 {
		t.Errorf("%d taken, want 3", taken)
	}
	p.mailbox = ids.NewMailboxID()
	for range 3 {
		if r := p.forward(p.fresh()); r != Delivered {
			t.Errorf("a neighbour's: %v", r)
		}
	}
	p.mailbox = bob
	p.now = p.now.Add(20 * time.Minute)
	if r := p.forward(p.fresh()); r != Delivered {
		t.Errorf("when there is room again: %v", r)
	}
}

// An envelope counts once, however often it comes and whatever became of it. A
// refused one has not counted, and is taken when there is room.
func TestMailboxLimitCountsTicketsOnce(t *testing.T) {
	p := newProvider(t, fewToAMailbox)
	m := p.mint()
	first := envelope(m, wire.Class1K, p.today())
	if r := p.forward(first); r != Delivered {
		t.Fatal(r)
	}
	for range 20 {
		if r := p.forward(first); r != Duplicate {
			t.Fatalf("a resend: %v", r)
		}
		if r := p.forward(envelope(m, wire.Class1K, p.today())); r != DisposedSpent {
			t.Fatalf("another envelope under its ticket: %v", r)
		}
	}
	if n := p.used(); n != 1 {
		t.Fatalf("%d counted, want 1", n)
	}
	for range 2 {
		p.forward(p.fresh())
	}
	late := p.fresh()
	for range 5 {
		if r := p.forward(late); r != RefusedMailbox {
			t.Fatalf("over the limit: %v", r)
		}
	}
	if r := p.forward(first); r != Duplicate {
		t.Errorf("a resend while the mailbox is over its limit: %v", r)
	}
	p.now = p.now.Add(20 * time.Minute)
	if r := p.forward(late); r != Delivered {
		t.Errorf("sent again: %v", r)
	}
}

// An envelope that comes on many streams at the same moment counts once, too.
func TestMailboxLimitCountsTicketsOnceAtTheSameMoment(t *testing.T) {
	p := newProvider(t, limits.Settings{{Name: limits.MailboxEnvelopes}: gcra.Limit{Burst: 1000, Count: 1000, Period: time.Hour}})
	const streams, tickets = 8, 200
	for range tickets {
		e := p.fresh()
		var all sync.WaitGroup
		for range streams {
			all.Go(func() {
				var a Admitted
				if ref := p.AdmitForward(p.now, p.peer, e, &a); ref != nil {
					t.Error(ref.Reason)
				}
			})
		}
		all.Wait()
	}
	if n := p.used(); n != tickets {
		t.Errorf("%d counted, want %d", n, tickets)
	}
}

// What nobody with the ticket's key made counts for nobody: whoever sees tickets
// go by cannot use up a mailbox's share.
func TestMailboxLimitNeedsTheTicketsKey(t *testing.T) {
	p := newProvider(t, fewToAMailbox)
	for range 10 {
		e := p.fresh()
		e[len(e)-1] ^= 1
		if r := p.forward(e); r != DisposedBinder {
			t.Fatal(r)
		}
		forged := p.mint()
		forged.Ticket[40] ^= 1
		if r := p.forward(envelope(forged, wire.Class1K, p.today())); r != DisposedForged {
			t.Fatal(r)
		}
	}
	if n := p.used(); n != 0 {
		t.Errorf("%d counted", n)
	}
}

// Which of a sender's envelopes are refused is the same for one whose tickets are
// struck, of a mailbox that is full or gone, and for a good one, also for resends.
func TestMailboxLimitTellsNothingOfABlock(t *testing.T) {
	answers := func(prepare func(p *provider, tickets []*ticket.Minted)) (out []wire.Code) {
		p := newProvider(t, fewToAMailbox)
		var tickets []*ticket.Minted
		for range 6 {
			tickets = append(tickets, p.mint())
		}
		prepare(p, tickets)
		var sent [][]byte
		for _, m := range tickets {
			sent = append(sent, envelope(m, wire.Class1K, p.today()))
		}
		// Each again at once, all again later, and others under the same tickets.
		for _, e := range append(append(sent, sent...), envelope(tickets[0], wire.Class1K, p.today()), sent[0]) {
			for range 2 {
				var a Admitted
				ref := p.AdmitForward(p.now, p.peer, e, &a)
				if ref != nil {
					out = append(out, ref.Code())
					continue
				}
				if s := p.Settle(context.Background(), []*Admitted{&a})[0]; s.Refusal != nil {
					t.Fatalf("%v", s.Reason)
				}
				out = append(out, 0)
			}
			p.now = p.now.Add(3 * time.Minute)
		}
		return out
	}
	want := answers(func(*provider, []*ticket.Minted) {})
	for name, prepare := range map[string]func(p *provider, tickets []*ticket.Minted){
		"struck": func(p *provider, tickets []*ticket.Minted) {
			for i := range tickets {
				p.strike(uint64(i + 1))
			}
		},
		"gone": func(p *provider, tickets []*ticket.Minted) {
			gone := ids.NewMailboxID()
			minted, err := p.ring.Mint(p.today(), &gone, 1, len(tickets), p.today()+3)
			must(t, err)
			for i := range tickets {
				tickets[i] = &minted[i]
			}
		},
		"full": func(p *provider, _ []*ticket.Minted) { p.fill(mailbox.Quota.Messages) },
	} {
		got := answers(prepare)
		if len(got) != len(want) {
			t.Fatalf("%s: %d answers", name, len(got))
		}
		refused := 0
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: answer %d is %v, to a good one %v", name, i, got[i], want[i])
			}
			if got[i] != 0 {
				refused++
			}
		}
		if refused == 0 || refused == len(got) {
			t.Errorf("%s: %d of %d refused", name, refused, len(got))
		}
	}
}

// The memory of counted tickets is bounded, and keeps the newest half.
func TestCountedTicketsAreBounded(t *testing.T) {
	var c countedTickets
	for n := range uint64(3 * maxCounted) {
		c.add(countedTicket{n: n})
		if len(c.now)+len(c.old) > maxCounted {
			t.Fatalf("%d after %d", len(c.now)+len(c.old), n)
		}
	}
	for n := uint64(3*maxCounted - maxCounted/2); n < 3*maxCounted; n++ {
		if !c.has(countedTicket{n: n}) {
			t.Fatalf("ticket %d is forgotten", n)
		}
	}
	if c.has(countedTicket{n: 0}) || c.has(countedTicket{mailbox: ids.MailboxID{1}, n: 3*maxCounted - 1}) {
		t.Error("one that was not counted lately is known")
	}
}
