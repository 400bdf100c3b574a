package reports

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/franking"
)

// Files is where keys are kept. Put is durable when it returns, and Erase
// overwrites.
type Files interface {
	All(prefix string) ([][]byte, error)
	Put(name string, record []byte) error
	Erase(names ...string) error
}

// The names of key files: the rings' are franking's.
const (
	prefixDesk = "desk-key-"
)

// keyring is the provider's own secret keys for franking.
type keyring struct {
	// fixed
	files  Files
	domain ids.Domain
	root   *keys.SigningKey

	mu    sync.RWMutex // guards the rest
	rings [3]*franking.EpochRing
	desks []*desk // by number
	// proofs are those of J, made once: a proof is random, and snapshots are signed
	// anew when what is in them differs.
	proofs  map[ids.Day]franking.ProvenKey
	revoked []revokedSecret // of the ring of token-signing keys, in order
	list    *franking.EpochKeys
	bytes   []byte // of list
}

// The places of the rings.
const (
	ringSign = iota
	ringWrap
	ringJoin
)

var ringKinds = [...]franking.SecretKind{
	ringSign: franking.SignSecret, ringWrap: franking.WrapSecret, ringJoin: franking.JoinSecret,
}

var ringPrefixes = [...]string{ringSign: "token-key-", ringWrap: "wrap-key-", ringJoin: "join-key-"}

// desk is one set of the desk's keys with their public half.
type desk struct {
	number      uint32
	first, last ids.Day
	seal        *keys.SealKey
	countersign *keys.SigningKey
	answer      *keys.SigningKey
	reviewers   group.Scalar
	public      *franking.Desk
	proven      franking.ProvenKey
}

// deskRecord is a desk's file: version 1 | number 4 | first day 4 | last day 4 |
// seal seed 32 | countersign seed 32 | answer seed 32 | reviewers scalar 32.
type deskRecord struct {
	number                               uint32
	first, last                          ids.Day
	seal, countersign, answer, reviewers [32]byte
}

// Fields lists the layout.
func (r *deskRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "number", &r.number)
	wire.U32(c, "first day", &r.first)
	wire.U32(c, "last day", &r.last)
	c.Check(r.first <= r.last, "last day", "before the first")
	c.Fixed("seal", r.seal[:])
	c.Fixed("countersign", r.countersign[:])
	c.Fixed("answer", r.answer[:])
	c.Fixed("reviewers", r.reviewers[:])
}

func openKeyring(files Files, domain ids.Domain, root *keys.SigningKey) (*keyring, error) {
	k := &keyring{files: files, domain: domain, root: root, proofs: map[ids.Day]franking.ProvenKey{}}
	for i, kind := range ringKinds {
		records, err := files.All(ringPrefixes[i])
		if err != nil {
			return nil, err
		}
		if k.rings[i], err = franking.NewEpochRing(kind, records...); err != nil {
			return nil, err
		}
		wipe(records)
	}
	if err := k.loadRevoked(); err != nil {
		return nil, err
	}
	records, err := files.All(prefixDesk)
	if err != nil {
		return nil, err
	}
	defer wipe(records)
	for _, b := range records {
		var r deskRecord
		if wire.Unmarshal(b, &r) != nil {
			return nil, ErrState
		}
		d, err := k.desk(&r)
		if err != nil {
			return nil, err
		}
		k.desks = append(k.desks, d)
	}
	slices.SortFunc(k.desks, func(a, b *desk) int { return int(int64(a.number) - int64(b.number)) })
	return k, nil
}

func wipe(records [][]byte) {
	for _, b := range records {
		clear(b)
	}
}

