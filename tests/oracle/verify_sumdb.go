// Verifies a log directory with Go's own transparency-log packages, which share no code with ours.
//
// Usage: verify_sumdb [-sample n] <directory>
//
// The directory has `vkey` (the log's public key), `checkpoint`, `tile/...`, and perhaps older checkpoints as
// `checkpoint.<size>`. Checked are the signature of each checkpoint, that the newest tree contains a random sample of
// entries (0 for all; only then would any changed entry be noticed), and that it continues each older one.
//
// golang.org/x/mod writes the tile height into paths and calls entries "data"; C2SP does neither. Nothing else differs.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

// directory reads tiles from a log directory; tlog checks each against the root before it uses it.
type directory string

func (d directory) Height() int { return height }

func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	contents := make([][]byte, 0, len(tiles))
	for _, tile := range tiles {
		content, err := d.read(tile)
		if err != nil {
			return nil, err
		}
		contents = append(contents, content)
	}
	return contents, nil
}

func (d directory) read(tile tlog.Tile) ([]byte, error) {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	if rest := strings.TrimPrefix(path, "data/"); rest != path {
		path = "entries/" + rest
	}
	return os.ReadFile(filepath.Join(string(d), "tile", filepath.FromSlash(path)))
}

// bundle gives the entries of the bundle in which entry index of a log of this size stands.
func (d directory) bundle(index, size int64) ([][]byte, error) {
	tile := tlog.Tile{H: height, L: -1, N: index / width, W: width}
	if left := size - tile.N*width; left < width {
		tile.W = int(left)
	}
	content, err := d.read(tile)
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, tile.W)
	for len(content) > 0 {
		if len(content) < 2 || len(content)-2 < int(binary.BigEndian.Uint16(content)) {
			return nil, fmt.Errorf("bundle %d is cut off", tile.N)
		}
		end := 2 + int(binary.BigEndian.Uint16(content))
		entries = append(entries, content[2:end])
		content = content[end:]
	}
	if len(entries) != tile.W {
		return nil, fmt.Errorf("bundle %d has %d entries, not %d", tile.N, len(entries), tile.W)
	}
	return entries, nil
}

// checkpoint opens a signed checkpoint of the log that the key is named for.
func (d directory) checkpoint(name string, key note.Verifier) (tlog.Tree, error) {
	content, err := os.ReadFile(filepath.Join(string(d), name))
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(content, note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != key.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of " + key.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// verify gives what was checked, and the first thing that does not hold.
func verify(d directory, sample int64) (string, error) {
	vkey, err := os.ReadFile(filepath.Join(string(d), "vkey"))
	if err != nil {
		return "", err
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return "", err
	}
	newest, err := d.checkpoint("checkpoint", key)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	hashes := tlog.TileHashReader(newest, d)

	all := sample == 0
	if all {
		sample = newest.N
	}
	if newest.N == 0 {
		sample = 0
	}
	for n := int64(0); n < sample; n++ {
		index := n
		if !all {
			index = rand.Int63n(newest.N)
		}
		entries, err := d.bundle(index, newest.N)
		if err != nil {
			return "", fmt.Errorf("entry %d: %w", index, err)
		}
		proof, err := tlog.ProveRecord(newest.N, index, hashes)
		if err != nil {
			return "", fmt.Errorf("entry %d: %w", index, err)
		}
		hash := tlog.RecordHash(entries[index%width])
		if err := tlog.CheckRecord(proof, newest.N, newest.Hash, index, hash); err != nil {
			return "", fmt.Errorf("entry %d: %w", index, err)
		}
	}

	older, err := filepath.Glob(filepath.Join(string(d), "checkpoint.*"))
	if err != nil {
		return "", err
	}
	for _, path := range older {
		name := filepath.Base(path)
		tree, err := d.checkpoint(name, key)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		proof, err := tlog.ProveTree(newest.N, tree.N, hashes)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if err := tlog.CheckTree(proof, newest.N, newest.Hash, tree.N, tree.Hash); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
	}
	return fmt.Sprintf("%s: size %d, %d inclusions, %d older checkpoints hold", key.Name(), newest.N, sample, len(older)), nil
}

func main() {
	sample := flag.Int64("sample", 2000, "how many entries to prove at random; 0 proves all")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: verify_sumdb [-sample n] <directory>")
		os.Exit(2)
	}
	report, err := verify(directory(flag.Arg(0)), *sample)
	if err != nil {
		fmt.Fprintln(os.Stderr, "does not hold:", err)
		os.Exit(1)
	}
	fmt.Println(report)
}
