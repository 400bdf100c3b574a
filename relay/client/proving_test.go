package client

import (
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/franking"
)

// bureau is what a provider of the harness has for franking.
type bureau struct {
	sign, wrap, join *franking.EpochRing
	reviewers        franking.ProvenKey
	joins            map[ids.Day]franking.ProvenKey
	history          map[ids.Domain]*franking.History
	last             map[ids.Domain]*franking.Snapshot
}

func newBureau(p *provider) *bureau {
	b := &bureau{
		joins: map[ids.Day]franking.ProvenKey{}, history: map[ids.Domain]*franking.History{},
		last: map[ids.Domain]*franking.Snapshot{},
	}
	var err error
	for kind, ring := range map[franking.SecretKind]**franking.EpochRing{
		franking.SignSecret: &b.sign, franking.WrapSecret: &b.wrap, franking.JoinSecret: &b.join,
	} {
		*ring, err = franking.NewEpochRing(kind)
		p.w.must(err)
	}
	b.reviewers, err = franking.ProveReviewers(p.domain, 1, group.Ristretto255().RandomScalar())
	p.w.must(err)
	return b
}

// rotate draws what is missing and lets go what is over, as a provider does every
// day.
func (b *bureau) rotate(p *provider) {
	today := ids.DayOf(p.w.now)
	for _, r := range []*franking.EpochRing{b.sign, b.wrap, b.join} {
		changes, err := r.Prepare(today)
		p.w.must(err)
		for _, c := range changes {
			p.w.must(r.Commit(c))
		}
		due, err := r.Due(today, true)
		p.w.must(err)
		for _, d := range due {
			r.Retire(d)
		}
	}
	for day := today - ids.MaxDelay - 2; day <= today+1; day++ {
		if s := b.join.Of(day); s != nil && b.joins[day].ID == 0 {
			var err error
			b.joins[day], err = franking.ProveJoin(p.domain, s)
			p.w.must(err)
		}
	}
}

// epochKeys is the provider's list of token-signing keys.
func (p *provider) epochKeys() []byte {
	today := ids.DayOf(p.w.now)
	f := franking.EpochKeys{Issuer: p.domain, Number: uint64(today)}
	for day := today - ids.MaxDelay - 2; day <= today+1; day++ {
		if s := p.bureau.sign.Of(day); s != nil {
			f.Epochs = append(f.Epochs, franking.EpochKey{Epoch: day, Key: s.SigningKey().Public()})
		}
	}
	b, err := franking.SignEpochKeys(f, p.root)
	p.w.must(err)
	return b
}

// snapshotOf returns the snapshot of another provider's keys that is in force.
func (p *provider) snapshotOf(issuer ids.Domain) *franking.Snapshot {
	other := p.w.providers[issuer]
	list, err := franking.ParseEpochKeys(other.epochKeys(), issuer, other.root.Public(), nil)
	p.w.must(err)
	today := ids.DayOf(p.w.now)
	var joins []franking.ProvenKey
	for day := today - ids.MaxDelay - 2; day <= today+1; day++ {
		if k, ok := p.bureau.joins[day]; ok {
			joins = append(joins, k)
		}
	}
	old := p.bureau.last[issuer]
	f, changed := franking.NextSnapshot(old, p.domain, list, joins, []franking.ProvenKey{p.bureau.reviewers}, p.w.now)
	if !changed {
		return old
	}
	if old == nil {
		f.From = uint64(p.w.now.Add(-time.Hour).UnixMilli())
		p.bureau.history[issuer] = new(franking.History)
	}
	s, err := franking.SignSnapshot(f, p.root)
	p.w.must(err)
	p.w.must(p.bureau.history[issuer].Add(s))
	p.bureau.last[issuer] = s
	return s
}

// supplyFranking does what a connection does for franking.
func (u *user) supplyFranking() {
	u.w.t.Helper()
	var epochs []ids.Day
	u.do(func(k *work) (err error) { epochs, err = k.wantTokens(); return err })
	for _, epoch := range epochs {
		if u.p.bureau.sign.Of(epoch) == nil || u.w.dayByDay && epoch > ids.DayOf(u.w.now) {
			continue // refused: no key yet, or none any more
		}
		u.do(func(k *work) error {
			x, err := k.issueContext(epoch, [32]byte{1})
			u.w.must(err)
			req, mine, err := franking.NewRequest(x, tokenBatch)
			u.w.must(err)
			checked, err := franking.CheckRequest(x, req, k.today)
			u.w.must(err)
			granted, err := checked.Take(franking.Allowance{}, franking.MaxAllowance)
			u.w.must(err)
			is, err := franking.NewIssuer(u.p.bureau.sign.Of(epoch), u.p.bureau.wrap.Of(epoch))
			u.w.must(err)
			answer, err := is.Issue(checked, granted)
			u.w.must(err)
			return k.takeIssued(mine, answer, u.p.epochKeys(), epoch)
		})
	}
	var wanted []ids.Domain
	u.do(func(k *work) (err error) { wanted, err = k.wantTheirs(); return err })
	for _, d := range wanted {
		p := u.w.providers[d]
		u.do(func(k *work) error { return k.described(d, p.descriptor()) })
		u.do(func(k *work) error { return k.takeTheirs(d, p.snapshotOf(u.address.Domain()).Bytes()) })
	}
	u.heldSnapshots()
}

// heldSnapshots brings the snapshots that deliveries wait for.
func (u *user) heldSnapshots() {
	u.w.t.Helper()
	var held []snapshotRef
	u.do(func(k *work) (err error) { held, err = k.heldSnapshots(); return err })
	for _, ref := range held {
		s := u.p.bureau.history[ref.issuer].Find(ref.id)
		u.do(func(k *work) error { return k.takeSnapshot(ref, s.Bytes()) })
	}
}

func newScalar() group.Scalar { return group.Ristretto255().RandomScalar() }