// desk makes a desk's keys of its record.
func (k *keyring) desk(r *deskRecord) (*desk, error) {
	d := &desk{number: r.number, first: r.first, last: r.last}
	var err [4]error
	d.seal, err[0] = keys.SealKeyFromSeed(r.seal[:])
	d.countersign, err[1] = keys.SigningKeyFromSeed(r.countersign[:])
	d.answer, err[2] = keys.SigningKeyFromSeed(r.answer[:])
	d.reviewers, err[3] = group.Ristretto255().DecodeScalar(r.reviewers[:])
	for _, e := range err {
		if e != nil {
			return nil, ErrState
		}
	}
	var e error
	if d.proven, e = franking.ProveReviewers(k.domain, d.number, d.reviewers); e != nil {
		return nil, e
	}
	d.public, e = franking.SignDesk(franking.DeskFields{
		Provider: k.domain, Number: d.number, First: d.first, Last: d.last, Seal: d.seal.Public().Bytes(),
		Countersign: d.countersign.Public(), Answer: d.answer.Public(),
	}, k.root)
	return d, e
}

// renew draws the keys that are missing, each durable before it is used, and
// signs the list anew if it differs from the one that was signed last, nil for none.
func (k *keyring) renew(now time.Time, last *issuerKeys) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	today := dayOf(now)
	for _, r := range k.rings {
		changes, err := r.Prepare(today)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := k.files.Put(c.Name, c.Record); err != nil {
				return err
			}
			// Durable: the public key may be shown.
			if err := r.Commit(c); err != nil {
				return err
			}
		}
	}
	if n := len(k.desks); n == 0 || franking.RenewDesk(k.desks[n-1].last, today) {
		if err := k.drawDesk(today); err != nil {
			return err
		}
	}
	return k.sign(now, last)
}

// drawDesk draws the next desk's keys. The caller holds mu.
func (k *keyring) drawDesk(today ids.Day) error {
	r := deskRecord{number: 1, first: today, last: today + franking.DeskDays}
	if n := len(k.desks); n > 0 {
		r.number = k.desks[n-1].number + 1
	}
	for _, seed := range []*[32]byte{&r.countersign, &r.answer} {
		s := keys.NewSigningKey()
		*seed = [32]byte(s.Seed())
		s.Erase()
	}
	r.seal = [32]byte(keys.NewSealKey().Seed())
	x := group.Ristretto255().RandomScalar()
	r.reviewers = [32]byte(x.Bytes())
	x.Erase()
	b := wire.MustMarshal(&r)
	defer clear(b)
	if err := k.files.Put(deskName(r.number), b); err != nil {
		return err
	}
	// Durable: reports may be sealed to it.
	d, err := k.desk(&r)
	if err != nil {
		return err
	}
	k.desks = append(k.desks, d)
	return nil
}

func deskName(number uint32) string { return fmt.Sprintf("%s%010d", prefixDesk, number) }

// sign signs the list of token-signing keys that a delivery can be of. The
// caller holds mu. Lists are numbered by what was signed before, not by the clock,
// which may go back. A key that is not the one that was signed last takes its place:
// a crash came into its revocation.
func (k *keyring) sign(now time.Time, last *issuerKeys) error {
	today := dayOf(now)
	f := franking.EpochKeys{Issuer: k.domain, Number: 1}
	drawn := map[ids.Day]keys.VerifyKey{}
	var before franking.EpochKeys
	if last != nil {
		before = *last.list
	}
	for day := today - min(today, ids.MaxDelay+2); day <= today+1; day++ {
		s := k.rings[ringSign].Of(day)
		if s == nil {
			continue
		}
		drawn[day] = s.SigningKey().Public()
		known := false
		for _, e := range before.Epochs {
			if e.Epoch == day {
				f.Epochs, known = append(f.Epochs, e), true
			}
		}
		if !known {
			f.Epochs = append(f.Epochs, franking.EpochKey{Epoch: day, Key: drawn[day]})
		}
	}
	f.Epochs = revised(&f, drawn, uint64(now.UnixMilli())).Epochs
	if last != nil {
		if slices.Equal(last.list.Epochs, f.Epochs) {
			k.list, k.bytes = last.list, last.bytes
			return nil
		}
		f.Number = last.list.Number + 1
	}
	var err error
	k.list, k.bytes, err = k.signList(f)
	return err
}

