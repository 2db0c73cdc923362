// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"reflect"
	"sync"
	"unsafe"
	"weak"

	"github.com/go-ect/ect/core"
)

// arrivals tells a server's calls what their messages were on the wire. grpc-go gives a
// codec the message and its bytes and no context, so they meet by the message itself,
// which is one object from the codec to the interceptor:
//   - a unary call's request was read before the interceptor runs. Its hash waits under
//     the object's address, with a weak pointer to the object: an address that was given to
//     another object since is not mistaken for it, and a request that never gets to its
//     interceptor, since its sender or another interceptor ended the call, holds nothing.
//   - a stream's message is read while the stream waits for it, so the stream says
//     beforehand which object it is, and its bytes are hashed in their order.
type arrivals struct {
	shards [arrivalShards]arrivalShard
}

const (
	arrivalShards = 16
	// sweepFrom is how many entries a shard holds before it looks for dead ones.
	sweepFrom = 64
)

type arrivalShard struct {
	mu      sync.Mutex
	entries map[uintptr]arrival
	sweep   int
}

// arrival is a message that was read, or that a stream waits for.
type arrival struct {
	object weak.Pointer[byte]
	sum    core.Hash
	stream *content
}

// identity returns the address of a message; false where two messages can have the same:
// what is no pointer, and what points to nothing.
func identity(message any) (*byte, bool) {
	v := reflect.ValueOf(message)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem().Size() == 0 {
		return nil, false
	}
	return (*byte)(v.UnsafePointer()), true
}

func (a *arrivals) shard(object *byte) (*arrivalShard, uintptr) {
	address := uintptr(unsafe.Pointer(object)) //nolint:gosec // a key, never made a pointer again
	return &a.shards[(address>>6^address>>12)%arrivalShards], address
}

// put keeps the hash of a unary call's request until its interceptor takes it.
func (a *arrivals) put(object *byte, sum core.Hash) {
	s, at := a.shard(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries, s.sweep = map[uintptr]arrival{}, sweepFrom
	}
	if len(s.entries) >= s.sweep {
		for address, e := range s.entries {
			if e.stream == nil && e.object.Value() == nil {
				delete(s.entries, address)
			}
		}
		s.sweep = max(sweepFrom, 2*len(s.entries))
	}
	s.entries[at] = arrival{object: weak.Make(object), sum: sum}
}

// take returns the hash of a request, once.
func (a *arrivals) take(object *byte) (core.Hash, bool) {
	s, at := a.shard(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[at]
	if !ok || e.stream != nil || e.object.Value() != object {
		return core.Hash{}, false
	}
	delete(s.entries, at)
	return e.sum, true
}

// expect says that a stream reads its next message into an object. It is false if another
// stream does at the same moment.
func (a *arrivals) expect(object *byte, stream *content) bool {
	s, at := a.shard(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[at]; e.stream != nil {
		return false
	}
	if s.entries == nil {
		s.entries, s.sweep = map[uintptr]arrival{}, sweepFrom
	}
	s.entries[at] = arrival{stream: stream}
	return true
}

// expected returns the stream that waits for an object, nil if none does.
func (a *arrivals) expected(object *byte) *content {
	s, at := a.shard(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[at].stream
}

// forget ends what expect began.
func (a *arrivals) forget(object *byte) {
	s, at := a.shard(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, at)
}
