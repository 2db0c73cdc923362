// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// codecWays are ways to give a connection a codec, and serverCodecs those to give a server
// the same one.
var codecWays = []struct {
	name string
	dial []grpc.DialOption
	call []grpc.CallOption
}{
	{"DialOption", []grpc.DialOption{grpcect.NewCodec(jsonCodec{}).DialOption()}, nil},
	{"DialOption of the first interface", []grpc.DialOption{grpcect.NewCodecV1(jsonCodecV1{}).DialOption()}, nil},
	{"ForceCodecV2", nil, []grpc.CallOption{grpc.ForceCodecV2(jsonCodec{})}},
	{"ForceCodec", nil, []grpc.CallOption{grpc.ForceCodec(jsonCodecV1{})}},
	{"CallCustomCodec", nil, []grpc.CallOption{grpc.CallCustomCodec(jsonCodecV1{})}}, //nolint:staticcheck // programs still have it
	{"CallContentSubtype", nil, []grpc.CallOption{grpc.CallContentSubtype(jsonName)}},
	{"another one before", []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(failing{marshal: errors.ErrUnsupported}))}, []grpc.CallOption{grpc.ForceCodecV2(jsonCodec{})}},
}

var serverCodecs = map[string]func() *grpcect.Codec{
	"NewCodec":   func() *grpcect.Codec { return grpcect.NewCodec(jsonCodec{}) },
	"NewCodecV1": func() *grpcect.Codec { return grpcect.NewCodecV1(jsonCodecV1{}) },
}

// TestCodecs: codecs of one's own, given in any way, with messages that are none of
// protobuf: both sides know what was on the wire.
func TestCodecs(t *testing.T) {
	for _, way := range codecWays {
		for name, codec := range serverCodecs {
			t.Run(way.name+"/"+name, func(t *testing.T) {
				t.Run("bytes", func(t *testing.T) {
					customKinds(t, codec(), way.dial, way.call, &blob{[]byte(strings.Repeat("bytes", 9))})
				})
				t.Run("small", func(t *testing.T) { customKinds(t, codec(), way.dial, way.call, &dot{7}) })
				t.Run("map", func(t *testing.T) { customKinds(t, codec(), way.dial, way.call, &bag{"a": "b"}) })
				t.Run("no size", func(t *testing.T) { customKinds(t, codec(), way.dial, way.call, &unit{}) })
			})
		}
	}
}

// customKinds makes calls of all kinds with a message, and compares what is recorded with
// what was on the wire.
func customKinds[T any](t *testing.T, codec *grpcect.Codec, dial []grpc.DialOption, call []grpc.CallOption, message *T) {
	t.Helper()
	bytes, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range wireKinds {
		w := newWorld(t, func(w *world) {
			w.server = append(w.server, grpcect.WithCodec(codec))
			w.dialOptions = dial
		})
		cc := w.custom(t, desc[T](func() {}))
		ctx, _ := w.task(t)
		var answer *core.Received
		sent, came, err := customCall(ctx, cc, k.method, message, append(slices.Clip(call), grpcect.Answer(&answer))...)
		if _, ok := any(message).(*unit); ok && k.method == "Unary" {
			outcome{err: err}.refused(t, core.CodeBody) // nobody can tell whose request it is
			continue
		}
		if err != nil || answer == nil {
			t.Errorf("%s = %v, answered %t", k.name, err, answer != nil)
			continue
		}
		inp, out := wireHash(slices.Repeat([][]byte{bytes}, sent)...), wireHash(slices.Repeat([][]byte{bytes}, came)...)
		if record := w.to.seen.last(t); record.InpHash != inp || record.OutHash != out {
			t.Errorf("%s: inp_hash = %v, out_hash = %v; want %v, %v", k.name, record.InpHash, record.OutHash, inp, out)
		}
	}
}