func (k *keyring) signList(f franking.EpochKeys) (*franking.EpochKeys, []byte, error) {
	b, err := franking.SignEpochKeys(f, k.root)
	if err != nil {
		return nil, nil, err
	}
	list, err := franking.ParseEpochKeys(b, k.domain, k.root.Public(), nil)
	return list, b, err
}

// own returns the list of token-signing keys with its encoding.
func (k *keyring) own() (*franking.EpochKeys, []byte) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.list, k.bytes
}

// issuer returns what signs the tokens of a day, or ErrNotReady.
func (k *keyring) issuer(epoch ids.Day) (*franking.Issuer, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	sign, wrap := k.rings[ringSign].Of(epoch), k.rings[ringWrap].Of(epoch)
	if sign == nil || wrap == nil {
		return nil, ErrNotReady
	}
	return franking.NewIssuer(sign, wrap)
}

// secret returns a secret of a day, nil if there is none.
func (k *keyring) secret(ring int, epoch ids.Day) *franking.EpochSecret {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.rings[ring].Of(epoch)
}

// joins returns J of the days that a delivery can be of, reviewers PK_TS of the
// desks that are or will be in force.
func (k *keyring) joins(today ids.Day) (joins, reviewers []franking.ProvenKey, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := today - min(today, ids.MaxDelay+2)
	for day := first; day <= today+1; day++ {
		s := k.rings[ringJoin].Of(day)
		if s == nil {
			continue
		}
		p, ok := k.proofs[day]
		if !ok {
			if p, err = franking.ProveJoin(k.domain, s); err != nil {
				return nil, nil, err
			}
			k.proofs[day] = p
		}
		joins = append(joins, p)
	}
	maps.DeleteFunc(k.proofs, func(day ids.Day, _ franking.ProvenKey) bool { return day < first })
	for _, d := range k.desks {
		if int64(d.last)+ids.MaxDelay+1 >= int64(today) && len(reviewers) < franking.MaxReviewersKeys {
			reviewers = append(reviewers, d.proven)
		}
	}
	return joins, reviewers, nil
}

// current returns the desk whose keys are used on a day: of two, the older, so
// that everybody knows it. Nil if there is none.
func (k *keyring) current(today ids.Day) *desk {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, d := range k.desks {
		if d.first <= today && today <= d.last {
			return d
		}
	}
	return nil
}

// allDesks returns all, the newest last. They do not change.
func (k *keyring) allDesks() []*desk {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.Clone(k.desks)
}

// due returns the secrets whose time has come.
func (k *keyring) due(today ids.Day, confirmed bool) (out []retiring, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for i, r := range k.rings {
		list, err := r.Due(today, confirmed)
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			out = append(out, retiring{ring: i, Retiring: d})
		}
	}
	for _, s := range k.revoked {
		if int64(today) > int64(s.epoch)+franking.SignSecret.Days() {
			out = append(out, retiring{ringSign, franking.Retiring{Name: s.name(), Epoch: s.epoch, Publish: s.secret}, s.number})
		}
	}
	return out, nil
}

// retiring is a secret of one ring whose time has come.
type retiring struct {
	ring int
	franking.Retiring
	revoked uint8 // its number among those of its epoch that were revoked; 0 for the one in force
}

// retire erases a secret's file and forgets it.
func (k *keyring) retire(d retiring) error {
	if err := k.files.Erase(d.Name); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if d.revoked == 0 {
		k.rings[d.ring].Retire(d.Retiring)
		return nil
	}
	k.revoked = slices.DeleteFunc(k.revoked, func(s revokedSecret) bool { return s.name() == d.Name })
	return nil
}

// retireDesks erases the keys of desks whose reports are over.
func (k *keyring) retireDesks(today ids.Day) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.desks) > 1 && int64(today) > int64(k.desks[0].last)+deskKept {
		old := k.desks[0]
		if err := k.files.Erase(deskName(old.number)); err != nil {
			return err
		}
		old.countersign.Erase()
		old.answer.Erase()
		old.reviewers.Erase()
		k.desks = slices.Delete(k.desks, 0, 1)
	}
	return nil
}

func dayOf(now time.Time) ids.Day { return ids.DayOf(now) }
