// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// edge is a server that drops what comes of tracing, and what was found of it.
type edge struct {
	o  *telemetry
	at string
	// heard is what stats handlers, the interceptor furthest out and the handler find.
	heard, early, late chan metadata.MD
	bags               chan int
}

// newEdge makes an edge with its options in an order.
func newEdge(t *testing.T, order string, others ...grpc.ServerOption) *edge {
	t.Helper()
	e := &edge{newTelemetry(t), "", make(chan metadata.MD, 16), make(chan metadata.MD, 16), make(chan metadata.MD, 16), make(chan int, 16)}
	found := func(ctx context.Context) {
		md, _ := metadata.FromIncomingContext(ctx)
		e.early <- md
	}
	theirs := []grpc.ServerOption{
		grpc.StatsHandler(e.o.server()), grpc.StatsHandler(&inHeader{heard: e.heard}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			found(ctx)
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, st grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			found(st.Context())
			return handler(srv, st)
		}),
	}
	opts := slices.Concat(grpcect.DropTrace(), theirs, others)
	if order == "last" {
		opts = slices.Concat(others, theirs, grpcect.DropTrace())
	}
	s := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(s, hooked(talk(), func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		e.late <- md
		e.bags <- baggage.FromContext(ctx).Len()
		return nil
	}))
	l := listen(t)
	e.at = l.Addr().String()
	run(t, s, l)
	return e
}

// TestDropTrace: nothing of tracing that comes gets to stats handlers, interceptors or
// handlers, nor into what OpenTelemetry makes of the call, wherever the options stand.
func TestDropTrace(t *testing.T) {
	for _, order := range []string{"first", "last"} {
		for _, recorded := range []bool{false, true} {
			for _, k := range kinds {
				t.Run(fmt.Sprintf("%s/recorded=%t/%s", order, recorded, k.name), func(t *testing.T) {
					w := newWorld(t)
					var others []grpc.ServerOption
					var client []grpc.DialOption
					ctx := traced(t.Context(), t)
					if recorded {
						others = grpcect.ServerOptions(w.to.service)
						w.from.tells.Trace = everyTrace
						s := w.tells(t, w.from.tells)
						client = grpcect.DialOptions(s, grpcect.WithAudience(w.to.agent.Identity))
						ctx = traced(startTask(t, s), t)
					}
					e := newEdge(t, order, others...)
					out := newTelemetry(t)
					c := testpb.NewTestServiceClient(dial(t, e.at, append(client, grpc.WithStatsHandler(out.client()), plaintext)...))
					if err := k.call(asCaller(ctx), c); err != nil {
						t.Fatal(err)
					}
					for where, heard := range map[string]chan metadata.MD{"a stats handler": e.heard, "an interceptor": e.early, "the handler": e.late} {
						md := <-heard
						if d := cmp.Diff([]string{}, traceIn(md)); d != "" {
							t.Errorf("%s finds (-want +got):\n%s", where, d)
						}
						if d := cmp.Diff([]string{"kept"}, md["x-request-id"]); d != "" {
							t.Errorf("%s, the rest (-want +got):\n%s", where, d)
						}
					}
					if n := <-e.bags; n != 0 {
						t.Errorf("%d members of baggage", n)
					}
					e.o.spans.Reset()
				})
			}
		}
	}
}

// TestDropTraceSpans: the server's spans are roots without links, in a trace of their own; and
// they are not without DropTrace, so that the test is of something.
func TestDropTraceSpans(t *testing.T) {
	for name, opts := range map[string][]grpc.ServerOption{"dropped": grpcect.DropTrace(), "kept": nil} {
		t.Run(name, func(t *testing.T) {
			o, l := newTelemetry(t), listen(t)
			s := grpc.NewServer(append([]grpc.ServerOption{grpc.StatsHandler(o.server())}, opts...)...)
			testpb.RegisterTestServiceServer(s, talk())
			done := make(chan error, 1)
			go func() { done <- s.Serve(l) }()
			ctx := traced(t.Context(), t)
			c := testpb.NewTestServiceClient(dial(t, l.Addr().String(), grpc.WithStatsHandler(newTelemetry(t).client()), plaintext))
			for _, k := range kinds {
				if err := k.call(ctx, c); err != nil {
					t.Error(err)
				}
			}
			s.GracefulStop() // which waits for the calls
			if err := <-done; err != nil {
				t.Error(err)
			}
			spans := o.spans.Ended()
			if len(spans) != len(kinds) {
				t.Fatalf("%d spans", len(spans))
			}
			theirs, kept := trace.SpanContextFromContext(ctx).TraceID(), name == "kept"
			for _, s := range spans {
				if s.Parent().IsValid() != kept || (s.SpanContext().TraceID() == theirs) != kept ||
					(s.SpanContext().TraceState().Len() > 0) != kept || len(s.Links()) > 0 {
					t.Errorf("span %v of parent %v with %d links", s.SpanContext(), s.Parent(), len(s.Links()))
				}
			}
		})
	}
}

