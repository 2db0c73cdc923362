// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestNoConnection: libraries that call in the process itself have no connection to give.
// Nobody is known to be there, so no token goes, and those of others are taken out.
func TestNoConnection(t *testing.T) {
	w := newWorld(t)
	ctx, _ := w.task(t)
	ctx = metadata.AppendToOutgoingContext(ctx, core.CarrierTokens, "of another")
	called := 0
	look := func(ctx context.Context) {
		called++
		if md, _ := metadata.FromOutgoingContext(ctx); len(md[core.CarrierTokens]) > 0 {
			t.Errorf("%q goes along", md[core.CarrierTokens])
		}
	}
	err := grpcect.UnaryClientInterceptor(w.from.service)(ctx, testpb.TestService_Unary_FullMethodName, message(1), message(1), nil,
		func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			look(ctx)
			return nil
		})
	if err != nil {
		t.Error(err)
	}
	_, err = grpcect.StreamClientInterceptor(w.from.service)(ctx, &grpc.StreamDesc{ClientStreams: true}, nil, testpb.TestService_BidiStream_FullMethodName,
		func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
			look(ctx)
			return nil, nil
		})
	if err != nil {
		t.Error(err)
	}
	if called != 2 {
		t.Errorf("called %d times", called)
	}
}
