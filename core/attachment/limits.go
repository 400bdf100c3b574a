package attachment

const (
	// ChunkSize is how much of a file one chunk has, in bytes: a report has room
	// for three with their paths (franking.MaxLeaves), and a recipient can show that
	// much and no more. Four times as much, which hashes no faster, would not fit
	// into a report at all.
	ChunkSize = 16 << 10
	// MaxSize is the longest file, in bytes: what people send of videos, in a tree
	// whose leaves take 4 MiB of memory.
	MaxSize = 1 << 31
	// MaxChunks is how many chunks that is, and MaxPath the hashes on the path of one.
	MaxChunks = MaxSize / ChunkSize
	MaxPath   = 17
	// minPadded is the least that is sealed, in bytes: below, a length tells the most.
	minPadded = 4 << 10

	// MaxName is the longest name, in bytes: 128 letters, as people name files.
	MaxName = 128
	// MaxType is the longest media type, in bytes: those that are registered are
	// shorter than 80.
	MaxType = 96
)
