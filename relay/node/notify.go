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
	wake    chan struct{} // holds one token; nil if call is set
	call    func()
}

func newNotifier() *notifier { return &notifier{waiters: map[ids.MailboxID][]*waiter{}} }

// wait registers a waiter. It is woken for every message whose wake call began
// after wait returned. The number of waiters is bounded by that of streams.
func (n *notifier) wait(mailbox ids.MailboxID) *waiter {
	return n.add(&waiter{mailbox: mailbox, wake: make(chan struct{}, 1)})
}

// call is wait for somebody who is called instead: f must not block, nor use
// the notifier. It is not called any more when done has returned.
func (n *notifier) call(mailbox ids.MailboxID, f func()) *waiter {
	return n.add(&waiter{mailbox: mailbox, call: f})
}

func (n *notifier) add(w *waiter) *waiter {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiters[w.mailbox] = append(n.waiters[w.mailbox], w)
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
		if w.call != nil {
			w.call()
			continue
		}
		select {
		case w.wake <- struct{}{}:
		default: // it has a token that it has not taken yet
		}
	}
}
