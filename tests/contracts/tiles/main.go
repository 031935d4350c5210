// Reads the log's tiles with the client of Tessera, which others have written, and says what it found:
//
//	tiles-client BASE VKEY ORIGIN [CHECKPOINT]
//
// A token for the entries is taken from the environment as JUBAO_TOKEN. Every entry that is looked at is proved to be
// in the newest checkpoint, and the log to continue the older CHECKPOINT, a file; exit 1 where something does not hold.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

// No more entries than these are looked at, evenly over the log.
const most = 2_000

type found struct {
	Size      uint64 `json:"size"`
	Root      []byte `json:"root"`
	Entries   uint64 `json:"entries"`
	Continues uint64 `json:"continues"`
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: tiles-client BASE VKEY ORIGIN [CHECKPOINT]")
		os.Exit(2)
	}
	older := ""
	if len(os.Args) > 4 {
		older = os.Args[4]
	}
	said, err := read(context.Background(), os.Args[1], os.Args[2], os.Args[3], older)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(said)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(ctx context.Context, base, vkey, origin, older string) (*found, error) {
	root, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	log, err := client.NewHTTPFetcher(root, http.DefaultClient)
	if err != nil {
		return nil, err
	}
	log.SetAuthorizationHeader("Bearer " + os.Getenv("JUBAO_TOKEN"))
	signer, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	checkpoint, _, _, err := client.FetchCheckpoint(ctx, log.ReadCheckpoint, signer, origin)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint: %w", err)
	}
	proofs, err := client.NewProofBuilder(ctx, checkpoint.Size, log.ReadTile)
	if err != nil {
		return nil, fmt.Errorf("the tiles: %w", err)
	}
	said := &found{Size: checkpoint.Size, Root: checkpoint.Hash}
	for index := uint64(0); index < checkpoint.Size; index += checkpoint.Size/most + 1 {
		if err := included(ctx, log, proofs, index, checkpoint.Size, checkpoint.Hash); err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
		said.Entries++
	}
	if older == "" {
		return said, nil
	}
	text, err := os.ReadFile(older)
	if err != nil {
		return nil, err
	}
	// The tracker checks by itself that what it is given next continues what it was given first.
	known := client.UnilateralConsensus(log.ReadCheckpoint)
	tracker, err := client.NewLogStateTracker(ctx, log.ReadTile, text, signer, origin, known)
	if err != nil {
		return nil, fmt.Errorf("the older checkpoint: %w", err)
	}
	said.Continues = tracker.Latest().Size
	if _, _, _, err := tracker.Update(ctx); err != nil {
		return nil, fmt.Errorf("the log does not continue %s: %w", older, err)
	}
	if tracker.Latest().Size < said.Size {
		return nil, errors.New("the log shrank")
	}
	return said, nil
}

func included(
	ctx context.Context, log *client.HTTPFetcher, proofs *client.ProofBuilder, index, size uint64, root []byte,
) error {
	bundle, err := client.GetEntryBundle(ctx, log.ReadEntryBundle, index/layout.EntryBundleWidth, size)
	if err != nil {
		return err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(bundle.Entries[index%layout.EntryBundleWidth])
	path, err := proofs.InclusionProof(ctx, index)
	if err != nil {
		return err
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf, path, root)
}
