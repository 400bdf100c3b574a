package limits

import (
	"crypto/sha256"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
)

const (
	// MaxChanges bounds the values set by command: a few for each of as many
	// peers as there may be, at some 200 bytes each.
	MaxChanges = 4096
	// maxCounted bounds the peers whose refusals are counted apart: above the
	// number of peers that there may be. Those beyond it count for all only.
	maxCounted = 4096
)

// Cause is why a decision was not to allow.
type Cause uint8

// The causes.
const (
	OverRate Cause = iota // more than the limit allows now
	Crowded               // no room for the bucket of one more
	CauseEnd
)

var causeNames = [CauseEnd]string{OverRate: "rate", Crowded: "crowded"}

// String returns the metric label.
func (c Cause) String() string {
	if c < CauseEnd {
		return causeNames[c]
	}
	return "invalid"
}

// Book holds the values in force and the buckets. It is safe for concurrent use;
// Spend does not allocate.
type Book struct {
	rows [End]row

	mu       sync.Mutex // guards the rest; not held by Spend unless it refuses a peer
	config   Settings
	commands map[Target]Change
	peers    map[gcra.Key]*[End]counts // of limits of single peers
}

// row is one limit.
type row struct {
	// fixed; nil for limits at once
	buckets *gcra.Table
	trial   *gcra.Table // of the dry run

	values atomic.Pointer[values]
	counts
}

type counts struct {
	over  [CauseEnd]atomic.Uint64
	dried atomic.Uint64 // over the value of the dry run
}

// values are what is in force of one limit. They are replaced, never changed.
type values struct {
	value, dry layers
	peerValues map[gcra.Key]layers
	peerDry    map[gcra.Key]layers
	anyDry     bool
}

// layers are the values of one target. A zero limit is none.
type layers struct {
	base    gcra.Limit // of the table or the configuration
	origin  Origin     // of that
	command Change
}

// at returns what is in force; the zero limit if nothing is.
func (l *layers) at(now time.Time) (gcra.Limit, Origin) {
	if !l.command.Limit.IsZero() && !l.command.over(now) {
		return l.command.Limit, FromCommand
	}
	return l.base, l.origin
}

func pick(now time.Time, all *layers, peers map[gcra.Key]layers, key gcra.Key) gcra.Limit {
	if len(peers) > 0 {
		if own, ok := peers[key]; ok {
			if l, _ := own.at(now); !l.IsZero() {
				return l
			}
		}
	}
	l, _ := all.at(now)
	return l
}

