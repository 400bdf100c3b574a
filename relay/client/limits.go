package client

import (
	"time"

	"waxwing/core/ids"
	"waxwing/relay/client/state"
)

const (
	// batchSize is how many envelopes one transaction seals, or deliveries it
	// opens: enough to share one fsync, few enough to keep the state in memory
	// small and other callers' waiting short.
	batchSize = 64
	// reserveTickets is how many tickets of a contact only go to messages that
	// bring it new ones, or the own standing stamp: one to use, one if that is lost.
	reserveTickets = 2
	// lentTickets is how many tickets an introduction brings to a contact that is not
	// known to be in standing, once in lendDays: enough for a receipt and an answer,
	// which bring the proof that it is. So a long silence ends at once, and a ban of
	// who is written to does not.
	lentTickets = 2
	lendDays    = 30
	// refreshDays is how many days before their end tickets no longer count as
	// a supply, so that both sides renew each other's before the last is over.
	refreshDays = 3
	// maxSessions is how many sessions with one device are kept and tried: one
	// in use, one crossed, and those of a device that lost its state twice.
	maxSessions = 4
	// accountEvery is how soon the own manifest is asked for again on one
	// connection: other devices come and go rarely.
	accountEvery = 5 * time.Minute
	// lookupRetry is how soon a contact is looked up again at the earliest when a
	// device of it had no prekeys: it may just be publishing its first.
	lookupRetry = 10 * time.Minute
	// certificateDays is how many days before its end the own certificate is
	// renewed: an envelope may be delivered ids.MaxDelay days later, but is
	// checked on its own day.
	certificateDays = 2
	// codeDays is the default life of a contact code, in days.
	codeDays = 7
	// prekeyStock is how many one-time prekeys the provider is kept supplied
	// with, and prekeyLow the number below which more are sent.
	prekeyStock = 64
	prekeyLow   = 32
	// oldKeyDays is how many days a replaced signed prekey or seal key is kept:
	// a week until the last one who looked it up uses it, and the delay.
	oldKeyDays = 7 + ids.MaxDelay
	// seenDays is how many days the digest of a received message is remembered:
	// as long as its sender may send it again (maxTries times).
	seenDays = (maxTries + 1) * (ids.MaxDelay + 1)
	// maxParked is how many messages of a contact wait for one before them: more
	// than a provider shuffles into one batch.
	maxParked = 1024
	// parkTime is how long they wait: a batch that was sent in another order is
	// there within a second, and what is lost must not hold up the rest.
	parkTime = 3 * time.Second
	// maxTries is how often a message is sealed before it is given up: a month
	// without any receipt.
	maxTries = 5
	// snapshotAge is how old a provider's snapshot of the own provider's keys may
	// be before it is asked for again: it has the keys of the next day.
	snapshotAge = 6 * time.Hour
	// refillRetry is when a refill is tried again that was refused: what is wrong
	// with it may be another device's, or the other provider's clock.
	refillRetry = time.Hour
	// introduceAfter is how long a message to somebody who was written to before
	// waits for tickets until it goes as an introduction, of which there are few.
	introduceAfter = time.Hour
	// maxIntroduction is the longest first text to somebody who gave no contact
	// code, in bytes: what an introduction has room for beside the manifest of an
	// account with five devices.
	maxIntroduction = 480
	// maxBundleCache is how many verified token bundles are kept in memory, 2 kB
	// each.
	maxBundleCache = 1024
	// tokenLow is the number of free tokens of a day below which more are asked
	// for, and tokenBatch how many at once: the new conversations of a day.
	tokenLow   = 4
	tokenBatch = 16
	// maxHeldOf is how many messages of one contact are held for bundles that are
	// not here: a quarter of the room, so that nobody who names bundles that do not
	// exist keeps what others wait for out of it.
	maxHeldOf = state.MaxHeld / 4
	// maxAheadRounds is how often a bundle goes in padding without being confirmed:
	// pieces are lost with their message only, so once is enough but for a device
	// that was linked or opened too late.
	maxAheadRounds = 4
	// descriptorAge is how old a provider's descriptor may be before it is
	// asked for again; descriptorRetry how soon after that at the earliest,
	// when a certificate does not verify under it.
	descriptorAge   = 24 * time.Hour
	descriptorRetry = time.Minute
	// defaultReceiptDelay is how long receipts are collected.
	defaultReceiptDelay = time.Second
	// receiptSpread is how many delays more receipts may wait: with a fixed one a
	// receipt tells by its time which delivery it answers, in a few messages
	// (Martiny et al., Improving Signal's Sealed Sender, NDSS 2021).
	receiptSpread = 9
	// maxCertificateCache is how many verified certificates are kept in memory,
	// 0.5 kB each.
	maxCertificateCache = 4096
	// maxUsedGiven is how many rows of tickets that were used are kept, to tell
	// a replay from a ticket that is not known. The rest of ticket.MaxGiven is
	// for tickets that are still out.
	maxUsedGiven = 1 << 14
)
