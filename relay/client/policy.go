package client

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// The text form of a contact code that lets introductions in where the policy lets
// in no others: a prefix and base64url of
//
//	version 1 | secret 32
//
// Unlike a contact code it is good for any number of people until it is taken back.
const (
	doorPrefix  = "waxwing-door:"
	doorVersion = 1
)

func doorCode(secret *keys.Secret) string {
	return doorPrefix + base64.RawURLEncoding.EncodeToString(append([]byte{doorVersion}, secret.Bytes()...))
}

func parseDoorCode(text string) (secret [keys.SecretSize]byte, err error) {
	// Mail breaks lines. Base64 would pass over the breaks in it, and only there.
	rest, ok := strings.CutPrefix(strings.Join(strings.Fields(text), ""), doorPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if !ok || err != nil || len(b) != 1+len(secret) || b[0] != doorVersion {
		return secret, ErrBadCode
	}
	return [keys.SecretSize]byte(b[1:]), nil
}

// Policy returns what introductions to the account may do.
func (c *Client) Policy() (p mailbox.Policy, err error) {
	err = c.view(func(w *work) error {
		s, err := w.settings()
		if err == nil {
			p = max(mailbox.Policy(s.Policy), mailbox.ToRequests)
		}
		return err
	})
	return p, err
}

// SetPolicy says what introductions may do. It is durable when SetPolicy returns,
// and the provider is told at once or with the next connection. Errors are
// ErrPolicy, ErrNotRegistered, and those of Sync, after which it is told later.
func (c *Client) SetPolicy(ctx context.Context, p mailbox.Policy) error {
	if !p.Valid() {
		return ErrPolicy
	}
	return c.changeDoor(ctx, func(w *work, s *state.Setting) error {
		s.Policy = uint8(p)
		return nil
	})
}

// DoorCode makes a contact code by which introductions get in under the policy
// mailbox.CodeOnly, and past the requests under every other. It is good until
// CloseDoors. Errors are ErrFull and those of SetPolicy.
func (c *Client) DoorCode(ctx context.Context) (code string, err error) {
	err = c.changeDoor(ctx, func(w *work, _ *state.Setting) error {
		secret := keys.NewSecret()
		defer secret.Erase()
		n := uint32(0)
		for state.DoorCodes.Has(w.tx, state.U32(n)) {
			n++
		}
		code = doorCode(secret)
		return state.DoorCodes.Put(w.tx, state.U32(n), &state.DoorCode{Code: [keys.SecretSize]byte(secret.Bytes())})
	})
	return code, err
}

// CloseDoors takes all codes of DoorCode back. Errors are those of SetPolicy.
func (c *Client) CloseDoors(ctx context.Context) error {
	return c.changeDoor(ctx, func(w *work, _ *state.Setting) error {
		return expire(w, state.DoorCodes, func(*state.DoorCode) bool { return true })
	})
}

func (c *Client) changeDoor(ctx context.Context, change func(*work, *state.Setting) error) error {
	if err := c.update(func(w *work) error {
		if w.self == nil || !w.self.Registered {
			return ErrNotRegistered
		}
		s, err := w.settings()
		if err != nil {
			return err
		}
		w.touched = true
		s.PolicyKnown = false
		return errors.Join(change(w, s), state.Settings.Put(w.tx, state.Single, s), w.chose(doorChosen))
	}); err != nil {
		return err
	}
	return c.inTurn(ctx, func(l *link) error { return l.policy(ctx) })
}

// policy tells the provider policy and contact codes, if it does not know them.
func (l *link) policy(ctx context.Context) error {
	var m *wire.SetPolicy
	if err := l.c.view(func(w *work) error {
		s, err := w.settings()
		if err != nil || s.PolicyKnown || s.DoorChanged == 0 {
			return err
		}
		m = &wire.SetPolicy{Policy: uint8(max(mailbox.Policy(s.Policy), mailbox.ToRequests))}
		rows, err := state.DoorCodes.Rows(w.tx, nil, nil, 0)
		for _, row := range rows {
			m.Codes = append(m.Codes, row.Record.Code)
		}
		return err
	}); err != nil || m == nil {
		return err
	}
	return l.attempt("policy", func() error {
		if _, err := quicnet.Ask[*wire.Done](ctx, l.caller, m); err != nil {
			return err
		}
		// The provider has it durably. A crash before the next line tells it again,
		// which changes nothing.
		return l.c.update(func(w *work) error {
			s, err := w.settings()
			if err != nil {
				return err
			}
			s.PolicyKnown = true
			return state.Settings.Put(w.tx, state.Single, s)
		})
	})
}
