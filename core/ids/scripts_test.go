package ids

import (
	"errors"
	"testing"
	"unicode"
)

func TestCheckConfusable(t *testing.T) {
	for _, c := range []struct {
		why, local string
		ok         bool
	}{
		{"ASCII", "alice", true},
		{"ASCII with digits and signs", "alice.b_2-x", true},
		{"no letter", "2026", true},
		{"Latin with accents", "zoë", true},
		{"Latin with a mark that has no composed form", "m\u0304ara", true},
		{"Cyrillic", "борис", true},
		{"Cyrillic with ASCII digits", "борис7", true},
		{"Greek", "ελενη", true},
		{"Arabic", "محمد", true},
		{"Arabic with its digits", "محمد٢٣", true},
		{"Hebrew", "דוד", true},
		{"Hindi", "राम", true},
		{"Thai", "สมชาย", true},
		{"Japanese, three scripts", "山田たろうタロー", true},
		{"Japanese with Latin", "tarō山田たろう", true},
		{"Chinese with Bopomofo and Latin", "王ㄨㄤwang", true},
		{"Korean with Han and Latin", "김金kim", true},

		{"Cyrillic a in Latin", "аlice", false},
		{"Greek o in Latin", "bοb", false},
		{"Armenian in Latin", "bօb", false},
		{"Cyrillic and Greek", "борисλ", false},
		{"Latin and Arabic", "aliceمحمد", false},
		{"Hiragana and Hangul", "たろ김", false},
		{"Bopomofo and Hiragana", "ㄨたろ", false},
		{"Han and Cyrillic", "金борис", false},
		{"Thai and Lao", "สมລາວ", false},
		{"two number systems", "محمد٢3", false},
		{"two number systems of one script", "محمد٢۳", false},
		{"Arabic digits in Latin", "alice٢", false},
		{"digits of another script alone", "\u0663\u0664", false},
		{"long vowel mark in Latin", "alーice", false},
		{"combining mark in Han", "山\u0301", false},
		{"Japanese mark in Latin", "ta\u3099", false},
		{"all Cyrillic, reads alice's friend", "асе", false},
		{"all Cyrillic with ASCII signs", "хо.хо-1", false},
		{"all Greek", "ονο", false},
		{"all Armenian", "հօո", false},
		{"Latin letter for g", "ɡreta", false},
		{"dotless i in Latin", "alıce", false},
		{"one lookalike beside a letter of its own", "сова", true},
		{"zeros of another script", "०००", false},
		{"historic script", "𐌰𐌱", false},
		{"limited script", "ᏣᎳᎩ", false},
		{"modifier letter", "o\u02BCneil", false},
	} {
		a, err := ParseAddress(c.local + "@alpha.example")
		if err != nil {
			// The profile of addresses refuses it already, which is as good.
			if c.ok {
				t.Errorf("%s: %v", c.why, err)
			}
			continue
		}
		if err := a.CheckConfusable(); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrConfusable) {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}

// TestScriptTables: every lookalike is a lower-case name's character that
// stands alone as disguise, and the bits are those of the table.
func TestScriptTables(t *testing.T) {
	for r, as := range lookalikes {
		if as >= 0x80 || r < 0x80 {
			t.Errorf("%U passes for %U", r, as)
		}
		if own, with := scriptsOf(r); own|with == 0 {
			t.Errorf("%U has no script and needs no row", r)
		}
		if unicode.IsUpper(r) {
			t.Errorf("%U is no lower-case letter", r)
		}
		if (Address{local: "o" + string(r)}).CheckConfusable() == nil || (Address{local: string(r)}).CheckConfusable() == nil {
			t.Errorf("%U is taken for itself", r)
		}
	}
	for _, c := range []struct {
		r   rune
		set scriptSet
	}{
		{'a', latin},
		{'λ', greek},
		{'ж', cyrillic},
		{'م', arabic},
		{'ހ', thaana},
		{'山', han},
		{'た', hiragana},
		{'タ', katakana},
		{'ㄨ', bopomofo},
		{'김', hangul},
	} {
		if own, _ := scriptsOf(c.r); own != c.set {
			t.Errorf("%U: scripts %b, want %b", c.r, own, c.set)
		}
	}
}
