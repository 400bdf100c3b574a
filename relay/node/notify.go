package node

import (
	"sync"

	"waxwing/core/ids"
)

// notifier wakes whoever waits for messages of a mailbox on this machine: a
// device's deliver stream or the link to a peer. It carries no messages; the
// waiter fetches them. A wake-up is never lost, and many become one.
type notifier struct {
	mu      sync.Mutex // guards waiters
	waiters map[ids.MailboxID][]*waiter
}

type waiter struct {
	mailbox ids.MailboxID
	wake    chan struct{} // holds one token
}

func newNotifier() *notifier { return &notifier{waiters: map[ids.MailboxID][]*waiter{}} }

// wait registers a waiter. It is woken for every message whose wake call began
// after wait returned. The number of waiters is bounded by that of streams.
func (n *notifier) wait(mailbox ids.MailboxID) *waiter {
	w := &waiter{mailbox, make(chan struct{}, 1)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiters[mailbox] = append(n.waiters[mailbox], w)
	return w
}

func (n *notifier) done(w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.waiters[w.mailbox]
	for i := range list {
		if list[i] == w {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(n.waiters, w.mailbox)
	} else {
		n.waiters[w.mailbox] = list
	}
}

func (n *notifier) wake(mailbox ids.MailboxID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.waiters[mailbox] {
		select {
		case w.wake <- struct{}{}:
		default: // it has a token that it has not taken yet
		}
	}
}
