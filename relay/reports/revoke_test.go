package reports

import (
	"errors"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
)

// A crash in a revocation leaves the old key in force, or revokes it for good; what
// was signed before is never contradicted.
func TestRevocationAndCrashes(t *testing.T) {
	day := ids.DayOf(begin)
	for _, c := range []struct {
		name    string
		crash   func(t *testing.T, p *provider)
		revoked bool
	}{
		{"before anything", func(*testing.T, *provider) {}, false},
		{"when the old secret has its other place", func(t *testing.T, p *provider) {
			s := p.keyring.secret(ringSign, day)
			old := revokedSecret{day, 1, s}
			must(t, p.files.Put(old.name(), wire.MustMarshal(&revokedRecord{day, 1, s.Secret()})))
		}, false},
		{"when the new secret is durable", func(t *testing.T, p *provider) {
			_, err := p.keyring.revoke(day, p.of(p.domain), begin)
			must(t, err)
		}, true},
		{"when the list is durable", func(t *testing.T, p *provider) {
			r, err := p.keyring.revoke(day, p.of(p.domain), begin)
			must(t, err)
			must(t, p.Learn(t.Context(), p.domain, r.bytes, p.root.Public(), begin))
		}, true},
		{"after all", func(t *testing.T, p *provider) { must(t, p.Revoke(t.Context(), begin, day)) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProvider(t, "alpha.example", begin)
			before, _ := p.keyring.own()
			old, _ := before.Of(day)
			c.crash(t, p)
			for range 2 {
				p.open(begin.Add(time.Minute))
				now, raw := p.keyring.own()
				if _, err := franking.ParseEpochKeys(raw, p.domain, p.root.Public(), before); err != nil {
					t.Fatalf("the list does not continue the one before: %v", err)
				}
				key, ok := now.Of(day)
				if !ok || (key != old) != c.revoked || key != p.keyring.secret(ringSign, day).SigningKey().Public() {
					t.Errorf("the key in force is another: %v", key != old)
				}
				if at, _ := p.Revoked(); (at != 0) != c.revoked {
					t.Errorf("revoked at %d", at)
				}
				before = now
			}
			// It can be revoked then, or once more.
			must(t, p.Revoke(t.Context(), begin.Add(time.Hour), day))
			_, err := p.keyring.issuer(day)
			must(t, err)
		})
	}
}

// Revoked secrets are published when those are that were not, and not before.
func TestRevokedSecretsArePublished(t *testing.T) {
	p := newProvider(t, "alpha.example", begin)
	day := ids.DayOf(begin)
	first, list := p.keyring.secret(ringSign, day).Secret(), p.of(p.domain).list
	must(t, p.Revoke(t.Context(), begin, day))
	must(t, p.Revoke(t.Context(), begin, day))
	if err := p.Revoke(t.Context(), begin, day+3); !errors.Is(err, ErrUnknown) {
		t.Errorf("a day without a key: %v", err)
	}
	published := func(number uint8) error {
		m := &wire.Publish{Kind: wire.PublicationSecret, Provider: p.domain, Issuer: p.domain}
		m.ID[0], m.ID[1] = byte(franking.SignSecret), number
		m.ID[28], m.ID[29], m.ID[30], m.ID[31] = byte(day>>24), byte(day>>16), byte(day>>8), byte(day)
		b, err := p.Publication(t.Context(), m, begin)
		if err != nil {
			return err
		}
		var rec secretRecord
		must(t, wire.Unmarshal(b, &rec))
		if number == 1 && rec.secret != first {
			t.Error("another secret")
		}
		return list.Published(franking.PublishedSecret(franking.SignSecret, day, rec.secret))
	}
	over := int(franking.SignSecret.Days())
	for _, c := range []struct {
		days int
		want error
	}{{0, ErrUnknown}, {over, ErrUnknown}, {over + 1, nil}} {
		now := after(c.days)
		must(t, p.Renew(t.Context(), now))
		must(t, p.Retire(t.Context(), now, true))
		p.open(now)
		if err := published(1); !errors.Is(err, c.want) {
			t.Errorf("after %d days: %v", c.days, err)
		}
		issued, err := p.issued(t.Context(), dayOf(now))
		must(t, err)
		n := 0
		for _, e := range issued.Epochs {
			if e.Epoch == day {
				n++
			}
		}
		if n != 3 {
			t.Errorf("after %d days a verdict is checked with %d keys of the day", c.days, n)
		}
	}
	if p.files.count(prefixRevoked) != 0 {
		t.Error("a published secret is kept")
	}
}
