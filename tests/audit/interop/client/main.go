// Command client reads a running log over HTTP as Go's own tile client does (golang.org/x/mod/sumdb/tlog), and shares
// nothing with Arbiter: it opens the checkpoint, proves every record and every earlier size from the tiles it is served,
// and hashes every entry of the bundles.
//
// Usage: client PREFIX VERIFIER-KEY [TOKEN-FILE]; without a token the entries stay unread. It prints one line and exits
// with 0 when all checks out, and with 1 and the reason when anything does not.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

func main() {
	if len(os.Args) != 3 && len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: client PREFIX VERIFIER-KEY [TOKEN-FILE]")
		os.Exit(2)
	}
	summary, err := run(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println(summary)
}

func run(prefix, key string, tokenFile []string) (string, error) {
	log := &server{prefix: strings.TrimSuffix(prefix, "/"), tiles: map[string][]byte{}}
	tree, err := log.checkpoint(key)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	reader := tlog.TileHashReader(tree, log)
	for i := int64(0); i < tree.N; i++ {
		if err := proveRecord(tree, reader, i); err != nil {
			return "", fmt.Errorf("record %d: %w", i, err)
		}
	}
	for n := int64(1); n <= tree.N; n++ {
		if err := proveTree(tree, reader, n); err != nil {
			return "", fmt.Errorf("size %d: %w", n, err)
		}
	}
	entries := int64(0)
	if len(tokenFile) == 1 {
		token, err := os.ReadFile(tokenFile[0])
		if err != nil {
			return "", err
		}
		log.token = strings.TrimSpace(string(token))
		if entries, err = log.entries(tree, reader); err != nil {
			return "", fmt.Errorf("entries: %w", err)
		}
	}
	return fmt.Sprintf("accepted: %d records, %d sizes, %d entries, %d tiles fetched", tree.N, tree.N, entries, len(log.tiles)), nil
}

func proveRecord(tree tlog.Tree, reader tlog.HashReader, i int64) error {
	leaves, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(tree.N, i, reader)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, i, leaves[0])
}

func proveTree(tree tlog.Tree, reader tlog.HashReader, n int64) error {
	old, err := tlog.TreeHash(n, reader)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, n, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, n, old)
}

// A server is a tlog.TileReader over HTTP.
type server struct {
	prefix string
	token  string
	tiles  map[string][]byte
}

func (s *server) Height() int { return tileHeight }

func (s *server) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		// Go names the height; tlog-tiles has but one and does not.
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
		if held, ok := s.tiles[path]; ok {
			data[i] = held
			continue
		}
		content, err := s.get(path, "application/octet-stream")
		if err != nil {
			return nil, err
		}
		if len(content) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s: %d bytes for %d hashes", path, len(content), tile.W)
		}
		s.tiles[path] = content
		data[i] = content
	}
	return data, nil
}

// SaveTiles is told which tiles were authenticated.
func (s *server) SaveTiles([]tlog.Tile, [][]byte) {}

func (s *server) checkpoint(key string) (tree tlog.Tree, err error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tree, err
	}
	signed, err := s.get("checkpoint", "text/plain; charset=utf-8")
	if err != nil {
		return tree, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tree, errors.New("expected origin, size and root")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// entries fetches every bundle and compares the hash of each entry with its leaf.
func (s *server) entries(tree tlog.Tree, reader tlog.HashReader) (int64, error) {
	for start := int64(0); start < tree.N; start += 1 << tileHeight {
		width := tree.N - start
		if width > 1<<tileHeight {
			width = 1 << tileHeight
		}
		tile := tlog.Tile{H: tileHeight, L: -1, N: start >> tileHeight, W: int(width)}
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/data/", tileHeight), "tile/entries/", 1)
		bundle, err := s.get(path, "application/octet-stream")
		if err != nil {
			return 0, err
		}
		for i := start; i < start+width; i++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return 0, fmt.Errorf("%s ends before entry %d", path, i)
			}
			size := int(binary.BigEndian.Uint16(bundle))
			leaves, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
			if err != nil {
				return 0, err
			}
			if tlog.RecordHash(bundle[2:2+size]) != leaves[0] {
				return 0, fmt.Errorf("entry %d does not hash to its leaf", i)
			}
			bundle = bundle[2+size:]
		}
		if len(bundle) != 0 {
			return 0, fmt.Errorf("%s holds more than %d entries", path, width)
		}
	}
	return tree.N, nil
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: nil}}

func (s *server) get(path, kind string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, s.prefix+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	reply, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	content, err := io.ReadAll(reply.Body)
	if err != nil {
		return nil, err
	}
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, reply.Status)
	}
	if got := reply.Header.Get("Content-Type"); got != kind {
		return nil, fmt.Errorf("%s: content type %q", path, got)
	}
	return content, nil
}
