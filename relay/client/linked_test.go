package client

import (
	"errors"
	"path/filepath"
	"slices"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/linking"
	"waxwing/core/wire"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// link makes another device of a user's account: with the secrets, contacts and
// given serials that all devices share, and keys of its own.
func (u *user) link() *user {
	w := u.w
	w.t.Helper()
	v := &user{
		w: w, address: u.address, p: u.p, box: u.box, path: filepath.Join(w.t.TempDir(), "state"),
		classes: make(map[wire.Class]int), sealed: make(map[string]bool),
	}
	w.must(u.learn(u.box.manifest))
	sign, dh := keys.NewSigningKey(), keys.NewDHKey()
	m := u.next(nil, func(f *directory.ManifestFields) { v.device = f.AddDevice(sign.Public(), dh.Public()) })
	w.must(u.learn(m))
	u.box.manifest = m
	v.open()
	u.do(func(k *work) error {
		return v.e.store.Update(func(tx *state.Tx) error { return hand(k, tx, v.device, sign, dh) })
	})
	for _, sibling := range u.box.readers {
		if sibling != u {
			w.must(sibling.learn(m))
		}
	}
	u.box.readers = append(u.box.readers, v)
	w.users = append(w.users, v)
	w.t.Cleanup(func() { v.e.store.Close() })
	v.supply()
	return v
}

// hand writes what a new device gets.
func hand(k *work, tx *state.Tx, id ids.DeviceID, sign *keys.SigningKey, dh *keys.DHKey) error {
	p := k.self.Profile
	p.Device, p.Sign, p.DeviceDH = id, [32]byte(sign.Seed()), [32]byte(dh.Bytes())
	p.Cert, p.CertExpiry, p.Published = nil, 0, false
	p.Part, p.Week, p.Since = introduction.Part{}, introduction.Part{}, k.today
	var h linking.Handover
	if err := k.give(&h); err != nil {
		return err
	}
	err := errors.Join(
		state.Profiles.Put(tx, state.Single, &p),
		state.Counter.Put(tx, state.Single, &state.Counters{Contact: k.n.Contact, Cursor: k.n.Cursor}),
		copyRows(k, tx, state.Roots), copyRows(k, tx, state.SealKeys), copyRows(k, tx, state.Addresses),
		copyRows(k, tx, state.Manifests), copyRows(k, tx, state.Descriptors), copyRows(k, tx, state.Given), copyRows(k, tx, state.Codes),
		given(tx, &h),
	)
	for id, c := range k.contacts {
		rec := *c.Contact
		rec.Conversation, rec.Sequence, rec.Previous, rec.HasFirst, rec.Announced = [16]byte{}, 0, [32]byte{}, false, 0
		rec.Confirm, rec.Missed, rec.OwedSince = nil, nil, 0
		err = errors.Join(err, state.Contacts.Put(tx, state.U32(id), &rec))
		for _, p := range c.peers {
			err = errors.Join(err, state.Peers.Put(tx, state.OfContact(id, state.U32(p.device)), &state.Peer{DH: p.DH}))
		}
	}
	return err
}

func copyRows[T any, P state.Record[T]](k *work, tx *state.Tx, t *state.Table[T, P]) (err error) {
	rows, err := t.Rows(k.tx, nil, nil, 0)
	for _, row := range rows {
		err = errors.Join(err, t.Put(tx, row.Key, row.Record))
	}
	return err
}

// share tells the devices of each account whom tickets were given to; in a world
// that is synced they tell each other.
func (w *world) share() {
	w.t.Helper()
	if w.synced {
		for _, u := range w.users {
			u.talk()
		}
		return
	}
	for _, u := range w.users {
		for _, v := range u.box.readers {
			if v == u {
				continue
			}
			var given []ticket.Given
			u.do(func(k *work) error {
				for row, err := range state.Given.Scan(k.tx, nil, nil) {
					if err != nil {
						return err
					}
					given = append(given, *row.Record)
				}
				return nil
			})
			v.do(func(k *work) error {
				before := state.Given.Count(k.tx)
				if err := k.learnGiven(given); err != nil || state.Given.Count(k.tx) == before {
					return err
				}
				return k.release(false)
			})
		}
	}
}

// remove removes another device of the account, as the provider does.
func (u *user) remove(v *user) {
	u.w.t.Helper()
	m, err := u.without(v.device)
	u.w.must(err)
	u.do(func(k *work) error { k.ownProfile().Removing = v.device; return nil })
	u.box.manifest = m
	delete(u.box.prekeys, v.device)
	u.box.readers = slices.DeleteFunc(u.box.readers, func(r *user) bool { return r == v })
	u.w.users = slices.DeleteFunc(u.w.users, func(r *user) bool { return r == v })
	for _, r := range u.box.readers {
		u.w.must(r.learn(m))
	}
}

func (u *user) shows(from *user, want ...string) {
	u.w.t.Helper()
	if got := u.inbox(from); !slices.Equal(got, want) {
		u.w.t.Errorf("%s %d was shown %q, not %q", u.address.Local(), u.device, got, want)
	}
}

func (w *world) nothingDropped(but ...dropReason) {
	w.t.Helper()
	for _, u := range w.users {
		for r := range dropEnd {
			if n := u.dropped(r); n > 0 && !slices.Contains(but, r) {
				w.t.Errorf("%s %d dropped %d: %v", u.address.Local(), u.device, n, r)
			}
		}
	}
}
