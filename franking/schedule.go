package franking

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// ErrClock: the day is more than MaxClockJump after the newest key. Before keys
// are published or erased for ever somebody has to say that it is right.
var ErrClock = errors.New("franking: the day is far ahead of the keys")

// SecretKind says what an epoch's secret is for.
type SecretKind uint8

// The kinds.
const (
	SignSecret SecretKind = iota + 1 // A: signs tokens; published after the window
	WrapSecret                       // A: wraps accounts in tokens; erased after review
	JoinSecret                       // B's reviewers: j, the other branch of escrows; published after the window
)

var secretNames = map[SecretKind]string{SignSecret: "token-key", WrapSecret: "wrap-key", JoinSecret: "join-key"}

// Published reports whether the kind's secrets are published when they retire,
// so that anybody can then make what was made with them. The others are erased.
func (k SecretKind) Published() bool { return k != WrapSecret }

// Days returns for how many days after its own an epoch's secret is kept
// secret. Publishing sooner would let anybody forge what can still be reported.
func (k SecretKind) Days() int64 {
	if k.Published() {
		return ids.MaxDelay + ReportDays + SkewDays
	}
	return ids.MaxDelay + ReportDays + ReviewDays
}

// EpochSecret is one epoch's secret, drawn independently of all others.
type EpochSecret struct {
	kind   SecretKind
	epoch  ids.Day
	secret [keys.SecretSize]byte
	keys.Redacted
}

// Epoch returns the day that the secret is for.
func (s *EpochSecret) Epoch() ids.Day { return s.epoch }

// SigningKey returns the token-signing key of a SignSecret.
func (s *EpochSecret) SigningKey() *keys.SigningKey {
	k, err := keys.SigningKeyFromSeed(s.secret[:])
	if err != nil {
		panic(err) // the size is fixed
	}
	return k
}

// Scalar returns j of a JoinSecret.
func (s *EpochSecret) Scalar() group.Scalar {
	return group.Ristretto255().HashToScalar(s.secret[:], labelJoin)
}

// Secret returns a copy of the bytes, for publishing.
func (s *EpochSecret) Secret() [keys.SecretSize]byte { return s.secret }

// PublishedSecret returns the secret that a provider published for an epoch;
// whoever reads it compares the public key with what the provider signed then.
func PublishedSecret(kind SecretKind, epoch ids.Day, secret [keys.SecretSize]byte) *EpochSecret {
	return &EpochSecret{kind: kind, epoch: epoch, secret: secret}
}

// EpochRing holds the secrets of one kind. Like StampRing: Prepare, the storing
// of what it returned, and Commit; then Due, the publishing or removal, and
// Retire. It is not safe for concurrent use.
type EpochRing struct {
	kind    SecretKind
	secrets map[ids.Day]*EpochSecret
	pending map[ids.Day]*EpochSecret
	keys.Redacted
}

// NewEpochRing returns the ring of the stored records, which may be none.
// Errors are ErrStampKeys, or wrap ErrRecord.
func NewEpochRing(kind SecretKind, records ...[]byte) (*EpochRing, error) {
	r := &EpochRing{kind: kind, secrets: map[ids.Day]*EpochSecret{}}
	if len(records) > MaxEpochSecrets {
		return nil, ErrStampKeys
	}
	for _, b := range records {
		var rec record
		if err := wire.Unmarshal(b, &rec); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRecord, err)
		}
		if r.secrets[rec.Day] != nil {
			return nil, fmt.Errorf("%w: two of one day", ErrRecord)
		}
		r.secrets[rec.Day] = &EpochSecret{kind: kind, epoch: rec.Day, secret: rec.Key}
	}
	return r, nil
}

// EpochChange is a new secret to be stored under Name and then committed.
type EpochChange struct {
	Name   string
	Record []byte // secret
	s      *EpochSecret
	keys.Redacted
}

func (k SecretKind) name(epoch ids.Day) string {
	return fmt.Sprintf("%s-%010d", secretNames[k], epoch)
}

