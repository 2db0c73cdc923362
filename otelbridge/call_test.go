// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/otelbridge"
)

// client makes a client of the party's that calls another, with otelgrpc under the guard or
// beside it.
func (w *party) grpcClient(t *testing.T, address, peer string, guarded bool, opts ...grpc.DialOption) grpc_testing.TestServiceClient {
	t.Helper()
	h := otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(w.tracers), otelgrpc.WithPropagators(w3c))
	if guarded {
		h = grpcect.GuardTrace(h)
	}
	opts = append(opts, grpc.WithStatsHandler(h))
	return connect(t, address, append(opts, grpcect.DialOptions(w.service, grpcect.WithAudience(peer))...)...)
}

// calls returns the spans of calls.
func (w *party) calls() (all []sdktrace.ReadOnlySpan) {
	for _, s := range w.spans.Ended() {
		if s.SpanKind() == trace.SpanKindClient {
			all = append(all, s)
		}
	}
	return all
}

// TestGRPC: with otelgrpc's stats handlers on both sides, a server's span stands for the task.
// The span of a call stands for the dispatch where the handler is under the guard, and the
// caller has an event for the answer, which the call's span leads to.
func TestGRPC(t *testing.T) {
	for _, stream := range []bool{false, true} {
		for _, guarded := range []bool{false, true} {
			d := ecttest.NewDomain()
			a, b := d.Agent(t, "a"), d.Agent(t, "b")
			w := newTraced(t, d, "b", setup{show: showAll(), to: []core.Audience{{ID: a.Identity, Tokens: true}}})
			address := listen(t, &talker{}, append(grpcect.ServerOptions(w.service), grpc.StatsHandler(otelgrpc.NewServerHandler(
				otelgrpc.WithTracerProvider(w.tracers), otelgrpc.WithPropagators(w3c))))...)
			c := newTraced(t, d, "a", setup{show: showAll(), to: []core.Audience{
				{ID: b.Identity, Tokens: true, Answer: core.AnswerRequired, Trace: core.TraceParent},
			}})
			client := c.grpcClient(t, address, b.Identity, guarded)
			ctx, span := c.start(t.Context(), "job")
			ctx, task, err := c.service.StartTask(ctx, "job")
			if err != nil {
				t.Fatal(err)
			}
			if stream {
				err = chat(ctx, client)
			} else {
				_, err = client.UnaryCall(ctx, &grpc_testing.SimpleRequest{})
			}
			if err != nil {
				t.Fatal(err)
			}
			issued := done(ctx, t, task)
			span.End()
			w.settled(t)
			c.settled(t)
			served, job, calls := w.one(t), c.named(t, "job"), c.calls()
			answer := issued.Claims().Pred[0].String()
			wantAttrs(t, served, map[attribute.Key]string{otelbridge.AttrTaskID: answer, otelbridge.AttrKind: "task", otelbridge.AttrResult: otelbridge.ResultAccepted})
			wantCounts(t, served, 1, 0)
			dispatches := c.dispatches()
			if got := events(served, otelbridge.EventPredecessor); len(dispatches) != 1 || !slices.Equal(got, dispatches) {
				t.Errorf("the server's predecessors are %q, want the dispatch %q", got, dispatches)
			}
			if got := events(job, otelbridge.EventAnswer); !slices.Equal(got, []string{answer}) {
				t.Errorf("the caller's answers are %q, want %q", got, answer)
			}
			if got := events(job, otelbridge.EventPredecessor); !slices.Contains(got, answer) {
				t.Errorf("the caller's predecessors are %q, want %q among them", got, answer)
			}
			if len(calls) != 1 || (attr(calls[0].Attributes(), otelbridge.AttrKind) == "dispatch") != guarded {
				t.Errorf("guarded %t: the calls' spans are %v", guarded, calls)
			}
			if got := slices.Equal(links(job), []string{calls[0].SpanContext().SpanID().String()}); got != guarded {
				t.Errorf("guarded %t: the caller has links to %q", guarded, links(job))
			}
		}
	}
}

// TestAttempts: each attempt of a call has a span, and each stands for the one dispatch.
func TestAttempts(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	w := newTraced(t, d, "b", setup{show: showAll(), to: []core.Audience{{ID: a.Identity, Tokens: true}}})
	var failed atomic.Bool
	// Furthest out, so that the first attempt claims nothing.
	busy := grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		if !failed.Swap(true) {
			return nil, status.Error(grpccodes.Unavailable, "busy")
		}
		return h(ctx, req)
	})
	address := listen(t, &talker{}, append(grpcect.ServerOptions(w.service), busy)...)
	c := newTraced(t, d, "a", setup{show: showAll(), to: []core.Audience{{ID: b.Identity, Tokens: true, Answer: core.AnswerRequired}}})
	client := c.grpcClient(t, address, b.Identity, true, grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"retryPolicy":{
		"maxAttempts":2,"initialBackoff":"0.001s","maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`))
	ctx, span := c.start(t.Context(), "job")
	ctx, task, err := c.service.StartTask(ctx, "job")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	done(ctx, t, task)
	span.End()
	c.settled(t)
	calls := c.calls()
	if len(calls) != 2 {
		t.Fatalf("%d spans of calls, want one for each attempt", len(calls))
	}
	first := attr(calls[0].Attributes(), otelbridge.AttrTaskID)
	for n, s := range calls {
		if got := attr(s.Attributes(), otelbridge.AttrTaskID); got == "" || got != first {
			t.Errorf("attempt %d stands for %q, want %q", n, got, first)
		}
		wantCounts(t, s, 0, 0)
	}
	if got, want := links(c.named(t, "job")), calls[1].SpanContext().SpanID().String(); !slices.Equal(got, []string{want}) {
		t.Errorf("the caller has links to %q, want the attempt that was answered, %q", got, want)
	}
}

// chat makes a call with streams both ways.
func chat(ctx context.Context, client grpc_testing.TestServiceClient) error {
	st, err := client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for range 3 {
		if err := st.Send(payload("a")); err != nil {
			return err
		}
		if _, err := st.Recv(); err != nil {
			return err
		}
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	for err == nil {
		_, err = st.Recv()
	}
	if err.Error() == "EOF" {
		return nil
	}
	return err
}
