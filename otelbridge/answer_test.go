// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// TestAnswersOverHTTP: an answer that is refused ends the span of its call, and is an event of
// the caller's own where no span is the call's. The caller's never fails for it.
func TestAnswersOverHTTP(t *testing.T) {
	for _, kind := range slices.Concat(ecttest.BadAnswers(), ecttest.GoodAnswers()) {
		for _, arrangement := range []string{"outside", "inside", "none"} {
			t.Run(kind.Name+", "+arrangement, func(t *testing.T) {
				d := ecttest.NewDomain()
				from, to := d.Agent(t, "from"), d.Agent(t, "to")
				peer := kind.Peer(d, from, to)
				content := core.HashOf([]byte("reply"))
				server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					rw.Header()[httpect.FieldName] = peer.Answer(t, r.Header.Get(httpect.FieldName), ecttest.Exchanged{Got: core.HashOf(nil), Gives: content})
					io.WriteString(rw, "reply") //nolint:errcheck // the client would notice
				}))
				defer server.Close()
				w := newTraced(t, d, "from", setup{show: otelbridge.ShowTasks(), to: []core.Audience{
					{ID: to.Identity, Tokens: true, Hashes: true, Endpoints: []string{server.URL}, Answer: core.AnswerRequired},
				}})
				traced := func(base http.RoundTripper) http.RoundTripper {
					return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(w.tracers), otelhttp.WithPropagators(w3c))
				}
				var base http.RoundTripper
				if arrangement == "inside" {
					base = traced(http.DefaultTransport)
				}
				transport, err := httpect.NewTransport(w.service, base)
				if err != nil {
					t.Fatal(err)
				}
				client := &http.Client{Transport: transport}
				if arrangement == "outside" {
					client.Transport = traced(transport)
				}
				// A server's span, for a request of somebody else.
				ctx, span := w.start(t.Context(), "serve")
				ctx, task, err := w.take(ctx, d.Agent(t, "asks").Token(w.Identity).Sign(t))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := get(ctx, t, client, server.URL); err != nil {
					t.Fatal(err)
				}
				_, err = get(ctx, t, client, server.URL)
				if err != nil && strings.Contains(err.Error(), "malformed") && core.CodeOf(err) == 0 {
					return // net/http reads no such field
				}
				if (err == nil) != (kind.Code == 0) {
					t.Fatalf("err = %v, want the code %v", err, kind.Code)
				}
				done(ctx, t, task)
				span.End()
				serve := w.named(t, "serve")
				wantAttrs(t, serve, map[attribute.Key]string{otelbridge.AttrResult: otelbridge.ResultAccepted, otelbridge.AttrErrorType: ""})
				if serve.Status().Code == codes.Error {
					t.Errorf("the caller's span failed: %v", serve.Status())
				}
				refused := eventsOf(serve, otelbridge.EventRefused)
				if kind.Code == 0 || arrangement == "outside" {
					if len(refused) > 0 {
						t.Errorf("the caller's span has the events %v", refused)
					}
				} else if len(refused) != 1 || attr(refused[0].Attributes, otelbridge.AttrResult) != core.CodeOf(err).String() {
					t.Errorf("the caller's span has the events %v, want one of %v", refused, core.CodeOf(err))
				}
				if arrangement != "outside" {
					return
				}
				all := w.spans.Ended()
				call, failed := all[1], kind.Code != 0
				if got := attr(call.Attributes(), otelbridge.AttrResult); failed && got != core.CodeOf(err).String() || !failed && got != "" {
					t.Errorf("the call's result is %q", got)
				}
				// otelhttp has the last word, as the error passes it on its way to the caller.
				if got := attr(call.Attributes(), otelbridge.AttrErrorType); failed && got != core.CodeOf(err).String() || !failed && got != "" {
					t.Errorf("the call's error.type is %q", got)
				}
				if (call.Status().Code == codes.Error) != failed {
					t.Errorf("the call's status is %v", call.Status())
				}
				if first := all[0]; first.Status().Code == codes.Error || attr(first.Attributes(), otelbridge.AttrResult) != "" {
					t.Error("the first call failed as well")
				}
			})
		}
	}
}

