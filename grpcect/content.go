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
	mu sync.Mutex
	digest
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
	c.write(data)
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
	return c.sumUp()
}

// HashOf returns the hash of the serialized messages of one direction of a call, in their
// order (profile 9.6): what a dispatch names, where a token is made by hand. It is absent
// without a message, and safe for concurrent use.
func HashOf(messages ...[]byte) core.Hash {
	var c content
	for _, m := range messages {
		c.add(mem.BufferSlice{mem.SliceBuffer(m)})
	}
	return c.sum()
}

// sumOf returns the hash of a call of one message.
func sumOf(data mem.BufferSlice) core.Hash {
	d, _ := digests.Get().(*digest)
	d.hash.Reset()
	d.write(data)
	h := d.sumUp()
	digests.Put(d)
	return h
}

var digests = sync.Pool{New: func() any { return &digest{hash: sha256.New()} }}

// digest is a hash with room for what goes in and comes out, which costs an allocation
// each time where it is handed to an interface.
type digest struct {
	hash   hash.Hash
	length [8]byte
	result [sha256.Size]byte
}

func (d *digest) write(data mem.BufferSlice) {
	binary.BigEndian.PutUint64(d.length[:], uint64(data.Len()))
	d.hash.Write(d.length[:])
	for _, b := range data {
		d.hash.Write(b.ReadOnlyData())
	}
}

func (d *digest) sumUp() core.Hash {
	d.hash.Sum(d.result[:0])
	return core.Hash{Sum: d.result, Present: true}
}
