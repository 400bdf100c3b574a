package franking

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What callers of issuance branch on, with errors.Is.
var (
	// ErrRequest: the request's proofs do not hold for this account and
	// connection, or a token is asked for another day than today and tomorrow.
	ErrRequest = errors.New("franking: request for tokens refused")
	// ErrAllowance: the account has had its tokens of that day.
	ErrAllowance = errors.New("franking: no tokens left for that day")
	// ErrIssued: the answer is not what was asked for. The tokens are not used.
	ErrIssued = errors.New("franking: tokens are not the ones asked for")
)

// IssueContext is what a request for tokens is bound to. Both sides take it from
// the authenticated connection, never from the request.
type IssueContext struct {
	Issuer  ids.Domain
	Account ids.Address
	XS      group.Element // as registered
	Epoch   ids.Day
	Binding [32]byte // of the connection: TLS exporter and nonce, hashed
}

// IssueItem asks for one token.
type IssueItem struct {
	Key        keys.VerifyKey
	Possession [keys.SignatureSize]byte // by the token key
	Identity   [ElementSize]byte
	Proof      [issueProofSize]byte // of r with idcom = X_S + r*H
}

// IssueRequest asks for several tokens of one day.
type IssueRequest struct {
	Epoch ids.Day
	Items []IssueItem
}

// IssueAnswer has a token for each item, in order.
type IssueAnswer struct{ Tokens []Token }

// possessionInput is what a token key signs. Naming account and epoch it keeps
// one account's key out of another's token; idcom, as the two belong together.
func (x *IssueContext) possessionInput(identity *[ElementSize]byte) []byte {
	b := wire.AppendPrefixed(nil, []byte(x.Issuer.String()))
	b = wire.AppendPrefixed(b, []byte(x.Account.String()))
	b = append(b, be32(uint32(x.Epoch))...)
	return append(append(b, identity[:]...), x.Binding[:]...)
}

// statement is r: idcom - X_S = r*H.
func (x *IssueContext) statement(identity group.Element) (*group.Statement, error) {
	return differenceStatement(identity, x.XS)
}

// differenceStatement is r*H = idcom - X_S, with both elements bound as well.
func differenceStatement(identity, xs group.Element) (*group.Statement, error) {
	g := group.Ristretto255()
	r := group.NewRelation(g)
	s := r.AllocScalars(1)
	e := r.AllocElements(g.SecondGenerator(), identity.Sub(xs), identity, xs)
	r.Constrain(e[1], s[0].Times(e[0]))
	return r.Build()
}

// session: issuer | account | epoch 4 | pkT 32 | binding 32.
func (x *IssueContext) session(key keys.VerifyKey) group.Session {
	return group.NewSession(labelIssue, []byte(x.Issuer.String()), []byte(x.Account.String()),
		be32(uint32(x.Epoch)), key[:], x.Binding[:])
}

// Requested is what a client keeps until the answer: the secrets of each token.
type Requested struct {
	x     IssueContext
	items []requested
	keys.Redacted
}

type requested struct {
	item IssueItem
	key  *keys.SigningKey
	r    group.Scalar
}

// NewRequest draws keys and blindings for n tokens. Errors are ErrRequest: n
// is 0 or above MaxIssue, or X_S is no key.
func NewRequest(x IssueContext, n int) (*IssueRequest, *Requested, error) {
	if n < 1 || n > MaxIssue || !x.XS.IsSet() {
		return nil, nil, ErrRequest
	}
	g := group.Ristretto255()
	req, out := &IssueRequest{Epoch: x.Epoch}, &Requested{x: x}
	for range n {
		q := requested{key: keys.NewSigningKey(), r: g.RandomScalar()}
		q.item.Key = q.key.Public()
		identity := x.XS.Add(g.SecondGenerator().Mul(q.r))
		q.item.Identity = [ElementSize]byte(identity.Bytes())
		st, err := x.statement(identity)
		if err != nil {
			return nil, nil, ErrRequest
		}
		proof, err := st.Prove(x.session(q.item.Key), q.r)
		if err != nil {
			return nil, nil, ErrRequest
		}
		copy(q.item.Proof[:], proof)
		copy(q.item.Possession[:], q.key.Sign(keys.ContextTokenKey, x.possessionInput(&q.item.Identity)))
		req.Items = append(req.Items, q.item)
		out.items = append(out.items, q)
	}
	return req, out, nil
}

// Accept checks an answer under the provider's key of the epoch, as its log or
// signed list has it, and returns the tokens with their secrets. The error is
// ErrIssued.
func (q *Requested) Accept(a *IssueAnswer, key keys.VerifyKey) ([]*OwnToken, error) {
	if len(a.Tokens) != len(q.items) {
		return nil, ErrIssued
	}
	var out []*OwnToken
	for i := range q.items {
		t, it := a.Tokens[i], &q.items[i]
		if t.Issuer != q.x.Issuer || t.Epoch != q.x.Epoch || t.Key != it.item.Key || t.Identity != it.item.Identity || t.verify(key) != nil {
			return nil, ErrIssued
		}
		out = append(out, &OwnToken{token: t, key: it.key, r: it.r})
	}
	return out, nil
}

// CheckedRequest is a request whose proofs hold. Only CheckRequest makes one.
type CheckedRequest struct {
	x   IssueContext
	req IssueRequest
}

