package attachment

import "math/bits"

// Chunks returns how many chunks, and so leaves, a file of a size has: at least one.
func Chunks(size uint64) int { return int(max(1, (size+ChunkSize-1)/ChunkSize)) }

// Padded returns how much is sealed of a file of a size: Padmé (Nikitin et al.,
// "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
// PETS 2019, section 4), at most 12 per cent more, so that a length tells the
// logarithm of the size and a few of its first bits.
func Padded(size uint64) uint64 {
	if size <= minPadded {
		return minPadded
	}
	e := bits.Len64(size) - 1
	mask := uint64(1)<<(e-bits.Len(uint(e))) - 1
	return (size + mask) &^ mask
}

// SealedSize returns the length of the ciphertext of a file of a size.
func SealedSize(size uint64) uint64 {
	p := Padded(size)
	return p + uint64(Chunks(p))*tagSize
}

// lengthOf is how much of the file chunk i has, without padding.
func lengthOf(size uint64, i int) int {
	from := uint64(i) * ChunkSize
	if from >= size {
		return 0
	}
	return int(min(size-from, ChunkSize))
}
