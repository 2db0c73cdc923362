// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// between is what stands between the interceptors and the connection: it changes the
// options of a call and its messages.
type meddler struct {
	options func([]grpc.CallOption) []grpc.CallOption
	message func(any) any
}

// interceptors returns them as a connection takes them.
func (b meddler) interceptors() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoker(ctx, method, b.message(req), reply, cc, b.options(opts)...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			cs, err := streamer(ctx, desc, cc, method, b.options(opts)...)
			return &meddlerStream{cs, b}, err
		}),
	}
}

type meddlerStream struct {
	grpc.ClientStream
	meddler meddler
}

func (s *meddlerStream) SendMsg(m any) error { return s.ClientStream.SendMsg(s.meddler.message(m)) }

// sameOptions and sameMessage change nothing.
func sameOptions(o []grpc.CallOption) []grpc.CallOption { return o }
func sameMessage(m any) any                             { return m }

// otherCodec writes a call with the codec that it would have been written with, past the
// one that sees its messages.
func otherCodec(o []grpc.CallOption) []grpc.CallOption {
	return append(slices.Clip(o), grpc.ForceCodecV2(encoding.GetCodecV2(proto.Name)))
}

// TestReplacedBelow: an interceptor further in that sends another message than the one that
// the dispatch names, or writes it with another codec, makes the call fail, whatever the
// policy and whether the peer answers or not. A stream of the client has a dispatch that
// names nothing, so what is recorded is what is sent in the place of its messages, and where
// nobody saw that, an answer that names it is not believed.
func TestReplacedBelow(t *testing.T) {
	for _, tt := range []struct {
		name    string
		meddler meddler
		// seen tells that what is sent is seen.
		seen bool
	}{
		{"another message", meddler{sameOptions, func(any) any { return message(7) }}, true},
		{"an empty message", meddler{sameOptions, func(any) any { return nil }}, false},
		{"another codec", meddler{otherCodec, sameMessage}, false},
	} {
		for _, k := range kinds {
			for _, answer := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/answer=%t", tt.name, k.name, answer), func(t *testing.T) {
					var ran atomic.Int32
					w := newWorld(t, func(w *world) {
						w.dialOptions = tt.meddler.interceptors()
						if !answer { // and nobody looks
							w.from.tells.Answer, w.to.tells.Tokens = core.AnswerOptional, false
							w.from.policy.Body, w.to.policy.Body = core.BodyIgnore, core.BodyIgnore
						}
					})
					c := testpb.NewTestServiceClient(dialBufconn(t, w, counted(talk(), &ran)))
					ctx, _ := w.task(t)
					err := k.call(ctx, c)
					if bad := k.dispatched || !tt.seen && answer; (err != nil) != bad {
						t.Errorf("the call = %v, want an error: %t", err, bad)
					}
					if tt.seen && k.dispatched && ran.Load() > 0 {
						t.Error("the handler ran")
					}
				})
			}
		}
	}
}

// TestReplacedStreamRecorded: what is recorded of a stream of the client is what was sent.
func TestReplacedStreamRecorded(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.dialOptions = meddler{sameOptions, func(any) any { return &testpb.Message{Text: "in its place"} }}.interceptors()
	})
	c := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
	ctx, _ := w.task(t)
	var answer *core.Received
	if err := kinds[2].call(ctx, c, grpcect.Answer(&answer)); err != nil || answer == nil {
		t.Fatalf("the call = %v, answered %t", err, answer != nil)
	}
	if want := wireHash(slices.Repeat([][]byte{text(nil, "in its place")}, 3)...); w.to.seen.last(t).InpHash != want {
		t.Errorf("inp_hash = %v, want %v", w.to.seen.last(t).InpHash, want)
	}
}
