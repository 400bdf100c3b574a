package relay

import (
	"context"
	"time"

	"waxwing/blocklist"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/sealedsender"
)

// What a device may ask of its own provider.

func (r *Relay) prekeys(ctx context.Context, who *directory.Authenticated, m *wire.Prekeys) wire.Message {
	left, err := r.directory.PublishPrekeys(ctx, who, m)
	if err != nil {
		return answer(err)
	}
	return &wire.Stock{OneTime: uint32(left)}
}

// certify vouches for the device, by its account's stored manifest and never
// by what the device says.
func (r *Relay) certify(ctx context.Context, now time.Time, who *directory.Authenticated) wire.Message {
	account, err := r.directory.Account(ctx, who.Address())
	if err != nil {
		return answer(err)
	}
	device, ok := account.Manifest.Device(who.Device())
	if !ok {
		return answer(directory.ErrUnknown)
	}
	today := ids.DayOf(now)
	key, ok := r.keys.Certificate(today)
	if !ok {
		return &wire.Refusal{Code: wire.CodeBusy, RetryAfter: Milliseconds(storeRetry)}
	}
	cert, err := sealedsender.Issue(key, sealedsender.CertificateFields{
		Address: who.Address(), Device: who.Device(), Identity: account.Manifest.Identity(),
		DH: device.DH, XS: account.Manifest.XS(), Expiry: today + CertificateDays,
	})
	if err != nil {
		return answer(err)
	}
	return &wire.Cert{Certificate: cert}
}

// mint makes tickets of the account's own mailbox. The serials are reserved
// durably before, so that no two tickets ever have one; those of a request
// whose answer is lost are never used.
func (r *Relay) mint(ctx context.Context, now time.Time, who *directory.Authenticated, key gcra.Key, m *wire.Mint) wire.Message {
	today := ids.DayOf(now)
	if m.Expiry < today || m.Expiry > today+mintAhead {
		return refuse(wire.CodeStale)
	}
	if ref := r.spend(now, limits.AccountTickets, key, int64(m.Count)); ref != nil {
		return ref
	}
	box := who.Mailbox()
	first, err := r.mailboxes.ReserveSerials(ctx, box, uint64(m.Count))
	if err != nil {
		return answer(err)
	}
	minted, err := r.tickets.Mint(today, &box, first, int(m.Count), m.Expiry)
	if err != nil {
		return answer(err)
	}
	out := &wire.Minted{FirstSerial: first, Expiry: m.Expiry, Tickets: make([]wire.MintedTicket, len(minted))}
	for i := range minted {
		out.Tickets[i] = wire.MintedTicket{Ticket: minted[i].Ticket, Key: *minted[i].Key.Bytes()}
	}
	return out
}

// block strikes tickets and lists the block. When it is answered, the next
// envelope under one of those tickets is disposed of.
func (r *Relay) block(ctx context.Context, now time.Time, who *directory.Authenticated, m *wire.Block) wire.Message {
	req, err := blocklist.ParseRequest(m.Block)
	if err != nil {
		return answer(err)
	}
	struck, err := r.mailboxes.Block(ctx, who.Mailbox(), req, now)
	if err != nil {
		return answer(err)
	}
	return &wire.Blocked{Struck: uint32(struck)}
}

// sealKey publishes a mailbox key. Introductions are let in under its W before
// anybody is told of it.
func (r *Relay) sealKey(ctx context.Context, now time.Time, who *directory.Authenticated, m *wire.SealKey) wire.Message {
	key, err := r.directory.CheckMailboxKey(ctx, who, m.Key, now)
	if err != nil {
		return answer(err)
	}
	if err := r.mailboxes.SetKey(ctx, who.Mailbox(), key.Generation(), key.W(), key.Expiry()); err != nil {
		return answer(err)
	}
	return answer(r.directory.PublishMailboxKey(ctx, who, m.Key, now))
}

// blockPseudonyms keeps who is blocked so under a new W.
func (r *Relay) blockPseudonyms(ctx context.Context, who *directory.Authenticated, m *wire.BlockPseudonyms) wire.Message {
	all := make([]blocklist.Renewal, len(m.Renewals))
	for i, e := range m.Renewals {
		all[i] = blocklist.Renewal{Entry: e.Entry, Pseudonym: blocklist.Pseudonym{Generation: m.Generation, NR: e.NR}}
		if m.Generation == 0 || e.NR == [32]byte{} {
			return refuse(wire.CodeMalformed)
		}
	}
	return answer(r.mailboxes.Renew(ctx, who.Mailbox(), all))
}
