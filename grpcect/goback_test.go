// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestBuffersGoBack: every buffer goes back to its pool once a call of any kind is over, on
// both sides, but for those that grpc-go keeps itself: what a stream has not read when it
// ends.
func TestBuffersGoBack(t *testing.T) {
	fails := func(context.Context) error { return status.Error(codes.FailedPrecondition, "not today") }
	works := func(context.Context) error { return nil }
	other := &testpb.Message{Text: bulk.GetText() + "!"}
	require := func(w *world) { w.to.policy.Body = core.BodyRequire }
	for _, tt := range []struct {
		name string
		edit func(*world)
		do   func(context.Context) error
		// kinds is how many of the kinds are read to their end.
		kinds int
		code  codes.Code
	}{
		{"well", func(*world) {}, works, 4, codes.OK},
		{"required", require, works, 2, codes.OK},
		{"failed", func(*world) {}, fails, 2, codes.FailedPrecondition},
		{"failed where required", require, fails, 2, codes.FailedPrecondition},
		{"refused", func(w *world) { w.to.policy.MinLevel = core.L3 }, works, 1, codes.PermissionDenied},
		{"no answer", func(w *world) { w.to.tells.Tokens = false }, works, 4, codes.Internal},
		{"replaced further in", func(w *world) {
			w.dialOptions = append(w.dialOptions, meddler{sameOptions, func(any) any { return other }}.interceptors()...)
		}, works, 2, codes.Internal},
	} {
		for _, k := range kinds[:tt.kinds] {
			for _, compressor := range []string{"", gzip.Name} {
				t.Run(fmt.Sprintf("%s/%s/%q", tt.name, k.name, compressor), func(t *testing.T) {
					pool := &poison{}
					codec := pooled{encoding.GetCodecV2("proto"), pool}
					w := newWorld(t, func(w *world) {
						w.server = append(w.server, grpcect.WithCodec(grpcect.NewCodec(codec)))
						w.serverOptions = append(w.serverOptions, experimental.BufferPool(pool))
						w.dialOptions = append(w.dialOptions, experimental.WithBufferPool(pool), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec)))
						if compressor != "" {
							w.dialOptions = append(w.dialOptions, grpc.WithDefaultCallOptions(grpc.UseCompressor(compressor)))
						}
					}, tt.edit)
					c := testpb.NewTestServiceClient(dialBufconn(t, w, hooked(gives(bulk), tt.do)))
					ctx, _ := w.task(t)
					if err := bulkCall(ctx, c, k.name); status.Code(err) != tt.code {
						t.Errorf("the call = %v, want %v", err, tt.code)
					}
					await(t, "buffers to go back", func() bool { return pool.out.Load() == 0 })
				})
			}
		}
	}
}

// bulk is a message whose buffers are not too small for a pool.
var bulk = &testpb.Message{Text: strings.Repeat("large ", 2000)}

// bulkCall makes a call of a kind with that message.
func bulkCall(ctx context.Context, c testpb.TestServiceClient, kind string) error {
	switch kind {
	case "unary":
		_, err := c.Unary(ctx, bulk)
		return err
	case "server stream":
		st, err := c.ServerStream(ctx, bulk)
		if err != nil {
			return err
		}
		return drain(st.Recv)
	case "client stream":
		st, err := c.ClientStream(ctx)
		if err != nil {
			return err
		}
		for range 3 {
			if st.Send(bulk) != nil {
				break // and receiving says why
			}
		}
		_, err = st.CloseAndRecv()
		return err
	}
	st, err := c.BidiStream(ctx)
	if err != nil {
		return err
	}
	for range 3 {
		if st.Send(bulk) != nil {
			break
		}
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	return drain(st.Recv)
}
