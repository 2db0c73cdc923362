// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"crypto/sha256"
	"hash"

	"github.com/go-ect/ect/core"
)

// emptyHash is the hash of the empty content.
var emptyHash = core.Hash{Sum: sha256.Sum256(nil), Present: true}

// shortContent is up to how many bytes are kept rather than hashed.
const shortContent = 256

// contentHash hashes a content as it passes. A short one is kept, and hashed only if
// somebody asks for it.
type contentHash struct {
	short []byte
	room  [64]byte // for the shortest
	state hash.Hash
}

// write takes the next bytes of the content.
func (c *contentHash) write(p []byte) {
	if c.state == nil {
		if c.short == nil {
			c.short = c.room[:0]
		}
		if len(p) <= shortContent-len(c.short) {
			c.short = append(c.short, p...)
			return
		}
		c.state = sha256.New()
		c.state.Write(c.short)
		c.short = nil
	}
	c.state.Write(p)
}

// sum returns the hash of what was written; that of nothing known, which is nil, is
// absent.
func (c *contentHash) sum() core.Hash {
	switch {
	case c == nil:
		return core.Hash{}
	case c.state == nil:
		return core.Hash{Sum: sha256.Sum256(c.short), Present: true}
	}
	return core.Hash{Sum: [32]byte(c.state.Sum(nil)), Present: true}
}
