package quicnet

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// baseTLS is what both sides of every handshake insist on.
func baseTLS(now func() time.Time) *tls.Config {
	return &tls.Config{
		Time:       now,
		MinVersion: tls.VersionTLS13,
		// The hybrid group only: whoever cannot do it is refused, so nobody in
		// between can talk the two sides down to a key exchange that falls to a
		// quantum computer.
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768},
		NextProtos:       []string{wire.ALPN},
		// No resumption: it saves no CPU here, links a client's connections, and
		// is what 0-RTT would need.
		SessionTicketsDisabled: true,
	}
}

// clientTLS checks that the server is the domain with the pin, and presents
// the identity, if there is one, when asked.
func clientTLS(domain ids.Domain, pin keys.Pin, id *Identity, now func() time.Time) *tls.Config {
	c := baseTLS(now)
	// The web PKI's check is replaced, not left out: VerifyConnection runs on
	// every handshake.
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := checkParameters(cs); err != nil {
			return err
		}
		return checkChain(cs.PeerCertificates, domain, pin, x509.ExtKeyUsageServerAuth, now())
	}
	if id != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return id.certificate(now())
		}
	}
	return c
}

// serverTLS presents the identity and checks a certificate if one is presented.
func serverTLS(id *Identity, peerPin func(ids.Domain) (keys.Pin, bool), now func() time.Time) *tls.Config {
	c := baseTLS(now)
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.certificate(now()) }
	c.ClientAuth = tls.RequestClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := checkParameters(cs); err != nil {
			return err
		}
		if len(cs.PeerCertificates) == 0 {
			return nil // a client
		}
		domain, err := leafDomain(cs.PeerCertificates[0])
		if err != nil {
			return err
		}
		pin, ok := peerPin(domain)
		if !ok {
			return ErrPin
		}
		return checkChain(cs.PeerCertificates, domain, pin, x509.ExtKeyUsageClientAuth, now())
	}
	return c
}

// checkParameters repeats what baseTLS asks for on what was negotiated, so
// that a change of a library's defaults cannot weaken it unnoticed.
func checkParameters(cs tls.ConnectionState) error {
	if cs.Version != tls.VersionTLS13 || cs.CurveID != tls.X25519MLKEM768 ||
		cs.NegotiatedProtocol != wire.ALPN || cs.DidResume {
		return ErrHandshake
	}
	return nil
}

// leafDomain returns the one domain that a leaf is for. ErrCertificate, if it
// names anything else beside it or not in canonical form.
func leafDomain(leaf *x509.Certificate) (ids.Domain, error) {
	if len(leaf.DNSNames) != 1 || len(leaf.IPAddresses)+len(leaf.EmailAddresses)+len(leaf.URIs) != 0 {
		return ids.Domain{}, ErrCertificate
	}
	d, err := ids.ParseDomain(leaf.DNSNames[0])
	if err != nil || d.String() != leaf.DNSNames[0] {
		return ids.Domain{}, ErrCertificate
	}
	return d, nil
}

// checkChain checks that chain is exactly a leaf and the pinned root that
// signed it, that the leaf is for this domain alone (no wildcard) and this
// use, and that it is valid at now. It runs before crypto/tls checks the
// signature that proves possession of the leaf's key.
func checkChain(chain []*x509.Certificate, domain ids.Domain, pin keys.Pin, use x509.ExtKeyUsage, now time.Time) error {
	if len(chain) != 2 {
		return ErrCertificate
	}
	leaf, root := chain[0], chain[1]
	if !pin.Matches(root.RawSubjectPublicKeyInfo) {
		return ErrPin
	}
	d, err := leafDomain(leaf)
	if err != nil {
		return err
	}
	if d != domain || leaf.IsCA || leaf.PublicKeyAlgorithm != x509.Ed25519 ||
		leaf.NotAfter.Sub(leaf.NotBefore) > maxLeafLifetime {
		return ErrCertificate
	}
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return ErrExpired
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use},
	})
	if err != nil {
		return ErrCertificate
	}
	return nil
}
