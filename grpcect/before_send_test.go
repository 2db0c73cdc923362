// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// serverStreamDesc describes the method whose calls begin when their request is sent.
var serverStreamDesc = &testpb.TestService_ServiceDesc.Streams[0]

// begin begins a call with one request and a stream of replies, and sends nothing yet.
func begin(ctx context.Context, t testing.TB, cc *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	st, err := cc.NewStream(ctx, serverStreamDesc, testpb.TestService_ServerStream_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// greets is a service whose streams have header and trailer metadata.
func greets() *stub {
	s := talk()
	stream := s.serverStream
	s.serverStream = func(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
		st.SetTrailer(metadata.Pairs("x-own", "kept"))
		if err := st.SetHeader(metadata.Pairs("x-own", "kept")); err != nil {
			return err
		}
		return stream(m, st)
	}
	return s
}

// finish sends a request and reads all that comes.
func finish(t testing.TB, st grpc.ClientStream) {
	t.Helper()
	if err := st.SendMsg(message(1)); err != nil {
		t.Fatal(err)
	}
	if err := st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var err error
	for n := 0; err == nil; n++ {
		if err = st.RecvMsg(&testpb.Message{}); err == nil && n == 3 {
			t.Fatal("a fourth message came")
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatalf("the end = %v", err)
	}
}

// TestBeforeSend: until its request is sent nothing of a call has happened. What asks for its
// header or for a reply waits for that, as it would anyway; the rest is empty.
func TestBeforeSend(t *testing.T) {
	for _, asks := range []string{"nothing", "header", "reply"} {
		t.Run(asks, func(t *testing.T) {
			w := newWorld(t)
			cc := dialBufconn(t, w, greets())
			ctx, task := w.task(t)
			st := begin(ctx, t, cc)
			if len(w.from.seen.tokens()) > 0 {
				t.Error("a dispatch was issued before the request")
			}
			if md := st.Trailer(); len(md) > 0 {
				t.Errorf("the trailer is %v", md)
			}
			if got, ok := core.TaskFromContext(st.Context()); !ok || got != task {
				t.Error("the context of the stream is not that of the call")
			}
			waited := make(chan error, 1)
			switch asks {
			case "header":
				go func() {
					md, err := st.Header()
					if err == nil {
						clean(t, "the header", md)
					}
					waited <- err
				}()
			case "reply":
				go func() { waited <- st.RecvMsg(&testpb.Message{}) }()
			default:
				waited <- nil
			}
			if asks == "reply" { // it takes one of the three
				if err := st.SendMsg(message(1)); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(st.CloseSend(), <-waited); err != nil {
					t.Fatal(err)
				}
				if err := drain(func() (*testpb.Message, error) { return nil, st.RecvMsg(&testpb.Message{}) }); err != nil {
					t.Fatal(err)
				}
			} else {
				finish(t, st)
				if err := <-waited; err != nil {
					t.Fatal(err)
				}
			}
			clean(t, "the trailer", st.Trailer())
			if got, ok := core.TaskFromContext(st.Context()); !ok || got != task {
				t.Error("the context of the stream is not that of the call any more")
			}
			w.after(ctx, t, task, w.to.seen.last(t).TaskID)
		})
	}
}

// TestNeverSent: a call whose request is never sent, and whose context ends, leaves nothing.
func TestNeverSent(t *testing.T) {
	for name, ask := range map[string]func(grpc.ClientStream) error{
		"header": func(st grpc.ClientStream) error { _, err := st.Header(); return err },
		"reply":  func(st grpc.ClientStream) error { return st.RecvMsg(&testpb.Message{}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cc := dialBufconn(t, w, talk())
			ctx, task := w.task(t)
			gone, cancel := context.WithCancel(ctx)
			st := begin(gone, t, cc)
			waited := make(chan error, 1)
			go func() { waited <- ask(st) }()
			cancel()
			if err := <-waited; status.Code(err) != codes.Canceled {
				t.Errorf("%s = %v", name, err)
			}
			w.after(ctx, t, task)
			if n := len(w.from.seen.tokens()); n != 1 {
				t.Errorf("issued %d tokens, want that of the task", n)
			}
		})
	}
}

// TestUnsendable: a request that cannot be serialized fails the call as it would anyway, and
// nothing waits for it.
func TestUnsendable(t *testing.T) {
	bad := &testpb.Message{Text: "\xff"}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bare := begin(ctx, t, plain(t, talk()))
	want := status.Convert(bare.SendMsg(bad))

	w := newWorld(t)
	own, task := w.task(t)
	st := begin(own, t, dialBufconn(t, w, talk()))
	waited := make(chan error, 1)
	go func() { waited <- st.RecvMsg(&testpb.Message{}) }()
	if got := status.Convert(st.SendMsg(bad)); got.Code() != want.Code() || got.Message() != want.Message() {
		t.Errorf("SendMsg = %v, want %v", got, want)
	}
	if err := <-waited; status.Code(err) != want.Code() {
		t.Errorf("RecvMsg that waited = %v", err)
	}
	if err := st.RecvMsg(&testpb.Message{}); status.Code(err) != want.Code() {
		t.Errorf("RecvMsg = %v", err)
	}
	if err := st.SendMsg(message(1)); err == nil {
		t.Error("SendMsg after it failed succeeds")
	}
	w.after(own, t, task)

	// The same of a unary call.
	_, bareErr := testpb.NewTestServiceClient(plain(t, talk())).Unary(ctx, bad)
	w = newWorld(t)
	own, task = w.task(t)
	_, err := testpb.NewTestServiceClient(dialBufconn(t, w, talk())).Unary(own, bad)
	if got, want := status.Convert(err), status.Convert(bareErr); got.Code() != want.Code() || got.Message() != want.Message() {
		t.Errorf("Unary = %v, want %v", got, want)
	}
	w.after(own, t, task)
}

// TestClosedWithoutRequest: a call that is closed before its request is made without one. The
// peer refuses it as it would anyway: grpc-go ends such a call before its handler does, so
// the record is kept, and the dispatch stands.
func TestClosedWithoutRequest(t *testing.T) {
	ends := func(st grpc.ClientStream) error {
		if err := st.CloseSend(); err != nil {
			t.Fatal(err)
		}
		return st.RecvMsg(&testpb.Message{})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	want := status.Convert(ends(begin(ctx, t, plain(t, talk()))))

	var records <-chan *core.Issued
	w := newWorld(t, func(w *world) { records = w.to.records() })
	own, task := w.task(t)
	st := begin(own, t, dialBufconn(t, w, talk()))
	if got := status.Convert(ends(st)); got.Code() != want.Code() || got.Message() != want.Message() {
		t.Errorf("the call = %v, want %v", got, want)
	}
	if err := st.SendMsg(message(1)); err == nil {
		t.Error("SendMsg after CloseSend succeeds")
	}
	record, dispatch := next(t, records), w.from.seen.tokens()[0].Claims()
	if record.InpHash.Present || dispatch.OutHash.Present {
		t.Errorf("hashes of no request: %v and %v", record.InpHash, dispatch.OutHash)
	}
	if record.Ext.Outcome != core.OutcomeError || record.Audience[0] != w.to.agent.Identity {
		t.Errorf("recorded %+v", record)
	}
	w.after(own, t, task, dispatch.TaskID)
}

// TestEndStays: what a stream ended with stands, also once its context is done.
func TestEndStays(t *testing.T) {
	w := newWorld(t)
	ctx, _ := w.task(t)
	ctx, cancel := context.WithCancel(ctx)
	st := begin(ctx, t, dialBufconn(t, w, greets()))
	finish(t, st)
	cancel()
	for range 20 {
		if err := st.RecvMsg(&testpb.Message{}); !errors.Is(err, io.EOF) {
			t.Fatalf("RecvMsg = %v, want the end", err)
		}
		if md, err := st.Header(); err != nil {
			t.Fatal(err)
		} else {
			clean(t, "the header", md)
		}
		clean(t, "the trailer", st.Trailer())
	}
}
