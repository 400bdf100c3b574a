package client

import (
	"errors"
	"slices"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/linking"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/introduction"
	"waxwing/relay/client/state"
)

// How an account's devices divide a day's introductions without a word to each
// other: by the manifest with which the day began, of which a device that has asked
// for the account on that day and knows what it knew before can tell enough. A
// device that is let in during the day gets half of what the one that lets it in
// has left. No two of them ever hold the same nonce: its tag, shown at two
// mailboxes, would say that both were written to by one account.

// divided reports whether this device knows its part of the day.
func (w *work) divided() bool { return w.self.Part.Period >= uint32(w.today) }

// divide determines this device's part of the day, once: known is the manifest
// before the newest one was asked for.
func (w *work) divide(known *directory.Manifest) error {
	w.divideWeek(known)
	if w.divided() {
		return nil
	}
	own := w.ownProfile()
	own.Part = introduction.Part{Period: uint32(w.today)}
	if own.Since >= w.today {
		// The day began without this device, and it was given nothing: it was
		// restored, and may be one that has used up its part before.
		return nil
	}
	own.Part = partOf(uint32(w.today), own.Device, manifests{known.Version(), devicesOf(known)}, manifests{own.manifest.Version(), devicesOf(own.manifest)})
	return nil
}

// divideWeek does the same for a week's standing stamps. A device that began with the
// account this week has none before the next.
func (w *work) divideWeek(known *directory.Manifest) {
	week := uint32(ratelimit.WeekOf(w.today))
	if w.self.Week.Period >= week {
		return
	}
	own := w.ownProfile()
	own.Week = introduction.Part{Period: week}
	if own.Since == 0 || uint32(ratelimit.WeekOf(own.Since)) < week {
		own.Week = partOf(week, own.Device, manifests{known.Version(), devicesOf(known)}, manifests{own.manifest.Version(), devicesOf(own.manifest)})
	}
}

// manifests is what of a manifest a day is divided by.
type manifests struct {
	version uint64
	devices []ids.DeviceID // in the order of their ids
}

func devicesOf(m *directory.Manifest) (out []ids.DeviceID) {
	for _, d := range m.Devices() {
		out = append(out, d.ID)
	}
	return out
}

// partOf is what a device may use of a day or a week, which began with a manifest from before
// up to after. It is the device's under all of these, so that every two devices
// have one in common, under which their parts do not overlap. If more than one
// device was let in or removed since the device was last there, those in between are
// not known, and it waits for the next one.
func partOf(period uint32, device ids.DeviceID, before, after manifests) introduction.Part {
	none := introduction.Part{Period: period}
	if after.version > before.version+1 {
		return none
	}
	part := func(m manifests) introduction.Part {
		i, ok := slices.BinarySearch(m.devices, device)
		if !ok {
			return none
		}
		p, err := introduction.PartOf(period, i, len(m.devices))
		if err != nil {
			return none // more devices than an account can have
		}
		return p
	}
	return part(before).Within(part(after))
}

// give gives half of what this device has left of the day and the week to a new device:
// of what it has at each provider, and of its part at those where it has nothing yet. The
// caller's transaction ends before any of it leaves: if it is lost then, it is
// nobody's.
func (w *work) give(h *linking.Handover) error {
	err := errors.Join(w.giveDay(h), w.giveWeek(h))
	h.Sort()
	return err
}

