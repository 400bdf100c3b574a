package directory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// InviteCode is an invitation to register an account: 16 random bytes. Whoever
// knows it may use it, so it is a secret until it is used up.
type InviteCode struct {
	_ keys.NotComparable
	b [inviteCodeSize]byte
	keys.Redacted
}

// inviteText is how codes are written down: base32 in lower case (RFC 4648
// section 6), which survives being read aloud and typed.
var inviteText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Text returns the code with its checksum: 32 letters and digits in groups of
// four with hyphens between, 39 characters.
func (c *InviteCode) Text() string {
	sum := inviteHash(labelInviteSum, c.b[:])
	s := inviteText.EncodeToString(append(slices.Clone(c.b[:]), sum[:inviteSumSize]...))
	var groups []string
	for g := range slices.Chunk([]byte(s), inviteGroup) {
		groups = append(groups, string(g))
	}
	return strings.Join(groups, "-")
}

// ParseInvite parses the text of a code. Hyphens, spaces and case do not
// matter, as people type it. The error is ErrInviteText: it is not a code, or
// was mistyped.
func ParseInvite(s string) (*InviteCode, error) {
	if len(s) > wire.MaxInvite {
		return nil, ErrInviteText
	}
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
	b, err := inviteText.DecodeString(s)
	// The decoder skips line breaks; the length says that there were none.
	if err != nil || len(b) != inviteCodeSize+inviteSumSize || len(s) != inviteText.EncodedLen(len(b)) {
		return nil, ErrInviteText
	}
	sum := inviteHash(labelInviteSum, b[:inviteCodeSize])
	if subtle.ConstantTimeCompare(sum[:inviteSumSize], b[inviteCodeSize:]) != 1 {
		return nil, ErrInviteText
	}
	c := new(InviteCode)
	copy(c.b[:], b)
	return c, nil
}

// ID returns what the code is stored under.
func (c *InviteCode) ID() InviteID {
	h := inviteHash(labelInviteID, c.b[:])
	return InviteID(h[:])
}

// use marks a use of the code by one manifest. Whoever reads the store does
// not learn from it who came with which invite: that takes the code.
func (c *InviteCode) use(m *Manifest) inviteUse {
	of := m.Hash()
	h := inviteHash(labelInviteUse, append(slices.Clone(c.b[:]), of[:]...))
	return inviteUse(h[:])
}

func inviteHash(label string, b []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(label), b...))
}

// InviteID names an invite to the operator: a hash of the code, which does not
// let anyone register.
type InviteID [16]byte

// String returns 32 hexadecimal digits.
func (id InviteID) String() string { return hex.EncodeToString(id[:]) }

// Invite is what is known of an invite; the code itself is not stored.
type Invite struct {
	ID      InviteID
	Uses    int // how many accounts it lets in
	Used    int // how many it has let in
	Made    ids.Day
	Expires time.Time
	Revoked bool
}

// Open reports whether the invite still lets anybody in.
func (i *Invite) Open(now time.Time) bool {
	return !i.Revoked && i.Used < i.Uses && now.Before(i.Expires)
}

func inviteKey(id InviteID) store.Key { return prefixInvite + store.Key(id[:]) }

const prefixInvite store.Key = "dir/invite/"

// NewInvite makes an invite for a number of accounts (1 to MaxInviteUses) that
// is valid until expires (after now, at most MaxInviteLife later). Invites that
// ended long ago are removed on the way. Errors are ErrInviteLimits (uses or
// expiry out of range), ErrFull (MaxInvites are kept) and the store's.
func (d *Directory) NewInvite(ctx context.Context, uses int, expires, now time.Time) (*InviteCode, *Invite, error) {
	if uses < 1 || uses > MaxInviteUses || !expires.After(now) || expires.Sub(now) > MaxInviteLife {
		return nil, nil, ErrInviteLimits
	}
	d.invites.Lock()
	defer d.invites.Unlock()
	all, err := d.listInvites(ctx)
	if err != nil {
		return nil, nil, err
	}
	kept := len(all)
	for _, i := range all {
		if now.Sub(i.Expires) <= inviteMemory {
			continue
		}
		if err := d.removeInvite(ctx, i.ID); err != nil {
			return nil, nil, err
		}
		kept--
	}
	if kept >= MaxInvites {
		return nil, nil, ErrFull
	}
	code := new(InviteCode)
	rand.Read(code.b[:])
	rec := inviteRecord{uses: uint16(uses), made: ids.DayOf(now), expires: uint64(expires.Unix())}
	// A crash before the answer leaves an invite that nobody has the code of;
	// it ends on its day.
	if _, err := d.st.CAS(ctx, inviteKey(code.ID()), 0, wire.MustMarshal(&rec)); err != nil {
		return nil, nil, err
	}
	return code, rec.invite(code.ID()), nil
}

