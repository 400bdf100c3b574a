package node

import (
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
	"waxwing/franking"
	"waxwing/ratelimit/ticket"
	"waxwing/relay"
)

const (
	// certificateLife is after how many days another key signs sender
	// certificates. A key is drawn and published a day before it signs, so that
	// every peer has fetched it by then.
	certificateLife = 30
	// certificateKept is how many days after its last signature a key's public
	// half stays in the descriptor: as long as a certificate lives, a
	// message may be under way and be reported, and one for clocks
	// that differ.
	certificateKept = relay.CertificateDays + ids.MaxDelay + franking.ReportDays + 1
	// relayLife is after how many days another relay key is the one to seal to,
	// relayKept how many more the old one still opens: longer than a descriptor
	// lives.
	relayLife = 30
	relayKept = 40
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

func (d dated[K]) age(today ids.Day) int { return int(int64(today) - int64(d.day)) }

// verifier is the public half of a key that signed certificates until its last
// day; the private half is erased.
type verifier struct {
	dated[keys.VerifyKey]
	last ids.Day
}

// keyring holds the provider's own keys. Rotate and force change them and are
// never called at the same time; everything else may be called at any time.
type keyring struct {
	// fixed
	dir     keydir
	root    *keys.SigningKey
	tickets *ticket.Ring
	stamps  *franking.StampRing

	// owned by whoever calls rotate
	day   ids.Day
	since time.Time // when the clock came to that day

	mu      sync.RWMutex // guards the rest; each is in the order of days
	certs   []dated[*keys.SigningKey]
	retired []verifier
	relay   []dated[*keys.SealKey]
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
	retired, err := loadDated(dir, prefixVerify, parseVerifier)
	if err != nil {
		return nil, err
	}
	for _, d := range retired {
		k.retired = append(k.retired, verifier{dated[keys.VerifyKey]{d.id, d.day, d.key.key}, d.key.last})
	}
	// A crash between the two steps of a retirement leaves both halves.
	k.retired = slices.DeleteFunc(k.retired, func(v verifier) bool {
		return slices.ContainsFunc(k.certs, func(d dated[*keys.SigningKey]) bool { return d.id == v.id && d.day == v.day })
	})
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
		day, id, err := parseDatedName(prefix, name)
		seed, err2 := dir.get(name)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("node: key file %s cannot be used: %w", name, err)
		}
		key, err := parse(seed)
		clear(seed)
		if err != nil {
			return nil, fmt.Errorf("node: key file %s is damaged: %w", name, err)
		}
		out = append(out, dated[K]{id, day, key})
	}
	return out, nil // in the order of days: names are padded
}

func datedName(prefix string, day ids.Day, id uint8) string {
	return fmt.Sprintf("%s%010d-%03d", prefix, day, id)
}

// errKeyName: a key file has a name that nothing here gives. A key under another
// form of its name would not be erased with its time.
var errKeyName = errors.New("node: not the name of a key file")

// parseDatedName is the reverse of datedName. The error is errKeyName.
func parseDatedName(prefix, name string) (ids.Day, uint8, error) {
	day, id, _ := strings.Cut(strings.TrimPrefix(name, prefix), "-")
	d, err1 := strconv.ParseUint(day, 10, 32)
	i, err2 := strconv.ParseUint(id, 10, 8)
	if err1 != nil || err2 != nil || datedName(prefix, ids.Day(d), uint8(i)) != name {
		return 0, 0, errKeyName
	}
	return ids.Day(d), uint8(i), nil
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
	if !k.settled(now) {
		return nil
	}
	return k.expire(today)
}

// settled reports whether the clock has stood on its day for long enough for
// what is for ever.
func (k *keyring) settled(now time.Time) bool { return now.Sub(k.since) >= steady }

// renewTickets draws the minting key that is due, or reserves further tickets of
// the present one.
func (k *keyring) renewTickets(today ids.Day) error {
	for {
		c, err := k.tickets.Prepare(today)
		if c == nil || err != nil {
			return err
		}
		if err := k.storeTicketKey(c); err != nil {
			return err
		}
	}
}

// renew draws what is due.
func (k *keyring) renew(today ids.Day) error {
	if err := k.renewTickets(today); err != nil {
		return err
	}
	changes, err := k.stamps.Prepare(today)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err := k.storeStampKey(c); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.certs); n == 0 || k.certs[n-1].age(today) >= certificateLife {
		if err := k.drawCert(today); err != nil {
			return err
		}
	}
	if n := len(k.relay); n == 0 || k.relay[n-1].age(today) >= relayLife {
		return k.drawRelay(today)
	}
	return nil
}

