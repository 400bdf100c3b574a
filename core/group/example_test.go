package group_test

import (
	"fmt"

	"waxwing/core/group"
)

// An account proves that it knows its secret k when it registers X = k*G.
func ExamplePossession() {
	g := group.Ristretto255()
	k := g.RandomScalar()
	public := g.MulGenerator(k)
	session := group.NewSession("example registration", []byte("alice@alpha.example"))

	statement, err := group.Possession(public)
	if err != nil {
		fmt.Println(err)
		return
	}
	proof, err := statement.Prove(session, k)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(proof), statement.Verify(session, proof))
	fmt.Println(statement.Verify(group.NewSession("example registration", []byte("mallory@alpha.example")), proof))
	// Output:
	// 64 <nil>
	// group: proof does not verify
}

// A designated-verifier proof: "the commitment is to X, or I am Bob". It
// convinces Bob and nobody else, since he could have made it.
func ExampleDisjunction() {
	g := group.Ristretto255()
	h := g.SecondGenerator()
	alice, bob, r := g.RandomScalar(), g.RandomScalar(), g.RandomScalar()
	public := g.MulGenerator(alice)
	commitment := public.Add(h.Mul(r))

	relation := group.NewRelation(g)
	x := relation.AllocScalars(1)
	e := relation.AllocElements(h, commitment.Sub(public))
	relation.Constrain(e[1], x[0].Times(e[0])) // commitment - X = r*H
	opening, err := relation.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := group.Possession(g.MulGenerator(bob))
	if err != nil {
		fmt.Println(err)
		return
	}
	claim, err := group.NewDisjunction(opening, verifier)
	if err != nil {
		fmt.Println(err)
		return
	}
	session := group.NewSession("example opening", commitment.Bytes())
	byAlice, err := claim.Prove(session, 0, r)
	fmt.Println(len(byAlice), err, claim.Verify(session, byAlice))
	byBob, err := claim.Prove(session, 1, bob)
	fmt.Println(len(byBob), err, claim.Verify(session, byBob))
	// Output:
	// 128 <nil> <nil>
	// 128 <nil> <nil>
}
