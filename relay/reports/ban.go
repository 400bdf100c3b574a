package reports

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
)

// Opening the sender's pseudonym N_B, which a ban is of (design section 6): with
// the recipient's share, which is in the report if the reporter agreed, the desk's
// secret, and two reviewers. Without a share there is nothing to open it with.

// Ban is an escrow that its recipient gave a share of.
type Ban struct {
	Report    franking.ReportID
	Message   int // index in the report of the message that the share is of
	Issuer    ids.Domain
	Reason    franking.Reason
	Fault     franking.Fault // why the share does not open it; FaultNone if it does
	Reviewers [2]string
	Opened    time.Time // zero while it is not
	// Pseudonym is N_B, once it is opened: what its account shows to this provider
	// whatever tokens it has, and no account's name.
	Pseudonym []byte
}

func (r *banRecord) ban(id franking.ReportID, message int) *Ban {
	b := &Ban{Report: id, Message: message, Issuer: r.issuer, Reason: r.reason, Fault: r.fault, Reviewers: r.reviewers}
	if r.opened != 0 {
		b.Opened, b.Pseudonym = time.UnixMilli(int64(r.opened)).UTC(), slices.Clone(r.pseudonym[:])
	}
	return b
}

// shares checks the shares of a report's proven messages with the reporter's keys
// of now. A share that does not hold is kept with its fault, for the reviewers.
func (r *Reports) shares(ctx context.Context, now time.Time, reporter ids.Address, report *franking.Report, findings []franking.Finding) (map[int]*banRecord, error) {
	if len(report.Escrows) == 0 {
		return nil, nil
	}
	k, err := r.conf.Directory.MailboxKey(ctx, reporter)
	if errors.Is(err, directory.ErrUnknown) {
		return nil, nil // nobody could have made an escrow for it
	}
	if err != nil {
		return nil, err
	}
	out := map[int]*banRecord{}
	for i := range report.Escrows {
		o := &report.Escrows[i]
		m := findings[o.Message].Message
		if m == nil {
			continue
		}
		rec := &banRecord{
			day: dayOf(now), issuer: m.Evidence().Token.Issuer, reason: report.Reason,
			generation: k.Generation(), w: k.W(), z: k.Z(),
		}
		to, err := rec.recipient(reporter, k.Mailbox())
		if err != nil {
			return nil, err
		}
		if err := m.CheckShare(o, to); err != nil && !errors.As(err, &rec.fault) {
			return nil, err
		}
		out[int(o.Message)] = rec
	}
	return out, nil
}

// recipient is the reporter as the escrow names it.
func (r *banRecord) recipient(reporter ids.Address, mailbox ids.MailboxID) (*franking.Recipient, error) {
	g := group.Ristretto255()
	to := &franking.Recipient{Provider: reporter.Domain(), Address: reporter, Mailbox: mailbox, Generation: r.generation}
	var err [2]error
	to.W, err[0] = g.DecodeElement(r.w[:])
	to.Z, err[1] = g.DecodeElement(r.z[:])
	if err[0] != nil || err[1] != nil {
		return nil, ErrState
	}
	return to, nil
}

// OpenPseudonym is a reviewer's decision to open N_B of a message's author, from 0
// in the report's order. It needs two reviewers: until the second one's the error
// is ErrSecond, and the first one's is kept. It depends neither on what is decided
// about the report nor on the sender's provider. Errors are also ErrUnknown,
// ErrReviewer, ErrUnproven, ErrDecided (it is open), franking.ErrConsent (the
// reporter wants no ban), ErrShare, franking.FaultShare and franking.FaultEscrow
// (what was given does not open it), franking.ErrReport (the desk's key is gone),
// ErrFull and the store's.
func (r *Reports) OpenPseudonym(ctx context.Context, now time.Time, id franking.ReportID, message int, reviewer string) (*Ban, error) {
	if reviewer == "" || len(reviewer) > maxReviewer {
		return nil, ErrReviewer
	}
	r.queue.Lock()
	defer r.queue.Unlock()
	rec, report, _, err := r.reopen(ctx, id)
	if err != nil {
		return nil, err
	}
	if message < 0 || message >= len(rec.findings) || rec.findings[message].fault != franking.FaultNone {
		return nil, ErrUnproven
	}
	o, ban, err := r.share(ctx, id, report, message)
	switch {
	case err != nil:
		return nil, err
	case ban.opened != 0:
		return nil, ErrDecided
	case ban.fault != franking.FaultNone:
		return nil, ban.fault
	case r.banned >= MaxBans:
		return nil, ErrFull
	}
	key := banKey(id, int(o.Message))
	if first := ban.reviewers[0]; first == "" || first == reviewer {
		ban.reviewers[0] = reviewer
		if err := r.note(ctx, &Entry{Act: ActEscrowAsked, Report: id, Reviewer: reviewer}, now); err != nil {
			return nil, err
		}
		if err := r.put(ctx, key, wire.MustMarshal(ban)); err != nil {
			return nil, err
		}
		return nil, ErrSecond
	}
	ban.reviewers[1] = reviewer
	if err := r.unseal(ctx, now, rec, report, o, ban); err != nil {
		return nil, err
	}
	if err := r.put(ctx, key, wire.MustMarshal(ban)); err != nil {
		return nil, err
	}
	// The pseudonym is durable. A crash before leaves an entry of the audit log
	// whose opening the second reviewer repeats.
	r.banned++
	r.ban(ban.pseudonym)
	return ban.ban(id, int(o.Message)), nil
}