func (k *keyring) storeTicketKey(c *ticket.Change) error {
	if err := k.dir.put(c.Name, c.Record); err != nil {
		return err
	}
	return k.tickets.Commit(c)
}

func (k *keyring) storeStampKey(c *franking.Change) error {
	if err := k.dir.put(c.Name, c.Record); err != nil {
		return err
	}
	return k.stamps.Commit(c)
}

// drawCert and drawRelay add a key, durably before it is used. The caller holds
// mu.
func (k *keyring) drawCert(today ids.Day) (err error) {
	k.certs, err = draw(k.dir, k.certs, prefixCert, today, keys.NewSigningKey, (*keys.SigningKey).Seed)
	return err
}

func (k *keyring) drawRelay(today ids.Day) (err error) {
	k.relay, err = draw(k.dir, k.relay, prefixRelay, today, keys.NewSealKey, (*keys.SealKey).Seed)
	return err
}

func draw[K any](dir keydir, list []dated[K], prefix string, today ids.Day, fresh func() K, seed func(K) []byte) ([]dated[K], error) {
	next := dated[K]{day: today, key: fresh()}
	if n := len(list); n > 0 {
		next.id = list[n-1].id + 1
	}
	s := seed(next.key)
	defer clear(s)
	if err := dir.put(datedName(prefix, next.day, next.id), s); err != nil {
		return list, err
	}
	return append(slices.Clip(list), next), nil
}

// expire erases what is over.
func (k *keyring) expire(today ids.Day) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	over := append(k.tickets.Expire(today), k.stamps.Expire(today)...)
	// A key signs until the day on which the one after it was drawn; a day more
	// for a clock that steps back.
	for len(k.certs) > 1 && k.certs[1].age(today) > 1 {
		old := k.certs[0]
		v := verifier{dated[keys.VerifyKey]{old.id, old.day, old.key.Public()}, k.certs[1].day}
		if err := k.dir.put(datedName(prefixVerify, v.day, v.id), v.record()); err != nil {
			return err
		}
		// The public half is durable; a crash now leaves both.
		over = append(over, datedName(prefixCert, old.day, old.id))
		k.retired = append(slices.Clip(k.retired), v)
		k.certs = slices.Clone(k.certs[1:])
		old.key.Erase()
	}
	k.retired = slices.DeleteFunc(slices.Clone(k.retired), func(v verifier) bool {
		if int64(today) <= int64(v.last)+certificateKept {
			return false
		}
		over = append(over, datedName(prefixVerify, v.day, v.id))
		return true
	})
	for len(k.relay) > 1 && k.relay[1].age(today) > relayKept {
		over = append(over, datedName(prefixRelay, k.relay[0].day, k.relay[0].id))
		k.relay = slices.Clone(k.relay[1:])
	}
	if len(over) == 0 {
		return nil
	}
	return k.dir.erase(over...)
}

// Certificate implements relay.Keys: the newest key that was published before
// today, or the oldest if none was.
func (k *keyring) Certificate(today ids.Day) (*keys.SigningKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, d := range slices.Backward(k.certs) {
		if d.day < today {
			return d.key, true
		}
	}
	return k.certs[0].key, true
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

// describe fills in the keys of a descriptor, the newest relay key first. Of
// the relay keys it names the newest ones; the others still open what was
// sealed to them.
func (k *keyring) describe(f *directory.DescriptorFields) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	f.Certificates, f.Relay = nil, nil
	for _, v := range k.retired {
		f.Certificates = append(f.Certificates, directory.CertificateKey{Key: v.key, First: v.day, Last: v.last})
	}
	for i, d := range k.certs {
		last := d.day + certificateLife
		if i+1 < len(k.certs) {
			last = k.certs[i+1].day
		}
		f.Certificates = append(f.Certificates, directory.CertificateKey{
			Key: d.key.Public(), First: d.day, Last: max(d.day, last),
		})
	}
	// More than these takes a clock that jumps about for weeks.
	f.Certificates = f.Certificates[max(0, len(f.Certificates)-directory.MaxCertificateKeys):]
	for _, d := range slices.Backward(k.relay) {
		if len(f.Relay) < directory.MaxRelayKeys {
			f.Relay = append(f.Relay, directory.RelayKey{ID: d.id, Key: d.key.Public()})
		}
	}
}
