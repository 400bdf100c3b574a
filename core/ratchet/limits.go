package ratchet

const (
	// DefaultMaxJump is how many messages of its chain may be missing before one
	// that arrives; as many are stepped over in a chain that it leaves. Two
	// thousand are a busy week of a device that was off, and cost 1 ms.
	DefaultMaxJump = 2000
	// LimitMaxJump is the highest Config.MaxJump, the value that Signal's
	// clients use: 25 ms of work in two chains for one message of a hostile contact.
	LimitMaxJump = 25000

	// MaxSkippedKeys is how many keys of missing messages a session keeps at
	// most, the default and the highest Config.MaxSkipped. It bounds what a
	// contact can make a device store and write again with each message.
	MaxSkippedKeys = 2000
	// MaxSkippedSets is how many receiving chains those keys may belong to. It
	// bounds the header keys that are tried, and each chain is a round trip,
	// so that messages of older ones are very late.
	MaxSkippedSets = 5
	// MaxHeaderTrials is how many header keys one message is tried with: those
	// of the kept chains, the current and the next one.
	MaxHeaderTrials = MaxSkippedSets + 2
	// MaxSessionSize bounds a stored session, in bytes: a full set of skipped
	// keys (72 KB), a first message and the fixed part.
	MaxSessionSize = 80 << 10

	// MaxPlaintext is the longest plaintext, in bytes: the largest size class
	// of an envelope. CTR mode under one key could encrypt 64 GiB.
	MaxPlaintext = 64 << 10
	// maxChain is how many messages one sending chain has. Header nonces are
	// random: below 2^31 of them under one key two are equal with probability
	// under 2^-35.
	maxChain = 1 << 31

	// MaxCapabilities bounds a list of capabilities; there are few suites.
	MaxCapabilities = 16
	// MaxInitiations is how many sessions one last-resort pair can begin. It
	// is replaced weekly and used only when the one-time pairs have run out,
	// and what it remembers is written with each use (32 KiB at most).
	MaxInitiations = 1024
)

// Config holds the limits that may differ between devices. The zero value is
// the default. It is not part of a stored session.
type Config struct {
	MaxJump    int // missing messages before one, at most LimitMaxJump; 0: DefaultMaxJump
	MaxSkipped int // kept keys of missing messages, at most MaxSkippedKeys; 0: MaxSkippedKeys
}

func (c Config) withDefaults() (Config, error) {
	if c.MaxJump == 0 {
		c.MaxJump = DefaultMaxJump
	}
	if c.MaxSkipped == 0 {
		c.MaxSkipped = MaxSkippedKeys
	}
	if c.MaxJump < 0 || c.MaxJump > LimitMaxJump || c.MaxSkipped < 0 || c.MaxSkipped > MaxSkippedKeys {
		return Config{}, ErrConfig
	}
	return c, nil
}
