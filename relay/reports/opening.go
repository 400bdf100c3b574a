package reports

import (
	"context"
	"errors"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/limits"
)

// OpenVerdict verifies a verdict of another provider's desk (or the own one's),
// finds out which account wrote the message, acts by the policy, and returns the
// signed answer, which names nobody. root is the pinned root key of the provider
// that it came from. A verdict that comes again gets the same answer. Errors are
// *Limited, franking's Faults, ErrNotReady, wire.ErrMalformed and the store's.
func (r *Reports) OpenVerdict(ctx context.Context, now time.Time, from ids.Domain, root keys.VerifyKey, verdict []byte) ([]byte, error) {
	if err := r.spend(now, limits.PeerVerdicts, limits.PeerKey(from)); err != nil {
		return nil, err
	}
	r.opening.Lock()
	defer r.opening.Unlock()
	if b, err := r.get(ctx, openedKey(from, verdict)); err == nil {
		var rec answerRecord
		if wire.Unmarshal(b, &rec) != nil {
			return nil, ErrState
		}
		return rec.answer, nil
	} else if !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	checked, err := r.checkVerdict(ctx, now, from, root, verdict)
	if err != nil {
		return nil, err
	}
	logged, err := r.logOpening(ctx, now, checked)
	if err != nil {
		return nil, err
	}
	// The opening is in the log. Only now can the token be opened; a crash here
	// leaves an entry without an answer, the desk sends the verdict again, and the
	// same entry is gone on with.
	wrap := r.keyring.secret(ringWrap, logged.Epoch())
	if wrap == nil {
		return nil, franking.FaultWrap
	}
	opened, err := logged.Open(wrap)
	if err != nil {
		return nil, err
	}
	return r.act(ctx, now, from, verdict, checked, opened)
}

// checkVerdict verifies a verdict under the desks that are known of its
// provider. The error is that of the newest.
func (r *Reports) checkVerdict(ctx context.Context, now time.Time, from ids.Domain, root keys.VerifyKey, verdict []byte) (*franking.CheckedVerdict, error) {
	desks, err := r.desks(ctx, from, root)
	if err != nil {
		return nil, err
	}
	own, err := r.issued(ctx, dayOf(now))
	if err != nil {
		return nil, err
	}
	err = ErrNotReady
	for i := len(desks) - 1; i >= 0; i-- {
		var c *franking.CheckedVerdict
		if c, err = franking.CheckVerdict(verdict, desks[i], r.conf.Domain, own, now); err == nil {
			return c, nil
		}
		if !errors.Is(err, franking.FaultVerdict) {
			return nil, err
		}
	}
	return nil, err
}

// issued returns the public keys of all epochs of which a verdict may come: of
// those whose secrets were published already too. Publishing does not end them:
// x1 is under a key that was not.
func (r *Reports) issued(ctx context.Context, today ids.Day) (*franking.EpochKeys, error) {
	out := &franking.EpochKeys{Issuer: r.conf.Domain}
	first := today - min(today, ids.MaxDelay+franking.ReportDays+franking.ReviewDays+1)
	for day := first; day <= today+1; day++ {
		// Those that were revoked, from 1, and then the one in force.
		for number := uint8(1); number < franking.MaxEpochKeys; number++ {
			if err := r.addIssued(ctx, out, day, number, r.keyring.revokedSecret(day, number)); errors.Is(err, ErrUnknown) {
				break
			} else if err != nil {
				return nil, err
			}
		}
		if err := r.addIssued(ctx, out, day, 0, r.keyring.secret(ringSign, day)); err != nil && !errors.Is(err, ErrUnknown) {
			return nil, err
		}
	}
	return out, nil
}

// addIssued adds the public key of a secret; of one that was published if s is nil.
func (r *Reports) addIssued(ctx context.Context, out *franking.EpochKeys, day ids.Day, revoked uint8, s *franking.EpochSecret) (err error) {
	if s == nil {
		if s, err = r.published(ctx, franking.SignSecret, day, revoked); err != nil {
			return err
		}
	}
	out.Epochs = append(out.Epochs, franking.EpochKey{Epoch: day, Key: s.SigningKey().Public()})
	return nil
}

