package client

import (
	"slices"
	"testing"

	"waxwing/core/attachment"
	"waxwing/core/content"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/reports"
)

// sendFiles sends what an app would that has files to send.
func (u *user) sendFiles(to *user, caption string, files ...attachment.Descriptor) MessageID {
	u.w.t.Helper()
	id := u.send(to, "x")
	u.do(func(k *work) error {
		m, err := state.Log.Get(k.tx, state.U64(id))
		u.w.must(err)
		f, err := content.ParseFrame(m.Frame)
		u.w.must(err)
		f.Kind, f.Text, f.Attachments = content.KindAttachment, caption, files
		if m.Frame, err = f.Marshal(); err != nil {
			return err
		}
		key, err := franking.KeyFrom(m.Key[:])
		u.w.must(err)
		c := k.find(to.address)
		u.w.must(state.Digests.Delete(k.tx, state.OfContact(c.id, m.D[:])))
		m.D = key.Digest(m.Frame)
		k.dirty(c)
		c.Previous = m.D
		u.w.must(state.Digests.Put(k.tx, state.OfContact(c.id, m.D[:]), &state.Ref{Value: uint64(id)}))
		return state.Log.Put(k.tx, state.U64(id), m)
	})
	return id
}

// Messages with files, with a text and without, are shown with what their sender says
// of them, on all devices and in the history of both, and can be reported.
func TestAttachmentsAreShown(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	cat := attachment.Descriptor{Name: "cat.jpg", Type: "image/jpeg", Size: 7, Root: attachment.Hash{1}, Sealed: attachment.Hash{2}, Commitment: attachment.Hash{3}}
	dog := attachment.Descriptor{Type: "image/png", Commitment: attachment.Hash{4}}
	want := map[string][]attachment.Descriptor{"look": {cat, dog}, "": {dog}, "a text": nil}
	alice.sendFiles(bob, "look", cat, dog)
	alice.sendFiles(bob, "", dog)
	alice.send(bob, "a text")
	w.settle()
	for _, u := range []*user{alice, bob, bob2} {
		seen := 0
		u.do(func(k *work) error {
			for row, err := range state.Log.Scan(k.tx, nil, nil) {
				if err != nil {
					return err
				}
				id := state.Position(state.ParseU64(row.Key))
				e, err := k.entry(id)
				if err != nil {
					return err
				}
				files, ok := want[e.Text]
				if !ok {
					continue
				}
				seen++
				if !slices.Equal(e.Attachments, files) {
					t.Errorf("%q is shown with %v", e.Text, e.Attachments)
				}
				if row.Record.Status != state.StatusReceived {
					continue
				}
				if o, err := k.opened(id, row.Record); err != nil || o.Text() != e.Text || !slices.Equal(o.Attachments(), files) {
					t.Errorf("%q is opened with other files, %v", e.Text, err)
				}
			}
			return nil
		})
		if seen != len(want) {
			t.Errorf("%d of %d messages are shown", seen, len(want))
		}
	}
	e := bob.evidenceOf(alice, "look")
	p := bob.p
	d, err := franking.CheckDelivery(e, bob.address, &franking.Ownership{Account: bob.address, Mailbox: bob.box.id}, p.stamps, w.now)
	w.must(err)
	s, err := d.Verify(p.bureau.history[alice.address.Domain()], reports.FrameOf)
	w.must(err)
	if !slices.Equal(s.Position().Attachments, want["look"]) {
		t.Error("reviewers see other files")
	}
}