// TestDropTraceTaps: tap handles of one's own are called in their order, with what is left,
// and may refuse.
func TestDropTraceTaps(t *testing.T) {
	type key struct{}
	no := status.Error(codes.ResourceExhausted, "too many")
	refuses := false
	var order []string
	var seen metadata.MD
	opts := grpcect.DropTrace(
		func(ctx context.Context, info *tap.Info) (context.Context, error) {
			order, seen = append(order, info.FullMethodName), info.Header
			if refuses {
				return nil, no
			}
			return context.WithValue(ctx, key{}, "theirs"), nil
		},
		func(ctx context.Context, _ *tap.Info) (context.Context, error) {
			order = append(order, fmt.Sprint(ctx.Value(key{})))
			return ctx, nil
		},
	)
	l := listen(t)
	s := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(s, hooked(talk(), func(ctx context.Context) error {
		order = append(order, fmt.Sprint("handler ", ctx.Value(key{})))
		return nil
	}))
	run(t, s, l)
	c := testpb.NewTestServiceClient(dial(t, l.Addr().String(), plaintext))
	if _, err := c.Unary(asCaller(t.Context()), message(1)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{testpb.TestService_Unary_FullMethodName, "theirs", "handler theirs"}, order); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	if names := traceIn(seen); len(names) > 0 || len(seen["x-request-id"]) != 1 {
		t.Errorf("the first tap handle sees %v", seen)
	}
	refuses, order = true, nil
	if _, err := c.Unary(t.Context(), message(1)); status.Code(err) != codes.ResourceExhausted || len(order) != 1 {
		t.Errorf("a call that a tap handle refuses = %v, after %q", err, order)
	}
}

// TestDropTraceWiring: what cannot work is found as the program starts.
func TestDropTraceWiring(t *testing.T) {
	tapped := func(ctx context.Context, _ *tap.Info) (context.Context, error) { return ctx, nil }
	for name, wire := range map[string]func(){
		"a nil tap handle":    func() { grpcect.DropTrace(tapped, nil) },
		"another tap, before": func() { grpc.NewServer(append(grpcect.DropTrace(), grpc.InTapHandle(tapped))...) },
		"another tap, further": func() {
			grpc.NewServer(append([]grpc.ServerOption{grpc.InTapHandle(tapped)}, grpcect.DropTrace()...)...)
		},
		"twice": func() { grpc.NewServer(append(grpcect.DropTrace(), grpcect.DropTrace()...)...) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			wire()
		})
	}
}

// TestDropTraceServeHTTP: where nothing can be dropped, calls are refused, with anything of
// tracing and without.
func TestDropTraceServeHTTP(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			l := listen(t)
			g := grpc.NewServer(grpcect.DropTrace()...)
			testpb.RegisterTestServiceServer(g, hooked(talk(), func(context.Context) error {
				t.Error("the handler was called")
				return nil
			}))
			server := &http.Server{Handler: g, Protocols: new(http.Protocols), ReadHeaderTimeout: patience}
			server.Protocols.SetUnencryptedHTTP2(true)
			done := make(chan error, 1)
			go func() { done <- server.Serve(l) }()
			t.Cleanup(func() {
				server.Close()
				if err := <-done; !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("Serve: %v", err)
				}
			})
			c := testpb.NewTestServiceClient(dial(t, l.Addr().String(), plaintext))
			for _, ctx := range []context.Context{t.Context(), asCaller(t.Context())} {
				if err := k.call(ctx, c); status.Code(err) != codes.Internal {
					t.Errorf("the call = %v", err)
				}
			}
		})
	}
}
