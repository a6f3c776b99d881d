// Command main checks a log exported to a folder with Go's reference code for signed notes and tiled logs
// (golang.org/x/mod/sumdb/note and .../tlog), which shares nothing with Arbiter.
//
// The folder holds: `vkey`, the log's verifier key; `checkpoint`, the signed note; `tile/…`, hash tiles and, if any,
// entry bundles, named as C2SP tlog-tiles has them; and, if any proofs are to be checked, `proofs.json`.
// It prints one line and exits with 0 when everything checks out, and with 1 and the reason when anything does not.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

type inclusion struct {
	Index int64
	Size  int64
	Root  tlog.Hash
	Leaf  tlog.Hash
	Proof []tlog.Hash
}

type consistency struct {
	OldSize int64     `json:"old_size"`
	OldRoot tlog.Hash `json:"old_root"`
	NewSize int64     `json:"new_size"`
	NewRoot tlog.Hash `json:"new_root"`
	Proof   []tlog.Hash
}

type proofs struct {
	Inclusion   []inclusion
	Consistency []consistency
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: main FOLDER")
		os.Exit(2)
	}
	summary, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println(summary)
}

func check(folder string) (string, error) {
	tree, origin, err := openCheckpoint(folder)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	tiles := folderTiles(folder)
	leaves, err := readLeaves(tree, tiles)
	if err != nil {
		return "", fmt.Errorf("tiles: %w", err)
	}
	entries, err := checkBundles(folder, leaves)
	if err != nil {
		return "", fmt.Errorf("entry bundles: %w", err)
	}
	p, err := readProofs(folder)
	if err != nil {
		return "", fmt.Errorf("proofs.json: %w", err)
	}
	if err := checkProofs(p, tree, leaves, tlog.TileHashReader(tree, tiles)); err != nil {
		return "", err
	}
	return fmt.Sprintf("accepted: %s at size %d, %d leaves, %d entries, %d inclusion and %d consistency proofs",
		origin, tree.N, len(leaves), entries, len(p.Inclusion), len(p.Consistency)), nil
}

func openCheckpoint(folder string) (tree tlog.Tree, origin string, err error) {
	key, err := os.ReadFile(filepath.Join(folder, "vkey"))
	if err != nil {
		return tree, "", err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return tree, "", err
	}
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return tree, "", err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tree, "", err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tree, "", errors.New("expected origin, size and root, the origin being the key's name")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, "", err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, lines[0], err
}

// readLeaves returns every leaf hash, read through Go's tile reader.
func readLeaves(tree tlog.Tree, tiles folderTiles) ([]tlog.Hash, error) {
	if tree.N == 0 {
		if tree.Hash != tlog.Hash(sha256.Sum256(nil)) {
			return nil, errors.New("the empty tree has another root")
		}
		return nil, nil
	}
	indexes := make([]int64, tree.N)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	leaves, err := tlog.TileHashReader(tree, tiles).ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	return leaves, checkTiles(tree, leaves, tiles)
}

// checkTiles grows the tree anew from its leaves and compares the root and every tile with it. It does not lean on
// the tile reader: releases before the fix start authenticating child tiles at the number of subtree hashes instead of
// the number of tiles, and so let some through unchecked.
func checkTiles(tree tlog.Tree, leaves []tlog.Hash, tiles folderTiles) error {
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
			return err
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil || root != tree.Hash {
		return fmt.Errorf("the leaves do not lead to the root (%v)", err)
	}
	for level := 0; tree.N>>(tileHeight*level) > 0; level++ {
		hashes := tree.N >> (tileHeight * level)
		for n := int64(0); n<<tileHeight < hashes; n++ {
			tile := tlog.Tile{H: tileHeight, L: level, N: n, W: width(hashes - n<<tileHeight)}
			expected, err := tlog.ReadTileData(tile, reader)
			if err != nil {
				return err
			}
			served, err := tiles.ReadTiles([]tlog.Tile{tile})
			if err != nil {
				return err
			}
			if !bytes.Equal(served[0], expected) {
				return fmt.Errorf("%s is not the tree's", servedPath(tile))
			}
		}
	}
	return nil
}

// width returns how many of the remaining hashes or entries fit a tile.
func width(remaining int64) int {
	if remaining > 1<<tileHeight {
		return 1 << tileHeight
	}
	return int(remaining)
}

// checkBundles checks the entry bundles against the leaves, if the folder has any; it returns how many entries.
func checkBundles(folder string, leaves []tlog.Hash) (int, error) {
	if _, err := os.Stat(filepath.Join(folder, "tile", "entries")); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	seen := 0
	for seen < len(leaves) {
		tile := tlog.Tile{H: tileHeight, L: 0, N: int64(seen >> tileHeight), W: width(int64(len(leaves) - seen))}
		path := strings.Replace(servedPath(tile), "tile/0/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
		if err != nil {
			return seen, err
		}
		for i := 0; i < tile.W; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return seen, fmt.Errorf("%s: entry %d is cut off", path, i)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:end]) != leaves[seen] {
				return seen, fmt.Errorf("entry %d does not hash to its leaf", seen)
			}
			data = data[end:]
			seen++
		}
		if len(data) != 0 {
			return seen, fmt.Errorf("%s: bytes left over", path)
		}
	}
	return seen, nil
}

func readProofs(folder string) (p proofs, err error) {
	data, err := os.ReadFile(filepath.Join(folder, "proofs.json"))
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(data, &p)
}

// checkProofs verifies each proof and, where it concerns the checkpoint's own tree, also compares it with the proof
// that Go makes from the tiles.
func checkProofs(p proofs, tree tlog.Tree, leaves []tlog.Hash, tiles tlog.HashReader) error {
	for _, i := range p.Inclusion {
		place := fmt.Sprintf("inclusion of leaf %d in size %d", i.Index, i.Size)
		if err := tlog.CheckRecord(i.Proof, i.Size, i.Root, i.Index, i.Leaf); err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
		if i.Leaf != leaves[i.Index] {
			return fmt.Errorf("%s: the tiles hold another leaf hash", place)
		}
		if i.Size == tree.N {
			own, err := tlog.ProveRecord(i.Size, i.Index, tiles)
			if err != nil || i.Root != tree.Hash || !same(own, i.Proof) {
				return fmt.Errorf("%s: Go's own proof differs (%v)", place, err)
			}
		}
	}
	for _, c := range p.Consistency {
		place := fmt.Sprintf("consistency from size %d to %d", c.OldSize, c.NewSize)
		if err := tlog.CheckTree(c.Proof, c.NewSize, c.NewRoot, c.OldSize, c.OldRoot); err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
		if c.NewSize == tree.N {
			own, err := tlog.ProveTree(c.NewSize, c.OldSize, tiles)
			if err != nil || c.NewRoot != tree.Hash || !same(own, c.Proof) {
				return fmt.Errorf("%s: Go's own proof differs (%v)", place, err)
			}
		}
	}
	return nil
}

func same(a, b []tlog.Hash) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// folderTiles reads tiles from a folder.
type folderTiles string

func (f folderTiles) Height() int { return tileHeight }

func (f folderTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		var err error
		if data[i], err = os.ReadFile(filepath.Join(string(f), filepath.FromSlash(servedPath(tile)))); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func (f folderTiles) SaveTiles([]tlog.Tile, [][]byte) {}

// servedPath names a tile as C2SP tlog-tiles does: Go's path carries the height, tile/8/<L>/…, which C2SP fixes.
func servedPath(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
}
