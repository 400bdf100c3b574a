package reports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/franking"
)

// Revoking a day's token-signing key that somebody else may have. Another takes
// its place at once. What was received before counts, as the stamp shows that it
// was; what comes after counts for nobody who has seen the signed list.

// prefixRevoked is where revoked secrets wait until they are published like those
// that were not: whoever had one then is not told apart from anybody.
const prefixRevoked = "revoked-key-"

// revokedSecret is a revoked secret of an epoch: the number-th, from 1.
type revokedSecret struct {
	epoch  ids.Day
	number uint8
	secret *franking.EpochSecret
}

func (s *revokedSecret) name() string {
	return fmt.Sprintf("%s%010d-%d", prefixRevoked, s.epoch, s.number)
}

// revokedRecord is its file: version 1 | epoch 4 | number 1 | secret 32.
type revokedRecord struct {
	epoch  ids.Day
	number uint8
	secret [keys.SecretSize]byte
}

// Fields lists the layout.
func (r *revokedRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "epoch", &r.epoch)
	wire.U8(c, "number", &r.number)
	c.Fixed("secret", r.secret[:])
}

// loadRevoked loads the revoked secrets, in order. Of one whose key is still the
// ring's the revocation never happened.
func (k *keyring) loadRevoked() error {
	records, err := k.files.All(prefixRevoked)
	if err != nil {
		return err
	}
	defer wipe(records)
	for _, b := range records {
		var r revokedRecord
		if wire.Unmarshal(b, &r) != nil {
			return ErrState
		}
		s := franking.PublishedSecret(franking.SignSecret, r.epoch, r.secret)
		clear(r.secret[:])
		if now := k.rings[ringSign].Of(r.epoch); now != nil && now.Secret() == s.Secret() {
			continue
		}
		k.revoked = append(k.revoked, revokedSecret{r.epoch, r.number, s})
	}
	slices.SortFunc(k.revoked, func(a, b revokedSecret) int {
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.number, b.number))
	})
	return nil
}

// revokedSecret returns a revoked secret of a day, nil if there is none.
func (k *keyring) revokedSecret(epoch ids.Day, number uint8) *franking.EpochSecret {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for i := range k.revoked {
		if k.revoked[i].epoch == epoch && k.revoked[i].number == number {
			return k.revoked[i].secret
		}
	}
	return nil
}

// revocations returns how many keys of a day were revoked.
func (k *keyring) revocations(epoch ids.Day) (n uint32) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for i := range k.revoked {
		if k.revoked[i].epoch == epoch {
			n++
		}
	}
	return n
}

// revocation is a revocation whose files are durable and whose list is signed, and
// which nobody has seen.
type revocation struct {
	old    revokedSecret
	change *franking.EpochChange
	list   *franking.EpochKeys
	bytes  []byte
}

// revoke makes a revocation. Errors are ErrUnknown (there is no key of the day that
// anything can be franked under), ErrRevocations, and the files'.
func (k *keyring) revoke(epoch ids.Day, last *issuerKeys, now time.Time) (*revocation, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ring := k.rings[ringSign]
	secret := ring.Of(epoch)
	if _, listed := last.list.Of(epoch); secret == nil || !listed {
		return nil, ErrUnknown
	}
	n := 0
	for _, s := range k.revoked {
		if s.epoch == epoch {
			n++
		}
	}
	if n+1 >= franking.MaxEpochKeys || len(last.list.Epochs) >= franking.MaxEpochs {
		return nil, ErrRevocations
	}
	out := &revocation{old: revokedSecret{epoch, uint8(n + 1), franking.PublishedSecret(franking.SignSecret, epoch, secret.Secret())}}
	record := wire.MustMarshal(&revokedRecord{epoch, out.old.number, secret.Secret()})
	defer clear(record)
	if err := k.files.Put(out.old.name(), record); err != nil {
		return nil, err
	}
	// The old secret has another place. A crash now leaves it in force.
	var err error
	if out.change, err = ring.Replace(epoch); err != nil {
		return nil, err
	}
	if err := k.files.Put(out.change.Name, out.change.Record); err != nil {
		return nil, err
	}
	// The new one is durable, and revokes the old: a crash now revokes it at the
	// next start.
	list := revised(last.list, map[ids.Day]keys.VerifyKey{epoch: out.change.Public()}, uint64(now.UnixMilli()))
	out.list, out.bytes, err = k.signList(list)
	return out, err
}

// commitRevocation makes a revocation count, once its list is durable.
func (k *keyring) commitRevocation(r *revocation) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.rings[ringSign].Commit(r.change); err != nil {
		return err
	}
	k.revoked = append(k.revoked, r.old)
	k.list, k.bytes = r.list, r.bytes
	return nil
}

// revised is the next list after another, with another key for some epochs: the
// one before is revoked at a time.
func revised(last *franking.EpochKeys, changed map[ids.Day]keys.VerifyKey, at uint64) franking.EpochKeys {
	f := franking.EpochKeys{Issuer: last.Issuer, Number: last.Number + 1}
	for i, e := range last.Epochs {
		final := i+1 == len(last.Epochs) || last.Epochs[i+1].Epoch != e.Epoch
		key, ok := changed[e.Epoch]
		if !ok || !final || key == e.Key {
			f.Epochs = append(f.Epochs, e)
			continue
		}
		if e.Revoked == 0 {
			e.Revoked = at
		}
		f.Epochs = append(f.Epochs, e, franking.EpochKey{Epoch: e.Epoch, Key: key})
	}
	return f
}

// Revoke revokes the token-signing key of a day, of today or tomorrow or of the
// days of which deliveries may still come, and puts another in its place. The list
// that says so is signed and durable when it returns, for peers and clients to be
// told. Errors are ErrUnknown, ErrRevocations, and those of the files and the
// store; after one of those the next start completes it.
func (r *Reports) Revoke(ctx context.Context, now time.Time, day ids.Day) error {
	r.renewing.Lock()
	defer r.renewing.Unlock()
	own := r.of(r.conf.Domain)
	if own == nil {
		return ErrNotReady
	}
	v, err := r.keyring.revoke(day, own, now)
	if err != nil {
		return err
	}
	if err := r.note(ctx, &Entry{Act: ActRevoked}, now); err != nil {
		return err
	}
	if err := r.Learn(ctx, r.conf.Domain, v.bytes, r.conf.Root.Public(), now); err != nil {
		return err
	}
	// The list is durable, and so is the snapshot of the own users. A crash now
	// loses nothing.
	return r.keyring.commitRevocation(v)
}

// Revoked returns when a key of the own list was revoked last, in Unix
// milliseconds, 0 if none was; and the list.
func (r *Reports) Revoked() (at uint64, list []byte) {
	keys, list := r.keyring.own()
	for _, e := range keys.Epochs {
		at = max(at, e.Revoked)
	}
	return at, list
}
