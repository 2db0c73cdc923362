// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// nothings are messages of no bytes.
var nothings = map[string]any{
	"nil": nil, "a nil pointer": (*testpb.Message)(nil), "an empty message": &testpb.Message{},
}

// sends is a service that answers every call with the same message, as often as it is told.
func sends(message any, times int) *stub {
	send := func(st grpc.ServerStream, times int) error {
		for range times {
			if err := st.SendMsg(message); err != nil {
				return err
			}
		}
		return nil
	}
	read := func(st grpc.ServerStream) error {
		for {
			if err := st.RecvMsg(&testpb.Message{}); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	return &stub{
		unary: func(context.Context, *testpb.Message) (*testpb.Message, error) {
			m, _ := message.(*testpb.Message)
			return m, nil
		},
		serverStream: func(_ *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error { return send(st, times) },
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			if err := read(st); err != nil {
				return err
			}
			return send(st, 1)
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			if err := read(st); err != nil {
				return err
			}
			return send(st, times)
		},
	}
}

// exchange makes a call of any kind that sends a message as often as the kind lets it, and
// returns how many messages were sent and came.
func exchange(ctx context.Context, cc *grpc.ClientConn, method string, message any, times int, opts ...grpc.CallOption) (sent, came int, err error) {
	desc := &grpc.StreamDesc{}
	switch method {
	case "Unary":
		return 1, 1, cc.Invoke(ctx, servicePath+method, message, &testpb.Message{}, opts...)
	case "ServerStream":
		desc.ServerStreams, times = true, 1
	case "ClientStream":
		desc.ClientStreams = true
	default:
		desc.ServerStreams, desc.ClientStreams = true, true
	}
	st, err := cc.NewStream(ctx, desc, servicePath+method, opts...)
	if err != nil {
		return 0, 0, err
	}
	for sent = range times {
		if err := st.SendMsg(message); err != nil {
			return sent, 0, err
		}
	}
	if err := st.CloseSend(); err != nil {
		return times, 0, err
	}
	for {
		if err := st.RecvMsg(&testpb.Message{}); errors.Is(err, io.EOF) {
			return times, came, nil
		} else if err != nil {
			return times, came, err
		}
		came++
	}
}

// TestNothing: messages of no bytes, nil ones included, are messages, and have their part
// in the hash.
func TestNothing(t *testing.T) {
	for name, nothing := range nothings {
		for _, k := range wireKinds {
			for _, times := range []int{1, 3} {
				for _, compressor := range []string{"", gzip.Name} {
					t.Run(fmt.Sprintf("%s/%s/%d/%q", name, k.name, times, compressor), func(t *testing.T) {
						w := newWorld(t, requireOnClient)
						cc := dialBufconn(t, w, sends(nothing, times))
						ctx, _ := w.task(t)
						var answer *core.Received
						opts := []grpc.CallOption{grpcect.Answer(&answer)}
						if compressor != "" {
							opts = append(opts, grpc.UseCompressor(compressor))
						}
						sent, came, err := exchange(ctx, cc, k.method, nothing, times, opts...)
						if err != nil || answer == nil {
							t.Fatalf("the call = %v, answered %t", err, answer != nil)
						}
						record := w.to.seen.last(t)
						if record.InpHash != wireHash(make([][]byte, sent)...) || record.OutHash != wireHash(make([][]byte, came)...) {
							t.Errorf("inp_hash = %v, out_hash = %v; want those of %d and %d messages", record.InpHash, record.OutHash, sent, came)
						}
					})
				}
			}
		}
	}
}

// requireOnClient makes the caller ask for both hashes.
func requireOnClient(w *world) { w.from.policy.Body = core.BodyRequire }

// TestNoMessage: a stream that ended without a message has no hash, and is answered.
func TestNoMessage(t *testing.T) {
	for _, k := range wireKinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			cc := dialBufconn(t, w, sends(nil, 0))
			ctx, _ := w.task(t)
			var answer *core.Received
			sent, came, err := exchange(ctx, cc, k.method, nil, 0, grpcect.Answer(&answer))
			if err != nil || answer == nil {
				t.Fatalf("the call = %v, answered %t", err, answer != nil)
			}
			record := w.to.seen.last(t)
			if record.InpHash.Present != (sent > 0) || record.OutHash.Present != (came > 0) {
				t.Errorf("inp_hash = %v of %d messages, out_hash = %v of %d", record.InpHash, sent, record.OutHash, came)
			}
		})
	}
}
