package quicnet

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func TestDialVerifiesTheServer(t *testing.T) {
	later := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	for _, c := range []struct {
		name string
		edit func(*DialConfig)
		want error
	}{
		{"right", func(*DialConfig) {}, nil},
		{"wrong pin", func(d *DialConfig) { d.Pin[0] ^= 1 }, ErrPin},
		{"pin of another's root", func(d *DialConfig) { d.Pin = keys.PinOf(keys.NewSigningKey().Public()) }, ErrPin},
		{"other domain", func(d *DialConfig) { d.Domain = beta }, ErrCertificate},
		{"subdomain", func(d *DialConfig) { d.Domain = ids.MustParseDomain("a.alpha.example") }, ErrCertificate},
		{"expired", func(d *DialConfig) { d.Now = later(91 * 24 * time.Hour) }, ErrExpired},
		{"clock two days behind", func(d *DialConfig) { d.Now = later(-48 * time.Hour) }, ErrExpired},
		{"clock hours behind", func(d *DialConfig) { d.Now = later(-23 * time.Hour) }, nil},
		{"nobody there", func(d *DialConfig) { d.Addr = "192.0.2.9:4433" }, ErrTimeout},
		{"no pin", func(d *DialConfig) { d.Pin = keys.Pin{} }, ErrConfig},
		{"no domain", func(d *DialConfig) { d.Domain = ids.Domain{} }, ErrConfig},
		{"no port", func(d *DialConfig) { d.Addr = "192.0.2.1" }, ErrConfig},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, 2)
				id := newIdentity(t, alpha, time.Now())
				l := listen(t, Config{Identity: id, PacketConn: n.hosts[0]})
				d := DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin(), PacketConn: n.hosts[1]}
				c.edit(&d)
				conn, err := Dial(t.Context(), d)
				if !errors.Is(err, c.want) {
					t.Fatalf("%v, want %v", err, c.want)
				}
				if err == nil {
					conn.Close(CodeNone)
				}
			})
		})
	}
}

func TestListenerVerifiesPeers(t *testing.T) {
	for _, c := range []struct {
		name   string
		domain ids.Domain // of the certificate shown; zero: none
		pin    func(*Identity) keys.Pin
		shift  time.Duration // of the listener's clock
		peer   ids.Domain
		ok     bool
		failed Failure
	}{
		{"client", ids.Domain{}, nil, 0, ids.Domain{}, true, 0},
		{"peer", beta, (*Identity).Pin, 0, beta, true, 0},
		{"peer with another root", beta, func(*Identity) keys.Pin { return keys.Pin{9} }, 0, ids.Domain{}, false, FailedPin},
		{"unknown peer", gamma, (*Identity).Pin, 0, ids.Domain{}, false, FailedPin},
		{"peer with an expired leaf", beta, (*Identity).Pin, 200 * 24 * time.Hour, ids.Domain{}, false, FailedExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, 2)
				id := newIdentity(t, alpha, time.Now())
				d := DialConfig{Domain: alpha, Pin: id.Pin(), PacketConn: n.hosts[1]}
				var failed []Failure
				conf := Config{Identity: id, PacketConn: n.hosts[0], Failed: func(f Failure) { failed = append(failed, f) }}
				if !c.domain.IsZero() {
					d.Identity = newIdentity(t, c.domain, time.Now())
					conf.PeerPin = func(who ids.Domain) (keys.Pin, bool) { return c.pin(d.Identity), who == beta }
				}
				if c.shift != 0 {
					// Only the check of the peer's leaf is in the future.
					conf.Now = func() time.Time { return time.Now().Add(c.shift) }
					d.Now = conf.Now
					d.Identity.leaf.Leaf.NotAfter = time.Now().Add(2 * c.shift) // it does not notice
				}
				l := listen(t, conf)
				d.Addr = l.Addr().String()
				client, err := Dial(t.Context(), d)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close(CodeNone)
				if !c.ok {
					<-client.Context().Done()
					if err := client.Err(); !errors.Is(err, ErrHandshake) {
						t.Fatalf("closed by %v", err)
					}
					synctest.Wait()
					if !slices.Equal(failed, []Failure{c.failed}) {
						t.Errorf("failed: %v, want %v", failed, c.failed)
					}
					return
				}
				server, err := l.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got, ok := server.Peer(); got != c.peer || ok == c.peer.IsZero() {
					t.Errorf("peer %v, %v", got, ok)
				}
				if got, ok := client.Peer(); got != alpha || !ok {
					t.Errorf("server %v, %v", got, ok)
				}
				if len(failed) > 0 {
					t.Errorf("failed: %v", failed)
				}
			})
		})
	}
}

// TestHandshakeParameters connects with what this package never offers.
func TestHandshakeParameters(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*tls.Config)
		ok   bool
	}{
		{"as it is", func(*tls.Config) {}, true},
		{"classical key exchange", func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }, false},
		{"other hybrid", func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.SecP256r1MLKEM768} }, false},
		{"other protocol", func(c *tls.Config) { c.NextProtos = []string{"h3"} }, false},
		{"no protocol", func(c *tls.Config) { c.NextProtos = nil }, false},
		{"TLS 1.2", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, 2)
				id := newIdentity(t, alpha, time.Now())
				var failed []Failure
				l := listen(t, Config{Identity: id, PacketConn: n.hosts[0], Failed: func(f Failure) { failed = append(failed, f) }})
				conf := clientTLS(alpha, id.Pin(), nil, time.Now)
				c.edit(conf)
				var timeouts Timeouts
				timeouts.defaults()
				q, err := quic.Dial(t.Context(), n.hosts[1], l.Addr(), conf, baseQUIC(timeouts))
				if (err == nil) != c.ok {
					t.Fatal(err)
				}
				synctest.Wait()
				var want []Failure
				if !c.ok && conf.MaxVersion != tls.VersionTLS12 { // that one gives up by itself
					want = []Failure{FailedHandshake}
				}
				if !slices.Equal(failed, want) {
					t.Errorf("failed: %v, want %v", failed, want)
				}
				if err == nil {
					closeQUIC(q, CodeNone)
				}
			})
		})
	}
}

