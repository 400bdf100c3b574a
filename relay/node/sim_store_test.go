package node_test

import (
	"context"
	"fmt"
	"sync"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// watchedStore is the engine in memory under an oracle: it remembers who spent
// and struck what for ever, which the engine does not, and reports what may
// never happen.
type watchedStore struct {
	*store.Memory
	report func(string)

	mu       sync.Mutex // guards the rest
	spent    map[spentSerial]ids.EnvelopeID
	struck   map[spentSerial]bool
	appended map[ids.EnvelopeID]bool // with a serial
}

type spentSerial struct {
	mailbox ids.MailboxID
	serial  store.Serial
}

func watch(report func(string)) *watchedStore {
	return &watchedStore{
		Memory: store.NewMemory(store.MemoryConfig{}), report: report, spent: make(map[spentSerial]ids.EnvelopeID),
		struck: make(map[spentSerial]bool), appended: make(map[ids.EnvelopeID]bool),
	}
}

// Append is the engine's; the lock makes its outcomes come in their order.
func (s *watchedStore) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.Memory.Append(ctx, reqs)
	for i := range reqs {
		r := &reqs[i]
		if !r.HasSerial || out[i].Err != nil || out[i].Outcome != store.Appended {
			continue
		}
		key := spentSerial{r.Mailbox, r.Serial}
		if by, ok := s.spent[key]; ok && by != r.ID {
			s.report("a ticket was spent twice")
		}
		if s.appended[r.ID] {
			s.report("an envelope was stored twice")
		}
		if s.struck[key] {
			s.report("a struck ticket admitted an envelope")
		}
		s.spent[key], s.appended[r.ID] = r.ID, true
	}
	return out
}

// Strike is the engine's. Serials that were spent before stay spent by whoever
// spent them.
func (s *watchedStore) Strike(ctx context.Context, mailbox ids.MailboxID, serials []store.Serial) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.Memory.Strike(ctx, mailbox, serials)
	if err != nil {
		return n, err
	}
	fresh := 0
	for _, serial := range serials {
		key := spentSerial{mailbox, serial}
		if _, ok := s.spent[key]; !ok && !s.struck[key] {
			s.struck[key] = true
			fresh++
		}
	}
	if n > fresh {
		s.report(fmt.Sprintf("%d serials struck of %d that were neither spent nor struck", n, fresh))
	}
	return n, err
}
