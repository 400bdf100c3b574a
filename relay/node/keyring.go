package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/ticket"
)

const (
	// certificateLife is how many days a key signs sender certificates. A
	// certificate outlives its key's last day by its own life at most, so the
	// public half is kept in the descriptor for certificateKept days more.
	certificateLife = 30
	certificateKept = 16
	// relayLife is how many days a relay key is the one to seal to, relayKept
	// how many more it still opens: longer than a descriptor lives.
	relayLife = 30
	relayKept = 40
	// descriptorLife is how many days a descriptor is valid, descriptorRenew
	// how many days before its end the next one is signed.
	descriptorLife  = 30
	descriptorRenew = 15
	// rotateEvery is how often the keys are looked at: much more often than
	// any of them has to change, so that a wrong clock or a sleeping machine
	// costs minutes.
	rotateEvery = time.Minute
	// steady is how long the clock must have stood on a day before keys are
	// erased for it: a clock that is weeks ahead at start would end all tickets
	// and reports, and is mostly put right within minutes.
	steady = 10 * time.Minute
)

// dated is a key that is drawn anew from time to time. Its file is named by
// the day it was drawn on.
type dated[K any] struct {
	id  uint8
	day ids.Day
	key K
}

// keyring holds the provider's own keys. Rotate changes them; everything else
// may be called at any time.
type keyring struct {
	// fixed
	dir     keydir
	root    *keys.SigningKey
	tickets *ticket.Ring
	stamps  *franking.StampRing

	// owned by whoever calls rotate
	day   ids.Day
	since time.Time // when the clock came to that day

	mu    sync.RWMutex // guards the rest
	certs []dated[*keys.SigningKey]
	relay []dated[*keys.SealKey]
}

func openKeyring(dir keydir, root *keys.SigningKey, now time.Time) (*keyring, error) {
	k := &keyring{dir: dir, root: root}
	tickets, err := dir.all(prefixTicket)
	if err != nil {
		return nil, err
	}
	if k.tickets, err = ticket.NewRing(tickets...); err != nil {
		return nil, err
	}
	stamps, err := dir.all(prefixStamp)
	if err != nil {
		return nil, err
	}
	if k.stamps, err = franking.NewStampRing(stamps...); err != nil {
		return nil, err
	}
	if k.certs, err = loadDated(dir, prefixCert, keys.SigningKeyFromSeed); err != nil {
		return nil, err
	}
	if k.relay, err = loadDated(dir, prefixRelay, keys.SealKeyFromSeed); err != nil {
		return nil, err
	}
	return k, k.rotate(now)
}

// loadDated loads keys from files named prefix, day, "-", id.
func loadDated[K any](dir keydir, prefix string, parse func([]byte) (K, error)) ([]dated[K], error) {
	names, err := dir.list(prefix)
	if err != nil {
		return nil, err
	}
	var out []dated[K]
	for _, name := range names {
		day, id, ok := strings.Cut(strings.TrimPrefix(name, prefix), "-")
		d, err1 := strconv.ParseUint(day, 10, 32)
		i, err2 := strconv.ParseUint(id, 10, 8)
		seed, err3 := dir.get(name)
		if err := errors.Join(err1, err2, err3); err != nil || !ok {
			return nil, fmt.Errorf("node: key file %s cannot be used: %w", name, err)
		}
		key, err := parse(seed)
		clear(seed)
		if err != nil {
			return nil, fmt.Errorf("node: key file %s is damaged: %w", name, err)
		}
		out = append(out, dated[K]{uint8(i), ids.Day(d), key})
	}
	return out, nil // in the order of days: names are padded
}

func datedName(prefix string, day ids.Day, id uint8) string {
	return fmt.Sprintf("%s%010d-%03d", prefix, day, id)
}

// rotate draws the keys that are due and erases those that are over. Every key
// is durable before it is used; see the rings.
func (k *keyring) rotate(now time.Time) error {
	today := ids.DayOf(now)
	if err := k.renew(today); err != nil {
		return err
	}
	if today != k.day {
		k.day, k.since = today, now
	}
	if now.Sub(k.since) < steady {
		return nil
	}
	return k.expire(today)
}