// TestAnswersOverGRPC: over gRPC the span of a call is over when its answer is looked at, so
// that a refusal is an event of the caller's own.
func TestAnswersOverGRPC(t *testing.T) {
	refusals := 0
	for _, kind := range ecttest.BadAnswers() {
		t.Run(kind.Name, func(t *testing.T) {
			d := ecttest.NewDomain()
			from, to := d.Agent(t, "from"), d.Agent(t, "to")
			peer := kind.Peer(d, from, to)
			address := listen(t, &talker{}, grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
				values := peer.Answer(t, metadata.ValueFromIncomingContext(ctx, core.CarrierTokens)[0], ecttest.Exchanged{})
				if err := grpc.SetTrailer(ctx, metadata.MD{core.CarrierTokens: values}); err != nil {
					t.Error(err)
				}
				return h(ctx, req)
			}))
			w := newTraced(t, d, "from", setup{show: otelbridge.ShowTasks(), policy: func(p *core.Policy) { p.Body = core.BodyIgnore }, to: []core.Audience{
				{ID: to.Identity, Tokens: true, Answer: core.AnswerRequired},
			}})
			client := connect(t, address, grpcect.DialOptions(w.service, grpcect.WithAudience(to.Identity))...)
			ctx, span := w.start(t.Context(), "serve")
			ctx, task, err := w.take(ctx, d.Agent(t, "asks").Token(w.Identity).Sign(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.UnaryCall(ctx, &grpc_testing.SimpleRequest{}); err != nil {
				t.Fatal(err)
			}
			_, err = client.UnaryCall(ctx, &grpc_testing.SimpleRequest{})
			code := core.CodeOf(err)
			if code == 0 {
				return // of a content, which this policy does not look at, or not on this wire
			}
			refusals++
			done(ctx, t, task)
			span.End()
			serve := w.named(t, "serve")
			wantAttrs(t, serve, map[attribute.Key]string{otelbridge.AttrResult: otelbridge.ResultAccepted, otelbridge.AttrErrorType: ""})
			if got := eventsOf(serve, otelbridge.EventRefused); len(got) != 1 || attr(got[0].Attributes, otelbridge.AttrResult) != code.String() {
				t.Errorf("the caller's span has the events %v, want one of %v", got, code)
			}
		})
	}
	if refusals < 10 {
		t.Errorf("%d kinds of answers were refused", refusals)
	}
}

// TestTwoInOneSpan: of two dispatches in a span of the user's, the first is its attributes and
// the second an event. An answer that is refused then is no failure of the span.
func TestTwoInOneSpan(t *testing.T) {
	d := ecttest.NewDomain()
	b := d.Agent(t, "b")
	w := newTraced(t, d, "a", setup{show: otelbridge.ShowEverything(), to: []core.Audience{{ID: b.Identity, Tokens: true}}})
	ctx, task, err := w.service.StartTask(t.Context(), "job")
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := w.start(ctx, "both")
	var sent []*core.Dispatch
	for range 2 {
		m, err := core.Inject(ctx, core.MapCarrier{}, b.Identity, core.DispatchInput{})
		if err != nil {
			t.Fatal(err)
		}
		m.Sent(ctx) // an attempt of the same
		sent = append(sent, m)
	}
	if _, err := sent[1].Verify(ctx, core.Presented{Values: []string{b.Token(w.Identity).Sign(t)}}); err == nil {
		t.Error("no answer to the dispatch is accepted")
	}
	span.End()
	done(ctx, t, task)
	s := w.one(t)
	wantAttrs(t, s, map[attribute.Key]string{
		otelbridge.AttrTaskID: sent[0].Issued().TaskID().String(), otelbridge.AttrAudience: b.Identity, otelbridge.AttrErrorType: "",
	})
	second := eventsOf(s, otelbridge.EventDispatch)
	for _, e := range second {
		if err := has(e.Attributes, map[attribute.Key]string{
			otelbridge.AttrTaskID: sent[1].Issued().TaskID().String(), otelbridge.AttrPredecessorCount: "1", otelbridge.AttrAudience: b.Identity,
		}); err != nil {
			t.Errorf("the second: %v", err)
		}
	}
	if len(second) != 2 || s.Status().Code == codes.Error || len(eventsOf(s, otelbridge.EventRefused)) != 1 {
		t.Errorf("%d events of the second dispatch, the status %v, and %v", len(second), s.Status(), s.Events())
	}
}

