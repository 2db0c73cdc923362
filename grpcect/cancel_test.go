// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// halfWay is a service whose handlers stop in the midst of what they do, say so, and go on
// once their context is done.
func halfWay(running chan<- struct{}, returns func(context.Context) error) *stub {
	wait := func(ctx context.Context) error {
		running <- struct{}{}
		<-ctx.Done()
		return returns(ctx)
	}
	return &stub{
		unary: func(ctx context.Context, m *testpb.Message) (*testpb.Message, error) { return m, wait(ctx) },
		serverStream: func(m *testpb.Message, st grpc.ServerStreamingServer[testpb.Message]) error {
			return cmpOr(st.Send(m), func() error { return wait(st.Context()) })
		},
		clientStream: func(st grpc.ClientStreamingServer[testpb.Message, testpb.Message]) error {
			if _, err := st.Recv(); err != nil {
				return err
			}
			if err := wait(st.Context()); err != nil {
				return err
			}
			st.SendAndClose(&testpb.Message{}) //nolint:errcheck // nobody is there
			return nil
		},
		bidi: func(st grpc.BidiStreamingServer[testpb.Message, testpb.Message]) error {
			m, err := st.Recv()
			if err != nil {
				return err
			}
			return cmpOr(st.Send(m), func() error { return wait(st.Context()) })
		},
	}
}

// stays makes a call of one of the kinds that sends one message and waits for the end.
func stays(kind string) caller {
	switch kind {
	case "client stream":
		return func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
			st, err := c.ClientStream(ctx, opts...)
			if err != nil {
				return err
			}
			return cmpOr(st.Send(message(1)), func() error { return st.RecvMsg(&testpb.Message{}) })
		}
	case "bidi stream":
		return func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
			st, err := c.BidiStream(ctx, opts...)
			if err != nil {
				return err
			}
			return cmpOr(st.Send(message(1)), func() error { return drain(st.Recv) })
		}
	}
	return said(kind, "one")
}

// returned are the ways for a handler to end once its context is done.
var returned = []struct {
	name string
	with func(context.Context) error
	code codes.Code // Unknown: that of the context
}{
	{"its context's error", func(ctx context.Context) error { return ctx.Err() }, codes.Unknown},
	{"nothing", func(context.Context) error { return nil }, codes.OK},
	{"an error of its own", func(context.Context) error { return status.Error(codes.Internal, "gave up") }, codes.Internal},
}

// TestCancelledHalfWay: a caller leaves a call in its midst. The task is recorded as
// cancelled, with what came before as its predecessor and nothing that it would have given,
// and its token goes to nobody.
func TestCancelledHalfWay(t *testing.T) {
	for _, k := range kinds {
		for _, r := range returned {
			t.Run(k.name+"/"+r.name, func(t *testing.T) {
				var records <-chan *core.Issued
				w := newWorld(t, func(w *world) { records = w.to.records() })
				running := make(chan struct{}, 1)
				cc := dialBufconn(t, w, halfWay(running, r.with))
				ctx, task := w.task(t)
				gone, cancel := context.WithCancel(ctx)
				go func() {
					<-running
					cancel()
				}()
				var answer *core.Received
				err := stays(k.name)(gone, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer))
				if status.Code(err) != codes.Canceled || answer != nil {
					t.Errorf("the call = %v, answered %t", err, answer != nil)
				}
				dispatch := w.from.seen.last(t).TaskID
				w.cancelled(t, next(t, records), dispatch, r.code, int(codes.Canceled))
				w.after(ctx, t, task, dispatch)
				if codes := append(w.from.seen.codes(), w.to.seen.codes()...); len(codes) > 0 {
					t.Errorf("reported %v", codes)
				}
			})
		}
	}
}

// cancelled holds a record against that of a call that was cancelled.
func (w *world) cancelled(t testing.TB, c core.Claims, after core.UUID, code codes.Code, byContext ...int) {
	t.Helper()
	want := []int{int(code)}
	if code == codes.Unknown {
		want = byContext
	}
	if c.Ext.Outcome != core.OutcomeCancelled || !slices.Contains(want, c.Ext.Status) || c.OutHash.Present {
		t.Errorf("recorded %+v with out_hash %v, want cancelled, %v", c.Ext, c.OutHash, want)
	}
	if len(c.Audience) != 1 || c.Audience[0] != w.to.agent.Identity || len(c.Pred) != 1 || c.Pred[0] != after {
		t.Errorf("recorded for %v after %v, want for itself after %v", c.Audience, c.Pred, after)
	}
	if n := len(w.to.seen.unsent); n > 0 {
		t.Errorf("%d tokens are reported as not sent", n)
	}
}

