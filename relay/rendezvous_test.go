package relay

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

func put(id place, side wire.Side, index uint8, b []byte) *wire.RendezvousPut {
	return &wire.RendezvousPut{Rendezvous: id, Side: side, Index: index, Document: b}
}

func get(id place, side wire.Side, index uint8) *wire.RendezvousGet {
	return &wire.RendezvousGet{Rendezvous: id, Side: side, Index: index}
}

func TestRendezvous(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	stranger := l.connect()
	unknown := func(m wire.Message) wire.Message { return p.Handle(context.Background(), p.now, stranger, m) }
	id := place{1}
	for _, ask := range []func(wire.Message) wire.Message{l.ask, unknown} {
		l.is(ask(get(id, wire.SideNew, 0)), wire.CodeNotFound)
		l.is(ask(put(id, wire.SideNew, 0, nil)), wire.CodeNotFound)
	}
	l.is(unknown(&wire.RendezvousOpen{Rendezvous: id}), wire.CodeUnauthenticated)
	for range 2 { // the second time after a lost answer
		l.is(l.ask(&wire.RendezvousOpen{Rendezvous: id}), 0)
	}
	if d, ok := l.ask(get(id, wire.SideNew, 0)).(*wire.RendezvousDocument); !ok || d.Present {
		t.Fatalf("before it was put: %+v", d)
	}
	for range 2 {
		l.is(unknown(put(id, wire.SideNew, 0, []byte("join"))), 0)
	}
	l.is(unknown(put(id, wire.SideNew, 0, []byte("mine"))), wire.CodeExists)
	l.is(unknown(put(id, wire.SideNew, 0, []byte("joins"))), wire.CodeExists)
	if d, ok := l.ask(get(id, wire.SideNew, 0)).(*wire.RendezvousDocument); !ok || string(d.Document) != "join" {
		t.Fatalf("got %+v", d)
	}
	// Whoever has seen the code does not speak for the account.
	l.is(unknown(put(id, wire.SideExisting, 0, []byte("answer"))), wire.CodeForbidden)
	l.is(l.ask(put(id, wire.SideExisting, 0, []byte("answer"))), 0)
	if d, ok := unknown(get(id, wire.SideExisting, 0)).(*wire.RendezvousDocument); !ok || string(d.Document) != "answer" {
		t.Fatalf("got %+v", d)
	}
	p.now = p.now.Add(rendezvousLife + time.Second)
	l.is(unknown(get(id, wire.SideExisting, 0)), wire.CodeNotFound)
	if len(p.rendezvous.set) != 0 || p.rendezvous.bytes != 0 {
		t.Errorf("%d places, %d bytes after their time", len(p.rendezvous.set), p.rendezvous.bytes)
	}
}

func TestRendezvousIsBounded(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	big := make([]byte, wire.MaxRendezvousDocument)
	l.is(l.ask(&wire.RendezvousOpen{Rendezvous: place{1}}), 0)
	kept := 0
	for i := range uint8(wire.MaxRendezvousIndex + 1) {
		if _, ok := p.rendezvous.put(p.now, put(place{1}, wire.SideExisting, i, big)).(*wire.Done); ok {
			kept += len(big)
		}
	}
	if kept > maxMeetingBytes || kept < maxMeetingBytes-len(big) {
		t.Errorf("one place holds %d bytes", kept)
	}
	// Who knows the place and is nobody has little room in it.
	stranger := l.connect()
	l.is(p.Handle(context.Background(), p.now, stranger, put(place{1}, wire.SideNew, 0, big)), wire.CodeLimit)
	// The oldest of the account's own gives way, and its bytes are free again.
	p.now = p.now.Add(time.Second)
	for i := byte(2); i < 9; i++ {
		l.is(l.ask(&wire.RendezvousOpen{Rendezvous: place{i}}), 0)
	}
	if n := len(p.rendezvous.set); n != maxAccountRendezvous || p.rendezvous.bytes != 0 {
		t.Errorf("the account has %d places with %d bytes", n, p.rendezvous.bytes)
	}
	// Another account's place is not taken.
	p.rendezvous.set[place{99}] = &meeting{owner: ids.MailboxID{9}, until: p.now.Add(time.Minute), docs: map[slot][]byte{}}
	l.is(l.ask(&wire.RendezvousOpen{Rendezvous: place{99}}), wire.CodeExists)
	l.is(l.ask(put(place{99}, wire.SideExisting, 0, nil)), wire.CodeForbidden)
	// All bytes are taken, then all places.
	p.rendezvous.bytes = maxRendezvousBytes
	l.is(l.ask(put(place{8}, wire.SideExisting, 0, []byte{1})), wire.CodeBusy)
	for i := range maxRendezvous {
		p.rendezvous.set[place([]byte(fmt.Sprintf("%016d", i)))] = &meeting{owner: ids.MailboxID{9}, until: p.now.Add(time.Minute)}
	}
	l.is(l.ask(&wire.RendezvousOpen{Rendezvous: place{50}}), wire.CodeBusy)
}

// A connection that is nobody's tries a bounded number of places.
func TestRendezvousGuesses(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	stranger := l.connect()
	for i := range maxMet {
		m := p.Handle(context.Background(), p.now, stranger, get(place(bytes.Repeat([]byte{byte(i)}, 16)), wire.SideNew, 0))
		l.is(m, wire.CodeNotFound)
	}
	l.is(p.Handle(context.Background(), p.now, stranger, get(place{1}, wire.SideNew, 0)), wire.CodeLimit)
}
