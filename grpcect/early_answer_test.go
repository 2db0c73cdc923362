// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// hasty is a service that answers a stream after its first message, and reads no more of it.
func hasty(err error) *stub {
	return &stub{
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			m, bad := st.Recv()
			if bad != nil {
				return bad
			}
			return cmpOr(err, func() error { return st.SendAndClose(m) })
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			m, bad := st.Recv()
			if bad != nil {
				return bad
			}
			return cmpOr(st.Send(m), func() error { return err })
		},
	}
}

// TestEarlyAnswer: a peer answers a stream before its client has sent all. Its record names
// nothing of what it got; that is enough unless bodies are required.
func TestEarlyAnswer(t *testing.T) {
	for _, binding := range []core.BodyBinding{core.BodyIgnore, core.BodyMatch, core.BodyRequire} {
		for _, fail := range []error{nil, status.Error(codes.ResourceExhausted, "said the handler")} {
			for _, many := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/%v/many replies %t", binding, fail, many), func(t *testing.T) {
					w := newWorld(t, func(w *world) { w.from.policy.Body = binding })
					c := testpb.NewTestServiceClient(dialBufconn(t, w, hasty(fail)))
					ctx, task := w.task(t)
					var answer *core.Received
					send, receive := stream(ctx, t, c, many, grpcect.Answer(&answer))
					var err error
					for n := 0; err == nil; n++ { // until there is nobody to send to
						err = send(message(n))
					}
					if !errors.Is(err, io.EOF) {
						t.Fatalf("Send = %v, want the end", err)
					}
					err = receive()
					record := w.to.seen.last(t)
					if record.InpHash.Present || record.OutHash.Present != (many || fail == nil) {
						t.Errorf("recorded %v and %v", record.InpHash, record.OutHash)
					}
					last := record.TaskID
					switch {
					case binding == core.BodyRequire && (many || fail == nil): // something came that the record must name
						if core.CodeOf(err) != core.CodeBody || answer != nil {
							t.Errorf("the call = %v, answered %t", err, answer != nil)
						}
						last = w.from.seen.tokens()[0].Claims().TaskID
					case answer == nil || core.CodeOf(err) != 0:
						t.Errorf("the call = %v, answered %t", err, answer != nil)
					}
					if fail != nil && status.Code(err) != codes.ResourceExhausted || fail == nil && last == record.TaskID && err != nil {
						t.Errorf("the call = %v", err)
					}
					w.after(ctx, t, task, last)
				})
			}
		}
	}
}
