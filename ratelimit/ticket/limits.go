package ticket

import (
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

const (
	// MaxPerKey is the number of tickets after which a minting key is
	// replaced. With random 96-bit nonces the probability of any repetition
	// under one AES-GCM key then stays below 2^-36 (NIST SP 800-38D asks for
	// 2^-32 after 2^32 messages).
	MaxPerKey = 1 << 30
	// ReserveStep is how many tickets one durable reservation covers: a crash
	// loses at most as many of MaxPerKey, and a record is written once in a
	// million tickets. It divides MaxPerKey.
	ReserveStep = 1 << 20
	// MaxKeys is the number of minting keys at once, given by the one byte that
	// names them on the wire. Daily keys need 21.
	MaxKeys = 256
	// KeyDays is how many days after its own a minting key is needed: until
	// the last ticket minted under it has expired, an envelope sent on that
	// day has arrived, and one more for clocks that differ.
	KeyDays = ids.MaxTicketDays + ids.MaxDelay + 1

	// MaxGrant is the number of tickets in one grant: about 46 KB, which is
	// what the body of the largest envelope class holds beside a short frame.
	MaxGrant = 512
	// MaxGrantSize is the length of the largest grant, in bytes.
	MaxGrantSize = grantFixed + MaxGrant*grantTicket
	// MaxWallet is the number of tickets kept of one contact. A contact that
	// gives more than it will ever need costs us memory, nothing else.
	MaxWallet = 2048

	// MaxStock is the number of tickets kept for handing out: 16 full answers
	// of the relay, about 0.8 MB.
	MaxStock = 16 * wire.MaxMint
	// MaxGiven is the number of tickets given out that a client remembers: 128
	// contacts at the highest mark, or 4096 at the lowest.
	MaxGiven = 1 << 16
	// MinMix is the smallest number of tickets that a drawing may be made
	// from. Drawn from few, a batch would be a contact.
	MinMix = 128
	// MinLife is how many days a ticket must still have when it is given out:
	// half of what it had. Older ones are dropped from the stock.
	MinLife = ids.MaxTicketDays / 2

	// MinHigh is the high water mark of a new contact, which also the smallest
	// supply of a quiet one: 1.5 KB, a body of the 4 KiB class.
	MinHigh = 16
	// MaxHigh is the highest mark of a busy contact: one full grant.
	MaxHigh = MaxGrant
	// FastDrain is the time within which a contact that uses up half of its
	// tickets gets twice as many, SlowDrain the time after which a contact
	// gets half as many: tickets that expire unused are wasted.
	FastDrain = time.Hour
	SlowDrain = 7 * 24 * time.Hour
	// MinStock is the smallest stock that a client mints to: one full answer,
	// four times MinMix.
	MinStock = wire.MaxMint
)
