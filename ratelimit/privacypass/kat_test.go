package privacypass

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/zk/dleq"

	"waxwing/core/vectors"
)

// issuance is one published run, of a single token or of a batch.
type issuance struct {
	SK                  vectors.Hex `json:"sk_s"`
	PK                  vectors.Hex `json:"pk_s"`
	Sk                  vectors.Hex `json:"skS"`
	Pk                  vectors.Hex `json:"pkS"`
	Challenge           vectors.Hex `json:"token_challenge"`
	Request             vectors.Hex `json:"token_request"`
	Response            vectors.Hex `json:"token_response"`
	Nonce, Blind, Token vectors.Hex
	Nonces, Blinds      []vectors.Hex
	Tokens              []vectors.Hex
}

// Requests are computed again byte by byte, answers with their elements; the
// published answers are opened to the published tokens. Only the nonces of the
// answers' proofs were not published.
func TestPublishedIssuance(t *testing.T) {
	ran := 0
	for _, file := range []string{
		"rfc9578_token_type1_voprf_p384", "extra_private_p384_go", "extra_private_p384_rs",
		"batched_draft07_private_ristretto255", "batched_draft07_amortized_p384", "batched_draft07_amortized_ristretto255",
	} {
		t.Run(file, func(t *testing.T) {
			var runs []issuance
			vectors.JSON(t, "privacypass/"+file+".json", &runs)
			for n := range runs {
				runs[n].check(t)
				ran++
			}
		})
	}
	if ran < 45 {
		t.Errorf("only %d runs", ran)
	}
}

func (v *issuance) check(t *testing.T) {
	t.Helper()
	sk, pkb := v.Sk, v.Pk
	if len(sk) == 0 {
		sk, pkb = v.SK, v.PK
	}
	batched := len(v.Tokens) > 0
	if !batched {
		v.Nonces, v.Blinds, v.Tokens = []vectors.Hex{v.Nonce}, []vectors.Hex{v.Blind}, []vectors.Hex{v.Token}
	}
	c, err := ParseChallenge(v.Challenge)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey(c.Type, sk)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := ParsePublicKey(c.Type, pkb)
	if err != nil || !bytes.Equal(key.Public().Bytes(), pkb) {
		t.Fatalf("public key: %v", err)
	}
	nonces, blinds := make([][NonceSize]byte, len(v.Nonces)), make([]group.Scalar, len(v.Nonces))
	for i := range nonces {
		nonces[i] = [NonceSize]byte(v.Nonces[i])
		if blinds[i], err = pk.p.decodeScalar(v.Blinds[i]); err != nil {
			t.Fatal(err)
		}
	}
	pd, err := pk.request(c, nonces, blinds, batched)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pd.Bytes(), v.Request) {
		t.Errorf("request %x, want %x", pd.Bytes(), []byte(v.Request))
	}
	answer := answerAny(t, key, v.Request, batched)
	elements := len(v.Response) - pk.p.proofSize()
	if len(answer) != len(v.Response) || !bytes.Equal(answer[:elements], v.Response[:elements]) {
		t.Errorf("answer %x, want %x", answer, []byte(v.Response))
	}
	digest, err := c.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string][]byte{"published": v.Response, "own": answer} {
		tokens, err := pd.Finish(a)
		if err != nil {
			t.Fatalf("%s answer: %v", name, err)
		}
		for i, want := range v.Tokens {
			if !bytes.Equal(tokens[i].Bytes(), want) {
				t.Errorf("%s token %x, want %x", name, tokens[i].Bytes(), []byte(want))
			}
			parsed, err := ParseToken(want)
			if err != nil || key.Redeem(parsed, digest) != nil {
				t.Errorf("published token: %v", err)
			}
		}
	}
}

