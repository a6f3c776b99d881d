// Command proofs checks and makes many Merkle proofs with Go's reference code (golang.org/x/mod/sumdb/tlog), one JSON
// document on standard input, one on standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

type claim struct {
	// Of an inclusion the leaf's index, of a consistency the old tree's size.
	From  int64
	Size  int64
	Root  tlog.Hash
	Start tlog.Hash // the leaf, or the old root
	Proof []tlog.Hash
}

type questions struct {
	Leaves      []tlog.Hash
	Inclusion   []claim
	Consistency []claim
	// Pairs (from, size) for which Go is to make proofs in the tree over Leaves.
	MakeInclusion   [][2]int64 `json:"make_inclusion"`
	MakeConsistency [][2]int64 `json:"make_consistency"`
}

type answers struct {
	Inclusion       []bool        `json:"inclusion"`
	Consistency     []bool        `json:"consistency"`
	MadeInclusion   [][]tlog.Hash `json:"made_inclusion"`
	MadeConsistency [][]tlog.Hash `json:"made_consistency"`
	Roots           []tlog.Hash   `json:"roots"`
}

func main() {
	var q questions
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		fail(err)
	}
	a, err := answer(q)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func answer(q questions) (a answers, err error) {
	for _, c := range q.Inclusion {
		a.Inclusion = append(a.Inclusion, accepts(func() error {
			return tlog.CheckRecord(c.Proof, c.Size, c.Root, c.From, c.Start)
		}))
	}
	for _, c := range q.Consistency {
		a.Consistency = append(a.Consistency, accepts(func() error {
			return tlog.CheckTree(c.Proof, c.Size, c.Root, c.From, c.Start)
		}))
	}
	hashes, err := grow(q.Leaves)
	if err != nil {
		return a, err
	}
	for size := range q.Leaves {
		root, err := tlog.TreeHash(int64(size)+1, hashes)
		if err != nil {
			return a, err
		}
		a.Roots = append(a.Roots, root)
	}
	for _, pair := range q.MakeInclusion {
		proof, err := tlog.ProveRecord(pair[1], pair[0], hashes)
		if err != nil {
			return a, err
		}
		a.MadeInclusion = append(a.MadeInclusion, proof)
	}
	for _, pair := range q.MakeConsistency {
		proof, err := tlog.ProveTree(pair[1], pair[0], hashes)
		if err != nil {
			return a, err
		}
		a.MadeConsistency = append(a.MadeConsistency, proof)
	}
	return a, nil
}

// accepts says whether a check passes; a panic is a refusal.
func accepts(check func() error) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return check() == nil
}

func grow(leaves []tlog.Hash) (tlog.HashReader, error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	for i, leaf := range leaves {
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), leaf, reader)
		if err != nil {
			return nil, err
		}
		stored = append(stored, hashes...)
	}
	return reader, nil
}