// published returns a secret that was published, or ErrUnknown.
func (r *Reports) published(ctx context.Context, kind franking.SecretKind, epoch ids.Day, revoked uint8) (*franking.EpochSecret, error) {
	b, err := r.get(ctx, secretKey(kind, epoch, revoked))
	if err != nil {
		return nil, err
	}
	var rec secretRecord
	if wire.Unmarshal(b, &rec) != nil || rec.kind != kind || rec.epoch != epoch {
		return nil, ErrState
	}
	return franking.PublishedSecret(kind, epoch, rec.secret), nil
}

// Published returns the secret of an epoch that this provider has published, so
// that anybody can make what was made with it. The error is ErrUnknown.
func (r *Reports) Published(ctx context.Context, kind franking.SecretKind, epoch ids.Day) (*franking.EpochSecret, error) {
	return r.published(ctx, kind, epoch, 0)
}

func (r *Reports) logOpening(ctx context.Context, now time.Time, c *franking.CheckedVerdict) (*franking.Logged, error) {
	for range tries {
		if err := r.catchUp(ctx, now); err != nil {
			return nil, err
		}
		if logged := r.openings.Again(c); logged != nil {
			return logged, nil
		}
		log := &openingLog{r.openings, now}
		err := room(ctx, r.st, keyOpenings, log, r.conf.segment)
		if err == nil {
			var p *franking.PendingOpening
			if p, err = r.openings.Prepare(c, now); err != nil {
				return nil, err
			}
			key := segmentKey(keyOpenings, log.Log().Head().Segment)
			if err = r.st.LogAppend(ctx, key, log.Log().Size(), [][]byte{p.Record}); err == nil {
				return r.openings.Commit(p)
			}
		}
		// The entry may be in the log or get there yet.
		if r.behind = true; !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, store.ErrConflict
}

// openingLog is the log of openings as it grows at a time.
type openingLog struct {
	*franking.Openings
	now time.Time
}

// Next has another segment in use.
func (l *openingLog) Next(log *auditlog.Log) { l.Roll(log, l.now) }

// catchUp reads what of the log of openings is not known: entries whose outcome
// was unknown. The caller holds opening.
func (r *Reports) catchUp(ctx context.Context, now time.Time) error {
	if !r.behind {
		return nil
	}
	if err := follow(ctx, r.st, keyOpenings, &openingLog{r.openings, now}); err != nil {
		return err
	}
	r.behind = false
	return nil
}

// act does what the policy says and answers.
func (r *Reports) act(ctx context.Context, now time.Time, from ids.Domain, verdict []byte, c *franking.CheckedVerdict, o *franking.Opened) ([]byte, error) {
	var action franking.Action
	standing, err := r.conf.Directory.ChangeStanding(ctx, o.Account(), func(s *directory.Standing) {
		if done, ok := s.Acted(o.Entry()); ok {
			action = franking.Action(done)
			return
		}
		action = r.conf.Policy.Decide(o, before(s, now))
		apply(s, action, now)
		s.Note(o.Entry(), uint8(action))
	})
	if err != nil {
		return nil, err
	}
	// The account's standing is durable, and says which opening it is of: a crash
	// now has the verdict sent again, which changes it no more.
	if standing.Suspended(now) && r.conf.Suspended != nil {
		r.conf.Suspended(o.Account())
	}
	if err := r.note(ctx, &Entry{Act: ActOpened, Report: c.Report(), Peer: from, Action: action}, now); err != nil {
		return nil, err
	}
	d := r.keyring.current(dayOf(now))
	if d == nil {
		return nil, ErrNotReady
	}
	answer, err := o.Answer(action, d.answer, now)
	if err != nil {
		return nil, err
	}
	rec := answerRecord{day: dayOf(now), verdict: franking.HashVerdict(verdict), answer: answer}
	return answer, r.put(ctx, openedKey(from, verdict), wire.MustMarshal(&rec))
}

// note appends to the audit log.
func (r *Reports) note(ctx context.Context, e *Entry, now time.Time) error {
	e.Time = uint64(now.UnixMilli())
	b, err := wire.Marshal(e)
	if err != nil {
		return err
	}
	return r.audit.add(ctx, b)
}
