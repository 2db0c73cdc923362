// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestNothingSent: grpc-go sends nil as an empty message and asks no codec. It is a message
// all the same, on both sides, in calls of every kind.
func TestNothingSent(t *testing.T) {
	for _, k := range []struct{ name, method string }{
		{"unary", testpb.TestService_Unary_FullMethodName}, {"server stream", testpb.TestService_ServerStream_FullMethodName},
		{"client stream", testpb.TestService_ClientStream_FullMethodName}, {"bidi stream", testpb.TestService_BidiStream_FullMethodName},
	} {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.from.policy.Body = core.BodyRequire })
			cc := dialBufconn(t, w, talk())
			ctx, _ := w.task(t)
			var answer *core.Received
			opt := grpcect.Answer(&answer)
			if k.name == "unary" {
				if err := cc.Invoke(ctx, k.method, nil, new(testpb.Message), opt); err != nil {
					t.Fatal(err)
				}
			} else {
				desc := &grpc.StreamDesc{ClientStreams: k.name != "server stream", ServerStreams: k.name != "client stream"}
				st, err := cc.NewStream(ctx, desc, k.method, opt)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if err := st.SendMsg(nil); err != nil {
						t.Fatal(err)
					}
					if !desc.ClientStreams {
						break
					}
				}
				if err := st.CloseSend(); err != nil {
					t.Fatal(err)
				}
				recv := func() (*testpb.Message, error) { m := new(testpb.Message); return m, st.RecvMsg(m) }
				if desc.ServerStreams {
					err = drain(recv)
				} else {
					_, err = recv()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if answer == nil || !w.to.seen.last(t).InpHash.Present {
				t.Errorf("the answer is %v, and the record %v", answer, w.to.seen.last(t))
			}
		})
	}
}
