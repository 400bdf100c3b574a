package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

func reference(key, msg []byte) [MACSize]byte {
	h := hmac.New(sha256.New, key)
	h.Write(msg)
	return [MACSize]byte(h.Sum(nil))
}

// The tag is that of crypto/hmac, however the message is cut into fields.
func TestMACIsHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m MAC
		for range 2 { // a MAC can be used again
			key := [MACKeySize]byte(rapid.SliceOfN(rapid.Byte(), MACKeySize, MACKeySize).Draw(t, "key"))
			var msg []byte
			m.Start(&key)
			for len(msg) < MaxMAC-8 && rapid.Bool().Draw(t, "more") {
				switch rapid.IntRange(0, 4).Draw(t, "kind") {
				case 0:
					b := rapid.SliceOfN(rapid.Byte(), 0, MaxMAC-len(msg)).Draw(t, "bytes")
					m.Write(b)
					msg = append(msg, b...)
				case 1:
					s := rapid.StringN(0, 2, MaxMAC-len(msg)).Draw(t, "string")
					m.WriteString(s)
					msg = append(msg, s...)
				case 2:
					v := rapid.Byte().Draw(t, "byte")
					m.Byte(v)
					msg = append(msg, v)
				case 3:
					v := rapid.Uint32().Draw(t, "u32")
					m.Uint32(v)
					msg = binary.BigEndian.AppendUint32(msg, v)
				case 4:
					v := rapid.Uint64().Draw(t, "u64")
					m.Uint64(v)
					msg = binary.BigEndian.AppendUint64(msg, v)
				}
			}
			if got, want := m.Sum(), reference(key[:], msg); got != want {
				t.Fatalf("tag %x, want %x", got, want)
			}
		}
	})
}

// Every length around the block boundaries, and the longest.
func TestMACLengths(t *testing.T) {
	var key [MACKeySize]byte
	for n := range MaxMAC + 1 {
		var m MAC
		m.Start(&key)
		m.Write(make([]byte, n))
		if m.Sum() != reference(key[:], make([]byte, n)) {
			t.Errorf("%d bytes: wrong tag", n)
		}
	}
}

// RFC 4231 test cases have keys of other lengths; case 1's 20-byte key padded
// with zeros to 32 bytes is the same HMAC key.
func TestMACKnownAnswer(t *testing.T) {
	var key [MACKeySize]byte
	for i := range 20 {
		key[i] = 0x0b
	}
	var m MAC
	m.Start(&key)
	m.WriteString("Hi There")
	tag := m.Sum()
	if hex.EncodeToString(tag[:]) != "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" {
		t.Errorf("tag %x", tag)
	}
}

func TestMACMisuse(t *testing.T) {
	var key [MACKeySize]byte
	for name, use := range map[string]func(m *MAC){
		"no key":    func(m *MAC) { m.Byte(1) },
		"sum first": func(m *MAC) { m.Sum() },
		"too long":  func(m *MAC) { m.Start(&key); m.Write(make([]byte, MaxMAC+1)) },
		"sum twice": func(m *MAC) { m.Start(&key); m.Sum(); m.Sum() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			use(new(MAC))
		})
	}
}

func TestMACForgets(t *testing.T) {
	var m MAC
	m.Start(&[MACKeySize]byte{1})
	m.WriteString("message")
	m.Sum()
	if m.buf != ([len(m.buf)]byte{}) || m.n != 0 {
		t.Error("key or message kept")
	}
}

func TestMACDoesNotAllocate(t *testing.T) {
	var key [MACKeySize]byte
	msg := make([]byte, 58)
	if n := testing.AllocsPerRun(100, func() {
		var m MAC
		m.Start(&key)
		m.Write(msg)
		m.Uint64(1)
		key = m.Sum()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMAC(b *testing.B) {
	var key [MACKeySize]byte
	msg := make([]byte, 148)
	b.Run("floor: two SHA-256", func(b *testing.B) {
		long, short := make([]byte, 64+148), make([]byte, 96)
		for b.Loop() {
			sha256.Sum256(long)
			sha256.Sum256(short)
		}
	})
	b.Run("MAC", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m MAC
			m.Start(&key)
			m.Write(msg)
			m.Sum()
		}
	})
	b.Run("crypto/hmac", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			reference(key[:], msg)
		}
	})
}
