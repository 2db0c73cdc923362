// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// verbose is a codec that says more than it has to.
type verbose struct{ encoding.CodecV2 }

func (verbose) Marshal(v any) (mem.BufferSlice, error) {
	data, err := proto.Marshal(v.(*testpb.Message))
	// An unknown field, which a reader of the message may leave out.
	return mem.BufferSlice{mem.SliceBuffer(append(data, 0xa8, 0x06, 0x01))}, err
}

// TestOtherCodecFurtherIn: an interceptor further in has the call written with a codec of its
// own. The dispatch names what was not sent, and that is never silent, whatever the policy.
func TestOtherCodecFurtherIn(t *testing.T) {
	opt := grpc.ForceCodecV2(verbose{encoding.GetCodecV2("proto")})
	for _, k := range kinds[:2] {
		for _, body := range []core.BodyBinding{core.BodyIgnore, core.BodyMatch} {
			t.Run(k.name, func(t *testing.T) {
				w := newWorld(t, func(w *world) {
					w.from.policy.Body, w.to.policy.Body = body, core.BodyIgnore
					w.dialOptions = append(w.dialOptions,
						grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
							return invoker(ctx, method, req, reply, cc, append(slices.Clip(opts), opt)...)
						}),
						grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
							return streamer(ctx, desc, cc, method, append(slices.Clip(opts), opt)...)
						}))
				})
				ctx, _ := w.task(t)
				err := k.call(ctx, testpb.NewTestServiceClient(dialBufconn(t, w, talk())))
				if status.Code(err) != codes.DataLoss || core.CodeOf(err) != core.CodeBody {
					t.Errorf("the call = %v, want codes.DataLoss", err)
				}
				if got := w.from.seen.codes(); len(got) != 1 || got[0] != core.CodeBody {
					t.Errorf("observers were told of %v", got)
				}
			})
		}
	}
}

// TestServedFurtherIn: an interceptor further in answers a call itself, as caches do. Where
// no answer has to come, nothing is wrong with it.
func TestServedFurtherIn(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.from.tells.Answer = core.AnswerOptional
		w.dialOptions = append(w.dialOptions, grpc.WithChainUnaryInterceptor(
			func(_ context.Context, _ string, _, reply any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
				proto.Merge(reply.(*testpb.Message), message(7))
				return nil
			}))
	})
	ctx, _ := w.task(t)
	got, err := testpb.NewTestServiceClient(dialBufconn(t, w, talk())).Unary(ctx, message(1))
	if err != nil || got.GetText() != message(7).GetText() {
		t.Errorf("the call = %v, %v", got, err)
	}
	if c := w.from.seen.codes(); len(c) > 0 {
		t.Errorf("observers were told of %v", c)
	}
}