// share returns the share that opens the escrow of a message: its own, or that of
// another one under the same token.
func (r *Reports) share(ctx context.Context, id franking.ReportID, report *franking.Report, message int) (*franking.EscrowOpening, *banRecord, error) {
	if report.Consents&franking.ConsentBan == 0 {
		return nil, nil, franking.ErrConsent
	}
	token := report.Messages[message].Token.Hash()
	for i := range report.Escrows {
		o := &report.Escrows[i]
		if report.Messages[o.Message].Token.Hash() != token {
			continue
		}
		b, err := r.get(ctx, banKey(id, int(o.Message)))
		if errors.Is(err, ErrUnknown) {
			continue // of a message that is not proven
		}
		if err != nil {
			return nil, nil, err
		}
		ban := new(banRecord)
		if wire.Unmarshal(b, ban) != nil {
			return nil, nil, ErrState
		}
		return o, ban, nil
	}
	return nil, nil, ErrShare
}

// unseal opens the escrow, after the audit log says so.
func (r *Reports) unseal(ctx context.Context, now time.Time, rec *reportRecord, report *franking.Report, o *franking.EscrowOpening, ban *banRecord) error {
	m, err := r.substantiated(rec, &report.Messages[o.Message])
	if err != nil {
		return err
	}
	to, err := ban.recipient(rec.reporter, m.Evidence().Mailbox)
	if err != nil {
		return err
	}
	desks := r.keyring.allDesks()
	i := slices.IndexFunc(desks, func(d *desk) bool { return d.number == o.Escrow.Reviewers })
	if i < 0 {
		return franking.ErrReport
	}
	entry := &Entry{Act: ActEscrowOpened, Report: report.ID, Peer: ban.issuer, Reviewer: ban.reviewers[1]}
	if err := m.CheckShare(o, to); err != nil {
		_ = errors.As(err, &entry.Fault)
		return errors.Join(err, r.note(ctx, entry, now))
	}
	if err := r.note(ctx, entry, now); err != nil {
		return err
	}
	// In the audit log. Only now is it opened.
	n, err := m.OpenEscrow(o, to, desks[i].reviewers)
	if err != nil {
		return err
	}
	ban.pseudonym, ban.opened = [franking.ElementSize]byte(n.Bytes()), uint64(now.UnixMilli())
	return nil
}

// Bans returns the pseudonyms that were opened, the oldest first, from an index on,
// at most limit.
func (r *Reports) Bans(ctx context.Context, from, limit int) (out []Ban, err error) {
	err = r.eachBan(ctx, prefixBan, func(b *Ban) {
		if !b.Opened.IsZero() {
			out = append(out, *b)
		}
	})
	slices.SortStableFunc(out, func(a, b Ban) int {
		return cmp.Or(a.Opened.Compare(b.Opened), slices.Compare(a.Report[:], b.Report[:]))
	})
	out = out[min(len(out), max(0, from)):]
	return out[:min(len(out), limit)], err
}

func (r *Reports) countBans(ctx context.Context) error {
	return r.eachBan(ctx, prefixBan, func(b *Ban) {
		if !b.Opened.IsZero() {
			r.banned++
			r.ban([franking.ElementSize]byte(b.Pseudonym))
		}
	})
}

func (r *Reports) ban(nb [franking.ElementSize]byte) {
	r.banning.Lock()
	defer r.banning.Unlock()
	r.bans[nb] = struct{}{}
}

// Banned implements relay.Bans: a pseudonym that two reviewers opened gets no
// credential any more, from its next refill on. What it holds of the day, or of
// tomorrow, is good until then.
func (r *Reports) Banned(nb [franking.ElementSize]byte) bool {
	r.banning.RLock()
	defer r.banning.RUnlock()
	_, banned := r.bans[nb]
	return banned
}

func (r *Reports) eachBan(ctx context.Context, prefix store.Key, f func(*Ban)) error {
	return r.each(ctx, prefix, func(doc *store.KeyDoc) error {
		id, number, _ := strings.Cut(strings.TrimPrefix(string(doc.Key), string(prefixBan)), "/")
		raw, err := hex.DecodeString(id)
		message, err2 := strconv.Atoi(number)
		rec := new(banRecord)
		if err != nil || err2 != nil || len(raw) != franking.ReportIDSize || wire.Unmarshal(doc.Value, rec) != nil {
			return ErrState
		}
		f(rec.ban(franking.ReportID(raw), message))
		return nil
	})
}
