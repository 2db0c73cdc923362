// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
)

// talker is a gRPC service that does what on says, and echoes.
type talker struct {
	grpc_testing.UnimplementedTestServiceServer
	on func(context.Context) error
}

func (s *talker) act(ctx context.Context) error {
	if s.on == nil {
		return nil
	}
	return s.on(ctx)
}

func (s *talker) UnaryCall(ctx context.Context, r *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Payload: r.GetPayload()}, s.act(ctx)
}

func (s *talker) StreamingOutputCall(r *grpc_testing.StreamingOutputCallRequest, st grpc.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse]) error {
	if err := s.act(st.Context()); err != nil {
		return err
	}
	return st.Send(&grpc_testing.StreamingOutputCallResponse{Payload: r.GetPayload()})
}

func (s *talker) FullDuplexCall(st grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
	for {
		r, err := st.Recv()
		switch {
		case err == io.EOF: //nolint:errorlint // as grpc-go says that a stream ended
			return s.act(st.Context())
		case err != nil:
			return err
		}
		if err := st.Send(&grpc_testing.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
}

// payload is a request with a text, which is the same on the wire for unary calls and streams.
func payload(text string) *grpc_testing.StreamingOutputCallRequest {
	return &grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: []byte(text)}}
}

// listen serves on a free port, and returns where.
func listen(t testing.TB, s grpc_testing.TestServiceServer, opts ...grpc.ServerOption) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	grpc_testing.RegisterTestServiceServer(server, s)
	go server.Serve(l) //nolint:errcheck // it ends with Stop
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

// connect returns a client of what listens there.
func connect(t testing.TB, address string, opts ...grpc.DialOption) grpc_testing.TestServiceClient {
	t.Helper()
	cc, err := grpc.NewClient(address, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return grpc_testing.NewTestServiceClient(cc)
}

// patience is how long a test waits for what must happen before it says that it hangs.
const patience = 20 * time.Second

// settled waits until every span that began has ended: a server may end its own after its
// client has all of the answer.
func (w *party) settled(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		_, open := w.balance.counts()
		if len(open) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("spans that began have not ended: %q", open)
		}
	}
}
