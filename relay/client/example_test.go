package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/franking"
	"waxwing/relay/client"
)

// An app registers once, and then keeps Run going while it is open.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	c, err := client.Open(client.Config{Dir: "alice-profile"})
	if errors.Is(err, client.ErrNoProfile) {
		c, err = client.Create(client.Config{Dir: "alice-profile"})
	}
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	var pin keys.Pin // from the provider, out of band
	if p, err := c.Profile(); err != nil || !p.Registered {
		err := c.Register(ctx, client.RegisterConfig{
			Address: ids.MustParseAddress("alice@alpha.example"), Server: "alpha.example:4433", Pin: pin,
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	go c.Run(ctx)

	// Bob made a code with ContactCode and passed it on.
	bob, err := c.Add(ctx, "waxwing:...")
	if err != nil && !errors.Is(err, client.ErrKnownContact) {
		log.Fatal(err)
	}
	if _, err := c.Send(ctx, bob, "hello"); err != nil {
		log.Fatal(err)
	}

	var position uint64 // what the app stored with the last message that it handled
	for m, err := range c.Receive(ctx, position) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", m.From(), m.Text())
		position = m.Position() // stored in one step with the message
	}
}

// A command that runs once uses Sync instead of Run.
func ExampleClient_Sync() {
	ctx := context.Background()
	c, err := client.Open(client.Config{Dir: "alice-profile"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	id, err := c.Send(ctx, ids.MustParseAddress("bob@beta.example"), "hello")
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Sync(ctx); err != nil {
		log.Fatal(err)
	}
	e, err := c.Status(id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Status) // waiting, accepted, delivered ...
}

// Two people compare the safety number on a call, or one scans the other's code.
func ExampleClient_Confirm() {
	var c *client.Client // an open profile
	bob := ids.MustParseAddress("bob@beta.example")
	number, err := c.SafetyNumber(bob)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(number) // 60 digits, the same on both sides
	var scanned string  // what the camera read from bob's screen
	switch err := number.Compare(scanned); {
	case errors.Is(err, client.ErrMismatch):
		fmt.Println("somebody stands between you")
	case err != nil:
		log.Print(err)
	default:
		if err := c.Confirm(bob, number); err != nil {
			log.Fatal(err)
		}
	}
}

// A block holds at the provider when Block returns nil; after another error it
// holds here, and the provider is told with the next connection.
func ExampleClient_Block() {
	var c *client.Client // an open profile
	mallory := ids.MustParseAddress("mallory@beta.example")
	switch err := c.Block(context.Background(), mallory); {
	case errors.Is(err, client.ErrUnknownContact):
		fmt.Println("not a contact")
	case err != nil:
		fmt.Println("blocked here; the provider will be told")
	}
}

// Messages are reported to the own provider's reviewers, who learn what was
// written and not by whom.
func ExampleClient_Report() {
	c, err := client.Open(client.Config{Dir: "bob-profile"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	var messages []client.MessageID // which the user chose, from Receive or History
	found, err := c.Report(context.Background(), client.ReportConfig{
		Reason: franking.ReasonHarassment, Note: "since yesterday", TellOrigin: true,
	}, messages...)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range found {
		if m.Fault != franking.FaultNone {
			fmt.Printf("message %d: %v\n", m.ID, m.Fault)
		}
	}
}
