package client

import (
	"bytes"
	"errors"
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

// A reporter chooses which chunks of a message's files the reviewers see, and cannot
// by mistake have the message refused for one that is not of them.
func TestReportRevealsChunks(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	file := func(n int, name string) (*attachment.Descriptor, *attachment.File, []byte) {
		var sealed bytes.Buffer
		plain := bytes.Repeat([]byte(name), n)
		d, secret, err := attachment.Seal(&sealed, bytes.NewReader(plain), name, "text/plain")
		w.must(err)
		f, err := attachment.Open(d, secret, bytes.NewReader(sealed.Bytes()))
		w.must(err)
		return d, f, plain
	}
	one, first, _ := file(10, "one.txt")
	two, second, plain := file(20_000, "two.txt")
	alice.sendFiles(bob, "see", *one, *two)
	w.settle()
	leaf := func(f *attachment.File, of uint8, i int) franking.Leaf {
		l, err := f.Reveal(i)
		w.must(err)
		return franking.Leaf{Attachment: of, Leaf: *l}
	}
	e := bob.evidenceOf(alice, "see")
	a, b, c := leaf(first, 0, 0), leaf(second, 1, 2), leaf(second, 1, 0)
	w.must(reveal(e, []franking.Leaf{b, a, c})) // in any order
	d, err := franking.CheckDelivery(e, bob.address, &franking.Ownership{Account: bob.address, Mailbox: bob.box.id}, bob.p.stamps, w.now)
	w.must(err)
	v, err := d.Verify(bob.p.bureau.history[alice.address.Domain()], reports.FrameOf)
	w.must(err)
	const chunk = attachment.ChunkSize
	if got := v.Leaves(); len(got) != 3 || !bytes.Equal(got[1].Chunk, plain[:chunk]) || !bytes.Equal(got[2].Chunk, plain[2*chunk:3*chunk]) {
		t.Errorf("%d chunks are proven", len(got))
	}
	changed := leaf(second, 1, 1)
	changed.Chunk[0] ^= 1
	for name, wrong := range map[string][]franking.Leaf{
		"of another file":     {{Attachment: 0, Leaf: b.Leaf}},
		"of no file":          {{Attachment: 2, Leaf: a.Leaf}},
		"a changed one":       {changed},
		"one twice":           {b, b},
		"more than there may": {a, b, c, leaf(second, 1, 3)},
	} {
		if err := reveal(bob.evidenceOf(alice, "see"), wrong); !errors.Is(err, ErrLeaf) {
			t.Errorf("%s: %v", name, err)
		}
	}
	alice.send(bob, "no files")
	w.settle()
	if err := reveal(bob.evidenceOf(alice, "no files"), []franking.Leaf{a}); !errors.Is(err, ErrLeaf) {
		t.Errorf("of a message without files: %v", err)
	}
	if err := reveal(e, nil); err != nil {
		t.Errorf("none: %v", err)
	}
}
