// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// late is a stats handler that lets each second attempt of a call send nothing but its header
// before it has ended.
type late struct {
	mu       sync.Mutex
	attempts int
}

type attemptKey struct{}

// attempt is one of a call.
type attempt struct {
	second bool
	ended  chan struct{}
}

// TagRPC implements stats.Handler.
func (l *late) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts++
	return context.WithValue(ctx, attemptKey{}, &attempt{l.attempts%2 == 0, make(chan struct{})})
}

// HandleRPC implements stats.Handler.
func (l *late) HandleRPC(ctx context.Context, s stats.RPCStats) {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	switch s.(type) {
	case *stats.OutHeader:
		if a.second {
			<-a.ended
		}
	case *stats.InTrailer:
		close(a.ended)
	}
}

// TagConn implements stats.Handler.
func (l *late) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (l *late) HandleConn(context.Context, stats.ConnStats) {}

// TestEarlyRefusal: the attempt that grpc-go makes again of a stream is refused as replayed
// before it has sent its messages. The caller is told so, and not that all went well.
func TestEarlyRefusal(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.from.tells.Answer = core.AnswerOptional })
			s, called := failsFirst(1, errTryAgain)
			cc := dialTCP(t, w, s, retries, grpc.WithStatsHandler(&late{}))
			ctx, task := w.task(t)
			isRefusal(t, k.call(ctx, testpb.NewTestServiceClient(cc)), core.CodeReplayed, nil)
			if called.Load() != 1 {
				t.Errorf("called %d times", called.Load())
			}
			w.after(ctx, t, task, w.from.seen.tokens()[0].Claims().TaskID)
		})
	}
}

// TestEarlyRefusalRepeated: such a call is dispatched once more where that may be.
func TestEarlyRefusalRepeated(t *testing.T) {
	for _, k := range idempotentKinds[2:] {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			s, called := failsFirst(1, errTryAgain)
			cc := dialTCP(t, w, s, retries, grpc.WithStatsHandler(&late{}))
			ctx, task := w.task(t)
			var answer *core.Received
			err := k.call(ctx, testpb.NewTestServiceClient(cc), grpcect.Answer(&answer))
			issued := w.from.seen.tokens()
			if !k.again {
				isRefusal(t, err, core.CodeReplayed, nil)
				w.after(ctx, t, task, issued[0].Claims().TaskID)
				return
			}
			if err != nil || answer == nil || called.Load() != 2 || len(issued) != 2 {
				t.Fatalf("%v, answered %t, called %d times, %d dispatches", err, answer != nil, called.Load(), len(issued))
			}
			if diff := cmp.Diff([]core.UUID{issued[0].Claims().TaskID}, issued[1].Claims().Pred); diff != "" {
				t.Errorf("the second dispatch comes after (-want +got):\n%s", diff)
			}
			w.after(ctx, t, task, w.to.seen.last(t).TaskID)
		})
	}
}

// TestEarlyFailure: so with any other status.
func TestEarlyFailure(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.from.tells.Answer = core.AnswerOptional })
			var called atomic.Int32
			// An interceptor refuses before a handler has read.
			w.serverOptions = []grpc.ServerOption{grpc.StreamInterceptor(func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
				if called.Add(1) == 1 {
					return errTryAgain
				}
				return status.Error(codes.NotFound, "said the interceptor")
			})}
			cc := dialTCP(t, w, talk(), retries, grpc.WithStatsHandler(&late{}))
			ctx, _ := w.task(t)
			if st := status.Convert(k.call(ctx, testpb.NewTestServiceClient(cc))); st.Code() != codes.NotFound || st.Message() != "said the interceptor" {
				t.Errorf("the call = %v", st)
			}
		})
	}
}