// Invites lists the invites that are kept, in no particular order: those that
// are open and, for a month, those that were. Errors are ErrState and the
// store's.
func (d *Directory) Invites(ctx context.Context) ([]*Invite, error) { return d.listInvites(ctx) }

func (d *Directory) listInvites(ctx context.Context) ([]*Invite, error) {
	var out []*Invite
	for after := prefixInvite; ; {
		docs, err := d.st.List(ctx, prefixInvite, after, 0)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			id, rec, err := parseInvite(doc)
			if err != nil {
				return nil, err
			}
			out = append(out, rec.invite(id))
			after = doc.Key
		}
		if len(docs) == 0 {
			return out, nil
		}
	}
}

func parseInvite(doc store.KeyDoc) (id InviteID, rec *inviteRecord, err error) {
	name := strings.TrimPrefix(string(doc.Key), string(prefixInvite))
	rec = new(inviteRecord)
	if len(name) != len(id) || wire.Unmarshal(doc.Value, rec) != nil {
		return id, nil, ErrState
	}
	return InviteID([]byte(name)), rec, nil
}

func (d *Directory) removeInvite(ctx context.Context, id InviteID) error {
	doc, err := d.st.Get(ctx, inviteKey(id))
	if err == nil {
		_, err = d.st.CAS(ctx, inviteKey(id), doc.Version, nil)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// RevokeInvite ends an invite; accounts that it let in stay. Revoking it again
// changes nothing. Errors are ErrUnknown, ErrState and the store's.
func (d *Directory) RevokeInvite(ctx context.Context, id InviteID) error {
	return d.changeInvite(ctx, id, func(r *inviteRecord) error {
		r.revoked = true
		return nil
	})
}

// changeInvite changes a stored invite. Competing changes wait for one another
// instead of failing after some tries: a whole class may use one code at once.
func (d *Directory) changeInvite(ctx context.Context, id InviteID, change func(*inviteRecord) error) error {
	d.invites.Lock()
	defer d.invites.Unlock()
	return d.update(ctx, inviteKey(id), func(stored []byte) ([]byte, error) {
		var rec inviteRecord
		if stored == nil {
			return nil, ErrUnknown
		}
		if wire.Unmarshal(stored, &rec) != nil {
			return nil, ErrState
		}
		if err := change(&rec); err != nil {
			return nil, err
		}
		return wire.MustMarshal(&rec), nil
	})
}

// FindInvite returns the code of an invite that exists or existed lately. It is
// one read of the store, so that whoever has no invite costs no more than that.
// The error is ErrInvite or the store's.
func (d *Directory) FindInvite(ctx context.Context, text []byte) (*InviteCode, error) {
	code, err := ParseInvite(string(text))
	if err != nil {
		return nil, ErrInvite
	}
	_, err = d.st.Get(ctx, inviteKey(code.ID()))
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrInvite
	}
	return code, err
}

// RegisterInvited is Register at the cost of one use of an invite. The same
// manifest is let in again without a further use, so that a lost answer costs
// nothing, and an address that turns out to be taken gives the use back. Errors
// are those of Register and ErrInvite: the invite is unknown, used up, expired
// or revoked. ErrAccountKeyTaken costs the use: no honest client gets it, and
// the claim that it met may yet become void.
func (d *Directory) RegisterInvited(ctx context.Context, r *Registration, code *InviteCode, now time.Time) (*Authenticated, error) {
	a, err := d.Account(ctx, r.manifest.Address())
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	if err == nil && a.Manifest.Equal(r.manifest) {
		return d.Register(ctx, r, now) // it is an account already
	}
	use := code.use(r.manifest)
	// Before anything is said about the address: who has no invite does not
	// learn which addresses exist.
	added := false
	err = d.changeInvite(ctx, code.ID(), func(rec *inviteRecord) (err error) {
		added, err = rec.redeem(use, now)
		return err
	})
	if errors.Is(err, ErrUnknown) {
		return nil, ErrInvite
	}
	if err != nil {
		return nil, err
	}
	// The use is spent durably. A crash here is healed by the client's asking
	// again: the same manifest finds its own use.
	who, err := d.Register(ctx, r, now)
	if !errors.Is(err, ErrExists) || !added {
		return who, err
	}
	// This manifest never was an account and cannot become one, so its use is
	// free again. A crash before that costs the use.
	back := d.changeInvite(ctx, code.ID(), func(rec *inviteRecord) error {
		rec.used = slices.DeleteFunc(rec.used, func(u inviteUse) bool { return u == use })
		return nil
	})
	if back != nil && !errors.Is(back, ErrUnknown) {
		return nil, back
	}
	return nil, ErrExists
}

// redeem adds a use, or finds that it is there.
func (r *inviteRecord) redeem(use inviteUse, now time.Time) (added bool, err error) {
	if slices.Contains(r.used, use) {
		return false, nil
	}
	if !r.invite(InviteID{}).Open(now) {
		return false, ErrInvite
	}
	r.used = append(r.used, use)
	return true, nil
}
