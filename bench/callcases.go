// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// callBenches has the cases of gRPC. A token is metadata that no call before had, which
// costs gRPC something whatever is done with it: so the floors have it as well, in both
// directions.
func callBenches() []bench {
	verified := func() (*runner, *runner, error) { return intercepted(false) }
	recorded := func() (*runner, *runner, error) { return intercepted(true) }
	return []bench{
		{name: "gRPC, a unary call with a token that nobody looks at / without", make: carried},
		{name: "gRPC, interceptor that only verifies / bare crypto", ratioTarget: 1.10, make: verified},
		{name: "gRPC, interceptor that records / bare crypto and a signature", ratioTarget: 1.10, make: recorded},
		{name: "gRPC, a call verified, allocations beyond those of its floor", counts: true, allocTarget: 40, make: verified},
		{name: "gRPC, a call recorded, allocations beyond those of its floor", counts: true, allocTarget: 40, make: recorded},
	}
}

func newCallScene(records bool) (*scene, error) {
	s, err := newScene(true, records, core.Policy{MinLevel: core.L2, Replay: core.ReplayOncePerInstance})
	if err != nil {
		return nil, err
	}
	data, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	s.content = grpcect.HashOf(data)
	return s, nil
}

// carried is what a call costs without anything of this library.
func carried() (base, ours *runner, err error) {
	s, err := newCallScene(false)
	if err != nil {
		return nil, nil, err
	}
	if base, err = calls(nil); err != nil {
		return nil, nil, err
	}
	ours, err = calls(s.stock())
	return base, ours, err
}

// intercepted holds the interceptor against one that does nothing but what nobody can do
// without, on the same metadata.
func intercepted(records bool) (base, ours *runner, err error) {
	s, err := newCallScene(records)
	if err != nil {
		return nil, nil, err
	}
	if base, err = calls(s.stock(), grpc.UnaryInterceptor(s.bareInterceptor(records))); err != nil {
		return nil, nil, err
	}
	ours, err = calls(s.stock(), grpcect.ServerOptions(s.service)...)
	return base, ours, err
}

func (s *scene) bareInterceptor(records bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		tokens := metadata.ValueFromIncomingContext(ctx, core.CarrierTokens)
		if len(tokens) != 1 || bareVerify(&s.from.key.PublicKey, tokens[0]) != nil {
			return nil, status.Error(codes.PermissionDenied, "")
		}
		reply, err := handler(ctx, req)
		if err != nil || !records {
			return reply, err
		}
		// What came is as long as what is signed of a task token, and as hard on HPACK.
		text, err := bareSign(s.to.key, tokens[0][:strings.LastIndexByte(tokens[0], '.')])
		if err != nil {
			return nil, err
		}
		return reply, grpc.SetTrailer(ctx, metadata.MD{core.CarrierTokens: []string{text}})
	}
}
