package store_test

import (
	"testing"
	"testing/synctest"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// The engine in memory works in a bubble: its clock is the bubble's, and a
// watch that ends leaves nothing behind.
func TestMemoryInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory(store.MemoryConfig{})
		events, err := m.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Hour)
			_, _ = m.CAS(t.Context(), "k", 0, []byte("v"))
		}()
		r := store.AppendReq{Mailbox: ids.MailboxID{1}, Body: []byte("b"), Expires: time.Now().Add(time.Minute)}
		if res := m.Append(t.Context(), []store.AppendReq{r}); res[0].Outcome != store.Appended {
			t.Fatal(res)
		}
		if e := <-events; e.Key != "k" {
			t.Fatal(e)
		}
		if got, err := m.Fetch(t.Context(), ids.MailboxID{1}, 0, 0, 0); err != nil || len(got) != 0 {
			t.Fatal("an hour later the message is still there", err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
