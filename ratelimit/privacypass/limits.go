package privacypass

// Sizes are the numbers of tokens that an issuer gives at once: a few for a new
// device, a day's for a quiet account, a day's for a busy one. More sizes would
// mark more.
var Sizes = [...]int{8, 32, 128}

const (
	// MaxBatch is the largest of Sizes.
	MaxBatch = 128
	// MaxName bounds the names of a challenge, in bytes; RFC 9577 has 65535, but
	// ours are domains and those of the published vectors are short.
	MaxName = 1024
	// EpochDays is the life of a key: short, so that few spent tokens need to be
	// remembered; long, so that many accounts share one.
	EpochDays = 7
	// OverlapDays is how long tokens of an ended epoch are still redeemed, so
	// that nobody has to fetch at the moment at which it ends.
	OverlapDays = 7
	// MaxKeys bounds the keys of a Ring: this epoch's, the last one's, the next
	// one's, and room for clocks.
	MaxKeys = 4
)