// renew draws what is due.
func (k *keyring) renew(today ids.Day) error {
	for {
		c, err := k.tickets.Prepare(today)
		if err != nil {
			return err
		}
		if c == nil {
			break
		}
		if err := k.dir.put(c.Name, c.Record); err != nil {
			return err
		}
		if err := k.tickets.Commit(c); err != nil {
			return err
		}
	}
	changes, err := k.stamps.Prepare(today)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err := k.dir.put(c.Name, c.Record); err != nil {
			return err
		}
		if err := k.stamps.Commit(c); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.certs, err = drawDated(k.dir, k.certs, prefixCert, today, certificateLife, keys.NewSigningKey, (*keys.SigningKey).Seed); err != nil {
		return err
	}
	k.relay, err = drawDated(k.dir, k.relay, prefixRelay, today, relayLife, keys.NewSealKey, (*keys.SealKey).Seed)
	return err
}

// expire erases what is over.
func (k *keyring) expire(today ids.Day) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	over := append(k.tickets.Expire(today), k.stamps.Expire(today)...)
	k.certs = dropDated(k.certs, prefixCert, today, certificateLife+certificateKept, &over)
	k.relay = dropDated(k.relay, prefixRelay, today, relayLife+relayKept, &over)
	if len(over) == 0 {
		return nil
	}
	return k.dir.erase(over...)
}

// drawDated adds a key if the newest is life days old. It is durable before it
// is used.
func drawDated[K any](dir keydir, list []dated[K], prefix string, today ids.Day, life int,
	draw func() K, seed func(K) []byte,
) ([]dated[K], error) {
	next := dated[K]{day: today}
	if n := len(list); n > 0 {
		if list[n-1].age(today) < life {
			return list, nil
		}
		next.id = list[n-1].id + 1
	}
	next.key = draw()
	s := seed(next.key)
	defer clear(s)
	if err := dir.put(datedName(prefix, next.day, next.id), s); err != nil {
		return list, err
	}
	return append(list, next), nil
}

func (d dated[K]) age(today ids.Day) int { return int(int64(today) - int64(d.day)) }

// dropDated forgets the keys of more than limit days, but never the newest,
// and adds the names of their files to over.
func dropDated[K any](list []dated[K], prefix string, today ids.Day, limit int, over *[]string) []dated[K] {
	var kept []dated[K]
	for i, d := range list {
		if i < len(list)-1 && d.age(today) > limit {
			*over = append(*over, datedName(prefix, d.day, d.id))
			continue
		}
		kept = append(kept, d)
	}
	return kept
}

// Certificate implements relay.Keys.
func (k *keyring) Certificate(ids.Day) (*keys.SigningKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.certs[len(k.certs)-1].key, true
}

// RelayKey implements relay.Keys.
func (k *keyring) RelayKey(id uint8) (*keys.SealKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, d := range k.relay {
		if d.id == id {
			return d.key, true
		}
	}
	return nil, false
}

// describe fills in the keys of a descriptor, the newest relay key first.
func (k *keyring) describe(f *directory.DescriptorFields) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	f.Certificates, f.Relay = nil, nil
	for _, d := range k.certs {
		f.Certificates = append(f.Certificates, directory.CertificateKey{
			Key: d.key.Public(), First: d.day, Last: d.day + certificateLife + certificateKept,
		})
	}
	for _, d := range slices.Backward(k.relay) {
		f.Relay = append(f.Relay, directory.RelayKey{ID: d.id, Key: d.key.Public()})
	}
}

// describeSelf makes the provider's descriptor if there is none, if its end is
// near, or if what it says is no longer true.
func (n *Node) describeSelf(today ids.Day) error {
	known := n.peers.own.Load()
	var f directory.DescriptorFields
	if known != nil {
		f = known.Next()
	} else {
		f.Sequence = 1
	}
	f.Domain, f.Endpoints, f.Versions, f.Expiry = n.domain, n.endpoints, []uint16{wire.Version}, today+descriptorLife
	n.keyring.describe(&f)
	if known != nil && known.Expiry() >= today+descriptorRenew && says(known, &f) {
		return nil
	}
	d, err := directory.SignDescriptor(f, n.keyring.root)
	if err != nil {
		return err
	}
	if err := writeDurably(n.path(fileDescriptor), d.Bytes()); err != nil {
		return err
	}
	// Durable: no other descriptor will ever have this sequence number.
	n.peers.own.Store(d)
	return nil
}

// rotation looks at the keys every minute until ctx ends.
func (n *Node) rotation(ctx context.Context) {
	t := time.NewTicker(rotateEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		now := n.now()
		if err := errors.Join(n.keyring.rotate(now), n.describeSelf(ids.DayOf(now))); err != nil {
			n.log.Error("keys could not be renewed; trying again", "every", rotateEvery.String())
		}
	}
}
