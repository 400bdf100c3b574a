package ids

import (
	"errors"
	"unicode"
	"unicode/utf8"
)

// ErrConfusable says that a local part is not for registration: it mixes
// scripts or number systems, has characters that no name needs, or looks like
// an ASCII name throughout.
var ErrConfusable = errors.New("ids: name mixes scripts or looks like another")

// scriptSet is a set of scripts, one bit for each row of scripts.
type scriptSet uint32

// scripts are the recommended scripts of UAX 31 table 5. Others, which few can
// read and nobody has compared with these, are refused (UTS 39 section 3.1).
// The first ones are in the order of the bits below.
var scripts = [...]*unicode.RangeTable{
	unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Arabic, unicode.Thaana,
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
	unicode.Armenian, unicode.Bengali, unicode.Devanagari, unicode.Ethiopic, unicode.Georgian, unicode.Gujarati,
	unicode.Gurmukhi, unicode.Hebrew, unicode.Kannada, unicode.Khmer, unicode.Lao, unicode.Malayalam,
	unicode.Myanmar, unicode.Oriya, unicode.Sinhala, unicode.Tamil, unicode.Telugu, unicode.Thai, unicode.Tibetan,
}

const (
	latin scriptSet = 1 << iota
	greek
	cyrillic
	arabic
	thaana
	han
	hiragana
	katakana
	bopomofo
	hangul

	anyScript = 1<<len(scripts) - 1
)

// together are the combinations that one name may have: those of UTS 39 section
// 5.2, level 3 (highly restrictive). Each contains the ones of a single writing
// system that section 5.1 augments (Hanb, Jpan, Kore).
var together = [...]scriptSet{
	latin | han | hiragana | katakana,
	latin | han | bopomofo,
	latin | han | hangul,
}

// shared are the characters outside ASCII that have no script of their own and
// that names need, with the scripts that they go with (Script_Extensions of
// UAX 24). Of such characters no others are let in.
var shared = [...]struct {
	from, to rune
	with     scriptSet
}{
	{0x0300, 0x036F, latin | greek | cyrillic}, // what NFC leaves of combining marks
	{0x064B, 0x0655, arabic},
	{0x0660, 0x0669, arabic | thaana}, // digits
	{0x0670, 0x0670, arabic},
	{0x3099, 0x309A, hiragana | katakana},
	{0x30FC, 0x30FC, hiragana | katakana},
}

// lookalikes are letters of one character that pass for one of ASCII (after
// confusables.txt of UTS 39, lower case only, as addresses are). "l" stands for
// "i" and "1" too, which are told apart no better within ASCII.
var lookalikes = map[rune]rune{
	// Latin
	'ı': 'i', 'ɩ': 'i', 'ɪ': 'i', 'ɑ': 'a', 'ɡ': 'g', 'ƍ': 'g', 'ɣ': 'y', 'ʏ': 'y', 'ſ': 'f', 'ƽ': 's',
	'ʋ': 'v', 'ɯ': 'w', 'ꜱ': 's', 'ƅ': 'b', 'ƨ': '2', 'ɜ': '3', 'ȝ': '3', 'ʒ': '3', 'ᴄ': 'c', 'ᴏ': 'o',
	'ᴠ': 'v', 'ᴡ': 'w', 'ᴢ': 'z', 'ᴜ': 'u', 'ꞌ': '\'', 'ǀ': 'l',
	// Greek
	'α': 'a', 'γ': 'y', 'ι': 'i', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'σ': 'o', 'υ': 'u', 'ϲ': 'c', 'ϳ': 'j', 'ϝ': 'f',
	// Cyrillic
	'а': 'a', 'ь': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'ҽ': 'e', 'һ': 'h', 'і': 'i', 'ј': 'j', 'ӏ': 'l', 'о': 'o',
	'р': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', 'ѵ': 'v', 'ԝ': 'w', 'ѡ': 'w', 'х': 'x', 'у': 'y', 'ү': 'y', 'з': '3', 'б': '6',
	// Armenian
	'ց': 'g', 'հ': 'h', 'յ': 'j', 'ո': 'n', 'օ': 'o', 'գ': 'q', 'զ': 'q', 'ս': 'u', 'ա': 'w',
	// One letter of another script, which as a whole word still passes for one.
	'ס': 'o', 'ו': 'l', 'ן': 'l', 'ا': 'l', 'ه': 'o', '٥': 'o', '١': 'l', 'ყ': 'y', 'ဝ': 'o', '၀': 'o',
	'ഠ': 'o', 'ଠ': 'o', '୦': 'o', '०': 'o', '০': 'o', '௦': 'o', '౦': 'o', '೦': 'o', '๐': 'o', '໐': 'o', 'ං': 'o',
}

// CheckConfusable reports whether the address may be given to a new account
// (UTS 39): the local part is of one script or of a highly restrictive
// combination (section 5.2), has digits of one number system (section 5.3), and
// is not an ASCII name in disguise (section 4: letters outside ASCII, every one
// of which passes for an ASCII letter). The error is ErrConfusable.
//
// It is a rule for whoever gives out names. An address that exists is an
// address: ParseAddress takes it, or a name could not be reported any more
// after a change of these tables.
func (a Address) CheckConfusable() error {
	var seen scriptSet              // scripts of the characters that have one
	allowed := scriptSet(anyScript) // by those that have not
	var zero rune                   // of the number system
	disguised, ascii := true, true
	for _, r := range a.local {
		if z, ok := zeroOf(r); ok {
			if zero != 0 && zero != z {
				return ErrConfusable
			}
			zero = z
		}
		if r < utf8.RuneSelf {
			if unicode.IsLetter(r) {
				seen |= latin
			}
			continue
		}
		ascii = false
		if lookalikes[r] == 0 {
			disguised = false
		}
		own, with := scriptsOf(r)
		if own|with == 0 {
			return ErrConfusable
		}
		if seen |= own; own == 0 {
			allowed &= with
		}
	}
	if !ascii && disguised || !fits(seen, allowed) {
		return ErrConfusable
	}
	return nil
}

// fits reports whether the scripts may stand together, beside characters that
// go with allowed only.
func fits(seen, allowed scriptSet) bool {
	if allowed == 0 || allowed != anyScript && seen&allowed == 0 {
		return false
	}
	if seen&(seen-1) == 0 { // one, or none
		return true
	}
	for _, t := range together {
		if seen&^t == 0 {
			return true
		}
	}
	return false
}

// scriptsOf returns the script that a character has, or those that it goes
// with if it has none of its own; neither for a character that is not let in.
func scriptsOf(r rune) (own, with scriptSet) {
	for _, s := range shared {
		if s.from <= r && r <= s.to {
			return 0, s.with
		}
	}
	for i, t := range scripts {
		if unicode.Is(t, r) {
			return 1 << i, 0
		}
	}
	return 0, 0
}

// zeroOf returns the zero of the number system that a digit is of: digits
// stand in runs of ten (Unicode section 4.6).
func zeroOf(r rune) (rune, bool) {
	if !unicode.Is(unicode.Nd, r) {
		return 0, false
	}
	for _, x := range unicode.Nd.R16 {
		if lo := rune(x.Lo); lo <= r && r <= rune(x.Hi) {
			return r - (r-lo)%10, true
		}
	}
	for _, x := range unicode.Nd.R32 {
		if lo := rune(x.Lo); lo <= r && r <= rune(x.Hi) {
			return r - (r-lo)%10, true
		}
	}
	return 0, false
}
