// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// retries is a service config under which grpc-go makes up to three attempts.
var retries = grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 3, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1,
	"retryableStatusCodes": ["UNAVAILABLE"]}}]}`)

// listen returns a listener on a free port.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// dialTCP serves over TCP, and returns a connection whose calls are recorded; options of
// interceptors further out come first.
func dialTCP(t testing.TB, w *world, s *stub, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	l := listen(t)
	w.serve(t, l, s)
	return w.connect(t, l.Addr().String(), append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
}

// attempts counts the calls that come to the world's server.
func (w *world) attempts() *atomic.Int32 {
	var n atomic.Int32
	w.serverOptions = append(w.serverOptions,
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			n.Add(1)
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			n.Add(1)
			return handler(srv, ss)
		}))
	return &n
}

// failsFirst is a service that fails as often as it is told before it does what it would.
func failsFirst(times int32, err error) (*stub, *atomic.Int32) {
	var called atomic.Int32
	return hooked(talk(), func(context.Context) error {
		if called.Add(1) <= times {
			return err
		}
		return nil
	}), &called
}

var errTryAgain = status.Error(codes.Unavailable, "said the handler")

// TestRetryBeforeHandler: an attempt that the library refused as codes.Unavailable, before the
// handler, is made again by grpc-go, and is no replay: nothing was claimed.
func TestRetryBeforeHandler(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.to.options = append(w.to.options, core.WithObserver(core.Observer{
					Rejected: func(context.Context, *core.Error, core.VerifyInfo) { w.domain.Fail(nil) },
				}))
			})
			w.domain.Fail(errors.New("no keys now"))
			attempts := w.attempts()
			s, called := failsFirst(0, nil)
			cc := dialTCP(t, w, s, retries)
			ctx, task := w.task(t)
			var answer *core.Received
			if err := k.call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer)); err != nil {
				t.Fatal(err)
			}
			if attempts.Load() != 2 || called.Load() != 1 || answer == nil {
				t.Errorf("%d attempts, called %d times, answered %t", attempts.Load(), called.Load(), answer != nil)
			}
			if n := len(w.from.seen.tokens()); n != 1 {
				t.Errorf("%d tokens were issued, want one dispatch", n)
			}
			if diff := cmp.Diff([]core.Code{core.CodeUnavailable}, w.to.seen.codes()); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
			w.after(ctx, t, task, w.to.seen.last(t).TaskID)
		})
	}
}

// TestNoRoom: a call whose token finds no room in the task store is refused as
// codes.Unavailable. It may come again, and is refused for the same again until there is room.
func TestNoRoom(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var now atomic.Int64
			w := newWorld(t, func(w *world) {
				m, err := dag.NewMemory(dag.MemoryConfig{MaxTasks: 1, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
				if err != nil {
					t.Fatal(err)
				}
				w.to.options = append(w.to.options, core.WithTaskStore(m))
			})
			cc := w.bare(t, talk())
			if o := present(t, cc, k.call, w.head(t)); o.err != nil {
				t.Fatal(o.err)
			}
			token := w.head(t)
			for range 2 {
				present(t, cc, k.call, token).refused(t, core.CodeUnavailable)
			}
			now.Add(int64(time.Hour / time.Second)) // what is there is quiet, and is dropped
			if o := present(t, cc, k.call, token); o.err != nil {
				t.Errorf("the same once there is room: %v", o.err)
			}
		})
	}
}

// TestRetryAfterHandler: grpc-go makes an attempt again whose handler ran and failed as
// codes.Unavailable. It is refused as replayed, which the caller sees: the handler does not run
// twice, and the call stands in the graph.
func TestRetryAfterHandler(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			attempts := w.attempts()
			s, called := failsFirst(1, errTryAgain)
			cc := dialTCP(t, w, s, retries)
			ctx, task := w.task(t)
			var answer *core.Received
			err := k.call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer))
			isRefusal(t, err, core.CodeReplayed, nil)
			if attempts.Load() != 2 || called.Load() != 1 || answer != nil {
				t.Errorf("%d attempts, called %d times, answered %t", attempts.Load(), called.Load(), answer != nil)
			}
			dispatch, record := w.from.seen.last(t), w.to.seen.last(t)
			if diff := cmp.Diff([]core.UUID{dispatch.TaskID}, record.Pred); diff != "" || record.Ext.Status != int(codes.Unavailable) {
				t.Errorf("recorded %+v, pred (-want +got):\n%s", record.Ext, diff)
			}
			w.after(ctx, t, task, dispatch.TaskID) // the answer was lost with the first attempt
		})
	}
}

// idempotentKinds are the ways to call methods that may be repeated.
var idempotentKinds = []struct {
	name string
	// again tells that a call is dispatched once more.
	again bool
	call  caller
}{
	{"Put", true, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		_, err := c.Put(ctx, message(1), opts...)
		return err
	}},
	{"Get", true, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		_, err := c.Get(ctx, message(1), opts...)
		return err
	}},
	{"List", true, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.List(ctx, message(1), opts...)
		if err != nil {
			return err
		}
		return drain(st.Recv)
	}},
	// A stream of the client cannot be sent again: its messages are gone.
	{"Merge", false, func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.Merge(ctx, opts...)
		if err != nil {
			return err
		}
		if err := st.Send(message(1)); err != nil && !errors.Is(err, io.EOF) { // and receiving tells why
			return err
		}
		_, err = st.CloseAndRecv()
		return err
	}},
}

// TestRepeatIdempotent: such a call of a method that may be repeated is dispatched once more,
// with a token of its own that comes after the first, and only once.
func TestRepeatIdempotent(t *testing.T) {
	for _, k := range idempotentKinds {
		for _, times := range []int32{1, 2, 5} {
			t.Run(fmt.Sprintf("%s, failing %d times", k.name, times), func(t *testing.T) {
				w := newWorld(t)
				attempts := w.attempts()
				s, called := failsFirst(times, errTryAgain)
				cc := dialTCP(t, w, s, retries)
				ctx, task := w.task(t)
				var answer *core.Received
				err := k.call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer))
				issued := w.from.seen.tokens()
				first := issued[0].Claims()
				if !k.again {
					isRefusal(t, err, core.CodeReplayed, nil)
					if len(issued) != 1 || called.Load() != 1 {
						t.Errorf("%d dispatches, called %d times", len(issued), called.Load())
					}
					w.after(ctx, t, task, first.TaskID)
					return
				}
				if len(issued) != 2 || called.Load() != 2 {
					t.Fatalf("%d dispatches, called %d times: %v", len(issued), called.Load(), err)
				}
				second := issued[1].Claims()
				if diff := cmp.Diff([]core.UUID{first.TaskID}, second.Pred); diff != "" {
					t.Errorf("the second dispatch comes after (-want +got):\n%s", diff)
				}
				record := w.to.seen.last(t)
				if diff := cmp.Diff([]core.UUID{second.TaskID}, record.Pred); diff != "" || record.InpHash != second.OutHash {
					t.Errorf("the second record comes after (-want +got):\n%s", diff)
				}
				if times == 1 {
					if err != nil || answer == nil || attempts.Load() != 3 {
						t.Errorf("%v, answered %t, %d attempts", err, answer != nil, attempts.Load())
					}
					w.after(ctx, t, task, record.TaskID)
					return
				}
				// The second failed as the first did, and its repetition is refused again.
				isRefusal(t, err, core.CodeReplayed, nil)
				if answer != nil || attempts.Load() != 4 {
					t.Errorf("answered %t, %d attempts", answer != nil, attempts.Load())
				}
				w.after(ctx, t, task, second.TaskID)
			})
		}
	}
}

// TestNotRepeated: what looks like a replay and is not one, or comes too late, is not
// dispatched again.
func TestNotRepeated(t *testing.T) {
	replayed := func() error {
		w := newWorld(t)
		token := w.head(t)
		cc := w.bare(t, talk())
		present(t, cc, kinds[0].call, token)
		return present(t, cc, kinds[0].call, token).err
	}()
	for name, c := range map[string]struct {
		atOnce bool
		// ours tells that the peer answers.
		ours bool
		call caller
	}{
		// Handlers that hand on what another service refused a call of theirs with.
		"a handler's own error":     {true, true, idempotentKinds[0].call},
		"a stream's own error":      {true, true, idempotentKinds[2].call},
		"not declared":              {true, false, kinds[0].call},
		"not declared, of a stream": {true, false, kinds[1].call},
		"after a reply":             {false, false, idempotentKinds[2].call},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			connect := func(t testing.TB, s *stub) *grpc.ClientConn { return w.plainFrom(t, s) }
			if c.ours {
				connect = func(t testing.TB, s *stub) *grpc.ClientConn { return dialTCP(t, w, s) }
			}
			called := 0
			cc := connect(t, hooked(fails(talk(), c.atOnce, replayed), func(context.Context) error { called++; return nil }))
			ctx, task := w.task(t)
			err := c.call(ctx, testpb.NewTestServiceClient(cc))
			if _, refused := grpcect.RefusedAs(err); !c.ours {
				isRefusal(t, err, core.CodeReplayed, nil)
			} else if refused || status.Code(err) != codes.PermissionDenied {
				t.Errorf("the call = %v, refused %t; the peer did not refuse it", err, refused)
			}
			issued := w.from.seen.tokens()
			if len(issued) != 1 || called != 1 {
				t.Fatalf("%d dispatches, called %d times", len(issued), called)
			}
			last := issued[0].Claims().TaskID
			if c.ours {
				last = w.to.seen.last(t).TaskID
			}
			w.after(ctx, t, task, last)
		})
	}
}