// giveWeek does that for the week's standing stamps.
func (w *work) giveWeek(h *linking.Handover) error {
	week := ratelimit.WeekOf(w.today)
	if w.self.Week.Period != uint32(week) {
		return nil
	}
	shares := map[ids.Domain]*introduction.Share{}
	for row, err := range state.Standings.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		if ratelimit.Week(state.ParseAt(row.Key)) != week {
			continue
		}
		d, err := ids.ParseDomain(string(state.Rest(row.Key)))
		if err != nil {
			return &state.CorruptError{Table: "standings"}
		}
		shares[d] = row.Record
	}
	if len(shares) > linking.MaxCredentials {
		return nil
	}
	own := w.ownProfile()
	mine, theirs := own.Week.Give()
	own.Week, h.Week, h.WeekFrom, h.WeekTo = mine, uint32(week), theirs.From, theirs.To
	for d, s := range shares {
		mine, theirs := s.Give(s.Left() / 2)
		h.Standings = append(h.Standings, linking.Standing{Provider: d, Next: theirs.Next, End: theirs.End})
		if err := state.Standings.Put(w.tx, state.At(week, d), &mine); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) giveDay(h *linking.Handover) error {
	rows, err := w.ofToday()
	if err != nil || len(rows) > linking.MaxCredentials || w.self.Part.Period != uint32(w.today) {
		return err
	}
	own := w.ownProfile()
	mine, theirs := own.Part.Give()
	own.Part, h.Day, h.From, h.To = mine, w.today, theirs.From, theirs.To
	for _, row := range rows {
		k := row.Record
		mine, theirs := k.Share.Give(k.Share.Left() / 2)
		k.Share = mine
		d, err := ids.ParseDomain(string(state.Rest(row.Key)))
		if err != nil {
			return &state.CorruptError{Table: "credentials"}
		}
		h.Credentials = append(h.Credentials, linking.Credential{
			Provider: d, Tier: uint8(k.Tier), New: k.Limits.New, Member: k.Limits.Member,
			Credential: k.Credential, Over: k.Over, Next: theirs.Next, End: theirs.End,
		})
		if err := state.Credentials.Put(w.tx, row.Key, k); err != nil {
			return err
		}
	}
	return nil
}

// ofToday returns the day's credentials.
func (w *work) ofToday() (out []state.Row[*state.Credential], err error) {
	for row, err := range state.Credentials.Scan(w.tx, nil, nil) {
		if err != nil {
			return nil, err
		}
		if ids.Day(state.ParseAt(row.Key)) == w.today {
			out = append(out, row)
		}
	}
	return out, nil
}

// given stores what the device that let this one in gave it, in the transaction
// that makes the profile; nil for nothing. From then on it is this device's, and was
// the other's before that let go of it. The error is ErrArchive or the store's.
func given(tx *state.Tx, h *linking.Handover) error {
	if h == nil {
		return nil
	}
	p, err := state.Profiles.Get(tx, state.Single)
	if err != nil {
		return err
	}
	p.Since = max(p.Since, h.Day)
	p.Part = introduction.Part{Period: uint32(h.Day), From: h.From, To: h.To}
	p.Week = introduction.Part{Period: h.Week, From: h.WeekFrom, To: h.WeekTo}
	if _, err := wire.Marshal(&p.Part); err != nil {
		return ErrArchive
	}
	if _, err := wire.Marshal(&p.Week); err != nil {
		return ErrArchive
	}
	for i := range h.Standings {
		s := &h.Standings[i]
		row := &introduction.Share{Period: h.Week, Next: s.Next, End: s.End}
		if _, err := wire.Marshal(row); err != nil || s.End > introduction.StandingLimit {
			return ErrArchive
		}
		if err := state.Standings.Put(tx, state.At(ratelimit.Week(h.Week), s.Provider), row); err != nil {
			return err
		}
	}
	for i := range h.Credentials {
		k := &h.Credentials[i]
		row := &state.Credential{
			Tier: ratelimit.Tier(k.Tier), Limits: introduction.Limits{New: k.New, Member: k.Member}, Credential: k.Credential,
			Share: introduction.Share{Period: uint32(h.Day), Next: k.Next, End: k.End}, Over: k.Over,
		}
		_, limit := row.Limits.Of(row.Tier)
		_, share := wire.Marshal(&row.Share)
		_, cred := state.ParseCredential("credentials", &row.Credential)
		if errors.Join(limit, share, cred) != nil {
			return ErrArchive
		}
		if err := state.Credentials.Put(tx, state.At(h.Day, k.Provider), row); err != nil {
			return err
		}
	}
	return state.Profiles.Put(tx, state.Single, p)
}
