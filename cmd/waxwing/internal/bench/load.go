package bench

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
)

// envelopeTTL is how long the envelopes may lie at a relay, in seconds.
const envelopeTTL = 86400

// load is the frames of one round: submissions of envelopes that number
// themselves in the first bytes of com.
func load(tickets []wire.MintedTicket, dest ids.Domain) ([][]byte, error) {
	frames := make([][]byte, len(tickets))
	day := ids.DayOf(time.Now())
	class := wire.Class1K
	var com [wire.ComSize]byte
	var binder [wire.BinderSize]byte
	head, body := make([]byte, class.HeadSize()), make([]byte, class.BodySize())
	envelope := make([]byte, 0, class.Size())
	for i := range tickets {
		rand.Read(com[:])
		binary.BigEndian.PutUint32(com[:], uint32(i))
		rand.Read(head)
		rand.Read(body)
		e := wire.Envelope{
			Ticket: &tickets[i].Ticket, Binder: &binder, Com: &com, Day: day, Class: class, TTL: envelopeTTL,
			Head: head, Body: body,
		}
		payload := wire.PayloadHash(head, body)
		bound, key, t := ticket.BoundOf(&e, &payload), ticket.KeyFrom(&tickets[i].Key), ticket.Ticket(tickets[i].Ticket)
		binder = key.Binder(&t, &bound)
		envelope = e.Append(envelope[:0])
		var err error
		frames[i], err = wire.AppendFrame(nil, wire.TypeSubmit, &wire.Submit{
			Number: uint64(i + 1), Dest: dest, Auth: wire.AuthConnection, Envelope: envelope,
		})
		if err != nil {
			return nil, err
		}
	}
	return frames, nil
}

// numberOf returns which envelope of the load a stored delivery is: com stands
// behind the version and the time.
func numberOf(delivery []byte) (int, bool) {
	const at = 1 + 8
	if len(delivery) < at+wire.ComSize {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(delivery[at:])), true
}
