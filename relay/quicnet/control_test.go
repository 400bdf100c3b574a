package quicnet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"waxwing/core/wire"
)

// controlled runs ServeControl with handler at one end of a control stream and
// returns a Caller at the other. served gets ServeControl's result.
func controlled(t *testing.T, p *pair, ctx context.Context, handler func(context.Context, wire.Message) wire.Message) (*Caller, <-chan error) {
	t.Helper()
	cs, ss := p.stream(t, wire.StreamControl)
	served := make(chan error, 1)
	go func() {
		served <- ServeControl(ctx, ss, &wire.Hello{Domain: alpha, Time: 7}, handler)
	}()
	c, err := NewCaller(t.Context(), cs)
	if err != nil {
		t.Fatal(err)
	}
	return c, served
}

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		// Answers come in the reverse of the order of the requests.
		c, served := controlled(t, p, t.Context(), func(_ context.Context, m wire.Message) wire.Message {
			mint := m.(*wire.Mint)
			time.Sleep(time.Duration(100-mint.Count) * time.Millisecond)
			if mint.Count == 50 {
				return &wire.Refusal{Code: wire.CodeLimit, RetryAfter: 1500}
			}
			return &wire.Stock{OneTime: uint32(mint.Count)}
		})
		if h := c.Hello(); h.Domain != alpha || h.Time != 7 {
			t.Errorf("%+v", h)
		}
		var wg sync.WaitGroup
		for i := range uint16(100) {
			wg.Go(func() {
				got, err := Ask[*wire.Stock](t.Context(), c, &wire.Mint{Count: i + 1})
				var refused *RefusedError
				switch {
				case i+1 == 50:
					if !errors.As(err, &refused) || refused.Code != wire.CodeLimit || refused.RetryAfter != 1500*time.Millisecond {
						t.Error(err)
					}
				case err != nil || got.OneTime != uint32(i+1):
					t.Errorf("request %d: %+v, %v", i+1, got, err)
				}
			})
		}
		wg.Wait()
		if _, err := Ask[*wire.Done](t.Context(), c, &wire.Mint{Count: 1}); !errors.Is(err, ErrProtocol) {
			t.Errorf("another type of answer: %v", err)
		}
		if _, err := c.Call(t.Context(), &wire.Mint{Count: 0}); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("a request that cannot be built: %v", err)
		}
		if len(c.slots) != 0 || len(c.pending) != 0 {
			t.Errorf("%d slots, %d requests left", len(c.slots), len(c.pending))
		}
		c.Close()
		if err := <-served; err != nil {
			t.Errorf("after an ordinary end: %v", err)
		}
		if _, err := c.Call(t.Context(), &wire.Certify{}); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		var running, most atomic.Int32
		release := make(chan struct{})
		c, served := controlled(t, p, t.Context(), func(context.Context, wire.Message) wire.Message {
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-release
			running.Add(-1)
			return &wire.Done{}
		})
		var wg sync.WaitGroup
		for range 3 * maxCalls {
			wg.Go(func() {
				if _, err := Ask[*wire.Done](t.Context(), c, &wire.Certify{}); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Second)
		c.mu.Lock()
		if len(c.pending) != maxCalls {
			t.Errorf("%d requests under way, want %d", len(c.pending), maxCalls)
		}
		c.mu.Unlock()
		close(release)
		wg.Wait()
		if most.Load() != maxServed {
			t.Errorf("%d requests handled at once, want %d", most.Load(), maxServed)
		}
		c.Close()
		<-served
	})
}

