package client

import (
	"context"
	"iter"
	"time"

	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// Submission says how messages leave, and how much of it is left.
type Submission struct {
	Anonymous bool // with tokens, on connections that are nobody's
	// Tokens is how many envelopes can be handed in before more tokens come.
	Tokens int
	// Waiting is how many messages and envelopes wait: for tokens, a contact, or
	// the next connection.
	Waiting int
	// Remaining is how many tokens the account had left of its day when the
	// provider was last asked.
	Remaining uint32
	// More is when the provider is asked again that gave none; zero if it gave what
	// it was asked for. Code is why it gave none.
	More time.Time
	Code wire.Code
	// Alarm is why the provider is not asked at all: it would know the account by
	// the tokens. It is the user's to decide: SetAnonymous.
	Alarm state.Alarm
}

// Short reports whether messages wait for tokens: nothing is handed in before
// more come.
func (s Submission) Short() bool { return s.Anonymous && s.Waiting > 0 && s.Tokens == 0 }

// Submission returns how messages leave, and how much of it is left.
func (c *Client) Submission() (s Submission, err error) {
	err = c.view(func(w *work) error {
		s, err = w.submission()
		return err
	})
	return s, err
}

func (w *work) submission() (s Submission, err error) {
	if s.Anonymous, err = w.anonymous(); err != nil {
		return s, err
	}
	a, err := w.admission()
	if err != nil {
		return s, err
	}
	n, err := w.spendable()
	s.Tokens, s.Remaining, s.Code, s.Alarm = max(0, n-w.unpaid()), a.Remaining, a.Refused, a.Alarm
	if a.Refused != 0 {
		s.More = time.UnixMilli(int64(a.FetchAt)).UTC()
	}
	s.Waiting = w.unpaid()
	for _, n := range w.waiting {
		s.Waiting += n
	}
	return s, err
}

// Submissions yields how messages leave whenever the user has to know: first of
// all, when tokens are used up or there again, when the provider says otherwise
// when more come, and when there is an alarm. It ends with ctx, which is no
// error, or when the store fails.
func (c *Client) Submissions(ctx context.Context) iter.Seq2[Submission, error] {
	return func(yield func(Submission, error) bool) {
		var last Submission
		for first := true; ctx.Err() == nil; first = false {
			next := c.news.next()
			s, err := c.Submission()
			if err != nil {
				yield(s, err)
				return
			}
			told := s.Anonymous == last.Anonymous && s.Short() == last.Short() && s.More.Equal(last.More) && s.Code == last.Code && s.Alarm == last.Alarm
			if first || !told {
				if last = s; !yield(s, nil) {
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

// SetAnonymous fixes whether messages leave with tokens, which is the default, or
// on the account's connection, where the own provider sees which account sends,
// and to which provider. Nothing else ever changes it. Turned on while there is an
// alarm, it has the provider asked again under the list of keys that it shows
// now, which may know the account again by the tokens.
func (c *Client) SetAnonymous(on bool) error {
	if err := c.update(func(w *work) error { return w.setAnonymous(on) }); err != nil {
		return err
	}
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil {
		l.close() // the next connection submits otherwise
	}
	return nil
}
