// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	pb "google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// minted is how many tokens are made at a time while the clock stands: a service that
// takes every token once has to be given a new one for each call.
const minted = 256

// benchUnary calls an echo, each time with a token of its own if mint is not nil.
func benchUnary(b *testing.B, c testpb.TestServiceClient, m *testpb.Message, mint func() string) {
	b.Helper()
	var tokens []string
	b.ReportAllocs()
	for b.Loop() {
		ctx := b.Context()
		if mint != nil {
			if len(tokens) == 0 {
				b.StopTimer()
				for range minted {
					tokens = append(tokens, mint())
				}
				b.StartTimer()
			}
			ctx = metadata.NewOutgoingContext(ctx, metadata.MD{core.CarrierTokens: tokens[len(tokens)-1:]})
			tokens = tokens[:len(tokens)-1]
		}
		if _, err := c.Unary(ctx, m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUnary measures a unary call over memory, its client a plain one:
//
//   - none: the call alone;
//   - token: with a token in its metadata, which no call before had, that nobody looks at;
//   - crypto: with that and one bare verification, the floor of verify;
//   - verify: ours in a service that records nothing;
//   - crypto and sign: one bare verification and one bare signature, the floor of record;
//   - record: ours with the task token issued and sent.
func BenchmarkUnary(b *testing.B) {
	m := &testpb.Message{Text: "invoice 7"}
	run := func(name string, token bool, options func(b *testing.B, f *floor) []grpc.ServerOption) {
		b.Run(name, func(b *testing.B) {
			f := newFloor(b)
			var mint func() string
			if token {
				mint = func() string { return f.token(b, m) }
			}
			benchUnary(b, connect(b, talk(), options(b, f)), m, mint)
		})
	}
	none := func(*testing.B, *floor) []grpc.ServerOption { return nil }
	run("none", false, none)
	run("token", true, none)
	run("crypto", true, func(_ *testing.B, f *floor) []grpc.ServerOption { return []grpc.ServerOption{f.server(false)} })
	run("verify", true, func(b *testing.B, f *floor) []grpc.ServerOption { return grpcect.ServerOptions(f.verifyOnly(b)) })
	run("crypto and sign", true, func(_ *testing.B, f *floor) []grpc.ServerOption { return []grpc.ServerOption{f.server(true)} })
	run("record", true, func(_ *testing.B, f *floor) []grpc.ServerOption { return grpcect.ServerOptions(f.service) })
}

// benchTask calls an echo from a task, a new one from time to time, as one keeps the ids of
// all that it called.
func benchTask(b *testing.B, f *floor, c testpb.TestServiceClient, m *testpb.Message) {
	b.Helper()
	ctx, left := b.Context(), 0
	b.ReportAllocs()
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			ctx, left = f.task(b), 16 //nolint:fatcontext // each begins anew
			b.StartTimer()
		}
		left--
		if _, err := c.Unary(ctx, m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClient measures a unary call over memory with both its sides:
//
//   - none: the call alone;
//   - crypto: a bare signature and a bare verification on each side;
//   - ours: dispatch, record and answer.
func BenchmarkClient(b *testing.B) {
	m := &testpb.Message{Text: "invoice 7"}
	b.Run("none", func(b *testing.B) { benchTask(b, newFloor(b), connect(b, talk(), nil), m) })
	b.Run("crypto", func(b *testing.B) {
		f := newFloor(b)
		benchTask(b, f, connect(b, talk(), []grpc.ServerOption{f.server(true)}, f.client(b)), m)
	})
	b.Run("ours", func(b *testing.B) {
		f := newFloor(b)
		benchTask(b, f, connect(b, talk(), grpcect.ServerOptions(f.service), f.dialOptions()...), m)
	})
}

// sized are messages of several sizes.
func sized(b *testing.B, f func(b *testing.B, m *testpb.Message)) {
	b.Helper()
	for _, n := range []int{0, 1 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			f(b, &testpb.Message{Data: make([]byte, n)})
		})
	}
}

// BenchmarkMessage measures a unary call that is recorded, against the bare crypto with
// bare hashes of both messages, by their size.
func BenchmarkMessage(b *testing.B) {
	sized(b, func(b *testing.B, m *testpb.Message) {
		run := func(name string, options func(f *floor) []grpc.ServerOption) {
			b.Run(name, func(b *testing.B) {
				f := newFloor(b)
				b.SetBytes(2 * int64(pb.Size(m)))
				benchUnary(b, connect(b, talk(), options(f)), m, func() string { return f.token(b, m) })
			})
		}
		run("none", func(*floor) []grpc.ServerOption { return nil })
		run("crypto and hash", func(f *floor) []grpc.ServerOption {
			return []grpc.ServerOption{f.server(true), grpc.ForceServerCodecV2(hashingCodec())}
		})
		run("ours", func(f *floor) []grpc.ServerOption { return grpcect.ServerOptions(f.service) })
	})
}

// BenchmarkStream measures one message and its echo in a stream, by their size, so
// without what the call itself costs:
//
//   - none: the stream alone;
//   - hash: a server that hashes what passes;
//   - server: ours on the side of the server;
//   - both: ours on both sides.
func BenchmarkStream(b *testing.B) {
	sized(b, func(b *testing.B, m *testpb.Message) {
		run := func(name string, open func(b *testing.B, f *floor) (context.Context, testpb.TestServiceClient)) {
			b.Run(name, func(b *testing.B) {
				ctx, c := open(b, newFloor(b))
				st, err := c.BidiStream(ctx)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(2 * int64(pb.Size(m)))
				b.ReportAllocs()
				for b.Loop() {
					if err := st.Send(m); err != nil {
						b.Fatal(err)
					}
					if _, err := st.Recv(); err != nil {
						b.Fatal(err)
					}
				}
				if err := st.CloseSend(); err != nil {
					b.Fatal(err)
				}
				if err := drain(st.Recv); err != nil {
					b.Fatal(err)
				}
			})
		}
		run("none", func(b *testing.B, _ *floor) (context.Context, testpb.TestServiceClient) {
			return b.Context(), connect(b, talk(), nil)
		})
		run("hash", func(b *testing.B, _ *floor) (context.Context, testpb.TestServiceClient) {
			return b.Context(), connect(b, talk(), []grpc.ServerOption{grpc.ForceServerCodecV2(hashingCodec())})
		})
		run("server", func(b *testing.B, f *floor) (context.Context, testpb.TestServiceClient) {
			ctx := metadata.NewOutgoingContext(b.Context(), metadata.Pairs(core.CarrierTokens, f.token(b, nil)))
			return ctx, connect(b, talk(), grpcect.ServerOptions(f.service))
		})
		run("both", func(b *testing.B, f *floor) (context.Context, testpb.TestServiceClient) {
			return f.task(b), connect(b, talk(), grpcect.ServerOptions(f.service), f.dialOptions()...)
		})
	})
}
