package storetest

import (
	"slices"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// model is the contract as a list of what happened: it keeps everything and
// computes each answer by looking through all of it.
type model struct {
	messages []*modelMsg
	readers  map[ids.MailboxID]map[store.ReaderID]store.Cursor
	last     map[ids.MailboxID]store.Cursor
	fates    map[modelSerial]modelFate
	sets     map[store.SetID]time.Time
	winners  map[modelToken]store.Claimant
	pools    map[store.Key]*modelPool
	docs     map[store.Key]store.Doc
	versions map[uint64]bool
	logs     map[store.Key][][]byte
}

type modelMsg struct {
	mailbox ids.MailboxID
	cursor  store.Cursor
	req     store.AppendReq
	removed bool
}

type modelSerial struct {
	mailbox ids.MailboxID
	serial  store.Serial
}

type modelFate struct {
	struck bool
	by     ids.EnvelopeID
}

type modelToken struct {
	set   store.SetID
	token [32]byte
}

type modelPool struct {
	items  []uint64 // sorted
	taken  uint64
	claims []modelClaim
}

type modelClaim struct {
	by store.Claimant
	at time.Time
	id uint64
}

func newModel() *model {
	return &model{
		readers: make(map[ids.MailboxID]map[store.ReaderID]store.Cursor), last: make(map[ids.MailboxID]store.Cursor),
		fates: make(map[modelSerial]modelFate), sets: make(map[store.SetID]time.Time),
		winners: make(map[modelToken]store.Claimant), pools: make(map[store.Key]*modelPool),
		docs: make(map[store.Key]store.Doc), versions: make(map[uint64]bool), logs: make(map[store.Key][][]byte),
	}
}

// live are the messages of a mailbox that must be there; expired ones may also
// still count, for some time.
func (m *model) live(mailbox ids.MailboxID, now time.Time) (live, expired []*modelMsg) {
	for _, x := range m.messages {
		switch {
		case x.mailbox != mailbox || x.removed:
		case now.Before(x.req.Expires):
			live = append(live, x)
		default:
			expired = append(expired, x)
		}
	}
	return live, expired
}

func bytesOf(messages []*modelMsg) (n int64) {
	for _, x := range messages {
		n += int64(len(x.req.Body))
	}
	return n
}

// outcomes are the answers that Append may give. Expired messages make two of
// them possible in places.
func (m *model) outcomes(r *store.AppendReq, now time.Time) (allowed []store.AppendOutcome, mayBeFull bool) {
	if r.Discard {
		return []store.AppendOutcome{store.Discarded}, false
	}
	live, expired := m.live(r.Mailbox, now)
	if r.HasSerial {
		fate, known := m.fates[modelSerial{r.Mailbox, r.Serial}]
		switch {
		case !r.Serial.Alive(ids.DayOf(now)):
			return []store.AppendOutcome{store.Spent}, false
		case known && fate.struck:
			return []store.AppendOutcome{store.Struck}, false
		case known && fate.by == r.ID:
			return []store.AppendOutcome{store.Duplicate}, false
		case known:
			return []store.AppendOutcome{store.Spent}, false
		}
	} else {
		same := func(x *modelMsg) bool { return x.req.ID == r.ID && !x.req.HasSerial }
		if slices.ContainsFunc(live, same) {
			return []store.AppendOutcome{store.Duplicate}, false
		}
		if slices.ContainsFunc(expired, same) {
			allowed = append(allowed, store.Duplicate)
		}
	}
	q := r.Quota.OrDefault()
	n, size := len(live)+1, bytesOf(live)+int64(len(r.Body))
	if n <= q.Messages && size <= q.Bytes {
		allowed = append(allowed, store.Appended)
	}
	return allowed, n+len(expired) > q.Messages || size+bytesOf(expired) > q.Bytes
}

func (m *model) appended(r store.AppendReq, c store.Cursor) {
	m.messages = append(m.messages, &modelMsg{mailbox: r.Mailbox, cursor: c, req: r})
	m.last[r.Mailbox] = c
	if r.HasSerial {
		m.fates[modelSerial{r.Mailbox, r.Serial}] = modelFate{by: r.ID}
	}
}

// removeAcked removes what all open readers have acked.
func (m *model) removeAcked(mailbox ids.MailboxID) {
	readers := m.readers[mailbox]
	for _, x := range m.messages {
		all := len(readers) > 0
		for _, acked := range readers {
			all = all && acked >= x.cursor
		}
		if x.mailbox == mailbox && all {
			x.removed = true
		}
	}
}

func (m *model) pool(key store.Key, now time.Time) *modelPool {
	p := m.pools[key]
	if p == nil {
		p = &modelPool{}
		m.pools[key] = p
	}
	p.claims = slices.DeleteFunc(p.claims, func(c modelClaim) bool { return now.Sub(c.at) > store.ClaimMemory })
	return p
}
