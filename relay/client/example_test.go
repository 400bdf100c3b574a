package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"waxwing/core/directory"
	"waxwing/core/ids"
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

	var pin directory.Pin // from the provider, out of band
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
