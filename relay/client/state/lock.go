package state

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"go.etcd.io/bbolt"
	"golang.org/x/crypto/argon2"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

const (
	// lockPasses, lockMemory (KiB) and lockLanes are the second recommended
	// option of RFC 9106 section 4, for machines that cannot spare 2 GiB.
	lockPasses = 3
	lockMemory = 64 << 10
	lockLanes  = 4
	// maxLockMemory and maxLockPasses bound what a file may ask for, so that a
	// damaged one does not take all memory.
	maxLockMemory = 2 << 20
	maxLockPasses = 64

	lockKeySize = 32
	nonceSize   = 12
	tagSize     = 16

	labelLock = "waxwing profile lock v1"
	labelRow  = "waxwing profile row v1"
	labelName = "waxwing profile name v1"
)

// lockRecord stands in a file that is under a passphrase. The record key wraps
// a random data key, so that another passphrase does not mean another data key
// for whoever has a copy of both; Rekey draws a new one all the same.
//
// A record under a lock is nonce 12 | AES-256-GCM under the data key of what
// stands there otherwise, with the associated data labelRow | length of the
// table's name 1 | name | key. Random nonces are good for 2^32 records written
// under one data key (NIST SP 800-38D 8.3).
type lockRecord struct {
	Salt    [16]byte
	Passes  uint32
	Memory  uint32 // KiB
	Lanes   uint8
	Nonce   [nonceSize]byte
	Wrapped [lockKeySize + tagSize]byte // of the data key; all before is the associated data
}

// Fields lists the layout.
func (r *lockRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Fixed("salt", r.Salt[:])
	wire.U32(c, "passes", &r.Passes)
	c.Check(r.Passes >= 1 && r.Passes <= maxLockPasses, "passes", "out of range")
	wire.U32(c, "memory", &r.Memory)
	c.Check(r.Memory >= 1 && r.Memory <= maxLockMemory, "memory", "out of range")
	wire.U8(c, "lanes", &r.Lanes)
	c.Check(r.Lanes >= 1, "lanes", "none")
	c.Fixed("nonce", r.Nonce[:])
	c.Fixed("wrapped", r.Wrapped[:])
}

// wrap is the cipher under the passphrase, and its associated data.
func (r *lockRecord) wrap(passphrase []byte) (cipher.AEAD, []byte) {
	key := argon2.IDKey(passphrase, r.Salt[:], r.Passes, r.Memory, r.Lanes, lockKeySize)
	defer clear(key)
	b := wire.MustMarshal(r)
	return gcm(key), append([]byte(labelLock), b[:len(b)-len(r.Wrapped)]...)
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // of AES there is one
	}
	return aead
}

// lock encrypts the records of a file.
type lock struct {
	_     keys.NotComparable
	data  cipher.AEAD
	names []byte // key of the HMAC that stands for names
	keys.Redacted
}

func newLock(data []byte) *lock {
	m := hmac.New(sha256.New, data)
	m.Write([]byte(labelName))
	return &lock{data: gcm(data), names: m.Sum(nil)}
}

// makeLock draws a data key and wraps it. Without a passphrase it is nil.
func makeLock(passphrase []byte) (*lock, []byte) {
	if len(passphrase) == 0 {
		return nil, nil
	}
	r := lockRecord{Passes: lockPasses, Memory: lockMemory, Lanes: lockLanes}
	data := make([]byte, lockKeySize)
	defer clear(data)
	rand.Read(data)
	rand.Read(r.Salt[:])
	rand.Read(r.Nonce[:])
	aead, aad := r.wrap(passphrase)
	copy(r.Wrapped[:], aead.Seal(nil, r.Nonce[:], data, aad))
	return newLock(data), wire.MustMarshal(&r)
}

// openLock opens what makeLock wrapped; record is nil in a file without one.
// Errors are ErrLocked, ErrPassphrase and ErrCorrupt.
func openLock(record, passphrase []byte) (*lock, error) {
	if record == nil {
		return nil, nil
	}
	var r lockRecord
	if wire.Unmarshal(record, &r) != nil {
		return nil, &CorruptError{"meta"}
	}
	if len(passphrase) == 0 {
		return nil, ErrLocked
	}
	aead, aad := r.wrap(passphrase)
	data, err := aead.Open(nil, r.Nonce[:], r.Wrapped[:], aad)
	if err != nil {
		return nil, ErrPassphrase
	}
	defer clear(data)
	return newLock(data), nil
}

func rowData(t *tableInfo, key []byte) []byte {
	b := append([]byte(labelRow), byte(len(t.name)))
	return append(append(b, t.name...), key...)
}

// name returns the key under which a record is stored.
func (l *lock) name(t *tableInfo, key []byte) []byte {
	if l == nil || !t.named {
		return key
	}
	m := hmac.New(sha256.New, l.names)
	m.Write([]byte{byte(len(t.name))})
	m.Write([]byte(t.name))
	m.Write(key)
	return m.Sum(nil)
}

// seal returns the stored form of a record; key is the one it has, value what
// stands there without a lock.
func (l *lock) seal(t *tableInfo, key, value []byte) []byte {
	if l == nil {
		return value
	}
	if t.named {
		value = append(append(binary.BigEndian.AppendUint16(nil, uint16(len(key))), key...), value...)
	}
	out := make([]byte, nonceSize, nonceSize+len(value)+tagSize)
	rand.Read(out)
	return l.data.Seal(out, out, value, rowData(t, l.name(t, key)))
}

// open undoes seal; stored is the key under which the record was found.
func (l *lock) open(t *tableInfo, stored, sealed []byte) (key, value []byte, err error) {
	if l == nil {
		return stored, sealed, nil
	}
	if len(sealed) < nonceSize+tagSize {
		return nil, nil, &CorruptError{t.name}
	}
	value, err = l.data.Open(nil, sealed[:nonceSize], sealed[nonceSize:], rowData(t, stored))
	if err != nil {
		return nil, nil, &CorruptError{t.name}
	}
	if !t.named {
		return stored, value, nil
	}
	if len(value) < 2 || len(value) < 2+int(binary.BigEndian.Uint16(value)) {
		return nil, nil, &CorruptError{t.name}
	}
	n := 2 + int(binary.BigEndian.Uint16(value))
	return value[2:n], value[n:], nil
}

var keyLock = []byte("lock")

// lockOf finds or, in a new file, makes the lock.
func lockOf(meta *bbolt.Bucket, fresh bool, passphrase []byte) (*lock, error) {
	if !fresh {
		return openLock(meta.Get(keyLock), passphrase)
	}
	l, record := makeLock(passphrase)
	if record == nil {
		return nil, nil
	}
	return l, wrapIO(meta.Put(keyLock, record))
}
