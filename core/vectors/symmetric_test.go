package vectors_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"waxwing/core/vectors"
)

// TestAES256GCM runs the cases of the one shape in use: 256-bit keys, 96-bit
// nonces, 128-bit tags. The other shapes in the file are not counted.
func TestAES256GCM(t *testing.T) {
	var file wycheproof[struct {
		IvSize, KeySize, TagSize int
		Tests                    []struct {
			TcID                       int
			Key, Iv, Aad, Msg, Ct, Tag vectors.Hex
			Result                     string
		}
	}]
	vectors.JSON(t, "wycheproof/aes_gcm_test.json", &file)
	ran, refused := 0, 0
	for _, g := range file.TestGroups {
		if g.KeySize != 256 || g.IvSize != 96 || g.TagSize != 128 {
			continue
		}
		for _, tc := range g.Tests {
			ran++
			block, err := aes.NewCipher(tc.Key)
			if err != nil {
				t.Fatalf("%d: %v", tc.TcID, err)
			}
			gcm, err := cipher.NewGCM(block)
			if err != nil {
				t.Fatalf("%d: %v", tc.TcID, err)
			}
			sealed := append(bytes.Clone(tc.Ct), tc.Tag...)
			opened, err := gcm.Open(nil, tc.Iv, sealed, tc.Aad)
			if tc.Result != "valid" {
				refused++
				if err == nil {
					t.Errorf("%d: opened, want a refusal", tc.TcID)
				}
				continue
			}
			if err != nil || !bytes.Equal(opened, tc.Msg) {
				t.Errorf("%d: Open = %x, %v", tc.TcID, opened, err)
			}
			if got := gcm.Seal(nil, tc.Iv, tc.Msg, tc.Aad); !bytes.Equal(got, sealed) {
				t.Errorf("%d: Seal = %x, want %x", tc.TcID, got, sealed)
			}
		}
	}
	atLeast(t, "AES-256-GCM cases", ran, 66)
	atLeast(t, "AES-256-GCM refusals", refused, 20)
}

func TestHMACSHA256(t *testing.T) {
	var file wycheproof[struct {
		TagSize int
		Tests   []struct {
			TcID          int
			Key, Msg, Tag vectors.Hex
			Result        string
		}
	}]
	vectors.JSON(t, "wycheproof/hmac_sha256_test.json", &file)
	valid, invalid := 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			mac := hmac.New(sha256.New, tc.Key)
			mac.Write(tc.Msg)
			got := hmac.Equal(mac.Sum(nil)[:g.TagSize/8], tc.Tag)
			if got != (tc.Result == "valid") {
				t.Errorf("%d: tags equal: %v, want %s", tc.TcID, got, tc.Result)
			}
			if tc.Result == "valid" {
				valid++
			} else {
				invalid++
			}
		}
	}
	atLeast(t, "valid tags", valid, 66)
	atLeast(t, "invalid tags", invalid, 108)
}

func TestHKDFSHA256(t *testing.T) {
	var file wycheproof[struct {
		Tests []struct {
			TcID            int
			Ikm, Salt, Info vectors.Hex
			Size            int
			Okm             vectors.Hex
			Result          string
		}
	}]
	vectors.JSON(t, "wycheproof/hkdf_sha256_test.json", &file)
	ran, tooLarge := 0, 0
	for _, g := range file.TestGroups {
		for _, tc := range g.Tests {
			ran++
			okm, err := hkdf.Key(sha256.New, tc.Ikm, tc.Salt, string(tc.Info), tc.Size)
			if tc.Result != "valid" {
				tooLarge++
				if err == nil {
					t.Errorf("%d: %d bytes were derived, want a refusal", tc.TcID, tc.Size)
				}
				continue
			}
			if err != nil || !bytes.Equal(okm, tc.Okm) {
				t.Errorf("%d: key = %x, %v; want %x", tc.TcID, okm, err, []byte(tc.Okm))
			}
		}
	}
	atLeast(t, "HKDF-SHA256 cases", ran, 86)
	atLeast(t, "lengths over 255 blocks", tooLarge, 3)
}