// TestDeadlinePasses: so with a call whose time is up, on either side.
func TestDeadlinePasses(t *testing.T) {
	for _, k := range kinds {
		for _, r := range returned {
			t.Run(k.name+"/"+r.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var records <-chan *core.Issued
					w := newWorld(t, func(w *world) { records = w.to.records() })
					cc := dialBufconn(t, w, halfWay(make(chan struct{}, 1), r.with))
					ctx, task, err := w.from.service.StartTask(t.Context(), "test")
					if err != nil {
						t.Fatal(err)
					}
					// Longer than a claim or a token lives by default.
					late, cancel := context.WithTimeout(ctx, time.Hour)
					defer cancel()
					// Whose time is up first is for chance to say.
					err = stays(k.name)(late, testpb.NewTestServiceClient(cc))
					got := status.Code(err)
					// A handler that returns nothing wrong as its time is up answers nobody any more.
					unanswered := r.code == codes.OK && core.CodeOf(err) == core.CodeAnswer
					if got != codes.DeadlineExceeded && got != r.code && !unanswered {
						t.Errorf("the call = %v", err)
					}
					dispatch := w.from.seen.last(t).TaskID
					w.cancelled(t, next(t, records), dispatch, r.code, int(codes.DeadlineExceeded), int(codes.Canceled))
					w.after(ctx, t, task, dispatch)
				})
			})
		}
	}
}

// TestServerStops: so with a call whose server is stopped; the caller's error is grpc-go's.
func TestServerStops(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var records <-chan *core.Issued
			w := newWorld(t, func(w *world) { records = w.to.records() })
			running := make(chan struct{}, 1)
			server := grpc.NewServer(grpcect.ServerOptions(w.to.service)...)
			testpb.RegisterTestServiceServer(server, halfWay(running, returned[0].with))
			l := bufconn.Listen(1 << 20)
			served := make(chan error, 1)
			go func() { served <- server.Serve(l) }()
			cc := w.connect(t, bufTarget, bufOptions(l)...)
			ctx, task := w.task(t)
			go func() {
				<-running
				server.Stop()
			}()
			if err := stays(k.name)(ctx, testpb.NewTestServiceClient(cc)); status.Code(err) != codes.Unavailable {
				t.Errorf("the call = %v", err)
			}
			dispatch := w.from.seen.last(t).TaskID
			w.cancelled(t, next(t, records), dispatch, codes.Canceled)
			w.after(ctx, t, task, dispatch)
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

// TestServerDrains: a call that runs while its server stops gracefully is recorded and answered
// as any other.
func TestServerDrains(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			running, release := make(chan struct{}), make(chan struct{})
			server := grpc.NewServer(grpcect.ServerOptions(w.to.service)...)
			testpb.RegisterTestServiceServer(server, hooked(talk(), func(context.Context) error {
				close(running)
				<-release
				return nil
			}))
			l := bufconn.Listen(1 << 20)
			served := make(chan error, 1)
			go func() { served <- server.Serve(l) }()
			cc := w.connect(t, bufTarget, bufOptions(l)...)
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				<-running
				go server.GracefulStop()
				for { // until it takes no connections any more
					conn, err := l.DialContext(t.Context())
					if err != nil {
						break
					}
					if err := conn.Close(); err != nil {
						t.Error(err)
					}
				}
				close(release)
				if err := <-served; err != nil {
					t.Errorf("Serve: %v", err)
				}
			}()
			ctx, task := w.task(t)
			var answer *core.Received
			if err := k.call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer)); err != nil || answer == nil {
				t.Errorf("the call = %v, answered %t", err, answer != nil)
			}
			<-stopped
			w.after(ctx, t, task, w.to.seen.last(t).TaskID)
		})
	}
}

// TestNothingLeaks: calls that end in every way leave no goroutine behind, nor do streams that
// nobody reads to their end: a bubble does not end before all of its goroutines have.
func TestNothingLeaks(t *testing.T) {
	begin := func(ctx context.Context, c testpb.TestServiceClient) error {
		st, err := c.BidiStream(ctx)
		if err != nil {
			return err
		}
		return st.Send(message(1))
	}
	left := func(end func(context.Context, testpb.TestServiceClient) error) func(context.Context, testpb.TestServiceClient) error {
		return func(ctx context.Context, c testpb.TestServiceClient) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			return end(ctx, c)
		}
	}
	ends := map[string]func(ctx context.Context, c testpb.TestServiceClient) error{
		"left to the connection": begin,
		"cancelled, never read":  left(begin),
		"cancelled, read once": left(func(ctx context.Context, c testpb.TestServiceClient) error {
			st, err := c.ServerStream(ctx, message(1))
			if err != nil {
				return err
			}
			_, err = st.Recv()
			return err
		}),
	}
	for _, k := range kinds {
		ends[k.name+" to its end"] = func(ctx context.Context, c testpb.TestServiceClient) error { return k.call(ctx, c) }
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				parent, last := context.WithCancel(t.Context())
				t.Cleanup(last) // after the connection was closed
				cc := testpb.NewTestServiceClient(dialBufconn(t, w, talk()))
				ctx, _, err := w.from.service.StartTask(parent, "test")
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if err := end(ctx, cc); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}
