// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// errAway is what a server is away with.
var errAway = status.Error(codes.Unavailable, "away")

// away returns interceptors furthest out that make the first attempts of a server fail.
func away(attempts int32) []grpc.ServerOption {
	var left atomic.Int32
	left.Store(attempts)
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if left.Add(-1) >= 0 {
				return nil, errAway
			}
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if left.Add(-1) >= 0 {
				return errAway
			}
			return handler(srv, ss)
		}),
	}
}

// again returns interceptors that make a call again while its server is away.
func again() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) (err error) {
			for range 3 {
				if err = invoker(ctx, method, req, reply, cc, opts...); status.Code(err) != codes.Unavailable {
					break
				}
			}
			return err
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			open := func() (grpc.ClientStream, error) { return streamer(ctx, desc, cc, method, opts...) }
			cs, err := open()
			return &againStream{ClientStream: cs, open: open}, err
		}),
	}
}

// againStream opens a stream again that failed before anything came, and sends what was sent.
type againStream struct {
	grpc.ClientStream
	open  func() (grpc.ClientStream, error)
	sent  []any
	tries int
}

func (s *againStream) SendMsg(m any) error {
	s.sent = append(s.sent, m)
	return s.ClientStream.SendMsg(m)
}

func (s *againStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if s.tries++; status.Code(err) != codes.Unavailable || s.tries > 3 {
		return err
	}
	if s.ClientStream, err = s.open(); err != nil {
		return err
	}
	for _, m := range s.sent {
		if err := s.ClientStream.SendMsg(m); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	return s.RecvMsg(m)
}

// TestSentAgain: a request that something further in sends again is sent in the bytes that
// the dispatch names, though it would be serialized otherwise each time.
func TestSentAgain(t *testing.T) {
	for _, k := range kinds[:2] {
		for range 5 {
			w := newWorld(t, requireOnClient, func(w *world) {
				w.serverOptions, w.dialOptions = away(2), again()
			})
			c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
			ctx, _ := w.task(t)
			var answer *core.Received
			if err := k.call(ctx, c, grpcect.Answer(&answer)); err != nil || answer == nil {
				t.Errorf("%s = %v, answered %t", k.name, err, answer != nil)
			}
		}
	}
}