// Prepare returns the secrets that are missing for today and tomorrow. A day
// that nobody prepared has no key, and nothing of it can be forged or reported.
// The error is ErrStampKeys.
func (r *EpochRing) Prepare(today ids.Day) ([]*EpochChange, error) {
	r.pending = map[ids.Day]*EpochSecret{}
	var out []*EpochChange
	for _, day := range []ids.Day{today, today + 1} {
		if r.secrets[day] != nil {
			continue
		}
		if len(r.secrets)+len(out) >= MaxEpochSecrets {
			return nil, ErrStampKeys
		}
		s := &EpochSecret{kind: r.kind, epoch: day}
		rand.Read(s.secret[:])
		r.pending[day] = s
		out = append(out, &EpochChange{Name: r.kind.name(day), Record: wire.MustMarshal(&record{Day: day, Key: s.secret}), s: s})
	}
	return out, nil
}

// Replace returns a secret to take the place of an epoch's, which was compromised.
// The error is ErrStale: there is none.
func (r *EpochRing) Replace(epoch ids.Day) (*EpochChange, error) {
	if r.secrets[epoch] == nil {
		return nil, ErrStale
	}
	s := &EpochSecret{kind: r.kind, epoch: epoch}
	rand.Read(s.secret[:])
	r.pending = map[ids.Day]*EpochSecret{epoch: s}
	return &EpochChange{Name: r.kind.name(epoch), Record: wire.MustMarshal(&record{Day: epoch, Key: s.secret}), s: s}, nil
}

// Public returns the public key of a change of a SignSecret ring.
func (c *EpochChange) Public() keys.VerifyKey { return c.s.SigningKey().Public() }

// Commit tells the ring that the change is durable. The public key may be
// signed and shown only now: after a crash before it another one is drawn.
// The error is ErrStale.
func (r *EpochRing) Commit(c *EpochChange) error {
	if c.s == nil || r.pending[c.s.epoch] != c.s {
		return ErrStale
	}
	r.secrets[c.s.epoch] = c.s
	delete(r.pending, c.s.epoch)
	clear(c.Record)
	return nil
}

// Of returns the secret of an epoch, nil if there is none.
func (r *EpochRing) Of(epoch ids.Day) *EpochSecret { return r.secrets[epoch] }

// Retiring is a secret whose time has come.
type Retiring struct {
	Name  string
	Epoch ids.Day
	// Publish is the secret to be published before it is removed, nil for
	// one that is erased.
	Publish *EpochSecret
}

// Due returns what is to be published or erased on a day, oldest first. Both
// are for ever, and a clock that is ahead would end all reports: so a day more
// than MaxClockJump after the newest key gives ErrClock, unless the operator
// confirmed it. A day behind retires nothing.
func (r *EpochRing) Due(today ids.Day, confirmed bool) ([]Retiring, error) {
	var newest ids.Day
	for day := range r.secrets {
		newest = max(newest, day)
	}
	if len(r.secrets) > 0 && int64(today) > int64(newest)+MaxClockJump && !confirmed {
		return nil, ErrClock
	}
	var out []Retiring
	for day, s := range r.secrets {
		if int64(today) <= int64(day)+r.kind.Days() {
			continue
		}
		d := Retiring{Name: r.kind.name(day), Epoch: day}
		if r.kind.Published() {
			d.Publish = s
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Retiring) int { return int(int64(a.Epoch) - int64(b.Epoch)) })
	return out, nil
}

// Retire forgets a secret that was published, or whose record was removed. A
// crash before is healed by Due, which names it again.
func (r *EpochRing) Retire(d Retiring) {
	s := r.secrets[d.Epoch]
	if s == nil {
		return
	}
	if d.Publish == nil {
		clear(s.secret[:])
	}
	delete(r.secrets, d.Epoch)
}

// Len returns the number of secrets.
func (r *EpochRing) Len() int { return len(r.secrets) }

// DeskDays and DeskOverlap are the life of a Desk's keys and how long its
// successor is there before it ends.
const (
	DeskDays    = 90
	DeskOverlap = 14
)

// RenewDesk reports whether the next keys of a desk are due.
func RenewDesk(last, today ids.Day) bool { return int64(last)-int64(today) <= DeskOverlap }
