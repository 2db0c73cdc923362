// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// counting is a codec that counts what it writes and reads.
type counting struct {
	encoding.CodecV2
	wrote, read *atomic.Int32
}

func newCounting() counting {
	return counting{encoding.GetCodecV2("proto"), new(atomic.Int32), new(atomic.Int32)}
}

func (c counting) Marshal(v any) (mem.BufferSlice, error) {
	c.wrote.Add(1)
	return c.CodecV2.Marshal(v)
}

func (c counting) Unmarshal(data mem.BufferSlice, v any) error {
	c.read.Add(1)
	return c.CodecV2.Unmarshal(data, v)
}

// TestSerializedOnce: each message is serialized once by who sends it and read once by who
// gets it, in calls of every kind, also where the interceptors are mounted twice.
func TestSerializedOnce(t *testing.T) {
	for name, binding := range map[string]core.BodyBinding{"ignore": core.BodyIgnore, "match": core.BodyMatch, "require": core.BodyRequire} {
		for _, k := range wireKinds {
			if k.many && binding == core.BodyRequire {
				continue
			}
			for _, twice := range []bool{false, true} {
				for _, compressor := range []string{"", gzip.Name} {
					t.Run(fmt.Sprintf("%s/%s/twice=%t/%q", name, k.name, twice, compressor), func(t *testing.T) {
						client, server := newCounting(), newCounting()
						w := newWorld(t, func(w *world) {
							w.from.policy.Body, w.to.policy.Body = binding, binding
							w.server = append(w.server, grpcect.WithCodec(grpcect.NewCodec(server)))
							w.dialOptions = append(w.dialOptions, grpcect.NewCodec(client).DialOption())
						})
						if twice {
							c := grpcect.NewCodec(server)
							c.ServerOption()
							w.serverOptions = append(w.serverOptions,
								grpc.ChainUnaryInterceptor(grpcect.UnaryServerInterceptor(w.to.service, c)),
								grpc.ChainStreamInterceptor(grpcect.StreamServerInterceptor(w.to.service, c)))
						}
						cc := dialBufconn(t, w, gives(message(2)))
						ctx, _ := w.task(t)
						var opts []grpc.CallOption
						if compressor != "" {
							opts = append(opts, grpc.UseCompressor(compressor))
						}
						sent, came, err := exchange(ctx, cc, k.method, message(1), 4, opts...)
						if err != nil {
							t.Fatal(err)
						}
						for _, c := range []struct {
							name      string
							got, want int
						}{
							{"the client wrote", int(client.wrote.Load()), sent}, {"the server read", int(server.read.Load()), sent},
							{"the server wrote", int(server.wrote.Load()), came}, {"the client read", int(client.read.Load()), came},
						} {
							if c.got != c.want {
								t.Errorf("%s %d messages, want %d", c.name, c.got, c.want)
							}
						}
					})
				}
			}
		}
	}
}
