// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestRequestThatCannotBeWritten: the request of a stream of replies cannot be serialized.
// Who waits for the replies in another goroutine is told, as by grpc-go itself, and nothing
// was dispatched.
func TestRequestThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	ctx, _ := w.task(t)
	st, err := dialBufconn(t, w, talk()).NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, testpb.TestService_ServerStream_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() { got <- st.RecvMsg(new(testpb.Message)) }()
	if err := st.SendMsg("no message"); status.Code(err) != codes.Internal {
		t.Errorf("SendMsg = %v", err)
	}
	select {
	case err := <-got:
		if status.Code(err) != codes.Internal {
			t.Errorf("RecvMsg = %v", err)
		}
	case <-time.After(patience / 4):
		t.Error("RecvMsg waits")
	}
	if n := len(w.from.seen.tokens()); n > 0 {
		t.Errorf("%d tokens were issued", n)
	}
}
