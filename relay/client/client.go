package client

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// fileName is the profile's file in its directory.
const fileName = "profile.db"

// Config configures a client. Dir is required; the zero value of every other
// field is its default.
type Config struct {
	// Dir is the profile's directory.
	Dir string
	// Now is the clock; time.Now.
	Now func() time.Time
	// ReceiptDelay is how long receipts are collected at least before they are sent
	// without a message; 1 s. They wait up to ten times as long, at random. Less
	// tells a watching network more.
	ReceiptDelay time.Duration
	// SyncEvery is how often the account's devices tell each other what is new,
	// as long as SetSyncEvery was not called; 1 min.
	SyncEvery time.Duration
	// LockTimeout is how long Open waits for another process; 2 s.
	LockTimeout time.Duration
	// Identified has messages leave on the account's connection, as if
	// SetAnonymous(false) had been called: the own provider sees which account
	// sends, and to which provider.
	Identified bool
	// Timeouts bounds how long the provider may take.
	Timeouts quicnet.Timeouts
	// Socket makes the socket of each connection; a UDP socket of the system.
	Socket func() (net.PacketConn, error)
	// Passphrase opens a profile that is under one; a new profile is put under
	// it. None if empty.
	Passphrase []byte
	keys.Redacted
}

func (c *Config) validate() error {
	if c.Dir == "" {
		return errors.New("client: no directory configured")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ReceiptDelay <= 0 {
		c.ReceiptDelay = defaultReceiptDelay
	}
	if c.SyncEvery <= 0 {
		c.SyncEvery = devicesync.DefaultEvery
	}
	return nil
}

// Client is an open profile. It is safe for concurrent use.
type Client struct {
	// fixed
	conf Config
	e    *engine

	offset atomic.Int64 // the provider's clock less the own one, nanoseconds

	news news          // has its own lock
	wake chan struct{} // one token: there may be something to send

	mu   sync.Mutex
	link *link // the connection that Run or Sync keeps; guarded by mu

	upkeep turn // of whoever asks the provider for supplies
	batch  turn // of whoever seals a batch for the other devices, until the provider has it
}

// turn is a lock that is held while the provider is asked, and so waited for only
// as long as the caller wants to: capacity 1, full while somebody has it.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// Exists reports whether there is a profile in a directory.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, fileName))
	return err == nil
}

// Create makes a new, empty profile and opens it. The error is ErrExists if
// there is one, or one of Open's.
func Create(c Config) (*Client, error) {
	if Exists(c.Dir) {
		return nil, ErrExists
	}
	return open(c)
}

// Open opens a profile. Errors are ErrNoProfile, ErrInUse, ErrLocked,
// ErrPassphrase, ErrCorrupt, state.ErrVersion and state.ErrIO.
func Open(c Config) (*Client, error) {
	if !Exists(c.Dir) {
		return nil, ErrNoProfile
	}
	return open(c)
}

func open(conf Config) (*Client, error) {
	if err := conf.validate(); err != nil {
		return nil, err
	}
	s, err := state.Open(filepath.Join(conf.Dir, fileName), conf.options())
	if err != nil {
		return nil, err
	}
	c := &Client{
		conf: conf, e: &engine{store: s, delay: conf.ReceiptDelay, syncEvery: conf.SyncEvery, identified: conf.Identified}, wake: make(chan struct{}, 1), news: newNews(),
		upkeep: make(turn, 1), batch: make(turn, 1),
	}
	// Whatever cannot be read is found here, not in the middle of something.
	if err := c.e.view(c.now(), func(*work) error { return nil }); err != nil {
		s.Close()
		return nil, err
	}
	return c, nil
}

func (c *Config) options() state.Options {
	return state.Options{LockTimeout: c.LockTimeout, Passphrase: c.Passphrase}
}

// SetPassphrase puts a profile that is not open under another passphrase than
// that of c, or under none if it is empty. The file is written anew; after an
// error it is as it was. Errors are those of Open.
func SetPassphrase(c Config, passphrase []byte) error {
	if !Exists(c.Dir) {
		return ErrNoProfile
	}
	return state.Rekey(filepath.Join(c.Dir, fileName), c.options(), passphrase)
}

// Close closes the connection and the profile. Run, Sync and Receive end with
// ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil {
		l.close()
	}
	err := c.e.store.Close()
	c.news.publish()
	return err
}

// now is the own clock, corrected by the provider's.
func (c *Client) now() time.Time { return c.conf.Now().Add(time.Duration(c.offset.Load())) }

// adopt follows the provider's clock, if it is within ids.MaxClockSkew of the
// own one. Otherwise it is a *ClockError, and nothing may be done on the
// connection: by a wrong day, keys that are still needed would be erased, what
// waits for a key dropped and acked, and what is written refused as stale.
func (c *Client) adopt(hello uint64) error {
	d := time.UnixMilli(int64(min(hello, maxUnixMilli))).Sub(c.conf.Now())
	if d.Abs() > ids.MaxClockSkew {
		return &ClockError{Ahead: -d}
	}
	c.offset.Store(int64(d))
	return nil
}