// TestServerWithClassicalKeyExchange is the other direction.
func TestServerWithClassicalKeyExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 2)
		id := newIdentity(t, alpha, time.Now())
		conf := serverTLS(id, nil, time.Now)
		conf.VerifyConnection = nil
		conf.CurvePreferences = []tls.CurveID{tls.X25519}
		tr := &quic.Transport{Conn: n.hosts[0]}
		l, err := tr.Listen(conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		defer l.Close()
		_, err = Dial(t.Context(), DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin(), PacketConn: n.hosts[1]})
		if !errors.Is(err, ErrHandshake) {
			t.Fatal(err)
		}
	})
}

// TestNoResumption connects with a session cache and with 0-RTT: the server
// gives out no tickets, so there is nothing to resume.
func TestNoResumption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 4)
		id := newIdentity(t, alpha, time.Now())
		l := listen(t, Config{Identity: id, PacketConn: n.hosts[0]})
		cache := &countingCache{tls.NewLRUClientSessionCache(8), 0}
		conf := clientTLS(alpha, id.Pin(), nil, time.Now)
		conf.SessionTicketsDisabled = false
		conf.ClientSessionCache = cache
		conf.ServerName = "alpha.example"
		var timeouts Timeouts
		timeouts.defaults()
		for i := range 3 {
			q, err := quic.DialEarly(t.Context(), n.hosts[1+i], l.Addr(), conf, baseQUIC(timeouts))
			if err != nil {
				t.Fatal(err)
			}
			<-q.HandshakeComplete()
			time.Sleep(time.Second)
			if cs := q.ConnectionState(); cs.Used0RTT || cs.TLS.DidResume {
				t.Fatal("resumed")
			}
			closeQUIC(q, CodeNone)
		}
		if cache.puts != 0 {
			t.Fatalf("%d sessions kept", cache.puts)
		}
	})
}

type countingCache struct {
	tls.ClientSessionCache
	puts int
}

func (c *countingCache) Put(key string, s *tls.ClientSessionState) {
	if s != nil {
		c.puts++
	}
	c.ClientSessionCache.Put(key, s)
}

func TestExporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		if p.client.Exporter() != p.server.Exporter() {
			t.Error("the two ends differ")
		}
		c2, s2 := connect(t, p.listener, DialConfig{
			Addr: p.listener.Addr().String(), Domain: alpha, Pin: p.id.Pin(), PacketConn: p.hosts[2],
		})
		if c2.Exporter() != s2.Exporter() {
			t.Error("the two ends of the second connection differ")
		}
		if c2.Exporter() == p.client.Exporter() || c2.Exporter() == [32]byte{} {
			t.Error("two connections have one exporter")
		}
	})
}

// TestRenewalNeedsNoRestart connects again and again over a year.
func TestRenewalNeedsNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 10)
		id := newIdentity(t, alpha, time.Now())
		peer := newIdentity(t, beta, time.Now())
		l := listen(t, Config{
			Identity: id, PacketConn: n.hosts[0],
			PeerPin: func(ids.Domain) (keys.Pin, bool) { return peer.Pin(), true },
		})
		for i := range 9 {
			c, s := connect(t, l, DialConfig{
				Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin(), Identity: peer, PacketConn: n.hosts[1+i],
			})
			if _, ok := s.Peer(); !ok {
				t.Fatal("peer not recognised")
			}
			c.Close(CodeNone)
			time.Sleep(40 * 24 * time.Hour)
		}
	})
}

// TestRestart kills a server's socket without a word and starts it again on
// the same address: peers that send learn of it at once, by a stateless reset,
// and not by a timeout.
func TestRestart(t *testing.T) {
	id := newIdentity(t, alpha, time.Now())
	l := listen(t, Config{Identity: id, Addr: "127.0.0.1:0"})
	addr := l.Addr().String()
	dial := DialConfig{Addr: addr, Domain: alpha, Pin: id.Pin()}
	client, server := connect(t, l, dial)
	cs, _ := openPair(t, client, server, wire.StreamSubmit)
	l.socket.Close() // as kill -9 does
	server.Close(CodeNone)

	l2 := listen(t, Config{Identity: id, Addr: addr})
	for i := uint64(1); client.Err() == nil; i++ {
		if cs.WriteFrame(wire.TypeForward, &wire.Forward{Number: i, Envelope: make([]byte, 1024)}) == nil {
			_ = cs.Flush()
		}
		select {
		case <-client.Context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := client.Err(); !errors.Is(err, ErrClosed) || errors.Is(err, ErrTimeout) {
		t.Fatalf("ended by %v", err)
	}
	connect(t, l2, dial)
}

func TestDialContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := Dial(ctx, DialConfig{Addr: "192.0.2.9:4433", Domain: alpha, Pin: keys.Pin{1}, PacketConn: n.hosts[0]})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	})
}
