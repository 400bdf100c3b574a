package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/relay"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

// await waits until something holds, looking again and again.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	end := time.Now().Add(45 * time.Second)
	for !holds() {
		if time.Now().After(end) {
			t.Fatalf("%s: not so", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stranger is a client that writes to an address without a contact code.
func introduced(t testing.TB, c *client.Client, to ids.Address, text string) client.MessageID {
	t.Helper()
	must(t, c.AddAddress(t.Context(), to, ""))
	id, err := c.Send(t.Context(), to, text)
	must(t, err)
	return id
}

func statusOf(t testing.TB, c *client.Client, id client.MessageID) state.Status {
	t.Helper()
	e, err := c.Status(id)
	must(t, err)
	return e.Status
}

// Carol, whom bob does not know, introduces herself: a request at bob's, nothing
// told to her until he accepts. Then they write to each other under tickets.
func TestIntroduction(t *testing.T) {
	alpha, beta := federated(t)
	carol, bob := newClient(t, alpha, "carol@alpha.example"), newClient(t, beta, "bob@beta.example")
	to, from := ids.MustParseAddress("bob@beta.example"), ids.MustParseAddress("carol@alpha.example")
	background(t, carol)
	background(t, bob)
	first := introduced(t, carol, to, "hello, I am carol")
	var asked []client.Request
	await(t, "a request", func() bool {
		var err error
		asked, err = bob.Requests()
		must(t, err)
		return len(asked) > 0
	})
	if r := asked[0]; r.From != from || r.Text != "hello, I am carol" || r.Messages != 1 {
		t.Fatalf("%+v", r)
	}
	if inbox, err := bob.Inbox(0, 0); err != nil || len(inbox) != 0 {
		t.Fatalf("shown before it was accepted: %v", err)
	}
	if all, err := bob.Contacts(); err != nil || len(all) != 0 {
		t.Fatalf("a contact before it was accepted: %v", err)
	}
	if s := statusOf(t, carol, first); s != state.StatusAccepted && s != state.StatusSealed {
		t.Fatalf("status %v before bob accepted", s)
	}
	left, err := carol.Introductions()
	must(t, err)
	if len(left) != 1 || !left[0].Known || left[0].Limit != 4 || left[0].Left != 3 {
		t.Fatalf("%+v", left)
	}
	must(t, bob.Accept(t.Context(), from))
	await(t, "a receipt", func() bool { return statusOf(t, carol, first) == state.StatusDelivered })
	inbox, err := bob.Inbox(0, 0)
	must(t, err)
	if len(inbox) != 1 || inbox[0].Text() != "hello, I am carol" || inbox[0].From() != from {
		t.Fatalf("%d messages", len(inbox))
	}
	reply, err := bob.Send(t.Context(), from, "hello carol")
	must(t, err)
	await(t, "bob's answer", func() bool { return statusOf(t, bob, reply) == state.StatusDelivered })
	second, err := carol.Send(t.Context(), to, "how are you?")
	must(t, err)
	await(t, "under a ticket", func() bool { return statusOf(t, carol, second) == state.StatusDelivered })
	if n := beta.count(relay.DisposedProof, "peer") + beta.count(relay.DisposedTag, "peer"); n != 0 {
		t.Errorf("%v disposals", n)
	}
}

// The day's introductions end, and the client knows when more come. What is blocked
// is disposed of at the relay; others go on.
func TestIntroductionsEnd(t *testing.T) {
	alpha, beta := federated(t)
	carol := newClient(t, alpha, "carol@alpha.example")
	background(t, carol)
	var last client.MessageID
	for _, name := range []string{"bob", "dave", "erin", "frank", "grace"} {
		newClient(t, beta, name+"@beta.example")
		last = introduced(t, carol, ids.MustParseAddress(name+"@beta.example"), "hello "+name)
	}
	await(t, "no introductions left", func() bool {
		left, err := carol.Introductions()
		must(t, err)
		return len(left) == 1 && left[0].Known && left[0].Left == 0 && left[0].Waiting == 1
	})
	left, err := carol.Introductions()
	must(t, err)
	if more := time.Until(left[0].More); more <= 0 || more > 24*time.Hour {
		t.Errorf("more in %v", more)
	}
	if s := statusOf(t, carol, last); s != state.StatusWaiting {
		t.Errorf("the fifth is %v", s)
	}
}

// A block by address, before any contact, holds at the relay.
func TestBlockBeforeContact(t *testing.T) {
	alpha, beta := federated(t)
	carol, dave, bob := newClient(t, alpha, "carol@alpha.example"), newClient(t, alpha, "dave@alpha.example"), newClient(t, beta, "bob@beta.example")
	to := ids.MustParseAddress("bob@beta.example")
	for _, c := range []*client.Client{carol, dave, bob} {
		background(t, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, bob.Block(ctx, ids.MustParseAddress("carol@alpha.example")))
	await(t, "the block at the relay", func() bool {
		n, err := bob.Counts()
		must(t, err)
		return n.Strikes == 0
	})
	introduced(t, carol, to, "let me in")
	introduced(t, dave, to, "hello")
	await(t, "dave's request", func() bool {
		asked, err := bob.Requests()
		must(t, err)
		return len(asked) == 1 && asked[0].From == ids.MustParseAddress("dave@alpha.example")
	})
	await(t, "carol's disposal", func() bool { return beta.count(relay.DisposedBlocked, "peer") == 1 })
	must(t, bob.Unblock(ctx, ids.MustParseAddress("carol@alpha.example")))
}

// Mallory is blocked before bob replaces his W, dave is not: after it, the relay
// disposes of what mallory makes for the new W, and bob learns of dave only.
func TestBlockOutlivesRotation(t *testing.T) {
	alpha, beta := federated(t)
	mallory, dave := newClient(t, alpha, "mallory@alpha.example"), newClient(t, alpha, "dave@alpha.example")
	bob := newClient(t, beta, "bob@beta.example")
	to := ids.MustParseAddress("bob@beta.example")
	must(t, bob.Block(t.Context(), ids.MustParseAddress("mallory@alpha.example")))
	must(t, bob.Sync(t.Context()))
	must(t, bob.RotateMailboxKey(t.Context()))
	if g, err := bob.MailboxGeneration(); g != 2 || err != nil {
		t.Fatalf("generation %d, %v", g, err)
	}
	var later *client.LaterError
	if err := bob.RotateMailboxKey(t.Context()); !errors.As(err, &later) {
		t.Fatalf("a third W at once: %v", err)
	}
	background(t, mallory)
	background(t, dave)
	background(t, bob)
	unseen := introduced(t, mallory, to, "let me in")
	await(t, "mallory's introduction left", func() bool { return statusOf(t, mallory, unseen) == state.StatusAccepted })
	introduced(t, dave, to, "hello")
	await(t, "dave's request", func() bool {
		asked, err := bob.Requests()
		must(t, err)
		return len(asked) == 1 && asked[0].From == ids.MustParseAddress("dave@alpha.example")
	})
	await(t, "mallory's disposal", func() bool { return beta.count(relay.DisposedBlocked, "peer") == 1 })
	if s := statusOf(t, mallory, unseen); s != state.StatusAccepted {
		t.Errorf("mallory was told: %v", s)
	}
}

// Nobody gets in under the policy "refuse", and under "code" only who has one.
func TestDoorPolicies(t *testing.T) {
	alpha, beta := federated(t)
	carol, dave, bob := newClient(t, alpha, "carol@alpha.example"), newClient(t, alpha, "dave@alpha.example"), newClient(t, beta, "bob@beta.example")
	to := ids.MustParseAddress("bob@beta.example")
	for _, c := range []*client.Client{carol, dave, bob} {
		background(t, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, bob.SetPolicy(ctx, mailbox.CodeOnly))
	code, err := bob.DoorCode(ctx)
	must(t, err)
	introduced(t, carol, to, "without a code")
	await(t, "carol's disposal", func() bool { return beta.count(relay.DisposedPolicy, "peer") == 1 })
	must(t, dave.AddAddress(ctx, to, code))
	_, err = dave.Send(ctx, to, "with a code")
	must(t, err)
	await(t, "dave's message", func() bool {
		inbox, err := bob.Inbox(0, 0)
		must(t, err)
		return len(inbox) == 1 && inbox[0].Text() == "with a code"
	})
}

// A code that was taken back lets nobody past the requests, also where nothing else was
// ever chosen.
func TestClosedDoors(t *testing.T) {
	alpha, beta := federated(t)
	dave, bob := newClient(t, alpha, "dave@alpha.example"), newClient(t, beta, "bob@beta.example")
	to := ids.MustParseAddress("bob@beta.example")
	code, err := bob.DoorCode(t.Context())
	must(t, err)
	must(t, bob.CloseDoors(t.Context()))
	background(t, dave)
	background(t, bob)
	must(t, dave.AddAddress(t.Context(), to, code))
	_, err = dave.Send(t.Context(), to, "with a code of yesterday")
	must(t, err)
	await(t, "dave's request", func() bool {
		asked, err := bob.Requests()
		must(t, err)
		return len(asked) == 1
	})
	if inbox, err := bob.Inbox(0, 0); len(inbox) != 0 || err != nil {
		t.Errorf("%d let past the requests, %v", len(inbox), err)
	}
}
