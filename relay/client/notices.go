package client

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"waxwing/core/ids"
	"waxwing/relay/client/state"
)

// Notice is one thing that the user has to know while an app is open, beside the
// messages. One of the fields is set.
type Notice struct {
	// Submission: tokens are used up and messages wait, or there is an alarm; it says
	// otherwise when more come; or neither is so any more.
	Submission *Submission
	// Introductions: this device's at a provider are used up and messages wait for
	// one, or no more so.
	Introductions *Introductions
	// Request: somebody introduced itself and waits for an answer.
	Request *Request
	// Rekeyed: a contact's account key was replaced, so that its safety number is
	// another one: to be compared again by who compares it.
	Rekeyed *ids.Address
	// AccountKey: the account key's secret is not on this device (ErrNoAccountKey), or it
	// has come.
	AccountKey *AccountKey
}

// AccountKey says whether the account key's secret is on this device.
type AccountKey struct{ Lacking bool }

// Notices yields what the user has to know, first of all what is so now, and then
// what changes. It ends with ctx, which is no error, or when the store fails.
func (c *Client) Notices(ctx context.Context) iter.Seq2[Notice, error] {
	return func(yield func(Notice, error) bool) {
		told := newTold()
		for ctx.Err() == nil {
			next := c.news.next()
			all, err := c.noticed(told)
			if err != nil {
				yield(Notice{}, err)
				return
			}
			for _, n := range all {
				if ctx.Err() != nil || !yield(n, nil) {
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-next:
			}
		}
	}
}

func (c *Client) noticed(told *told) ([]Notice, error) {
	s, err := c.Submission()
	if err != nil {
		return nil, err
	}
	i, err := c.Introductions()
	if err != nil {
		return nil, err
	}
	r, err := c.Requests()
	if err != nil {
		return nil, err
	}
	all := told.of(s, i, r)
	err = c.view(func(w *work) error {
		rekeyed := map[ids.Address]ids.Day{}
		for _, k := range w.contacts {
			if k.Rekeyed != 0 && !k.Blocked && !k.Pending {
				rekeyed[k.Address] = k.Rekeyed
			}
		}
		all = append(all, told.keys(w.self != nil && w.self.lacksAccountKey(), rekeyed)...)
		return nil
	})
	return all, err
}

// told is what the user was told.
type told struct {
	submission Submission // the last one
	spent      map[ids.Domain]bool
	asked      map[ids.Address]bool
	rekeyed    map[ids.Address]ids.Day
	lacking    bool
}

func newTold() *told {
	return &told{spent: make(map[ids.Domain]bool), asked: make(map[ids.Address]bool), rekeyed: make(map[ids.Address]ids.Day)}
}

// of returns what is new to the user.
func (t *told) of(s Submission, introductions []Introductions, requests []Request) (out []Notice) {
	last := t.submission
	changed := !last.amiss() || !s.More.Equal(last.More) || s.Code != last.Code || s.Alarm != last.Alarm
	// Messages that still wait while the provider is asked are no news.
	if s.amiss() && changed || last.amiss() && !s.amiss() && !s.Short() {
		t.submission = s
		out = append(out, Notice{Submission: &s})
	}
	for _, i := range introductions {
		spent := i.Known && i.Left == 0 && i.Waiting > 0
		over := t.spent[i.Provider] && (i.Known && i.Left > 0 || i.Waiting == 0)
		if spent && !t.spent[i.Provider] || over {
			t.spent[i.Provider] = spent
			out = append(out, Notice{Introductions: &i})
		}
	}
	for _, r := range requests {
		if !t.asked[r.From] {
			t.asked[r.From] = true
			out = append(out, Notice{Request: &r})
		}
	}
	// Who was answered and asks again is news.
	for a := range t.asked {
		if !slices.ContainsFunc(requests, func(r Request) bool { return r.From == a }) {
			delete(t.asked, a)
		}
	}
	return out
}

// keys returns what is new of account keys: the own one's secret, and contacts whose
// account key was replaced on a day.
func (t *told) keys(lacking bool, rekeyed map[ids.Address]ids.Day) (out []Notice) {
	if lacking != t.lacking {
		t.lacking = lacking
		out = append(out, Notice{AccountKey: &AccountKey{lacking}})
	}
	for _, a := range slices.SortedFunc(maps.Keys(rekeyed), func(a, b ids.Address) int { return strings.Compare(a.String(), b.String()) }) {
		if t.rekeyed[a] != rekeyed[a] {
			out = append(out, Notice{Rekeyed: &a})
		}
	}
	t.rekeyed = rekeyed
	return out
}

// amiss reports whether the user has to know: an alarm, or messages that wait for
// tokens which do not come at once.
func (s Submission) amiss() bool {
	return s.Alarm != state.AlarmNone || s.Short() && s.Code != 0
}
