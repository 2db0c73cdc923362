// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// over appends a varint in more bytes than it needs.
func over(b []byte, v uint64) []byte {
	b = protowire.AppendVarint(b, v)
	b[len(b)-1] |= 0x80
	return append(b, 0x80, 0x80, 0)
}

// text is a field with a string.
func text(b []byte, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), s)
}

// odd are messages as no serializer writes them, though every parser takes them.
var odd = []struct {
	name    string
	message []byte
}{
	{"out of order", text([]byte{4 << 3, 7}, "last")},
	{"said twice", text(text(nil, "first"), "second")},
	{"default values", text([]byte{4 << 3, 0}, "")},
	{"unknown fields before known ones", text(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), []byte("who")), "known")},
	{"an unknown group", append(text([]byte{98<<3&0x7f | 3 | 0x80, 98 >> 4, 98<<3&0x7f | 4 | 0x80, 98 >> 4}, "group"), 4<<3, 1)},
	{"a long value", append(text(nil, "long"), over([]byte{4 << 3}, 7)...)},
	{"a long tag", over(over(nil, 4<<3), 7)},
	{"a long length", append(over([]byte{1<<3 | 2}, 3), "abc"...)},
	{"an entry without a key, and one twice", []byte{3<<3 | 2, 3, 2<<3 | 2, 1, 'v', 3<<3 | 2, 6, 1<<3 | 2, 1, 'k', 2<<3 | 2, 1, 'v', 3<<3 | 2, 3, 1<<3 | 2, 1, 'k'}},
	{"a field twice the size", append(text(text(nil, string(bytes.Repeat([]byte("x"), 40_000))), "end"), 4<<3, 1)},
}

// TestOddIsOdd: what the tests call odd would come out otherwise if it was serialized again.
func TestOddIsOdd(t *testing.T) {
	for _, o := range odd {
		var m testpb.Message
		if err := proto.Unmarshal(o.message, &m); err != nil {
			t.Errorf("%s: %v", o.name, err)
			continue
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(&m)
		if err != nil || bytes.Equal(again, o.message) {
			t.Errorf("%s: serializes to the same bytes, or %v", o.name, err)
		}
	}
}

// counted makes a service count the calls whose handler ran.
func counted(s *stub, ran *atomic.Int32) *stub {
	c := *s
	c.unary = func(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
		ran.Add(1)
		return s.unary(ctx, m)
	}
	c.serverStream = func(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
		ran.Add(1)
		return s.serverStream(m, st)
	}
	c.clientStream = func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
		ran.Add(1)
		return s.clientStream(st)
	}
	c.bidi = func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
		ran.Add(1)
		return s.bidi(st)
	}
	return &c
}

// wireKinds are the ways to call, as they are named on the wire.
var wireKinds = []struct {
	name, method string
	// many tells that the client may send several messages.
	many bool
}{
	{"unary", "Unary", false},
	{"server stream", "ServerStream", false},
	{"client stream", "ClientStream", true},
	{"bidi stream", "BidiStream", true},
}

// bindings are the policies that hold messages against records.
var bindings = map[string]core.BodyBinding{"match": core.BodyMatch, "require": core.BodyRequire}

// TestWireBytes: the hash of what came is that of the bytes that came, whatever they would
// be if they were serialized again, and that of what goes out is of the bytes that go out;
// both before compression.
func TestWireBytes(t *testing.T) {
	for name, binding := range bindings {
		for _, zip := range []bool{false, true} {
			for _, k := range wireKinds {
				if k.many && binding == core.BodyRequire {
					continue // the policy refuses a stream of the client
				}
				t.Run(fmt.Sprintf("%s/%s/gzip=%t", name, k.name, zip), func(t *testing.T) {
					w := newWorld(t, func(w *world) { w.to.policy.Body = binding })
					c := w.wire(t, talk())
					sent := [][]byte{nil}
					for _, o := range odd {
						sent = append(sent, o.message)
					}
					if k.many {
						wireBytes(t, w, c, k.method, zip, slices.Concat(sent, sent)...)
						return
					}
					for _, m := range sent {
						wireBytes(t, w, c, k.method, zip, m)
					}
				})
			}
		}
	}
}

