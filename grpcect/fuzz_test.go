// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// split cuts data into pieces whose lengths are those of cuts, the rest being the last.
func split(data, cuts []byte) (pieces [][]byte) {
	for _, c := range cuts {
		n := min(int(c), len(data))
		pieces, data = append(pieces, data[:n]), data[n:]
	}
	return append(pieces, data)
}

// FuzzContent: the hash of messages is that of their bytes, in whatever buffers they come,
// and no other messages of the same bytes have it.
func FuzzContent(f *testing.F) {
	f.Add([]byte("one message and another"), []byte{11}, []byte{3, 0, 5})
	f.Add([]byte{}, []byte{}, []byte{0, 0})
	f.Add(bytes.Repeat([]byte("x"), 700), []byte{0, 255, 255}, []byte{64, 63, 1})
	f.Fuzz(func(t *testing.T, data, cuts, buffers []byte) {
		messages := split(data, cuts)
		var held []mem.BufferSlice
		for _, m := range messages {
			var s mem.BufferSlice
			for _, p := range split(m, buffers) {
				s = append(s, mem.SliceBuffer(p))
			}
			held = append(held, s)
			if got, want := grpcect.HashOfBuffers(s), wireHash(m); got != want {
				t.Errorf("HashOf(%q in %d buffers) = %v, want %v", m, len(s), got, want)
			}
		}
		want := wireHash(messages...)
		if got := grpcect.HashAll(held...); got != want {
			t.Errorf("HashAll(%q) = %v, want %v", messages, got, want)
		}
		for _, other := range [][]mem.BufferSlice{
			held[1:], append(slices.Clone(held), nil), append([]mem.BufferSlice{nil}, held...), {slices.Concat(held...)},
		} {
			if same := len(other) == len(held); grpcect.HashAll(other...) == want != same {
				t.Errorf("%q have the hash of %d messages: %t", messages, len(other), !same)
			}
		}
	})
}

// FuzzRequest: what comes as a request is refused as none, or what is recorded is its hash
// and that of the reply, byte by byte.
func FuzzRequest(f *testing.F) {
	for _, o := range odd {
		f.Add(o.message, false)
	}
	f.Add([]byte{}, true)
	f.Add([]byte{0xff}, true)
	w := newWorld(f, func(w *world) { w.to.policy.Body = core.BodyRequire })
	c := w.wire(f, talk())
	f.Fuzz(func(t *testing.T, message []byte, zip bool) {
		for _, k := range wireKinds[:2] {
			want := wireHash(message)
			r := c.call(t, wireCall{
				method: k.method, gzip: zip, messages: [][]byte{message},
				token: w.from.agent.Token(w.to.agent.Identity).With("out_hash", claimOf(want)).Sign(t),
			})
			if proto.Unmarshal(message, &testpb.Message{}) != nil {
				if r.status.Code() != codes.Internal {
					t.Errorf("%s: %x ended with %v", k.method, message, r.status)
				}
				continue
			}
			if a := r.answer(t); a.InpHash != want || a.OutHash != wireHash(r.messages...) {
				t.Errorf("%s: %x is answered with %v and %v", k.method, message, a.InpHash, a.OutHash)
			}
		}
	})
}

// FuzzRefusedAs: a status from anywhere names a class that there is, or none.
func FuzzRefusedAs(f *testing.F) {
	for _, info := range []*errdetails.ErrorInfo{
		{Reason: "ECT_REPLAYED", Domain: grpcect.ErrorDomain}, {Reason: "ECT_TOO_LARGE", Domain: grpcect.ErrorDomain},
		{Reason: "ECT_OTHER", Domain: grpcect.ErrorDomain}, {Reason: "ECT_REPLAYED", Domain: "example.com"},
	} {
		st, err := status.New(codes.PermissionDenied, "no").WithDetails(info)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := proto.Marshal(st.Proto())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p spb.Status
		if proto.Unmarshal(raw, &p) != nil {
			return
		}
		err := status.FromProto(&p).Err()
		class, ok := grpcect.RefusedAs(err)
		if ok != (class != 0) || ok && err == nil {
			t.Errorf("RefusedAs(%v) = %v, %t", err, class, ok)
		}
		if again, _ := grpcect.RefusedAs(errors.Join(err)); err != nil && again != class {
			t.Errorf("RefusedAs(%v) = %v joined, and %v alone", err, again, class)
		}
	})
}