// CheckRequest checks a request against the authenticated account. The error is
// ErrRequest.
func CheckRequest(x IssueContext, req *IssueRequest, today ids.Day) (*CheckedRequest, error) {
	if len(req.Items) == 0 || len(req.Items) > MaxIssue || req.Epoch != x.Epoch ||
		req.Epoch < today || req.Epoch > today+1 || x.Account.Domain() != x.Issuer || !x.XS.IsSet() {
		return nil, ErrRequest
	}
	for i := range req.Items {
		it := &req.Items[i]
		for j := range i {
			if req.Items[j].Key == it.Key {
				return nil, ErrRequest
			}
		}
		// The cheaper one first.
		if it.Key.Verify(keys.ContextTokenKey, x.possessionInput(&it.Identity), it.Possession[:]) != nil {
			return nil, ErrRequest
		}
		identity, err := group.Ristretto255().DecodeElement(it.Identity[:])
		if err != nil {
			return nil, ErrRequest
		}
		st, err := x.statement(identity)
		if err != nil || st.Verify(x.session(it.Key), it.Proof[:]) != nil {
			return nil, ErrRequest
		}
	}
	return &CheckedRequest{x: x, req: *req}, nil
}

// Allowance is how many tokens of one epoch an account has had: a document that
// the provider stores for each account. It counts tokens, so it says how many
// audiences an account wrote to at most, not to whom.
type Allowance struct {
	Epoch ids.Day
	Taken uint32
}

// Granted is an allowance taken, to be stored before tokens are issued: a crash
// between the two costs the account tokens, never gives it more.
type Granted struct {
	Next  Allowance // what to store
	first uint32
	n     int
	epoch ids.Day
}

// Take takes the request's tokens from an allowance of the same epoch; the zero
// value is an account that had none. limit is at most MaxAllowance. The error is
// ErrAllowance.
func (c *CheckedRequest) Take(a Allowance, limit uint32) (*Granted, error) {
	if a.Epoch != c.x.Epoch {
		a = Allowance{Epoch: c.x.Epoch}
	}
	n := uint32(len(c.req.Items))
	if limit = min(limit, MaxAllowance); a.Taken > limit || n > limit-a.Taken {
		return nil, ErrAllowance
	}
	return &Granted{Next: Allowance{Epoch: a.Epoch, Taken: a.Taken + n}, first: a.Taken, n: int(n), epoch: a.Epoch}, nil
}

// Issuer signs the tokens of one epoch.
type Issuer struct {
	epoch ids.Day
	sign  *keys.SigningKey
	wrap  *EpochSecret
	keys.Redacted
}

// NewIssuer returns the issuer of an epoch from its signing and wrapping
// secrets, or ErrRequest if they are not of one epoch or of other kinds.
func NewIssuer(sign, wrap *EpochSecret) (*Issuer, error) {
	if sign.kind != SignSecret || wrap.kind != WrapSecret || sign.epoch != wrap.epoch {
		return nil, ErrRequest
	}
	return &Issuer{epoch: sign.epoch, sign: sign.SigningKey(), wrap: wrap}, nil
}

// Issue makes the tokens of a request whose allowance was stored. The error is
// ErrRequest: request, allowance and issuer are not of one epoch.
func (is *Issuer) Issue(c *CheckedRequest, g *Granted) (*IssueAnswer, error) {
	if g.n != len(c.req.Items) || g.epoch != c.x.Epoch || is.epoch != c.x.Epoch {
		return nil, ErrRequest
	}
	a := new(IssueAnswer)
	for i := range c.req.Items {
		it := &c.req.Items[i]
		t := Token{Issuer: c.x.Issuer, Epoch: c.x.Epoch, Key: it.Key, Identity: it.Identity}
		is.wrap.wrap(&t, c.x.Account, uint64(g.first)+uint64(i))
		msg, sig := unsigned(wire.MustMarshal(&t))
		copy(t.Signature[:], sig)
		copy(t.Signature[:], is.sign.Sign(keys.ContextToken, msg))
		a.Tokens = append(a.Tokens, t)
	}
	g.n = 0 // one allowance, one answer
	return a, nil
}

// wrap makes x1. Nonces are random: an epoch's key wraps far fewer than 2^32.
func (s *EpochSecret) wrap(t *Token, account ids.Address, serial uint64) {
	var plain [wrappedPlain]byte
	copy(plain[:], account.String())
	binary.BigEndian.PutUint64(plain[ids.MaxAddress:], serial)
	nonce := t.Wrapped[:12]
	rand.Read(nonce)
	s.aead().Seal(nonce, nonce, plain[:], t.wrapData())
	clear(plain[:])
}

// unwrap opens x1. The error is FaultWrap.
func (s *EpochSecret) unwrap(t *Token) (account ids.Address, serial uint64, err error) {
	plain, err := s.aead().Open(nil, t.Wrapped[:12], t.Wrapped[12:], t.wrapData())
	if err != nil || s.kind != WrapSecret || s.epoch != t.Epoch {
		return account, 0, FaultWrap
	}
	n := ids.MaxAddress
	for n > 0 && plain[n-1] == 0 {
		n--
	}
	account, err = ids.ParseAddress(string(plain[:n]))
	if err != nil || account.String() != string(plain[:n]) {
		return ids.Address{}, 0, FaultWrap
	}
	return account, binary.BigEndian.Uint64(plain[ids.MaxAddress:]), nil
}

func (s *EpochSecret) aead() cipher.AEAD {
	block, err := aes.NewCipher(s.secret[:])
	if err != nil {
		panic(err) // the size is fixed
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}
