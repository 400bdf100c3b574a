package linking

import "waxwing/core/ids"

const (
	// MaxServer bounds a provider's host and port: a host name has up to 253
	// bytes.
	MaxServer = 262
	// maxCode bounds the bytes of a code.
	maxCode = 1 + 1 + ids.MaxAddress + 4 + MaxServer + 32 + 16 + 32 + checkSize
	// MaxJoin bounds the new device's message: its size, and room for another KEM.
	MaxJoin = 4 << 10
	// MaxSecrets bounds what is handed over, before it is sealed: the account's
	// keys, as many contacts as a client has, and the serials given to them.
	MaxSecrets = 4 << 20
)