// maxUnixMilli is the end of the year 9999, in Unix milliseconds: a time that has
// no difference to another is nobody's clock.
const maxUnixMilli = 253402300799999

// update runs one transaction and tells everybody who waits for news.
func (c *Client) update(f func(*work) error) error {
	err := c.e.update(c.now(), f)
	if err == nil {
		c.news.publish()
	}
	return err
}

func (c *Client) view(f func(*work) error) error { return c.e.view(c.now(), f) }

// nudge has the connection look for something to send.
func (c *Client) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Profile says whose profile this is.
type Profile struct {
	Address     ids.Address // zero before Register was called
	Registered  bool
	Server      string // where the provider is
	Fingerprint [32]byte
	// LacksAccountKey: another device replaced the account key, and its secret has not
	// come to this one (ErrNoAccountKey): what comes is read, what is written waits.
	LacksAccountKey bool
}

// Profile returns whose profile this is.
func (c *Client) Profile() (p Profile, err error) {
	err = c.view(func(w *work) error {
		if w.self != nil {
			p = Profile{w.self.Address, w.self.Registered, w.self.Server, w.self.manifest.IdentityFingerprint(), w.self.lacksAccountKey()}
		}
		return nil
	})
	return p, err
}

// Send writes a message to a contact. It is durable when Send returns, and
// goes out by Run or the next Sync; Status tells how far it came. Errors are
// ErrNotRegistered, ErrUnknownContact, ErrBlocked, ErrTooLong, ErrEmpty,
// ErrFull, and the store's.
func (c *Client) Send(ctx context.Context, to ids.Address, text string) (id MessageID, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	err = c.update(func(w *work) error {
		id, err = w.enqueue(to, text)
		return err
	})
	c.nudge()
	return id, err
}

// SendAll is Send for several messages to one contact, all or none.
func (c *Client) SendAll(ctx context.Context, to ids.Address, texts []string) (out []MessageID, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = c.update(func(w *work) error {
		out = out[:0]
		for _, text := range texts {
			id, err := w.enqueue(to, text)
			if err != nil {
				return err
			}
			out = append(out, id)
		}
		return nil
	})
	c.nudge()
	return out, err
}

// Add makes a contact from a contact code and returns its address. Nothing is
// sent yet. Errors are ErrBadCode, ErrOwnCode, ErrCodeExpired, ErrKnownContact
// (it can be written to without the code), ErrBlocked (unblock it first),
// ErrIdentityChanged (the account or its provider has another key than the one
// that is pinned), ErrNotRegistered, ErrFull.
func (c *Client) Add(ctx context.Context, code string) (a ids.Address, err error) {
	if err := ctx.Err(); err != nil {
		return a, err
	}
	err = c.update(func(w *work) error {
		a, err = w.add(code)
		return err
	})
	c.nudge()
	return a, err
}

// ContactCode makes a code by which somebody can write to this account: good
// for one use, within ttl (7 days if zero; whole days). Whoever has the code
// can use it. If not enough tickets are in stock, they are asked for first.
// Errors are ErrNotRegistered, ErrTickets, ErrFull, and those of Sync.
func (c *Client) ContactCode(ctx context.Context, ttl time.Duration) (code string, err error) {
	days := codeDays
	if ttl > 0 {
		days = max(1, int(ttl/(24*time.Hour)))
	}
	for range 2 {
		err = c.update(func(w *work) error {
			code, err = w.newCode(days)
			return err
		})
		if !errors.Is(err, ErrTickets) {
			break
		}
		if err := c.withLink(ctx, func(l *link) error { return l.supply(ctx) }); err != nil {
			return "", err
		}
	}
	return code, err
}

// Block blocks a contact in one call: its unspent tickets are struck at the
// provider, so that the next envelope under one of them is disposed of there,
// and what still comes is dropped here. Nothing tells the contact. When Block
// returns nil both have been done; after another error than ErrUnknownContact
// and ErrNotRegistered the contact is blocked here and the provider is asked
// again with the next connection.
func (c *Client) Block(ctx context.Context, a ids.Address) error {
	if err := c.update(func(w *work) error { return w.block(a) }); err != nil {
		return err
	}
	return c.inTurn(ctx, func(l *link) error { return l.strikeNow(ctx) })
}

// Unblock takes a block back. The contact is given fresh tickets with the next
// message; if there are none left in either direction, one of the two has to
// Add a new code of the other.
func (c *Client) Unblock(ctx context.Context, a ids.Address) error {
	if err := c.update(func(w *work) error { return w.unblock(a) }); err != nil {
		return err
	}
	c.nudge()
	return c.inTurn(ctx, func(l *link) error { return l.strikeNow(ctx) })
}

// refusedError makes a refusal of the connection this package's.
func refusedError(err error) error {
	var r *quicnet.RefusedError
	if errors.As(err, &r) {
		return &RefusedError{Code: r.Code, RetryAfter: uint32(min(r.RetryAfter.Milliseconds(), 1<<31))}
	}
	return err
}

// retryable reports whether a refusal may be taken back later.
func retryable(code wire.Code, after uint32) bool {
	return after > 0 || code == wire.CodeBusy || code == wire.CodeUnreachable || code == wire.CodeLimit
}
