// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestCheckTrace: what adds metadata of tracing behind the guards, and a peer would get what
// it does not get: the call fails, the error names that, and nothing of it is sent. What the
// peer gets goes there.
func TestCheckTrace(t *testing.T) {
	for name, wire := range map[string]func(o *telemetry, s *core.Service, opts ...grpcect.ClientOption) []grpc.DialOption{
		"a stats handler before": func(o *telemetry, s *core.Service, opts ...grpcect.ClientOption) []grpc.DialOption {
			return append([]grpc.DialOption{grpc.WithStatsHandler(o.client())}, grpcect.DialOptions(s, opts...)...)
		},
		"a stats handler after": func(o *telemetry, s *core.Service, opts ...grpcect.ClientOption) []grpc.DialOption {
			return append(grpcect.DialOptions(s, opts...), grpc.WithStatsHandler(o.client()))
		},
		"a stats handler after a guard": func(o *telemetry, s *core.Service, opts ...grpcect.ClientOption) []grpc.DialOption {
			return append(grpcect.DialOptions(s, opts...), grpc.WithStatsHandler(grpcect.GuardTrace(nil)), grpc.WithStatsHandler(o.client()))
		},
		"interceptors further in": func(_ *telemetry, s *core.Service, opts ...grpcect.ClientOption) []grpc.DialOption {
			return append(grpcect.DialOptions(s, opts...), adds("traceparent", "tracestate", "baggage")...)
		},
		"one by one": func(_ *telemetry, s *core.Service, opts ...grpcect.ClientOption) []grpc.DialOption {
			return append([]grpc.DialOption{
				grpc.WithChainUnaryInterceptor(grpcect.UnaryClientInterceptor(s, opts...)),
				grpc.WithChainStreamInterceptor(grpcect.StreamClientInterceptor(s, opts...)),
				grpcect.CheckTrace(),
			}, adds("traceparent", "tracestate", "baggage")...)
		},
	} {
		for _, mask := range traceMasks() {
			for _, known := range []string{"audience", "endpoint", "nobody"} {
				t.Run(fmt.Sprintf("%s/%03b/%s", name, mask, known), func(t *testing.T) {
					r, o, w := newReceiver(t), newTelemetry(t), newWorld(t)
					peer := core.Audience{ID: w.to.agent.Identity, Tokens: true, Answer: core.AnswerOptional, Trace: mask}
					var opts []grpcect.ClientOption
					passes := mask
					switch known {
					case "audience":
						opts = append(opts, grpcect.WithAudience(peer.ID))
					case "endpoint":
						peer.Endpoints = []string{r.at}
					default:
						passes = 0
					}
					s := w.tells(t, peer)
					c := testpb.NewTestServiceClient(dial(t, r.at, append(wire(o, s, opts...), plaintext)...))
					for _, k := range kinds {
						err := k.call(traced(startTask(t, s), t), c)
						if passes == everyTrace {
							if err != nil {
								t.Errorf("%s: %v", k.name, err)
							} else if d := cmp.Diff([]string{"baggage", "traceparent", "tracestate"}, traceIn(r.next(t))); d != "" {
								t.Errorf("%s: what arrived (-want +got):\n%s", k.name, d)
							}
							continue
						}
						var bad []string
						for _, h := range []string{"baggage", "traceparent", "tracestate"} {
							if !passes.Passes(h) {
								bad = append(bad, h)
							}
						}
						if status.Code(err) != codes.Internal || !strings.Contains(fmt.Sprint(err), "adds "+strings.Join(bad, ", ")+" to it") {
							t.Errorf("%s: %v, want an error that names %q", k.name, err, bad)
						}
						if strings.Contains(fmt.Sprint(err), "alice") || strings.Contains(fmt.Sprint(err), "a value") {
							t.Errorf("%s: the error has a value in it", k.name)
						}
						r.none(t)
					}
				})
			}
		}
	}
}

// adds returns interceptors that add metadata to every call.
func adds(names ...string) []grpc.DialOption {
	with := func(ctx context.Context) context.Context {
		for _, name := range names {
			ctx = metadata.AppendToOutgoingContext(ctx, name, "a value") //nolint:fatcontext // a few
		}
		return ctx
	}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoker(with(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return streamer(with(ctx), desc, cc, method, opts...)
		}),
	}
}