// TestCallContext gives up a call; its late answer harms nobody.
func TestCallContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		c, served := controlled(t, p, t.Context(), func(_ context.Context, m wire.Message) wire.Message {
			if m.(*wire.Mint).Count == 1 {
				time.Sleep(10 * time.Second)
			}
			return &wire.Done{}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Call(ctx, &wire.Mint{Count: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if len(c.slots) != 1 {
			t.Errorf("%d slots taken by a request that is still under way", len(c.slots))
		}
		for range 3 {
			if _, err := Ask[*wire.Done](t.Context(), c, &wire.Mint{Count: 2}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		if len(c.slots) != 0 {
			t.Error("the slot was not given back")
		}
		c.Close()
		<-served
	})
}

// TestHandlersEndWithTheStream checks that a handler that waits is told when
// the other side or the server itself goes away.
func TestHandlersEndWithTheStream(t *testing.T) {
	for name, end := range map[string]func(*Caller, context.CancelFunc){
		"caller goes":   func(c *Caller, _ context.CancelFunc) { c.Close() },
		"server stops":  func(_ *Caller, cancel context.CancelFunc) { cancel() },
		"caller misuse": func(c *Caller, _ context.CancelFunc) { _ = c.stream.WriteFrame(99, &wire.Ack{}); _ = c.stream.Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Config{}, DialConfig{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan struct{})
				c, served := controlled(t, p, ctx, func(ctx context.Context, _ wire.Message) wire.Message {
					<-ctx.Done()
					close(ended)
					return &wire.Done{}
				})
				called := make(chan error)
				go func() {
					_, err := c.Call(t.Context(), &wire.Certify{})
					called <- err
				}()
				time.Sleep(time.Second)
				end(c, cancel)
				<-ended
				want := map[string]error{"caller goes": nil, "server stops": context.Canceled, "caller misuse": ErrProtocol}[name]
				if err := <-served; !errors.Is(err, want) {
					t.Errorf("served: %v, want %v", err, want)
				}
				if err := <-called; !errors.Is(err, ErrClosed) {
					t.Errorf("called: %v", err)
				}
				<-c.Done()
				if !errors.Is(c.Err(), ErrClosed) {
					t.Error(c.Err())
				}
			})
		})
	}
}

func TestNilAnswerEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		c, served := controlled(t, p, t.Context(), func(context.Context, wire.Message) wire.Message { return nil })
		if _, err := c.Call(t.Context(), &wire.Certify{}); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestMalformedRequests(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown type":   {0, 0, 0, 5, 200, 0, 0, 0, 1},
		"not a request":  {0, 0, 0, 9, byte(wire.TypeAck), 0, 0, 0, 0, 0, 0, 0, 1},
		"hello":          must(wire.AppendFrame(nil, wire.TypeHello, &wire.Hello{Domain: alpha})),
		"trailing bytes": {0, 0, 0, 6, byte(wire.TypeCertify), 0, 0, 0, 1, 0},
		"truncated":      {0, 0, 0, 4, byte(wire.TypeCertify), 0, 0, 0},
		"no frame":       {0, 0, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Config{}, DialConfig{})
				cs, ss := p.stream(t, wire.StreamControl)
				if err := cs.Append(func(dst []byte) ([]byte, error) { return append(dst, b...), nil }); err != nil {
					t.Fatal(err)
				}
				if err := cs.Flush(); err != nil {
					t.Fatal(err)
				}
				err := ServeControl(t.Context(), ss, &wire.Hello{Domain: alpha}, func(context.Context, wire.Message) wire.Message {
					t.Error("handled")
					return nil
				})
				if !errors.Is(err, ErrProtocol) {
					t.Error(err)
				}
			})
		})
	}
}

// TestMalformedAnswers plays a server by hand.
func TestMalformedAnswers(t *testing.T) {
	hello := must(wire.AppendFrame(nil, wire.TypeHello, &wire.Hello{Domain: alpha}))
	done := func(id uint32) []byte {
		m := &wire.Done{}
		m.SetRequestID(id)
		return must(wire.AppendFrame(nil, m.Type(), m))
	}
	for name, answer := range map[string][]byte{
		"to nothing":   done(99),
		"twice":        append(done(1), done(1)...),
		"hello again":  hello,
		"unknown type": {0, 0, 0, 5, 200, 0, 0, 0, 1},
		"cut":          {0, 0, 0, 3, byte(wire.TypeDone), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Config{}, DialConfig{})
				cs, ss := p.stream(t, wire.StreamControl)
				raw := func(b []byte) {
					_ = ss.Append(func(dst []byte) ([]byte, error) { return append(dst, b...), nil })
					_ = ss.Flush()
				}
				raw(hello)
				c, err := NewCaller(t.Context(), cs)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					_, _, _ = ss.ReadFrame()
					raw(answer)
				}()
				_, err = c.Call(t.Context(), &wire.Certify{})
				<-c.Done()
				if !errors.Is(c.Err(), ErrProtocol) {
					t.Errorf("ended by %v", c.Err())
				}
				if name != "twice" && !errors.Is(err, ErrProtocol) {
					t.Errorf("call: %v", err)
				}
			})
		})
	}
}

func TestNewCallerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		cs, ss := p.stream(t, wire.StreamControl)
		_ = ss.WriteFrame(wire.TypeDone, &wire.Done{})
		_ = ss.Flush()
		if _, err := NewCaller(t.Context(), cs); !errors.Is(err, ErrProtocol) {
			t.Errorf("no hello: %v", err)
		}
		cs, _ = p.stream(t, wire.StreamControl)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := NewCaller(ctx, cs); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("silence: %v", err)
		}
	})
}
