package node

import (
	"context"
	"errors"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
)

const (
	// descriptorLife is how many days a descriptor is valid, descriptorRenew
	// how many days before its end the next one is signed.
	descriptorLife  = 30
	descriptorRenew = 15
	// rotateEvery is how often the keys are looked at: much more often than
	// any of them has to change, so that a wrong clock or a sleeping machine
	// costs minutes.
	rotateEvery = time.Minute
	// forcedCerts is up to how many certificate keys may be published for
	// another one to be drawn before its time: the scheduled ones of the days
	// for which a key is published have to find room besides.
	forcedCerts = directory.MaxCertificateKeys - 3
)

// KeyKind is one kind of the provider's keys.
type KeyKind uint8

// The kinds. The root key is not among them: its pin is the provider's name
// for all others.
const (
	KeyCertificate KeyKind = iota // signs sender certificates
	KeyRelay                      // opens queries
	KeyTicket                     // mints tickets
	KeyStamp                      // stamps deliveries
	KeyTLS                        // the leaf of handshakes
	KeyCredential                 // issues and verifies a day's credentials
)

// String names the kind.
func (k KeyKind) String() string {
	return [...]string{"certificate", "relay", "ticket", "stamp", "tls", "credential"}[k]
}

// Rotated says what became of one kind when rotation was forced.
type Rotated struct {
	Kind KeyKind
	// From is the day from which the new key is used; 0 if there is none.
	From ids.Day
	// Reason says why there is none.
	Reason string
}

// Reasons why a key is not drawn before its time.
const (
	reasonToday = "one was drawn today already"
	reasonMany  = "too many older ones are still needed to verify or open what is under way"
	reasonUsed  = "tomorrow's is in use already"
)

// RotateKeys draws new keys of every kind before their time. The old ones go on
// verifying and opening what was made under them for as long as they would
// have. A certificate key signs from tomorrow, when all peers have it; of stamp
// keys, of which each day has one, tomorrow's is replaced. A kind is drawn once
// a day, and only while there is room for it. An error, of the file system,
// leaves some kinds rotated and others not; it may be called again.
func (n *Node) RotateKeys() ([]Rotated, error) {
	n.rotating.Lock()
	defer n.rotating.Unlock()
	now := n.now()
	out, err := n.keyring.force(ids.DayOf(now))
	if err == nil {
		err = n.identity.Renew(now)
		out = append(out, Rotated{Kind: KeyTLS, From: ids.DayOf(now)})
	}
	if err = errors.Join(err, n.describeSelf(ids.DayOf(now))); err != nil {
		return nil, err
	}
	n.log.Info("keys were rotated by command")
	return out, nil
}

// RenewCredentials draws other keys of credentials for today and tomorrow: every
// sender needs another credential for first contacts here, and who was banned gets
// none. Introductions under the old ones that are under way are disposed of. The
// error is of the file system or the store; it may be called again.
func (n *Node) RenewCredentials() (Rotated, error) {
	n.admission.Anew()
	if err := n.renewKeys(); err != nil {
		return Rotated{}, err
	}
	n.log.Info("keys of credentials were renewed by command")
	return Rotated{Kind: KeyCredential, From: ids.DayOf(n.now())}, nil
}

// force draws what may be drawn.
func (k *keyring) force(today ids.Day) ([]Rotated, error) {
	if err := k.renew(today); err != nil { // what is due first
		return nil, err
	}
	certificate, relay, err := k.forceDated(today)
	if err != nil {
		return nil, err
	}
	tickets := Rotated{Kind: KeyTicket, From: today}
	switch c, err := k.tickets.PrepareNew(today); {
	case errors.Is(err, ticket.ErrNoKeyID):
		tickets = Rotated{Kind: KeyTicket, Reason: reasonMany}
	case err != nil:
		return nil, err
	default:
		if err := k.storeTicketKey(c); err != nil {
			return nil, err
		}
	}
	stamps := Rotated{Kind: KeyStamp, From: today + 1}
	if c := k.stamps.PrepareNext(today); c == nil {
		stamps = Rotated{Kind: KeyStamp, Reason: reasonUsed}
	} else if err := k.storeStampKey(c); err != nil {
		return nil, err
	}
	return []Rotated{certificate, relay, tickets, stamps}, nil
}

func (k *keyring) forceDated(today ids.Day) (certificate, relay Rotated, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	certificate, relay = Rotated{Kind: KeyCertificate}, Rotated{Kind: KeyRelay}
	switch n := len(k.certs); {
	case n > 1 && k.certs[n-1].day >= today:
		certificate.Reason = reasonToday
	case n+len(k.retired) > forcedCerts:
		certificate.Reason = reasonMany
	default:
		if err := k.drawCert(today); err != nil {
			return certificate, relay, err
		}
		certificate.From = today + 1
	}
	if n := len(k.relay); n > 1 && k.relay[n-1].day >= today {
		relay.Reason = reasonToday
		return certificate, relay, nil
	}
	relay.From = today
	return certificate, relay, k.drawRelay(today)
}

// renewKeys draws the keys that are due, erases those that are over and
// publishes the change.
func (n *Node) renewKeys() error {
	n.rotating.Lock()
	defer n.rotating.Unlock()
	now := n.now()
	today := ids.DayOf(now)
	rotated := n.keyring.rotate(now)
	return errors.Join(rotated, n.submissions.rotate(today, n.keyring.settled(now)), n.describeSelf(today),
		n.renewAdmission(now), n.renewReports(context.Background()))
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

// renewTickets reserves further tickets.
func (n *Node) renewTickets() error {
	n.rotating.Lock()
	defer n.rotating.Unlock()
	return n.keyring.renewTickets(ids.DayOf(n.now()))
}

// minted is called after tickets were minted. It does not block.
func (n *Node) minted() {
	if n.keyring.tickets.Due(ids.DayOf(n.now())) {
		select {
		case n.mintDue <- struct{}{}:
		default: // it is known
		}
	}
}

// rotation looks at the keys every minute until ctx ends, and at those of tickets
// when half of what was reserved is minted.
func (n *Node) rotation(ctx context.Context) {
	t := time.NewTicker(rotateEvery)
	defer t.Stop()
	for {
		renew := n.renewKeys
		select {
		case <-t.C:
		case <-n.mintDue:
			renew = n.renewTickets
		case <-ctx.Done():
			return
		}
		if err := renew(); err != nil {
			n.log.Error("keys could not be renewed; trying again", "every", rotateEvery.String())
		}
	}
}
