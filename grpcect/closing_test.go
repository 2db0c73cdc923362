// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// slowClose is a stream whose CloseSend returns only when the test lets it: its caller may
// be interrupted there.
type slowClose struct {
	grpc.ClientStream
	back <-chan struct{}
}

func (s *slowClose) CloseSend() error {
	err := s.ClientStream.CloseSend()
	<-s.back
	return err
}

// TestClosedWhileRead: a stream that one goroutine ends and another reads may be over before
// CloseSend returned. What was sent is known all the same.
func TestClosedWhileRead(t *testing.T) {
	back := make(chan struct{})
	w := newWorld(t, func(w *world) {
		w.from.policy.Body = core.BodyRequire
		w.dialOptions = append(w.dialOptions, grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				cs, err := streamer(ctx, desc, cc, method, opts...)
				return &slowClose{cs, back}, err
			}))
	})
	ctx, _ := w.task(t)
	var answer *core.Received
	st, err := testpb.NewTestServiceClient(dialBufconn(t, w, talk())).BidiStream(ctx, grpcect.Answer(&answer))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Send(message(1)); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- st.CloseSend() }()
	if err := drain(st.Recv); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
	close(back)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if answer == nil {
		t.Error("no answer")
	}
}
