package group

// Bounds of a statement. The largest in use is an ARC presentation: with rate
// limit 2^k it has 5+3k scalars, 10+k elements and 4+2k equations of at most
// two terms; k stays below 17 (16 bits of presentations per epoch).
const (
	// MaxScalars bounds the secret scalars of one statement.
	MaxScalars = 64
	// MaxElements bounds the public elements of one statement.
	MaxElements = 64
	// MaxEquations bounds the equations of one statement.
	MaxEquations = 64
	// MaxTerms bounds the terms of one equation; ARC's issuance has three.
	MaxTerms = 16
	// MaxBranches bounds a Disjunction. Deniable proofs have two branches; the
	// rest is room for a second designated verifier.
	MaxBranches = 4
	// MaxBatch bounds the claims of one VerifyBatch: more save nothing, and
	// whoever waits in a batch waits longer.
	MaxBatch = 64
	// MaxSession bounds a session, in bytes. The largest in use names two
	// providers (at most 255 bytes each) and about ten values of 32 bytes.
	MaxSession = 4096
	// MaxDST bounds a domain separation tag, in bytes (RFC 9380, 5.3.3: longer
	// ones would have to be hashed, which nothing here needs).
	MaxDST = 255
	// maxLabel bounds the label of a Session, in bytes: its length is one byte.
	maxLabel = 255
)
