package client

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

func TestProfiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	conf := Config{Dir: dir}
	_, err := Open(conf)
	is(t, err, ErrNoProfile)
	_, err = Create(Config{})
	if err == nil {
		t.Error("no directory")
	}
	c, err := Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Create(conf)
	is(t, err, ErrExists)
	conf.LockTimeout = 1
	_, err = Open(conf)
	is(t, err, ErrInUse)
	ctx := t.Context()
	_, err = c.ContactCode(ctx, 0)
	is(t, err, ErrNotRegistered)
	_, err = c.Send(ctx, ids.MustParseAddress("bob@beta.example"), "x")
	is(t, err, ErrNotRegistered)
	is(t, c.Sync(ctx), ErrNotRegistered)
	is(t, c.Run(ctx), ErrNotRegistered)
	is(t, c.Block(ctx, ids.MustParseAddress("bob@beta.example")), ErrNotRegistered)
	_, err = c.Status(1)
	is(t, err, ErrUnknownMessage)
	_, err = c.History(ids.MustParseAddress("bob@beta.example"), 1)
	is(t, err, ErrUnknownContact)
	if p, err := c.Profile(); err != nil || p.Registered {
		t.Error(p, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Receive(ctx, 0) {
		is(t, err, ErrClosed)
	}
	is(t, c.Sync(ctx), ErrClosed)
}

func TestDamagedProfile(t *testing.T) {
	dir := t.TempDir()
	c, err := Create(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	address := ids.MustParseAddress("alice@alpha.example")
	if err := c.update(func(w *work) error { return w.prepare(address, "localhost:1", keys.Pin{1}, nil) }); err != nil {
		t.Fatal(err)
	}
	c.Close()
	path := filepath.Join(dir, fileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.LastIndex(b, []byte("localhost:1"))] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Dir: dir})
	is(t, err, ErrCorrupt)
	if err := os.Truncate(path, 3000); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Dir: dir})
	is(t, err, ErrCorrupt)
	var none *RefusedError
	if errors.As(err, &none) {
		t.Error("not a refusal")
	}
}