// TestQueueRefused: a message from a queue that is refused is an event of the task that took
// it, which goes on, and a failure of a span that stands for nothing else.
func TestQueueRefused(t *testing.T) {
	for _, within := range []bool{false, true} {
		d := ecttest.NewDomain()
		w := newTraced(t, d, "a", setup{show: otelbridge.ShowTasks()})
		ctx, span := w.start(t.Context(), "get")
		if within {
			var task *core.Task
			var err error
			if ctx, task, err = w.service.StartTask(ctx, "job"); err != nil {
				t.Fatal(err)
			}
			defer func() { done(ctx, t, task) }()
		}
		if _, _, err := w.take(ctx, d.Agent(t, "b").Token("spiffe://elsewhere").Sign(t)); err == nil {
			t.Error("a token to somebody else is accepted")
		}
		span.End()
		s := w.one(t)
		if failed := s.Status().Code == codes.Error; failed == within {
			t.Errorf("within a task %t: the status is %v", within, s.Status())
		}
		if n := len(eventsOf(s, otelbridge.EventRefused)); (n == 1) != within {
			t.Errorf("within a task %t: %d events", within, n)
		}
	}
}

// TestAnswerOfAnotherWorkflow: an answer that has left the workflow of its call, as the
// policy of the service lets it, is shown only where links may cross workflows.
func TestAnswerOfAnotherWorkflow(t *testing.T) {
	for _, c := range []struct {
		name   string
		links  otelbridge.Links
		leaves bool
		shown  bool
	}{
		{"same workflow", otelbridge.LinksSameWorkflow, false, true},
		{"another workflow", otelbridge.LinksSameWorkflow, true, false},
		{"another workflow, same trust domain", otelbridge.LinksSameTrustDomain, true, true},
		{"another workflow, any", otelbridge.LinksAny, true, true},
		{"same workflow, none", otelbridge.LinksNone, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ecttest.NewDomain()
			b := d.Agent(t, "b")
			show := otelbridge.ShowTasks()
			show.Links = c.links
			w := newTraced(t, d, "a", setup{
				show: show, to: []core.Audience{{ID: b.Identity, Tokens: true}},
				policy: func(p *core.Policy) {
					p.CrossWorkflow = func(e core.CrossWorkflowEdge) (core.Workflow, bool) { return e.ChildWorkflow, true }
				},
			})
			ctx, span := w.start(t.Context(), "job")
			ctx, task, err := w.service.StartTask(ctx, "job")
			if err != nil {
				t.Fatal(err)
			}
			carrier, there := core.MapCarrier{}, flow()
			call, err := core.Inject(ctx, carrier, b.Identity, core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			answer := b.Token(w.Identity).After(t, true, carrier[core.CarrierTokens][0])
			if c.leaves {
				answer.With("wid", there)
			}
			text := answer.Sign(t)
			if _, err := call.Verify(ctx, core.Presented{Values: []string{text}}); err != nil {
				t.Fatal(err)
			}
			done(ctx, t, task)
			span.End()
			got := w.one(t)
			if n := len(eventsOf(got, otelbridge.EventAnswer)); n != 1 {
				t.Errorf("%d answers", n)
			}
			if shown := strings.Contains(allOf(got), idOf(t, text)); shown != c.shown {
				t.Errorf("the answer's task is shown: %t", shown)
			}
			if shown := strings.Contains(allOf(got), there); shown != (c.shown && c.leaves) {
				t.Errorf("the answer's workflow is shown: %t", shown)
			}
		})
	}
}
