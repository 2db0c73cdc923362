// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import "time"

// PseudonymKey is what the pseudonyms of one epoch are made with. The epoch of a token is
// that of its `iat`: the last key whose From is not after it, or the first key where all
// are.
type PseudonymKey struct {
	// Epoch stands in front of every pseudonym of the key, so that who searches knows which
	// key to use: 1 to 32 of A-Z, a-z, 0-9 and "-". It is never used again for another key.
	Epoch string
	// From is when the epoch begins. Keys ascend strictly; only the first may have none.
	From time.Time
	// Secret is 32 random bytes or more, of this key alone. It is copied.
	Secret []byte
}
