package node

import (
	"bytes"
	"testing"
	"time"

	"waxwing/core/attachment"
	"waxwing/franking"
	"waxwing/relay/reports"
)

// A message with files is delivered and proven like any other; its reader reports one
// chunk of one file, which reviewers see and what they export proves; a changed one
// proves nothing, and none at all is no reason to refuse.
func TestReportOfAttachment(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	alice, bob := newAuthor(t, beta, "alice@beta.example"), newAuthor(t, beta, "bob@beta.example")
	must(t, alice.fetch(1))
	minted := bob.mint(2)

	var sealed bytes.Buffer
	plain := bytes.Repeat([]byte("what alice sent "), 3000)
	d, secret, err := attachment.Seal(&sealed, bytes.NewReader(plain), "notes.txt", "text/plain")
	must(t, err)
	e := bob.read(alice.write(bob, &minted.Tickets[0], "see", *d))[0]
	bare := bob.read(alice.write(bob, &minted.Tickets[1], "", *d))[0]

	file, err := attachment.Open(d, secret, bytes.NewReader(sealed.Bytes()))
	must(t, err)
	leaf, err := file.Reveal(1)
	must(t, err)
	e.Leaves = []franking.Leaf{{Leaf: *leaf}}
	bad := *e
	bad.Leaves = []franking.Leaf{{Leaf: leaf.Clone()}}
	bad.Leaves[0].Chunk[0] ^= 1
	if f := bob.report(newReport(&bad)); len(f) != 1 || franking.Fault(f[0]) != franking.FaultLeaf {
		t.Fatalf("a changed chunk: %v", f)
	}
	r := newReport(e, bare)
	if f := bob.report(r); len(f) != 2 || f[0] != 0 || f[1] != 0 {
		t.Fatalf("found %v", f)
	}

	ctx := testContext(t)
	shown, err := beta.node.Reports().Show(ctx, r.ID)
	must(t, err)
	for i, want := range []int{1, 0} {
		m := shown.Findings[i]
		if len(m.Files) != 1 || m.Files[0].Descriptor != *d || m.Files[0].Revealed != want {
			t.Errorf("message %d is shown with %+v", i, m.Files)
		}
	}
	out, err := beta.node.Reports().Export(ctx, time.Now(), r.ID, "erin")
	must(t, err)
	x, err := franking.VerifyExport(out, countersignOf(t, beta), beta.node.keyring.root.Public(), reports.FrameOf)
	must(t, err)
	v := x.Messages[0].Verified
	if v == nil || len(v.Leaves()) != 1 || !bytes.Equal(v.Leaves()[0].Chunk, plain[attachment.ChunkSize:2*attachment.ChunkSize]) {
		t.Error("the exported chunk is another")
	}
	if bytes.Contains(out, secret.Bytes()) {
		t.Error("the file's secret is exported")
	}
}
