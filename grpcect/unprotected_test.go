// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestFurtherOut: what an interceptor outside of the chain can do, and what comes of it.
func TestFurtherOut(t *testing.T) {
	no := status.Error(codes.ResourceExhausted, "too many calls")
	var foreign string // a good token, which answers something else
	tests := []struct {
		name string
		out  grpc.UnaryServerInterceptor
		code codes.Code
		// seen is what observers were told of, on either side, recorded how many tasks there are.
		seen     []core.Code
		recorded int
	}{
		{"looks", func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return handler(ctx, req)
		}, codes.OK, nil, 1},
		{"refuses", func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
			return nil, no
		}, codes.ResourceExhausted, nil, 0},
		{"replaces the request", func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return handler(ctx, message(1))
		}, codes.Unavailable, []core.Code{core.CodeUnavailable}, 0},
		{"changes the request in place", func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			req.(*testpb.Message).Text = "another"
			return handler(ctx, req)
		}, codes.OK, nil, 1},
		{"replaces the reply", func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if _, err := handler(ctx, req); err != nil {
				return nil, err
			}
			return message(2), nil
		}, codes.DataLoss, []core.Code{core.CodeBody}, 1},
		{"sends a token of others back", func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := grpc.SetTrailer(ctx, metadata.Pairs(core.CarrierTokens, foreign)); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}, codes.Internal, []core.Code{core.CodeAnswer}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tokens []string
			w := newWorld(t, func(w *world) {
				w.serverOptions = append(w.serverOptions, grpc.UnaryInterceptor(
					func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
						tokens = metadata.ValueFromIncomingContext(ctx, core.CarrierTokens)
						return tt.out(ctx, req, info, handler)
					}))
			})
			foreign = w.to.agent.Token(w.from.agent.Identity).Sign(t)
			c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
			ctx, _ := w.task(t)
			_, err := c.Unary(ctx, message(1))
			if status.Code(err) != tt.code {
				t.Errorf("the call ends with %v, want %v", err, tt.code)
			}
			if len(tokens) != 1 {
				t.Errorf("it saw %d tokens, want the one that came", len(tokens))
			}
			got := append(w.to.seen.codes(), w.from.seen.codes()...)
			if len(got) != len(tt.seen) || len(got) == 1 && got[0] != tt.seen[0] {
				t.Errorf("observers were told of %v, want %v", got, tt.seen)
			}
			records := w.to.seen.tokens()
			if len(records) != tt.recorded {
				t.Fatalf("%d tasks were recorded, want %d", len(records), tt.recorded)
			}
			if dispatch := w.from.seen.last(t); tt.recorded > 0 && records[0].Claims().InpHash != dispatch.OutHash {
				t.Error("the record does not name what was on the wire")
			}
		})
	}
}

// TestPrepared: a direction in which a message passed unseen has no hash.
func TestPrepared(t *testing.T) {
	server := func(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
		var p grpc.PreparedMsg
		if err := errors.Join(p.Encode(st, m), st.SendMsg(&p)); err != nil {
			return err
		}
		return st.Send(m)
	}
	client := func(ctx context.Context, c testpb.TestServiceClient) error {
		st, err := c.BidiStream(ctx)
		if err != nil {
			return err
		}
		var p grpc.PreparedMsg
		if err := errors.Join(p.Encode(st, message(1)), st.SendMsg(&p), st.Send(message(2)), st.CloseSend()); err != nil {
			return err
		}
		return drain(st.Recv)
	}
	streamed := func(ctx context.Context, c testpb.TestServiceClient) error { return kinds[1].call(ctx, c) }
	for _, tt := range []struct {
		name     string
		from, to core.BodyBinding
		call     func(context.Context, testpb.TestServiceClient) error
		code     codes.Code
		in, out  bool // the record has the hash
	}{
		{"the server sends it, Match", core.BodyMatch, core.BodyMatch, streamed, codes.OK, true, false},
		{"the server sends it, Require", core.BodyRequire, core.BodyMatch, streamed, codes.DataLoss, true, false},
		{"the client sends it, Match", core.BodyMatch, core.BodyMatch, client, codes.OK, true, true},
		{"the client sends it, Require", core.BodyRequire, core.BodyMatch, client, codes.DataLoss, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.from.policy.Body, w.to.policy.Body = tt.from, tt.to })
			s := talk()
			s.serverStream = server
			c := testpb.NewTestServiceClient(dialBufconn(t, w, s))
			ctx, _ := w.task(t)
			if err := tt.call(ctx, c); status.Code(err) != tt.code {
				t.Errorf("the call ends with %v, want %v", err, tt.code)
			}
			if r := w.to.seen.last(t); r.InpHash.Present != tt.in || r.OutHash.Present != tt.out {
				t.Errorf("the record has the hashes %v and %v", r.InpHash, r.OutHash)
			}
		})
	}
}

// TestRetryFurtherIn: what sends calls again inside of the interceptor sends the same token.
// The handler does not run again for it; where its method says that it may, it runs once more
// for another.
func TestRetryFurtherIn(t *testing.T) {
	again := retry.UnaryClientInterceptor(retry.WithMax(3), retry.WithCodes(codes.Unavailable),
		retry.WithBackoff(retry.BackoffLinear(time.Millisecond)))
	for name, tt := range map[string]struct {
		call func(testpb.TestServiceClient, context.Context, *testpb.Message, ...grpc.CallOption) (*testpb.Message, error)
		runs int32
	}{
		"of no kind": {testpb.TestServiceClient.Unary, 1},
		"idempotent": {testpb.TestServiceClient.Put, 2},
		"safe":       {testpb.TestServiceClient.Get, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.dialOptions = append(w.dialOptions, grpc.WithChainUnaryInterceptor(again))
			})
			var ran atomic.Int32
			c := testpb.NewTestServiceClient(dialBufconn(t, w, &stub{unary: func(context.Context, *testpb.Message) (*testpb.Message, error) {
				ran.Add(1)
				return nil, status.Error(codes.Unavailable, "the handler has no time")
			}}))
			ctx, _ := w.task(t)
			_, err := tt.call(c, ctx, message(1))
			if class, ok := grpcect.RefusedAs(err); !ok || class != core.ClassReplayed {
				t.Errorf("the call ends with %v, want that it was replayed", err)
			}
			if n := len(w.to.seen.tokens()); ran.Load() != tt.runs || n != int(tt.runs) {
				t.Errorf("the handler ran %d times and %d tasks were recorded, want %d", ran.Load(), n, tt.runs)
			}
		})
	}
}
