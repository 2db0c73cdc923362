// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"context"
	"fmt"
	"time"

	"github.com/go-ect/ect/core/replay"
)

func ExampleMemory() {
	store, err := replay.NewMemory(replay.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	claim := replay.Claim{
		Key:      replay.NewKey(true, "spiffe://example.org/billing", [16]byte{0x9f, 0x11}),
		Digest:   replay.Digest{0x2c},
		Signed:   true,
		Domain:   "example.org",
		NotAfter: time.Now().Add(15 * time.Minute).Unix(),
	}
	for range 2 {
		outcomes, err := store.Claim(ctx, []replay.Claim{claim}, true)
		fmt.Println(outcomes[0], err)
	}
	// Another token with the same issuer and task id.
	claim.Digest = replay.Digest{0x77}
	outcomes, err := store.Claim(ctx, []replay.Claim{claim}, true)
	fmt.Println(outcomes[0], err)
	// Output:
	// fresh <nil>
	// same <nil>
	// conflict <nil>
}
