// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestSendCompressor: a handler chooses how its replies are compressed, in unary calls and
// streams, through the context that leads to grpc-go's own transport.
func TestSendCompressor(t *testing.T) {
	choose := func(ctx context.Context) error {
		names, err := grpc.ClientSupportedCompressors(grpcect.TransportContext(ctx))
		if err != nil || len(names) == 0 {
			t.Errorf("ClientSupportedCompressors = %v, %v", names, err)
		}
		return grpc.SetSendCompressor(grpcect.TransportContext(ctx), gzip.Name)
	}
	s := talk()
	unary, stream := s.unary, s.serverStream
	s.unary = func(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
		if err := choose(ctx); err != nil {
			return nil, err
		}
		return unary(ctx, m)
	}
	s.serverStream = func(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
		if err := choose(st.Context()); err != nil {
			return err
		}
		return stream(m, st)
	}
	w := newWorld(t)
	c := testpb.NewTestServiceClient(dialBufconn(t, w, s))
	for _, k := range kinds[:2] {
		ctx, _ := w.task(t)
		if err := k.call(ctx, c); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if ctx := t.Context(); grpcect.TransportContext(ctx) != ctx {
		t.Error("a context without a call became another")
	}
}