// TestTraceInterceptors: what interceptors further out add is taken out, and so it is between
// two of the package's; without interceptors of the package, a guard lets nothing pass.
func TestTraceInterceptors(t *testing.T) {
	for name, wire := range map[string]func(s *core.Service) []grpc.DialOption{
		"further out": func(s *core.Service) []grpc.DialOption {
			return append(adds("traceparent", "b3", "baggage"), grpcect.DialOptions(s)...)
		},
		"in between": func(s *core.Service) []grpc.DialOption {
			return slices.Concat(grpcect.DialOptions(s), adds("traceparent", "b3", "baggage"), grpcect.DialOptions(s))
		},
		"no check": func(s *core.Service) []grpc.DialOption {
			return append(adds("traceparent", "b3", "baggage"), grpcect.DialOptions(s)[:2]...)
		},
		"a guard alone": func(*core.Service) []grpc.DialOption {
			return append(adds("traceparent", "b3", "baggage"), grpc.WithStatsHandler(grpcect.GuardTrace(nil)))
		},
	} {
		for _, tokens := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/tokens=%t", name, tokens), func(t *testing.T) {
				r, w := newReceiver(t), newWorld(t)
				s := w.tells(t, core.Audience{
					ID: w.to.agent.Identity, Endpoints: []string{r.at}, Tokens: tokens, Answer: core.AnswerOptional, Trace: core.Baggage,
				})
				c := testpb.NewTestServiceClient(dial(t, r.at, append(wire(s), plaintext)...))
				want := []string{"baggage"}
				if name == "a guard alone" {
					want = []string{}
				}
				for _, k := range kinds {
					if err := k.call(startTask(t, s), c); err != nil {
						t.Fatalf("%s: %v", k.name, err)
					}
					if d := cmp.Diff(want, traceIn(r.next(t))); d != "" {
						t.Errorf("%s: what arrived (-want +got):\n%s", k.name, d)
					}
				}
			})
		}
	}
}

// TestTraceRetries: each attempt that grpc-go makes is guarded, and checked.
func TestTraceRetries(t *testing.T) {
	for _, k := range kinds[:2] { // those that can be sent again
		t.Run(k.name, func(t *testing.T) {
			var called atomic.Int32
			fails := func(context.Context) error {
				if called.Add(1) < 3 {
					return errTryAgain
				}
				return nil
			}
			r, o, w := newReceiver(t,
				grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
					if err := fails(ctx); err != nil {
						return nil, err
					}
					return handler(ctx, req)
				}),
				grpc.StreamInterceptor(func(srv any, st grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
					if err := fails(st.Context()); err != nil {
						return err
					}
					return handler(srv, st)
				})), newTelemetry(t), newWorld(t)
			s := w.tells(t, core.Audience{ID: w.to.agent.Identity, Endpoints: []string{r.at}, Tokens: true, Answer: core.AnswerOptional, Trace: core.TraceParent})
			guard := grpc.WithStatsHandler(grpcect.GuardTrace(o.client()))
			c := testpb.NewTestServiceClient(dial(t, r.at, append(grpcect.DialOptions(s), guard, retries, plaintext)...))
			if err := k.call(traced(startTask(t, s), t), c); err != nil {
				t.Fatal(err)
			}
			parents := map[string]bool{}
			for range 3 {
				md := r.next(t)
				if d := cmp.Diff([]string{"traceparent"}, traceIn(md)); d != "" {
					t.Errorf("what arrived (-want +got):\n%s", d)
				}
				parents[strings.Join(md["traceparent"], ",")] = true
			}
			if len(parents) != 3 {
				t.Errorf("%d spans of three attempts", len(parents))
			}
		})
	}
}

// asks is credentials that make a call themselves, in the context that they are given.
type asks func(context.Context) error

func (a asks) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	return nil, a(ctx)
}
func (asks) RequireTransportSecurity() bool { return false }

// TestTraceInside: a call that is made within another, in its context, is not taken for it.
func TestTraceInside(t *testing.T) {
	for name, second := range map[string]func(o *telemetry, s *core.Service) []grpc.DialOption{
		"guarded": func(o *telemetry, _ *core.Service) []grpc.DialOption {
			return []grpc.DialOption{grpc.WithStatsHandler(grpcect.GuardTrace(o.client()))}
		},
		"of nobody": func(o *telemetry, s *core.Service) []grpc.DialOption {
			return append(grpcect.DialOptions(s), grpc.WithStatsHandler(grpcect.GuardTrace(o.client())))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, tokens, o, w := newReceiver(t), newReceiver(t), newTelemetry(t), newWorld(t)
			s := w.tells(t, core.Audience{ID: w.to.agent.Identity, Endpoints: []string{r.at}, Tokens: true, Answer: core.AnswerOptional, Trace: everyTrace})
			issuer := testpb.NewTestServiceClient(dial(t, tokens.at, append(second(o, s), plaintext)...))
			asking := grpc.WithPerRPCCredentials(asks(func(ctx context.Context) error {
				_, err := issuer.Unary(ctx, message(1))
				return err
			}))
			guard := grpc.WithStatsHandler(grpcect.GuardTrace(o.client()))
			c := testpb.NewTestServiceClient(dial(t, r.at, append(grpcect.DialOptions(s), guard, asking, plaintext)...))
			_, err := c.Put(traced(startTask(t, s), t), message(1))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{"baggage", "traceparent", "tracestate"}, traceIn(r.next(t))); d != "" {
				t.Errorf("what arrived with the call (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]string{}, traceIn(tokens.next(t))); d != "" {
				t.Errorf("what arrived with the call within (-want +got):\n%s", d)
			}
		})
	}
}
