// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// marker is a stats handler that puts the number of the attempt into its context.
type marker struct{ count atomic.Int32 }

type markKey struct{}

func (m *marker) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, markKey{}, m.count.Add(1))
}
func (*marker) HandleRPC(context.Context, stats.RPCStats)                         {}
func (*marker) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*marker) HandleConn(context.Context, stats.ConnStats)                       {}

// sents notes the attempts that an observer is told of.
type sents struct{ attempts chan int32 }

func (s sents) observer() core.Observer {
	return core.Observer{Entered: func(ctx context.Context, _ *core.Received) (context.Context, core.TaskObserver) { return ctx, s }}
}

func (s sents) Issued(context.Context, *core.Issued) {}
func (s sents) Sent(ctx context.Context, _ *core.Issued) {
	n, _ := ctx.Value(markKey{}).(int32)
	s.attempts <- n
}
func (s sents) Answered(context.Context, *core.Issued, *core.Received) {}
func (s sents) Ended(error)                                            {}

// TestSentOnce: observers are told of each attempt once, however many guards there are, and in
// the context that all stats handlers made, wherever these stand.
func TestSentOnce(t *testing.T) {
	guarded := func(h stats.Handler) grpc.DialOption { return grpc.WithStatsHandler(grpcect.GuardTrace(h)) }
	for _, c := range []struct {
		name string
		with func(m *marker) []grpc.DialOption
		seen bool // the handler's context, not that of the call
	}{
		{"one guard", func(m *marker) []grpc.DialOption { return []grpc.DialOption{guarded(m)} }, true},
		{"a guard alone after it", func(m *marker) []grpc.DialOption { return []grpc.DialOption{grpc.WithStatsHandler(m), guarded(nil)} }, true},
		{"a guard alone before it", func(m *marker) []grpc.DialOption { return []grpc.DialOption{guarded(nil), grpc.WithStatsHandler(m)} }, true},
		{"two guards", func(m *marker) []grpc.DialOption { return []grpc.DialOption{guarded(m), guarded(nil)} }, true},
		{"two guards, it in the second", func(m *marker) []grpc.DialOption { return []grpc.DialOption{guarded(nil), guarded(m)} }, true},
		{"a guard in a guard", func(m *marker) []grpc.DialOption { return []grpc.DialOption{guarded(grpcect.GuardTrace(m))} }, true},
		{"no guard", func(m *marker) []grpc.DialOption { return []grpc.DialOption{grpc.WithStatsHandler(m)} }, false},
	} {
		for _, k := range kinds {
			t.Run(c.name+", "+k.name, func(t *testing.T) {
				var failed atomic.Bool
				r, w := newReceiver(t, grpc.ChainStreamInterceptor(func(srv any, st grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
					if !failed.Swap(true) {
						return status.Error(codes.Unavailable, "busy")
					}
					return h(srv, st)
				}), grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
					if !failed.Swap(true) {
						return nil, status.Error(codes.Unavailable, "busy")
					}
					return h(ctx, req)
				})), newWorld(t)
				told := sents{make(chan int32, 10)}
				s := w.domain.ServiceWithPolicy(t, w.from.agent, w.from.policy, []core.Audience{
					{ID: w.to.agent.Identity, Endpoints: []string{r.at}, Tokens: true, Answer: core.AnswerOptional},
				}, core.WithObserver(told.observer()))
				m := &marker{}
				opts := append(c.with(m), plaintext, grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"retryPolicy":{
					"maxAttempts":2,"initialBackoff":"0.001s","maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`))
				client := testpb.NewTestServiceClient(dial(t, r.at, append(opts, grpcect.DialOptions(s)...)...))
				if err := k.call(startTask(t, s), client); err != nil {
					t.Fatal(err)
				}
				close(told.attempts)
				var got []int32
				for n := range told.attempts {
					got = append(got, n)
				}
				attempts := int(m.count.Load())
				if attempts != 2 {
					t.Fatalf("%d attempts, want 2", attempts)
				}
				switch {
				case !c.seen && (len(got) != 1 || got[0] != 0):
					t.Errorf("told of %v, want one on the context of the call", got)
				case c.seen && (len(got) != 2 || got[0] != 1 || got[1] != 2):
					t.Errorf("told of the attempts %v, want each once, on its own context", got)
				}
			})
		}
	}
}