// wireBytes makes one call, and compares what is recorded of it with what was on the wire.
func wireBytes(t *testing.T, w *world, c *wire, method string, zip bool, messages ...[]byte) {
	t.Helper()
	want := wireHash(messages...)
	r := c.call(t, wireCall{
		method: method, gzip: zip, messages: messages,
		token: w.from.agent.Token(w.to.agent.Identity).With("out_hash", claimOf(want)).Sign(t),
	})
	answer, record := r.answer(t), w.to.seen.last(t)
	if answer.InpHash != want || record.InpHash != want {
		t.Errorf("%s %x: inp_hash is %v in the answer and %v in the record, want %v", method, messages, answer.InpHash, record.InpHash, want)
	}
	if got := wireHash(r.messages...); answer.OutHash != got || record.OutHash != got {
		t.Errorf("%s: out_hash is %v in the answer and %v in the record, and of what came %v", method, answer.OutHash, record.OutHash, got)
	}
	nothing := !slices.ContainsFunc(r.messages, func(m []byte) bool { return len(m) > 0 })
	if r.compressed != (zip && !nothing) {
		t.Errorf("compressed = %t", r.compressed)
	}
}

// TestWireBytesRefused: a request that is not the one that the token names is refused before
// the handler sees it. The token is not used up by that, but for a stream that began before
// its request was read, which is what a policy that requires a body does not let it do.
func TestWireBytesRefused(t *testing.T) {
	right := odd[0].message
	others := [][]byte{nil, text(nil, "last"), right[:2], text(right, ""), reserialized(t, right)}
	for name, binding := range bindings {
		for _, k := range wireKinds[:2] {
			t.Run(name+"/"+k.name, func(t *testing.T) {
				w := newWorld(t, func(w *world) { w.to.policy.Body = binding })
				var ran atomic.Int32
				c := w.wire(t, counted(talk(), &ran))
				token := func() string {
					return w.from.agent.Token(w.to.agent.Identity).With("out_hash", claimOf(wireHash(right))).Sign(t)
				}
				good := token()
				for _, other := range others {
					bad := good
					if binding == core.BodyMatch && k.method == "ServerStream" {
						bad = token()
					}
					c.call(t, wireCall{method: k.method, token: bad, messages: [][]byte{other}}).refusedAs(t, core.ClassRejected)
				}
				if n := ran.Load(); n != 0 {
					t.Errorf("the handler ran %d times", n)
				}
				call := wireCall{method: k.method, token: good, messages: [][]byte{right}}
				if got := c.call(t, call).answer(t).InpHash; got != wireHash(right) {
					t.Errorf("inp_hash = %v", got)
				}
				c.call(t, call).refusedAs(t, core.ClassReplayed)
				if n := ran.Load(); n != 1 {
					t.Errorf("the handler ran %d times, want once", n)
				}
			})
		}
	}
}

// reserialized is a message of the same meaning in the bytes that a serializer gives it.
func reserialized(t testing.TB, message []byte) []byte {
	t.Helper()
	var m testpb.Message
	if err := proto.Unmarshal(message, &m); err != nil {
		t.Fatal(err)
	}
	again, err := proto.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// TestWireStreamDiffers: a stream of the client whose messages are not those that its token
// names ends with the refusal, whatever the handler makes of it: other messages, in another
// order, cut elsewhere, one more or one less.
func TestWireStreamDiffers(t *testing.T) {
	a, b := odd[0].message, odd[1].message
	for _, k := range wireKinds[2:] {
		for name, messages := range map[string][][]byte{
			"other order": {b, a}, "one less": {a}, "one more": {a, b, nil}, "joined": {slices.Concat(a, b)},
			"cut elsewhere": {append(slices.Clone(a), b[:7]...), b[7:]}, "none": {},
		} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				w := newWorld(t)
				c := w.wire(t, talk())
				r := c.call(t, wireCall{
					method: k.method, messages: messages,
					token: w.from.agent.Token(w.to.agent.Identity).With("out_hash", claimOf(wireHash(a, b))).Sign(t),
				})
				r.messages = nil // what was answered before the end
				r.refusedAs(t, core.ClassRejected)
				if record := w.to.seen.last(t); record.InpHash.Present && record.InpHash != wireHash(messages...) {
					t.Errorf("inp_hash = %v", record.InpHash)
				}
			})
		}
	}
}
