package client

import (
	"errors"
	"slices"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// errDescriptor says that a provider's keys are not known, or too old for what
// is to be checked: it has to be asked for.
var errDescriptor = errors.New("client: provider's keys are not known")

// pin pins a provider's root key. Another pin than the one that is known is
// ErrIdentityChanged, wherever both come from: otherwise whoever hands out a
// contact code could put another provider in the place of a known one.
func (w *work) pin(domain ids.Domain, pin keys.Pin) error {
	key := []byte(domain.String())
	p, err := state.Descriptors.Get(w.tx, key)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return state.Descriptors.Put(w.tx, key, &state.Provider{Pinned: true, Pin: pin})
	case err != nil:
		return err
	case p.Pin != pin:
		return ErrIdentityChanged
	case p.Pinned:
		return nil
	}
	p.Pinned = true
	return state.Descriptors.Put(w.tx, key, p)
}

// described takes a provider's descriptor that the own provider sent.
func (w *work) described(domain ids.Domain, b []byte) error {
	key := []byte(domain.String())
	p, err := state.Descriptors.Get(w.tx, key)
	trust := directory.DescriptorTrust{Domain: domain, Today: w.today}
	switch {
	case errors.Is(err, state.ErrNotFound):
		// First use: whoever the own provider has pinned under this name.
		var f directory.DescriptorFields
		if wire.Unmarshal(b, &f) != nil {
			return ErrServer
		}
		p = &state.Provider{Pin: keys.PinOf(f.Root)}
	case err != nil:
		return err
	case len(p.Descriptor) > 0:
		trust.Known, err = knownDescriptor(p, domain, w.today)
		if err != nil {
			return err
		}
	}
	trust.Pin = p.Pin
	d, err := directory.VerifyDescriptor(b, trust)
	if err != nil {
		return ErrServer
	}
	p.Descriptor, p.Fetched = d.Bytes(), uint64(w.now.UnixMilli())
	w.touched = true
	w.descriptors[domain] = knownProvider{d, w.now}
	return state.Descriptors.Put(w.tx, key, p)
}

// knownDescriptor returns the stored descriptor. It was verified when it was
// stored, so only damage can make it fail; its expiry is for the caller.
func knownDescriptor(p *state.Provider, domain ids.Domain, today ids.Day) (*directory.Descriptor, error) {
	d, err := directory.VerifyDescriptor(p.Descriptor, directory.DescriptorTrust{Domain: domain, Pin: p.Pin, Today: today})
	if errors.Is(err, directory.ErrExpired) {
		return nil, nil
	}
	if err != nil {
		return nil, &state.CorruptError{Table: "providers"}
	}
	return d, nil
}

// knownProvider is a descriptor in memory: verifying it costs a signature.
type knownProvider struct {
	d       *directory.Descriptor
	fetched time.Time
}

// descriptor returns a provider's descriptor, and whether it is fresh. The
// error is errDescriptor if there is none.
func (w *work) descriptor(domain ids.Domain) (d *directory.Descriptor, fetched time.Time, err error) {
	if k, ok := w.descriptors[domain]; ok && k.d.Expiry() >= w.today {
		return k.d, k.fetched, nil
	}
	p, err := state.Descriptors.Get(w.tx, []byte(domain.String()))
	if errors.Is(err, state.ErrNotFound) || err == nil && len(p.Descriptor) == 0 {
		return nil, time.Time{}, errDescriptor
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	d, err = knownDescriptor(p, domain, w.today)
	if err == nil && d == nil {
		err = errDescriptor
	}
	fetched = time.UnixMilli(int64(p.Fetched))
	if err == nil {
		w.descriptors[domain] = knownProvider{d, fetched} // at most state.MaxDescriptors
	}
	return d, fetched, err
}

// verifyCertificate checks a certificate under its provider's keys. Errors are
// errDescriptor, those of sealedsender.Verify, and the store's.
func (w *work) verifyCertificate(cert []byte, domain ids.Domain, day ids.Day) (*sealedsender.VerifiedCertificate, error) {
	hash := sealedsender.CertificateHash(cert)
	if v := w.certs[hash]; v != nil {
		return v, v.ValidOn(day)
	}
	d, fetched, err := w.descriptor(domain)
	if err != nil {
		return nil, err
	}
	v, err := sealedsender.Verify(cert, certificateKeys(d, day), domain, day)
	if errors.Is(err, sealedsender.ErrCertificateSignature) && w.now.Sub(fetched) > descriptorRetry {
		return nil, errDescriptor // the provider may have a new key
	}
	if err != nil {
		return nil, err
	}
	if len(w.certs) >= maxCertificateCache {
		clear(w.certs)
	}
	w.certs[hash] = v
	return v, nil
}

// certificateKeys returns the keys that may have signed a certificate that is
// valid on a day: those of any day on which it can have been issued.
func certificateKeys(d *directory.Descriptor, day ids.Day) []keys.VerifyKey {
	var all []keys.VerifyKey
	for back := range ids.Day(sealedsender.MaxLifetimeDays + 1) {
		for _, k := range d.CertificateKeys(day - min(back, day)) {
			if !slices.Contains(all, k) && len(all) < sealedsender.MaxTrusted {
				all = append(all, k)
			}
		}
	}
	return all
}

// stale returns the domains among those given whose descriptor has to be asked
// for.
func (w *work) stale(domains []ids.Domain) (out []ids.Domain, err error) {
	for _, d := range domains {
		_, fetched, err := w.descriptor(d)
		if err != nil && !errors.Is(err, errDescriptor) {
			return nil, err
		}
		if err != nil || w.now.Sub(fetched) > descriptorAge {
			out = append(out, d)
		}
	}
	return out, nil
}
