package archive

const (
	// MaxRoots is the number of roots of seal secrets: the current one and those
	// of which tickets can still come in, one for each device that was removed
	// in three weeks.
	MaxRoots = 64
	// MaxMailboxKeys is the number of private mailbox keys: this week's, the next
	// and those that something can still be sealed to.
	MaxMailboxKeys = 8
	// MaxServer bounds the endpoint of the account's provider, in bytes.
	MaxServer = 262
	// MaxItems is the number of records: every message, contact, provider, code
	// and batch that a client keeps.
	MaxItems = 1<<18 + 1<<17
	// maxAccount bounds the account's part, in bytes.
	maxAccount = 16 << 10

	// workFactor is the logarithm of scrypt's N: about a second and 256 MiB, what
	// age itself uses. maxWorkFactor bounds what a file may ask for: eight
	// times as much memory.
	workFactor    = 18
	maxWorkFactor = 21
	// MaxPassphrase bounds a passphrase, in bytes.
	MaxPassphrase = 1024
)
