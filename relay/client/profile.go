package client

import (
	"errors"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// self is the own account with its keys in a form ready for use.
type self struct {
	state.Profile
	identity *keys.SigningKey
	sign     *keys.SigningKey
	dh       *keys.DHKey
	account  *keys.DHKey
	root     *keys.Secret // the one in use
	roots    map[uint16]*keys.Secret
	manifest *directory.Manifest
	xs       [32]byte                          // X_S of Secrets.K; not the manifest's while k of that is not here
	cert     *sealedsender.VerifiedCertificate // nil until it was verified
}

// newSelf makes the keys of a new account.
func newSelf(address ids.Address, server string, pin keys.Pin, invite []byte) (*self, error) {
	s := &self{
		identity: keys.NewSigningKey(), sign: keys.NewSigningKey(),
		dh: keys.NewDHKey(), account: keys.NewDHKey(), roots: make(map[uint16]*keys.Secret),
	}
	f := directory.ManifestFields{Address: address, Version: 1, DH: s.account.Public()}
	device := f.AddDevice(s.sign.Public(), s.dh.Public())
	secrets := state.DrawSecrets()
	defer secrets.Erase()
	k, err := secrets.AccountKey()
	if err != nil {
		return nil, err
	}
	f.AccountKey, err = directory.ProveAccountKey(k, address, s.identity.Public())
	k.Erase()
	if err != nil {
		return nil, err
	}
	m, err := directory.SignManifest(f, s.identity)
	if err != nil {
		return nil, err
	}
	s.manifest, s.xs = m, m.XS()
	s.Profile = state.Profile{
		Address: address, Device: device, Server: server, Pin: pin, Invite: invite,
		Identity: [32]byte(s.identity.Seed()), Sign: [32]byte(s.sign.Seed()),
		DeviceDH: [32]byte(s.dh.Bytes()), AccountDH: [32]byte(s.account.Bytes()),
		Secrets: secrets, Manifest: m.Bytes(),
	}
	return s, nil
}

// loadSelf reads the profile; nil if there is none.
func loadSelf(tx *state.Tx) (*self, error) {
	p, err := state.Profiles.Get(tx, state.Single)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &self{Profile: *p, roots: make(map[uint16]*keys.Secret)}
	var errs [7]error
	s.identity, errs[0] = keys.SigningKeyFromSeed(p.Identity[:])
	s.sign, errs[1] = keys.SigningKeyFromSeed(p.Sign[:])
	s.dh, errs[2] = keys.DHKeyFrom(p.DeviceDH[:])
	s.account, errs[3] = keys.DHKeyFrom(p.AccountDH[:])
	s.manifest, errs[4] = directory.ParseManifest(p.Manifest)
	errs[5] = s.loadRoots(tx)
	s.xs, errs[6] = state.AccountKeyOf(p.Secrets.K)
	for _, err := range errs {
		if err != nil {
			return nil, &state.CorruptError{Table: "profile"}
		}
	}
	return s, nil
}

// registration is what the provider is asked with.
func (s *self) registration(server ids.Domain, ch directory.Challenge) *wire.Register {
	return &wire.Register{
		Invite: s.Invite, Manifest: s.Profile.Manifest,
		Signature: directory.SignRegistration(s.identity, s.manifest, server, ch),
	}
}

// auth authenticates a connection.
func (s *self) auth(server ids.Domain, ch directory.Challenge) *wire.Auth {
	return &wire.Auth{
		Address: s.Address, Device: s.Device,
		Signature: directory.SignAuth(s.sign, s.Address, s.Device, server, ch),
	}
}

// prepare makes the profile, or finds the one that was made before for the same
// account: a registration whose answer was lost is repeated with its keys.
func (w *work) prepare(address ids.Address, server string, pin keys.Pin, invite []byte) error {
	if old := w.self; old != nil {
		if old.Address != address && old.Registered || w.unfinished() {
			return ErrRegistered
		}
		if err := w.forgetAttempt(); err != nil {
			return err
		}
		if old.Address == address {
			own := w.ownProfile()
			own.Server, own.Pin, own.Invite = server, pin, invite
			return w.pin(address.Domain(), pin)
		}
	}
	s, err := newSelf(address, server, pin, invite)
	if err != nil {
		return err
	}
	w.touched, w.profile = true, true
	w.memory.self = s
	w.ownContact()
	return errors.Join(w.drawRoot(), w.pin(address.Domain(), pin))
}

// forgetAttempt takes back what a registration that did not come to its end has
// pinned: nothing was verified under it, and it may have been mistyped.
func (w *work) forgetAttempt() error {
	if w.self.Registered {
		return nil
	}
	w.touched = true
	domain := w.self.Address.Domain()
	delete(w.descriptors, domain)
	return state.Descriptors.Delete(w.tx, []byte(domain.String()))
}

// registered notes that the provider has the account.
func (w *work) registered(mailbox ids.MailboxID) error {
	if w.self.Registered && w.self.Mailbox != mailbox {
		return ErrServer
	}
	if !w.self.Registered {
		own := w.ownProfile()
		own.Registered, own.Mailbox = true, mailbox
	}
	return nil
}

// entered takes what the provider says when a connection is the account's.
func (w *work) entered(s *wire.Session) error {
	if err := w.registered(s.Mailbox); err != nil {
		return err
	}
	if w.self.Standing != s.Standing {
		w.ownProfile().Standing = s.Standing
	}
	return nil
}

// certified takes the own certificate that the provider issued.
func (w *work) certified(cert []byte) error {
	v, err := w.verifyCertificate(cert, w.self.Address.Domain(), w.today)
	if err != nil {
		return ErrServer
	}
	if v.Address() != w.self.Address || v.Device() != w.self.Device ||
		v.Identity() != w.self.identity.Public() || v.DH() != w.self.dh.Public() || v.XS() != w.self.manifest.XS() {
		return ErrServer
	}
	own := w.ownProfile()
	own.Cert, own.CertExpiry, own.cert = v.Bytes(), v.Expiry(), v
	return nil
}

// ownCert returns the own certificate if it is valid today, else nil.
func (w *work) ownCert() *sealedsender.VerifiedCertificate {
	if len(w.self.Cert) == 0 || w.self.CertExpiry < w.today {
		return nil
	}
	if w.self.cert == nil {
		v, err := w.verifyCertificate(w.self.Cert, w.self.Address.Domain(), w.today)
		if err != nil {
			return nil
		}
		w.self.cert = v
	}
	if w.self.cert.ValidOn(w.today) != nil {
		return nil
	}
	return w.self.cert
}
