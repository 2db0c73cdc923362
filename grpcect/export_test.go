// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"google.golang.org/grpc/mem"

	"github.com/go-ect/ect/core"
)

// MaxIdle is how many messages that no call asks for any more a hook keeps at most, if the
// garbage collector runs often enough.
const MaxIdle = arrivalShards * sweepFrom

// Waiting returns how many messages a hook keeps for calls to ask for, or knows that streams
// wait for.
func (c *Codec) Waiting() (n int) {
	for i := range c.arrivals.shards {
		s := &c.arrivals.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// HashOfBuffers is the hash of one message in buffers.
func HashOfBuffers(data mem.BufferSlice) core.Hash { return sumOf(data) }

// HashAll is the hash of the messages of one direction of a call.
func HashAll(messages ...mem.BufferSlice) core.Hash {
	var c content
	for _, m := range messages {
		c.add(m)
	}
	return c.sum()
}
