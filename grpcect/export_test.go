// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

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