// New returns a Book with the values of a configuration. Errors are ErrTarget,
// ErrDryRun and ErrValue.
func New(config Settings) (*Book, error) {
	for t, l := range config {
		if err := t.Check(l); err != nil {
			return nil, err
		}
	}
	b := &Book{config: maps.Clone(config), commands: map[Target]Change{}, peers: map[gcra.Key]*[End]counts{}}
	for n := range End {
		b.compile(n)
		if All[n].AtOnce() {
			continue // no buckets
		}
		entries := keys[All[n].Scope]
		var err error
		if b.rows[n].buckets, err = gcra.NewTable(All[n].Default, entries); err != nil {
			return nil, err
		}
		if b.rows[n].trial, err = gcra.NewTable(All[n].Default, entries); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// KeyOf is the bucket of an account, a mailbox or a peer by its name, which is
// not kept.
func KeyOf(name string) gcra.Key {
	h := sha256.Sum256([]byte(name))
	return gcra.Key(h[:16])
}

// One is the bucket of a limit of the provider as a whole.
var One gcra.Key

// AtOnce decides whether there may be one more than there are. The limit is one
// at once.
func (b *Book) AtOnce(now time.Time, n Name, there int) bool {
	v := b.rows[n].values.Load()
	if l, _ := v.value.at(now); int64(there) >= l.Burst {
		b.rows[n].over[OverRate].Add(1)
		return false
	}
	if l, _ := v.dry.at(now); l.Burst > 0 && int64(there) >= l.Burst {
		b.rows[n].dried.Add(1)
	}
	return true
}

// Number returns what is in force of a limit that is a number.
func (b *Book) Number(now time.Time, n Name) int64 {
	l, _ := b.rows[n].values.Load().value.at(now)
	return l.Burst
}

// Counted counts what the caller decided by Number: how many there are with what
// was let through, or that something was not.
func (b *Book) Counted(now time.Time, n Name, there int64, allowed bool) {
	r := &b.rows[n]
	if !allowed {
		r.over[OverRate].Add(1)
	} else if l, _ := r.values.Load().dry.at(now); l.Burst > 0 && there > l.Burst {
		r.dried.Add(1)
	}
}

// Spend decides about cost units of one bucket. The limit is one over time. Over the limit, the decision
// says when they will be allowed.
func (b *Book) Spend(now time.Time, n Name, key gcra.Key, cost int64) gcra.Decision {
	r := &b.rows[n]
	v := r.values.Load()
	d := r.buckets.SpendUnder(now, pick(now, &v.value, v.peerValues, key), key, cost)
	if !d.Allowed {
		b.refused(n, key, &d)
		return d
	}
	if v.anyDry {
		if l := pick(now, &v.dry, v.peerDry, key); !l.IsZero() {
			if t := r.trial.SpendUnder(now, l, key, cost); !t.Allowed && !t.Crowded {
				b.dried(n, key)
			}
		}
	}
	return d
}

// Refund gives back what Spend spent, when what it was for did not happen.
func (b *Book) Refund(now time.Time, n Name, key gcra.Key, cost int64) {
	r := &b.rows[n]
	v := r.values.Load()
	r.buckets.RefundUnder(now, pick(now, &v.value, v.peerValues, key), key, cost)
	if l := pick(now, &v.dry, v.peerDry, key); !l.IsZero() {
		r.trial.RefundUnder(now, l, key, cost)
	}
}

func (b *Book) refused(n Name, key gcra.Key, d *gcra.Decision) {
	cause := OverRate
	if d.Crowded {
		cause = Crowded
	}
	b.rows[n].over[cause].Add(1)
	if c := b.countsOf(n, key); c != nil {
		c.over[cause].Add(1)
	}
}

func (b *Book) dried(n Name, key gcra.Key) {
	b.rows[n].dried.Add(1)
	if c := b.countsOf(n, key); c != nil {
		c.dried.Add(1)
	}
}

// countsOf returns the counts of one peer; nil for limits of other scopes.
func (b *Book) countsOf(n Name, key gcra.Key) *counts {
	if All[n].Scope != Peer {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.peers[key]
	if c == nil {
		if len(b.peers) >= maxCounted {
			return nil
		}
		c = new([End]counts)
		b.peers[key] = c
	}
	return &c[n]
}

// Set puts a change into force, or with nil takes back the one that is there.
// Errors are ErrTarget, ErrDryRun, ErrValue and ErrChanges.
func (b *Book) Set(t Target, c *Change) error {
	if err := b.Check(t, c); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c == nil {
		delete(b.commands, t)
	} else {
		b.commands[t] = *c
	}
	b.compile(t.Name)
	return nil
}

// Check says what Set would say, and changes nothing.
func (b *Book) Check(t Target, c *Change) error {
	limit := All[0].Default
	if t.Name < End {
		limit = All[t.Name].Default
	}
	if c != nil {
		limit = c.Limit
	}
	if err := t.Check(limit); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.commands[t]; c != nil && !there && len(b.commands) >= MaxChanges {
		return ErrChanges
	}
	return nil
}

// Over returns the changes that have ended. They are not in force; Set with nil
// forgets them.
func (b *Book) Over(now time.Time) (out []Target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for t, c := range b.commands {
		if c.over(now) {
			out = append(out, t)
		}
	}
	return out
}

// compile makes the values of a limit. The caller holds mu, or is New.
func (b *Book) compile(n Name) {
	v := &values{peerValues: map[gcra.Key]layers{}, peerDry: map[gcra.Key]layers{}}
	v.value = b.layers(Target{Name: n})
	v.dry = b.layers(Target{Name: n, DryRun: true})
	for t := range b.targets(n) {
		if t.Peer.IsZero() {
			continue
		}
		into := v.peerValues
		if t.DryRun {
			into = v.peerDry
		}
		into[KeyOf(t.Peer.String())] = b.layers(t)
	}
	v.anyDry = len(v.peerDry) > 0 || v.dry != layers{}
	b.rows[n].values.Store(v)
}

// targets returns the targets of a limit that have a value.
func (b *Book) targets(n Name) map[Target]struct{} {
	out := map[Target]struct{}{}
	for t := range b.config {
		if t.Name == n {
			out[t] = struct{}{}
		}
	}
	for t := range b.commands {
		if t.Name == n {
			out[t] = struct{}{}
		}
	}
	return out
}

func (b *Book) layers(t Target) layers {
	l := layers{command: b.commands[t]}
	if base, ok := b.config[t]; ok {
		l.base, l.origin = base, FromConfig
	} else if t.Peer.IsZero() && !t.DryRun {
		l.base, l.origin = All[t.Name].Default, FromDefault
	}
	return l
}

// PeerKey is the bucket of a peer.
func PeerKey(d ids.Domain) gcra.Key { return KeyOf(d.String()) }
