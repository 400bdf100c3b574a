package devicesync

import (
	"fmt"

	"waxwing/core/wire"
)

// ErrKind says that a record is of a kind that this program does not know, made
// by a newer one. Whoever reads a stream of records leaves it out. It wraps
// wire.ErrMalformed.
var ErrKind = fmt.Errorf("devicesync: item of an unknown kind: %w", wire.ErrMalformed)
