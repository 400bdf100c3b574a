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
	// MaxCredentials is the number of day's credentials in it, and of shares of the week: at as
	// many providers as a client knows.
	MaxCredentials = 1024
	// CredentialSize is that of a day's credential (package ratelimit/arc), in bytes.
	CredentialSize = 128
	// MaxArchive bounds the account in it, in bytes: what the longest lists of
	// credentials and of shares of the week leave.
	MaxArchive = MaxSecrets - MaxCredentials*(maxCredential+maxStanding) - maxHead
	// maxCredential, maxStanding and maxHead bound the bytes of one credential, of one
	// share and of all else.
	maxStanding   = 1 + ids.MaxDomain + 4 + 4
	maxCredential = 1 + ids.MaxDomain + 1 + 4 + 4 + CredentialSize + 1 + 4 + 4
	maxHead       = 64
)