// answerAny answers batches of any size, as the published ones are.
func answerAny(t testing.TB, key *Key, request []byte, batched bool) []byte {
	t.Helper()
	if !batched {
		a, err := key.IssueOne(request)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	es, err := key.parseBatch(request)
	if err != nil {
		t.Fatal(err)
	}
	a, err := key.issueBatch(request, es)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPublishedStructures(t *testing.T) {
	var file []struct {
		TokenType   string `json:"token_type"`
		Issuer      string `json:"issuer_name"`
		Context     string `json:"redemption_context"`
		Origin      string `json:"origin_info"`
		Nonce       string
		KeyID       string `json:"token_key_id"`
		Input       string `json:"token_authenticator_input"`
		Description string `json:"comment"`
	}
	vectors.JSON(t, "privacypass/rfc9577_token_structs.json", &file)
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if len(file) != 6 {
		t.Fatalf("%d vectors", len(file))
	}
	for _, v := range file {
		typ := unhex(v.TokenType)
		if v.Nonce == "" { // grease: no structure that we know
			if _, err := ParseToken(unhex(v.Input)); err != ErrMalformed {
				t.Errorf("%s: %v", v.Description, err)
			}
			continue
		}
		c := Challenge{Type(typ[0])<<8 | Type(typ[1]), string(unhex(v.Issuer)), unhex(v.Context), string(unhex(v.Origin))}
		enc, err := c.Bytes()
		if err != nil {
			t.Fatalf("%s: %v", v.Description, err)
		}
		again, err := ParseChallenge(enc)
		if err != nil || again.Type != c.Type || again.Issuer != c.Issuer || again.Origin != c.Origin || !bytes.Equal(again.Context, c.Context) {
			t.Errorf("%s: %+v, %v", v.Description, again, err)
		}
		digest, _ := c.Digest()
		tok := Token{Type: c.Type, Nonce: [32]byte(unhex(v.Nonce)), Challenge: digest, KeyID: [32]byte(unhex(v.KeyID))}
		if got := hex.EncodeToString(tok.appendInput(nil)); got != v.Input {
			t.Errorf("%s: %s, want %s", v.Description, got, v.Input)
		}
	}
}

// The challenges of the published headers.
func TestPublishedHeaders(t *testing.T) {
	challenge := regexp.MustCompile(`challenge="?([A-Za-z0-9_=-]+)"?`)
	known, grease := 0, 0
	for _, name := range []string{"rfc9577_www_authenticate", "extra_auth_scheme_header_unquoted"} {
		var file []struct {
			Header string `json:"WWW-Authenticate"`
			First  string `json:"token-challenge-0"`
			Second string `json:"token-challenge-1"`
		}
		vectors.JSON(t, "privacypass/"+name+".json", &file)
		for _, v := range file {
			for i, m := range challenge.FindAllStringSubmatch(v.Header, -1) {
				raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(m[1], "="))
				if want := []string{v.First, v.Second}[i]; err != nil || hex.EncodeToString(raw) != want {
					t.Fatalf("%x, want %s", raw, want)
				}
				if raw[0] == 0 && raw[1] == 0 { // grease: no structure that we know
					grease++
					if _, err := ParseChallenge(raw); err != ErrMalformed {
						t.Errorf("grease: %v", err)
					}
					continue
				}
				c, err := ParseChallenge(raw)
				if err != nil {
					t.Fatal(err)
				}
				if enc, _ := c.Bytes(); !bytes.Equal(enc, raw) {
					t.Errorf("%x, want %x", enc, raw)
				}
				known++
			}
		}
	}
	if known != 5 || grease != 1 {
		t.Errorf("%d challenges, %d of grease", known, grease)
	}
}

// The published runs of the function below the tokens, for our two suites.
func TestRFC9497(t *testing.T) {
	var file []struct {
		Identifier, SkSm string
		Mode             int
		Vectors          []struct {
			Batch                                           int
			Input, Blind, BlindedElement, EvaluationElement string
			Proof                                           struct{ Proof string }
		}
	}
	vectors.JSON(t, "oprf/rfc9497.json", &file)
	ran := 0
	for _, f := range file {
		typ := map[string]Type{"ristretto255-SHA512": Ristretto255, "P384-SHA384": P384}[f.Identifier]
		p, ok := typ.params()
		if !ok || f.Mode != 1 {
			continue
		}
		sk, _ := hex.DecodeString(f.SkSm)
		key, err := ParseKey(typ, sk)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range f.Vectors {
			blinded, _ := hex.DecodeString(strings.ReplaceAll(v.BlindedElement, ",", ""))
			evaluated, _ := hex.DecodeString(strings.ReplaceAll(v.EvaluationElement, ",", ""))
			proof, _ := hex.DecodeString(v.Proof.Proof)
			es, err := p.decodeElements(blinded, v.Batch)
			if err != nil {
				t.Fatal(err)
			}
			out, own, err := key.evaluate([]byte("a request"), es)
			if err != nil || !bytes.Equal(appendElements(nil, out), evaluated) {
				t.Errorf("%s: evaluated %x, %v", f.Identifier, appendElements(nil, out), err)
			}
			pk, _ := p.decodeElement(key.Public().Bytes())
			for name, b := range map[string][]byte{"published": proof, "own": own} {
				d, err := p.decodeProof(b)
				if err != nil || !(dleq.Verifier{Params: p.dleq()}).VerifyBatchRFC9497(pk, es, out, d) {
					t.Errorf("%s: %s proof: %v", f.Identifier, name, err)
				}
			}
			ran++
		}
	}
	if ran != 6 {
		t.Errorf("%d vectors", ran)
	}
}
