package client

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"waxwing/core/devicesync"
	"waxwing/relay/client/state"
)

// What the user chose on one device and means on all: through whom other providers are
// asked, whether read receipts are sent, who may introduce itself. Of two changes the
// later one wins, wherever it was made.

// chose notes that the user made a choice now, and tells of it.
func (w *work) chose(at func(*state.Setting) *uint64) error {
	s, err := w.settings()
	if err != nil {
		return err
	}
	t := at(s)
	*t = max(*t+1, uint64(max(0, w.now.UnixMilli()))) // later than the one before, also under a clock that went back
	if err := state.Settings.Put(w.tx, state.Single, s); err != nil {
		return err
	}
	i, err := w.choices()
	if err != nil {
		return err
	}
	defer eraseCodes(i)
	return w.tell(i)
}

func hopChosen(s *state.Setting) *uint64   { return &s.HopChanged }
func readsChosen(s *state.Setting) *uint64 { return &s.ReadsChanged }
func doorChosen(s *state.Setting) *uint64  { return &s.DoorChanged }

// choices is what the other devices are told.
func (w *work) choices() (*devicesync.Choices, error) {
	s, err := w.settings()
	if err != nil {
		return nil, err
	}
	i := &devicesync.Choices{
		HopChanged: s.HopChanged, ReadsChanged: s.ReadsChanged, ReadReceipts: s.ReadReceipts, DoorChanged: s.DoorChanged, Policy: s.Policy,
	}
	h, err := w.hop()
	if h != nil && s.HopChanged != 0 {
		i.Hop = h.Domain
	}
	if err != nil {
		return nil, err
	}
	rows, err := state.DoorCodes.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		i.Codes = append(i.Codes, row.Record.Code)
	}
	return i, err
}

func eraseCodes(i *devicesync.Choices) {
	for n := range i.Codes {
		clear(i.Codes[n][:])
	}
}

// applyAccountChoices takes what another device tells, as far as it is later. Of two at the
// same time every device takes the same one.
func (w *work) applyAccountChoices(i *devicesync.Choices) error {
	defer eraseCodes(i)
	mine, err := w.choices()
	if err != nil {
		return err
	}
	defer eraseCodes(mine)
	later := func(theirs, mine uint64, tie int) bool { return theirs > mine || theirs == mine && tie > 0 }
	s, err := w.settings()
	if err != nil {
		return err
	}
	if later(i.HopChanged, mine.HopChanged, strings.Compare(i.Hop.String(), mine.Hop.String())) && i.Hop != w.self.Address.Domain() {
		s.HopChanged = i.HopChanged
		if i.Hop.IsZero() {
			err = state.Hops.Delete(w.tx, state.Single)
		} else if i.Hop != mine.Hop {
			err = state.Hops.Put(w.tx, state.Single, &state.Hop{Domain: i.Hop})
		}
	}
	if later(i.ReadsChanged, mine.ReadsChanged, cmp.Compare(onOff(mine.ReadReceipts), onOff(i.ReadReceipts))) {
		s.ReadsChanged, s.ReadReceipts = i.ReadsChanged, i.ReadReceipts
		if !i.ReadReceipts {
			err = errors.Join(err, w.dropReads())
		}
	}
	if later(i.DoorChanged, mine.DoorChanged, compareDoors(i, mine)) {
		// Told to the provider by this device too: the other one may be gone.
		s.DoorChanged, s.Policy, s.PolicyKnown = i.DoorChanged, i.Policy, false
		err = errors.Join(err, w.putCodes(i.Codes))
	}
	return errors.Join(err, state.Settings.Put(w.tx, state.Single, s))
}

func onOff(on bool) int {
	if on {
		return 1
	}
	return 0
}

func compareDoors(a, b *devicesync.Choices) int {
	return cmp.Or(cmp.Compare(a.Policy, b.Policy), slices.CompareFunc(a.Codes, b.Codes, func(x, y [32]byte) int { return bytes.Compare(x[:], y[:]) }))
}

// putCodes replaces the contact codes that let introductions in.
func (w *work) putCodes(codes [][32]byte) error {
	err := expire(w, state.DoorCodes, func(*state.DoorCode) bool { return true })
	for n, code := range codes {
		err = errors.Join(err, state.DoorCodes.Put(w.tx, state.U32(uint32(n)), &state.DoorCode{Code: code}))
	}
	return err
}
