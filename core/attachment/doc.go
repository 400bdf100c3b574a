// Package attachment seals a file for a message and proves parts of it. Its
// Descriptor stands in the content frame F, which is franked: so the author
// commits to the file's plaintext, to its ciphertext and to its key, and a
// recipient can report single chunks of it.
//
// It implements the design's "Attachments commit to the plaintext (salted Merkle
// root) and the file key":
//
//   - wire.go: chunks, nonces, keys, leaves and nodes, byte by byte;
//   - seal.go, open.go: from a stream to ciphertext and Descriptor, and back;
//   - tree.go, leaf.go: the root over the chunks, and one chunk with its path.
//
// A file is cut into chunks of ChunkSize, each under AES-256-GCM with its index
// and whether it is the last in the nonce, so that none can be moved, dropped,
// doubled or cut off. GCM does not commit to its key: one ciphertext can open
// under two keys to two files ("invisible salamanders", Dodis et al., CRYPTO 2018).
// So key, salts and a commitment are all derived from one Secret (the UtC transform
// of Bellare and Hoang, EUROCRYPT 2022), the Descriptor has the commitment, and
// nothing is decrypted under a Secret that it is not of. The root is over the
// plaintext, each chunk hashed with a salt of its own, so that a chunk that is shown
// to somebody tells nothing about the others. Trees are those of RFC 6962, 2.1.
//
// Nothing of a file is given out before its whole ciphertext was read and root and
// hash were those of the Descriptor: Open makes a File then and only then, which
// decrypts a second time and compares each chunk again.
//
// What it does not protect against: a ciphertext tells how long the file is, up to
// the padding's 12 per cent. The Secret is in no frame and no report, and whoever
// has it and the ciphertext has the file. A file is what its sender made it, its
// type included: whoever shows it deals with hostile images, archives and names.
package attachment
