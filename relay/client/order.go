package client

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"waxwing/core/wire"
	"waxwing/ratelimit/privacypass"
	"waxwing/relay/client/state"
)

// order is a request for tokens.
type order struct {
	pending *privacypass.Pending
	epoch   privacypass.Epoch
}

// begin returns the batch that is under way, or begins one. Its number is durable
// before it is asked for: after a crash the same bytes are asked for, and counted
// once. Errors are errAlarm, ErrServer (no list with today's key) and the store's.
func (w *work) begin() (*order, error) {
	a, err := w.admission()
	if err != nil {
		return nil, err
	}
	if a.Alarm != state.AlarmNone {
		return nil, errAlarm
	}
	epoch := privacypass.EpochOf(w.today)
	if a.Size == 0 || a.Epoch != epoch {
		// One of an epoch that is over: its key gives no more.
		a.Batch++
		a.Epoch = epoch
		if a.Size = batchFor(a, w.now); a.Size == 0 {
			a.Size = uint16(privacypass.Sizes[0])
		}
		if err := w.putAdmission(a); err != nil {
			return nil, err
		}
	}
	list, _, err := w.knownList(w.self.Address.Domain())
	if err != nil || list == nil {
		return nil, errors.Join(err, ErrServer)
	}
	key, ok := list.Token(epoch)
	if !ok {
		return nil, ErrServer
	}
	seed, err := w.self.admissionSeed()
	if err != nil {
		return nil, err
	}
	defer seed.Erase()
	number := uint64(w.self.Device)<<32 | uint64(a.Batch) // no other device has it
	pending, err := key.RequestSeeded(seed, number, privacypass.SubmissionChallenge(w.self.Address.Domain(), epoch), int(a.Size))
	return &order{pending, epoch}, err
}

// batchFor is the largest size that what is left of the day has room for; 0 if
// there is none.
func batchFor(a *state.Admission, now time.Time) uint16 {
	left := uint32(privacypass.MaxBatch)
	if now.Before(time.UnixMilli(int64(a.Refill))) {
		left = a.Remaining
	}
	for _, n := range slices.Backward(privacypass.Sizes[:]) {
		if uint32(n) <= left {
			return uint16(n)
		}
	}
	return 0
}

// takeSubmissions takes the provider's answer. One that does not verify is an alarm:
// the provider answered under another key than everybody's, which would mark what
// is spent.
func (w *work) takeSubmissions(b *order, m *wire.SubmissionIssued) error {
	a, err := w.admission()
	if err != nil {
		return err
	}
	tokens, err := b.pending.Finish(m.Tokens)
	if err != nil {
		return w.alarm(state.AlarmProof)
	}
	bucket, err := w.bucketOf()
	if err != nil {
		return err
	}
	w.touched = true
	for i := range tokens {
		a.Token++
		s := &state.Submission{Epoch: b.epoch, Token: [wire.SubmissionTokenSize]byte(tokens[i].Bytes())}
		if err := state.Bucket.Put(w.tx, bucketKey(b.epoch, a.Token), s); err != nil {
			return err
		}
	}
	bucket[b.epoch] += len(tokens)
	a.Size, a.FetchAt, a.Refused, a.Remaining, a.Refill = 0, 0, 0, m.Remaining, m.Refill
	return w.putAdmission(a)
}

// refusedBatch notes that the provider gives no tokens now, and when to ask again.
func (w *work) refusedBatch(code wire.Code, after time.Duration) error {
	a, err := w.admission()
	if err != nil {
		return err
	}
	if code != wire.CodeBusy {
		after = max(after, issueRetry)
	}
	again := w.now.Add(max(after, refusedRetry))
	switch {
	case code == wire.CodeLimit && a.Size > uint16(privacypass.Sizes[0]):
		// Perhaps a smaller one. The number of the batch stays, and its size is
		// part of what derives from it.
		i := slices.Index(privacypass.Sizes[:], int(a.Size))
		a.Size = uint16(privacypass.Sizes[max(i-1, 0)])
		a.FetchAt = uint64(w.now.UnixMilli())
		return w.putAdmission(a)
	case code == wire.CodeLimit:
		a.Remaining, a.Refill = 0, uint64(w.now.Add(after).UnixMilli())
		again = again.Add(rand.N(refillSpread))
	case code == wire.CodeStale, code == wire.CodeMalformed: // of another epoch: the list is asked for anew
		a.Size = 0
		if err := w.ageList(); err != nil {
			return err
		}
	}
	a.Refused, a.FetchAt = code, uint64(again.UnixMilli())
	return w.putAdmission(a)
}
