package client

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"waxwing/core/attachment"
	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// readBatch is how many messages are read at once.
const readBatch = 256

// news wakes whoever waits for a change of the state.
type news struct {
	mu *sync.Mutex
	ch *chan struct{} // closed at the next change; guarded by mu
}

func newNews() news {
	ch := make(chan struct{})
	return news{new(sync.Mutex), &ch}
}

func (n news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return *n.ch
}

func (n news) publish() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(*n.ch)
	*n.ch = make(chan struct{})
}

// Inbox returns the messages received behind a position, in the order of the
// log, at most limit (or 256).
func (c *Client) Inbox(after uint64, limit int) (out []*Opened, err error) {
	if limit <= 0 {
		limit = readBatch
	}
	err = c.view(func(w *work) error {
		for row, err := range state.Log.Scan(w.tx, nil, state.U64(after+1)) {
			if err != nil {
				return err
			}
			if row.Record.Status != state.StatusReceived {
				continue
			}
			o, err := w.opened(state.Position(state.ParseU64(row.Key)), row.Record)
			if err != nil {
				return err
			}
			if out = append(out, o); len(out) == limit {
				break
			}
		}
		return nil
	})
	return out, err
}

// Receive yields the messages received behind a position, and then those that
// come, until ctx ends (which is no error) or the store fails. Positions are
// stable: an app that stores Position together with what it made of a message,
// and begins there after a crash, sees each message exactly once.
func (c *Client) Receive(ctx context.Context, after uint64) iter.Seq2[*Opened, error] {
	return func(yield func(*Opened, error) bool) {
		for {
			next := c.news.next()
			batch, err := c.Inbox(after, 0)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, o := range batch {
				if ctx.Err() != nil {
					return
				}
				after = o.Position()
				if !yield(o, nil) {
					return
				}
			}
			if len(batch) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-next:
			}
		}
	}
}

// Entry is a message of a conversation as its history shows it.
type Entry struct {
	ID      MessageID
	Contact ids.Address
	Own     bool // written by this account
	Text    string
	// Attachments describes its files, as Opened.Attachments does.
	Attachments []attachment.Descriptor

	Time    time.Time // when it was written, or received here
	Status  state.Status
	Failure wire.Code // of StatusFailed; 0 if no receipt ever came
}

// History returns the newest messages with a contact, the oldest of them first.
// Errors are ErrUnknownContact and the store's.
func (c *Client) History(a ids.Address, limit int) (out []Entry, err error) {
	err = c.view(func(w *work) error {
		k := w.find(a)
		if k == nil {
			return ErrUnknownContact
		}
		for row, err := range state.Conversations.Backward(w.tx, state.U32(k.id)) {
			if err != nil {
				return err
			}
			e, err := w.entry(MessageID(state.ParseU64(state.Rest(row.Key))))
			if err != nil {
				return err
			}
			if out = append(out, e); len(out) == limit {
				break
			}
		}
		return nil
	})
	slices.Reverse(out)
	return out, err
}

// Status returns what became of a message. A message that is
// state.StatusWaiting waits for its contact's tickets, or for the next
// connection. The error is ErrUnknownMessage.
func (c *Client) Status(id MessageID) (e Entry, err error) {
	err = c.view(func(w *work) error {
		e, err = w.entry(id)
		return err
	})
	return e, err
}

func (w *work) entry(id MessageID) (Entry, error) {
	m, err := state.Log.Get(w.tx, state.U64(id))
	if errors.Is(err, state.ErrNotFound) {
		return Entry{}, ErrUnknownMessage
	}
	if err != nil {
		return Entry{}, err
	}
	f, err := content.ParseFrame(m.Frame)
	k := w.contacts[m.Contact]
	if err != nil || k == nil {
		return Entry{}, &state.CorruptError{Table: "log"}
	}
	return Entry{
		ID: id, Contact: k.Address, Own: m.Status != state.StatusReceived, Text: f.Text, Attachments: f.Attachments,
		Time: time.UnixMilli(int64(m.Time)).UTC(), Status: m.Status, Failure: wire.Code(m.Failure),
	}, nil
}

// Contact is somebody to write to.
type Contact struct {
	Address         ids.Address
	Fingerprint     [32]byte // of the pinned identity key, to compare in person
	Blocked         bool
	IdentityChanged bool // something came under another identity key, and was not shown
	Tickets         int  // messages that can be sent before it has to answer
	Waiting         int  // messages that wait: for tickets, or the next connection
	Verified        bool // the safety number of the pinned keys was compared
	Standing        bool // it is given more tickets: it proved lately that it may write, or was just let in
	Rekeyed         bool // its account key was replaced within days, and the safety number was not compared since
}

// Contacts returns the contacts by address.
func (c *Client) Contacts() (out []Contact, err error) {
	err = c.view(func(w *work) error {
		for _, k := range w.contacts {
			if k.Pending {
				continue
			}
			wallet, err := w.walletOf(k)
			if err != nil {
				return err
			}
			n := wallet.Len(w.today)
			if n == 0 && k.HasFirst && k.FirstExpiry >= w.today {
				n = 1
			}
			out = append(out, Contact{k.Address, k.Fingerprint, k.Blocked, k.Changed, n, w.waiting[k.id], w.verified(k), w.inStanding(k), k.Rekeyed != 0})
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Contact) int {
		if a.Address.String() < b.Address.String() {
			return -1
		}
		return 1
	})
	return out, err
}

// Counts is what was counted of deliveries and messages, without names.
type Counts struct {
	Held    int               // deliveries that cannot be judged yet
	Outbox  int               // envelopes that the provider has not taken
	Dropped map[string]uint64 // deliveries that failed a check, by reason
	Strikes int               // requests about blocks that the provider has not carried out
	Untold  int               // records for the account's other devices that the provider has not taken
	Lost    uint64            // records of other devices that came in part or did not fit
	Forked  uint64            // lists of a provider's keys that contradict those before: it may treat this account apart
}

// Counts returns what was counted.
func (c *Client) Counts() (n Counts, err error) {
	err = c.view(func(w *work) error {
		n = Counts{
			Held: state.Held.Count(w.tx), Outbox: state.Outbox.Count(w.tx), Dropped: make(map[string]uint64),
			Strikes: state.Strikes.Count(w.tx), Untold: state.SyncQueue.Count(w.tx), Lost: w.n.SyncLost, Forked: w.n.Forked,
		}
		for r := range dropEnd {
			if v := w.n.Dropped[r]; v > 0 {
				n.Dropped[r.String()] = v
			}
		}
		return nil
	})
	return n, err
}
