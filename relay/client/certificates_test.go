package client

import (
	"testing"
	"time"

	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

func TestCertificates(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	// A certificate that is referred to and not known: held.
	d := alice.one(bob, "by reference")
	bob.do(func(k *work) error {
		return expire(k, state.Certificates, func(*state.Known) bool { return true })
	})
	bob.reopen()
	bob.inject(d)
	if bob.heldCount() != 1 {
		t.Fatal("not held")
	}
	// A certificate that a provider without authority signed.
	w.providers[alice.p.domain].cert = keys.NewSigningKey()
	d = func() *wire.Delivery {
		alice.do(func(k *work) error {
			k.certs = nil
			v, err := sealedVerify(alice)
			own := k.ownProfile()
			own.Cert, own.CertExpiry, own.cert = v.Bytes(), v.Expiry(), v
			return err
		})
		alice.do(func(k *work) error { k.unconfirm(k.find(bob.address)); return nil })
		return alice.one(bob, "forged certificate")
	}()
	bob.inject(d)
	if got := bob.inbox(alice); len(got) != 1 || bob.dropped(dropCertificate) != 1 {
		t.Errorf("%q, %d dropped", got, bob.dropped(dropCertificate))
	}
}

// TestExpiredCertificate: the sender goes on with a certificate that is over.
func TestExpiredCertificate(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	alice.do(func(k *work) error { k.unconfirm(k.find(bob.address)); return nil })
	d := alice.one(bob, "later")
	bob.do(func(k *work) error { clear(k.certs); return nil })
	late := *d
	late.Day += 14
	late.Received += 14 * 86400 * 1000
	err := bob.try(func(k *work) error {
		if err := k.open(&late); err != nil {
			return err
		}
		return errUndo
	})
	if r, ok := dropped(err); !ok || r != dropCertificate {
		t.Errorf("expired certificate: %v", err)
	}
	w.advance(14 * 24 * time.Hour)
	alice.send(bob, "without a certificate")
	alice.do(func(k *work) error {
		if n, err := k.pump(batchSize, true); n != 0 || err != nil {
			t.Error("sealed with an expired certificate", err)
		}
		return nil
	})
}

// TestRenewedCertificate: a renewed certificate travels in full until
// it was confirmed, and then by its hash.
func TestRenewedCertificate(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	for range 13 {
		w.advance(24 * time.Hour)
		w.settle()
	}
	clear(alice.classes)
	alice.send(bob, "renewed")
	w.settle()
	bob.send(alice, "seen")
	w.settle()
	alice.send(bob, "by hash")
	w.settle()
	if got := bob.inbox(alice); len(got) != 3 || bob.heldCount() != 0 {
		t.Errorf("%q, %d held", got, bob.heldCount())
	}
	if alice.classes[wire.Class1K] == 0 {
		t.Errorf("classes %v", alice.classes)
	}
}
