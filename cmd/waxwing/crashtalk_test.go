package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/relay/client"
	"waxwing/relay/quicnet"
)

// crashTalk is the name under which the test's binary is a user's program: it
// keeps a profile connected and does what its input says, until it is killed.
//
//	send N M   send the messages N to M-1 to the contact, and note each in the
//	           file acks as soon as the SDK has returned
//	report     write what was shown, and what was counted, to the file report
const crashTalk = "crashtalk"

// talkReport is what a user's program knows.
type talkReport struct {
	Shown   []talkShown
	Dropped map[string]uint64
	Held    int
}

// talkShown is one message as the application was shown it, in the log's order.
type talkShown struct {
	From  string
	Text  string
	Taken int64 // ms, by the client's clock
	Late  bool
}

func talkConfig(dir string) client.Config {
	return client.Config{
		Dir: dir, ReceiptDelay: 50 * time.Millisecond,
		// A dead server is noticed within seconds.
		Timeouts: quicnet.Timeouts{Idle: 2 * time.Second, KeepAlive: 500 * time.Millisecond},
	}
}

func crashTalkMain(dir, peer string) error {
	c, err := client.Open(talkConfig(dir))
	if err != nil {
		return err
	}
	defer c.Close()
	to, err := ids.ParseAddress(peer)
	if err != nil {
		return err
	}
	acks, err := os.OpenFile(dir+".acks", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer acks.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	fmt.Println("ready")
	for scan := bufio.NewScanner(os.Stdin); scan.Scan(); {
		var from, until int
		switch n, _ := fmt.Sscanf(scan.Text(), "send %d %d", &from, &until); {
		case n == 2:
			for ; from < until; from++ {
				if _, err := c.Send(ctx, to, strconv.Itoa(from)); err != nil {
					return err
				}
				if _, err := fmt.Fprintln(acks, from); err != nil {
					return err
				}
			}
		default:
			if err := report(c, dir+".report"); err != nil {
				return err
			}
			fmt.Println("reported")
		}
	}
	return nil
}

func report(c *client.Client, path string) error {
	var r talkReport
	for after := uint64(0); ; {
		batch, err := c.Inbox(after, 0)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			break
		}
		for _, o := range batch {
			e, err := c.Status(client.MessageID(o.Position()))
			if err != nil {
				return err
			}
			r.Shown = append(r.Shown, talkShown{o.From().String(), o.Text(), e.Time.UnixMilli(), o.Late()})
			after = o.Position()
		}
	}
	n, err := c.Counts()
	if err != nil {
		return err
	}
	r.Dropped, r.Held = n.Dropped, n.Held
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// acked returns what a user's program was told to be stored, whatever killed it.
func acked(dir string) (list []int, err error) {
	b, err := os.ReadFile(dir + ".acks")
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}
