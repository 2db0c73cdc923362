// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// retryPolicy makes grpc-go repeat what is unavailable, at most three attempts in all.
const retryPolicy = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3,
	"initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// repeaters are who sends a call again, as the options of a connection.
var repeaters = []struct {
	name string
	// fresh tells that each attempt is a dispatch of its own.
	fresh bool
	dial  func(recorded []grpc.DialOption) []grpc.DialOption
}{
	{"grpc-go", false, func(recorded []grpc.DialOption) []grpc.DialOption {
		return append(recorded, grpc.WithDefaultServiceConfig(retryPolicy))
	}},
	{"an interceptor further in", false, func(recorded []grpc.DialOption) []grpc.DialOption {
		return append(recorded, grpc.WithChainUnaryInterceptor(retryThrice()), grpc.WithChainStreamInterceptor(retryStreamThrice()))
	}},
	{"an interceptor further out", true, func(recorded []grpc.DialOption) []grpc.DialOption {
		return append([]grpc.DialOption{
			grpc.WithChainUnaryInterceptor(retryThrice()), grpc.WithChainStreamInterceptor(retryStreamThrice()),
		}, recorded...)
	}},
}

var thrice = []retry.CallOption{
	retry.WithMax(3), retry.WithCodes(codes.Unavailable), retry.WithBackoff(retry.BackoffLinear(time.Millisecond)),
}

func retryThrice() grpc.UnaryClientInterceptor { return retry.UnaryClientInterceptor(thrice...) }
func retryStreamThrice() grpc.StreamClientInterceptor {
	return retry.StreamClientInterceptor(thrice...)
}

// repeatedly calls a service that says it is unavailable, by a client that repeats.
func repeatedly(t *testing.T, w *world, s *stub, dialed func([]grpc.DialOption) []grpc.DialOption) testpb.TestServiceClient {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	w.serve(t, l, s)
	return testpb.NewTestServiceClient(dial(t, bufTarget, append(dialed(grpcect.DialOptions(w.from.service, w.client...)), bufOptions(l)...)...))
}

// repeatable are calls by whether their method says that its handler may run twice.
var repeatable = []struct {
	name string
	may  bool
	call func(context.Context, testpb.TestServiceClient) error
}{
	{"unary", false, func(ctx context.Context, c testpb.TestServiceClient) error { return kinds[0].call(ctx, c) }},
	{"server stream", false, func(ctx context.Context, c testpb.TestServiceClient) error { return kinds[1].call(ctx, c) }},
	{"idempotent", true, func(ctx context.Context, c testpb.TestServiceClient) error {
		_, err := c.Put(ctx, message(1))
		return err
	}},
	{"safe", true, func(ctx context.Context, c testpb.TestServiceClient) error {
		_, err := c.Get(ctx, message(1))
		return err
	}},
}

// TestRepeatedHandler: a handler that ran does not run again for the same token. Where its
// method says that it may, it runs once more, for another. An attempt that is a dispatch of
// its own is a call like any other.
func TestRepeatedHandler(t *testing.T) {
	for _, r := range repeaters {
		for _, c := range repeatable {
			t.Run(r.name+"/"+c.name, func(t *testing.T) {
				var ran atomic.Int32
				s := &stub{
					unary: func(context.Context, *testpb.Message) (*testpb.Message, error) {
						ran.Add(1)
						return nil, status.Error(codes.Unavailable, "the handler has no time")
					},
					serverStream: func(*testpb.Message, grpc.ServerStreamingServer[testpb.Message]) error {
						ran.Add(1)
						return status.Error(codes.Unavailable, "the handler has no time")
					},
				}
				w := newWorld(t)
				client := repeatedly(t, w, s, r.dial)
				ctx, _ := w.task(t)
				err := c.call(ctx, client)

				code, refused, runs := codes.PermissionDenied, core.ClassReplayed, int32(1)
				switch {
				case r.fresh:
					code, refused, runs = codes.Unavailable, 0, 3
				case c.may:
					runs = 2
				}
				if class, _ := grpcect.RefusedAs(err); status.Code(err) != code || class != refused {
					t.Errorf("the call ends with %v, refused as %v; want %v, %v", err, class, code, refused)
				}
				if ran.Load() != runs {
					t.Errorf("the handler ran %d times, want %d", ran.Load(), runs)
				}
				if got := len(w.to.seen.tokens()); got != int(runs) {
					t.Errorf("%d tasks were recorded, want one each time: %d", got, runs)
				}
			})
		}
	}
}

// TestRepeatedRefusal: a call that was refused because the service could not decide is
// accepted when it is repeated, with the same token or another: nothing was claimed.
func TestRepeatedRefusal(t *testing.T) {
	for _, r := range repeaters {
		for _, c := range repeatable {
			t.Run(r.name+"/"+c.name, func(t *testing.T) {
				var refused atomic.Int32
				w := newWorld(t, func(w *world) {
					w.from.tells.Context = 1
					w.to.options = append(w.to.options, core.WithObserver(core.Observer{Rejected: func(context.Context, *core.Error) {
						refused.Add(1)
						w.domain.Fail(nil) // it is back for the next attempt
					}}))
				})
				client := repeatedly(t, w, talk(), r.dial)
				ctx, _ := w.task(t)
				w.domain.Fail(core.NewError(core.CodeUnavailable, errors.New("the keys are away")))
				if err := c.call(ctx, client); err != nil {
					t.Errorf("the call ends with %v", err)
				}
				if refused.Load() != 1 || len(w.to.seen.tokens()) != 1 {
					t.Errorf("%d refused and %d recorded, want one each", refused.Load(), len(w.to.seen.tokens()))
				}
			})
		}
	}
}

// TestRepeatedUnseen: an attempt that the peer never saw comes before the next one, so a peer
// that must know what came before needs to be told of it.
func TestRepeatedUnseen(t *testing.T) {
	for generations, code := range []codes.Code{codes.PermissionDenied, codes.OK} {
		w := newWorld(t, func(w *world) { w.from.tells.Context = generations })
		l := bufconn.Listen(1 << 20)
		w.serve(t, l, talk())
		var there atomic.Bool
		cc := dial(t, bufTarget, append(grpcect.DialOptions(w.from.service, w.client...),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Millisecond, MaxDelay: time.Millisecond}}),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				if !there.Load() {
					return nil, errors.New("there is nobody")
				}
				return l.DialContext(ctx)
			}))...)
		c := testpb.NewTestServiceClient(cc)
		ctx, _ := w.task(t)
		if _, err := c.Unary(ctx, message(1)); status.Code(err) != codes.Unavailable {
			t.Errorf("nobody there: %v", err)
		}
		there.Store(true)
		if _, err := c.Unary(ctx, message(1), grpc.WaitForReady(true)); status.Code(err) != code {
			t.Errorf("with %d generations of context: %v, want %v", generations, err, code)
		}
	}
}
