// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"google.golang.org/grpc/mem"

	"github.com/go-ect/ect/core"
)

// content hashes the messages of one direction of a call, in their order: each as it is
// serialized, before compression, and before it its length as eight bytes, big-endian
// (profile 9.6).
type content struct {
	mu    sync.Mutex
	hash  hash.Hash
	count int64
	// lost tells that a message passed whose bytes nobody saw: there is no hash then.
	lost bool
}

// add takes the next message.
func (c *content) add(data mem.BufferSlice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hash == nil {
		c.hash = sha256.New()
	}
	c.count++
	write(c.hash, data)
}

// lose gives the hash up.
func (c *content) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = true
}

// isLost tells whether the hash was given up.
func (c *content) isLost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// messages returns how many messages were taken.
func (c *content) messages() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// sum returns the hash so far, absent where no message passed: a call that ended without
// one has none.
func (c *content) sum() core.Hash {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == 0 || c.lost {
		return core.Hash{}
	}
	var h core.Hash
	c.hash.Sum(h.Sum[:0])
	h.Present = true
	return h
}

// sumOf returns the hash of a call of one message.
func sumOf(data mem.BufferSlice) core.Hash {
	h, _ := hashes.Get().(hash.Hash)
	h.Reset()
	write(h, data)
	sum := core.Hash{Present: true}
	h.Sum(sum.Sum[:0])
	hashes.Put(h)
	return sum
}

var hashes = sync.Pool{New: func() any { return sha256.New() }}

func write(h hash.Hash, data mem.BufferSlice) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(data.Len()))
	h.Write(length[:])
	for _, b := range data {
		h.Write(b.ReadOnlyData())
	}
}
