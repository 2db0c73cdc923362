// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestNoEndAfterRefusal: a handler that reads on after it was told that the messages are not
// those that their sender's record names never sees a good end of them.
func TestNoEndAfterRefusal(t *testing.T) {
	for _, k := range wireKinds[2:] {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			ends := 0
			read := func(recv func() (*testpb.Message, error)) {
				for range 6 {
					if _, err := recv(); errors.Is(err, io.EOF) {
						ends++
					}
				}
			}
			c := w.wire(t, &stub{
				clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
					read(st.Recv)
					return st.SendAndClose(&testpb.Message{})
				},
				bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
					read(st.Recv)
					return nil
				},
			})
			m := odd[0].message
			r := c.call(t, wireCall{
				method: k.method, messages: [][]byte{m, m},
				token: w.from.agent.Token(w.to.agent.Identity).With("out_hash", claimOf(wireHash(m))).Sign(t),
			})
			r.messages = nil // what was answered before the end
			r.refusedAs(t, core.ClassRejected)
			if ends > 0 {
				t.Errorf("the handler saw the end %d times", ends)
			}
		})
	}
}
