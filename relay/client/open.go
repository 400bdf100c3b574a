package client

import (
	"errors"

	"waxwing/core/content"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// opening is a delivery on its way through the checks. Until take, nothing of
// the state has changed but a session in memory, which before restores.
type opening struct {
	d      *wire.Delivery
	outer  sealedsender.Outer
	owner  ticket.Given
	code   *state.Code      // if the ticket is of a contact code
	intro  *wire.Introduced // if it was an introduction
	sender *sealedsender.Sender
	full   bool     // the certificate came in full
	c      *contact // of the certificate's account; nil for one that is new
	rekeys bool     // the certificate's X_S is not that which is known of the contact

	session *session
	before  []byte // session's state before the message
	began   *ratchet.Session
	used    ratchet.Used
	bodyKey *keys.Secret

	proving *proving // nil for a message without a bundle
	content *sealedsender.Content
	franked *franking.Franked
	frame   *content.Frame // nil for control only
	control *content.Control
	grant   *ticket.Grant
	theirs  *directory.Manifest
}

// open takes a delivery through every check, cheap before costly, and then
// changes the state. Errors are a dropError, a holdError, or the store's.
func (w *work) open(d *wire.Delivery) error {
	if d.Origin == wire.BySync {
		return w.openSync(d)
	}
	o := &opening{d: d, outer: sealedsender.Outer{Class: d.Class, Com: d.Com, Day: d.Day}}
	if !ids.InTime(d.Day, receivedDay(d)) {
		return drop(dropTime)
	}
	admitted := w.openSerial
	if d.Origin == wire.ByIntroduction {
		admitted = w.openIntroduced
	}
	if err := admitted(o); err != nil {
		return err
	}
	if err := w.openSender(o); err != nil {
		return err
	}
	if err := w.openPseudonym(o); err != nil {
		return err
	}
	borrowed := w.isBorrowed(o)
	if err := w.openIdentity(o); err != nil {
		return err
	}
	if err := w.openProof(o); err != nil {
		return err
	}
	err := w.openSession(o)
	if err == nil {
		err = w.openContent(o)
	}
	if err == nil && borrowed {
		// Only now it is certain who lent the ticket out, and to whom.
		// Its own serial is spent: struck with the others, it would show
		// the relay which delivery came from the same contact as they.
		err = dropAfter(errors.Join(w.useSerial(o.d.Serial), w.void(o.owner.Account)), dropBorrowed)
	}
	if err == nil {
		return w.take(o)
	}
	if restored := o.restore(); restored != nil {
		return restored
	}
	return err
}

// openSerial finds out whom the ticket was given to.
func (w *work) openSerial(o *opening) error {
	owner, ok := w.pool.Owner(o.d.Serial)
	if ok && !owner.Used && w.self.roots[owner.Root] == nil {
		ok = false // another device has given it out under a root that is not here yet
	}
	if !ok {
		return &holdError{holdRow{reason: state.HeldSerial}}
	}
	o.owner = owner
	if owner.Used {
		return drop(dropUsed)
	}
	if owner.Account != w.self.Address {
		if c := w.find(owner.Account); c != nil && c.Blocked {
			return drop(dropBlocked)
		}
		return nil
	}
	code, err := state.Codes.Get(w.tx, state.U64(o.d.Serial))
	if errors.Is(err, state.ErrNotFound) {
		return drop(dropUsed)
	}
	if err == nil && o.d.Day > code.Expiry {
		return drop(dropTime)
	}
	o.code = code
	return err
}

// openSender opens the head and checks certificate, body's hash and tag.
func (w *work) openSender(o *opening) error {
	head, err := w.openHead(o)
	if err != nil {
		return err
	}
	o.full = true
	raw, err := head.Certificate(func(hash [sealedsender.HashSize]byte) ([]byte, bool) {
		o.full = false
		c := w.find(o.owner.Account)
		if c == nil {
			return nil, false
		}
		known, err := state.Certificates.Get(w.tx, state.OfContact(c.id, hash[:]))
		if err != nil {
			return nil, false
		}
		return known.Cert, true
	})
	if err != nil {
		return &holdError{holdRow{reason: state.HeldCertificate}}
	}
	domain, err := sealedsender.CertificateDomain(raw)
	if err != nil {
		return drop(dropCertificate)
	}
	cert, err := w.verifyCertificate(raw, domain, o.d.Day)
	switch {
	case errors.Is(err, errDescriptor):
		return &holdError{holdRow{reason: state.HeldProvider, domain: domain}}
	case errors.Is(err, sealedsender.ErrCertificate), errors.Is(err, wire.ErrMalformed):
		return drop(dropCertificate)
	case err != nil:
		return err
	}
	bound, err := head.CheckBody(o.d.Body())
	if err != nil {
		return drop(dropSeal)
	}
	if o.sender, err = bound.CheckSender(cert, w.self.account, w.self.Address); err != nil {
		return drop(dropSender)
	}
	o.c = w.find(cert.Address())
	return nil
}

// openHead opens the head with the key that the serial selects: S of the batch,
// or for a contact code the mailbox's weekly keys, of which there are two or
// three.
func (w *work) openHead(o *opening) (*sealedsender.OpenedHead, error) {
	if o.code == nil && o.intro == nil {
		s := o.owner.SealSecret(w.self.roots[o.owner.Root])
		defer s.Erase()
		head, err := sealedsender.OpenHeadWithSecret(o.outer, o.d.Head(), s, &o.d.Ticket)
		if err != nil {
			return nil, drop(dropSeal)
		}
		return head, nil
	}
	rows, err := state.SealKeys.Rows(w.tx, nil, nil, 0)
	if err != nil {
		return nil, err
	}
	for i := len(rows) - 1; i >= 0; i-- {
		seed, week, err := sealSeed(rows[i])
		if err != nil {
			return nil, err
		}
		head, err := sealedsender.OpenHeadFirst(o.outer, o.d.Head(), seed, sealedsender.Mailbox{
			Provider: w.self.Address.Domain(), ID: w.self.Mailbox, KeyID: uint32(week),
		})
		if err == nil {
			return head, nil
		}
	}
	return nil, drop(dropSeal)
}

// isBorrowed reports whether the ticket was given to another account than the
// certificate's.
func (w *work) isBorrowed(o *opening) bool {
	address := o.sender.Certificate().Address()
	if o.intro != nil {
		return false
	}
	if o.code == nil {
		return address != o.owner.Account
	}
	return o.code.Owner != 0 && (o.c == nil || o.c.id != o.code.Owner)
}

// openIdentity compares the certificate with what is pinned, and refuses
// whoever is blocked.
func (w *work) openIdentity(o *opening) error {
	cert := o.sender.Certificate()
	if o.c == nil {
		if o.code == nil && o.intro == nil {
			return drop(dropBorrowed) // nothing vouches for a stranger under a given ticket
		}
		return nil
	}
	if o.c.Blocked {
		return dropAfter(w.reblock(o), dropBlocked)
	}
	if o.c.Fingerprint != (directory.Fingerprint{}) && o.c.Fingerprint != directory.FingerprintOf(cert.Identity()) {
		return dropAfter(w.mismatched(o.c), dropIdentity)
	}
	// Another X_S has to be in the manifest that came along (openControl): the
	// provider's word alone is not enough.
	o.rekeys = !o.c.accepts(cert.XS(), w.today)
	// A removed device ends here; one that is not known yet has to bring the
	// manifest that has it.
	if o.c.Version != 0 && !o.c.has(cert) && cert.Device() <= o.c.LastDevice {
		return drop(dropDevice)
	}
	return nil
}

// openSession decrypts the body key on a session with the sender's device, or
// on one that the message begins.
func (w *work) openSession(o *opening) error {
	entry, err := o.sender.Entry(w.self.Device)
	if err != nil {
		return drop(dropEntry)
	}
	if o.c != nil {
		all, err := w.sessionsOf(o.c)
		if err != nil {
			return err
		}
		for _, s := range all {
			if !s.s.CanOpenHeader(entry.Session[:]) {
				continue
			}
			if o.sender.CheckSession(s.s.RemoteIdentity()) != nil {
				return drop(dropSession)
			}
			before := s.s.Marshal()
			key, err := s.s.Decrypt(entry.Session[:], o.sender.SessionData())
			if err != nil {
				clear(before)
				return drop(dropSession)
			}
			o.session, o.before = s, before
			return o.takeKey(key)
		}
	}
	if entry.Prekey == nil {
		return drop(dropSession)
	}
	return w.beginSession(o, entry)
}

// beginSession accepts a session that the message begins. Nothing is stored
// yet, so that a message that fails later leaves the prekey.
func (w *work) beginSession(o *opening, entry *sealedsender.Entry) error {
	var first ratchet.PrekeyMessage
	if wire.Unmarshal(entry.Prekey, &first) != nil {
		return drop(dropSession)
	}
	cert := o.sender.Certificate()
	prekeys := &prekeyFinder{w: w}
	s, key, used, err := ratchet.AcceptSession(ratchet.Config{}, w.identity(), prekeys, first, ratchet.Peer{
		Address: cert.Address(), Device: cert.Device(), IK: cert.DH(),
	}, entry.Session[:], o.sender.SessionData())
	if prekeys.failed != nil {
		return prekeys.failed
	}
	if err != nil {
		return drop(dropSession)
	}
	o.began, o.used = s, used
	return o.takeKey(key)
}

// identity is the own device as sessions name it.
func (w *work) identity() ratchet.Identity {
	return ratchet.Identity{
		Address: w.self.Address, Device: w.self.Device, IK: w.self.dh,
		ManifestVersion: uint32(w.self.manifest.Version()),
	}
}

func (o *opening) takeKey(key []byte) error {
	var err error
	o.bodyKey, err = keys.SecretFrom(key)
	clear(key)
	if err != nil {
		return drop(dropSession)
	}
	return nil
}

// openContent decrypts the body and recomputes com from the own mailbox.
func (w *work) openContent(o *opening) error {
	var err error
	o.content, err = o.sender.OpenBody(o.sender.Certificate().DH(), o.bodyKey)
	o.bodyKey.Erase()
	if err != nil {
		return drop(dropBody)
	}
	kf, err := franking.KeyFrom(o.content.KF[:])
	if err != nil {
		return drop(dropCommitment)
	}
	place := franking.Place{Provider: w.self.Address.Domain(), Mailbox: w.self.Mailbox, Day: o.d.Day}
	com := franking.Commitment(o.d.Com)
	if o.franked, err = franking.Open(kf, o.content.Frame, &place, &com); err != nil {
		return drop(dropCommitment)
	}
	if len(o.content.Frame) > 0 {
		if o.frame, err = content.ParseFrame(o.content.Frame); err != nil {
			return drop(dropContent)
		}
	}
	if err := w.openControl(o); err != nil || o.frame == nil {
		return err
	}
	return w.prove(o) // costs most
}

// openControl parses the control part and what other packages own in it.
func (w *work) openControl(o *opening) (err error) {
	if o.control, err = content.ParseControl(o.content.Control); err != nil {
		return drop(dropContent)
	}
	if len(o.control.Grant) > 0 {
		if o.grant, err = ticket.ParseGrant(o.control.Grant); err != nil {
			return drop(dropContent)
		}
	}
	cert := o.sender.Certificate()
	if len(o.control.Manifest) > 0 {
		o.theirs, err = directory.ParseManifest(o.control.Manifest)
		if err != nil || o.theirs.Address() != cert.Address() || o.theirs.Identity() != cert.Identity() || o.theirs.XS() != cert.XS() {
			return drop(dropContent)
		}
		if dev, ok := o.theirs.Device(cert.Device()); !ok || dev.DH != cert.DH() {
			return drop(dropContent)
		}
	}
	if o.rekeys {
		if err := w.openRekeyed(o); err != nil {
			return err
		}
	}
	if o.c != nil && o.c.Version != 0 {
		return w.openDevice(o)
	}
	if o.c == nil && (o.theirs == nil || o.control.Mailbox == (ids.MailboxID{})) {
		return drop(dropContent) // nobody could answer it
	}
	// The X_S that is pinned first is signed by the identity key, not only by the
	// provider in the certificate. Whoever begins a session sends its manifest.
	if o.c != nil && o.c.XS == [32]byte{} && o.theirs == nil {
		return drop(dropContent)
	}
	return nil
}

// openRekeyed checks that the sender's newer manifest has the certificate's X_S.
func (w *work) openRekeyed(o *opening) error {
	if o.theirs == nil && len(w.siblings()) > 0 {
		// Another device may have confirmed the manifest already, which is held here or
		// still to come.
		return &holdError{holdRow{reason: state.HeldCertificate}}
	}
	if o.theirs != nil {
		newer, err := w.newer(o.c, o.theirs)
		if _, refused := dropped(err); err != nil && !refused {
			return err
		}
		if newer && err == nil {
			return nil
		}
	}
	return dropAfter(w.mismatched(o.c), dropIdentity)
}

// openDevice checks that the sending device is in the newest manifest: the known
// one, or a newer one that came along.
func (w *work) openDevice(o *opening) error {
	newer := false
	if o.theirs != nil {
		var err error
		if newer, err = w.newer(o.c, o.theirs); err != nil {
			return err
		}
	}
	if !newer && !o.c.has(o.sender.Certificate()) {
		return drop(dropDevice)
	}
	return nil
}

// restore puts a session back that the failed message had advanced.
func (o *opening) restore() error {
	if o.began != nil {
		o.began.Erase()
	}
	if o.session == nil {
		return nil
	}
	s, err := ratchet.UnmarshalSession(ratchet.Config{}, o.before)
	clear(o.before)
	if err != nil {
		return &state.CorruptError{Table: "sessions"}
	}
	o.session.s.Erase()
	o.session.s = s
	return nil
}
