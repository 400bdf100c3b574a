package relay

import (
	"context"

	"waxwing/core/store"
)

// failing is a store that appends nothing.
type failing struct {
	store.Store
	err error
}

func (f failing) Append(_ context.Context, reqs []store.AppendReq) []store.AppendRes {
	out := make([]store.AppendRes, len(reqs))
	for i := range out {
		out[i].Err = f.err
	}
	return out
}
