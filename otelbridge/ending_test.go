// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

// ending is a way in which a request ends.
type ending struct {
	name   string
	mode   core.Mode
	silent bool // no issuer
	// token spoils the token, or is nil for a good one; none leaves it out.
	token func(*ecttest.Token)
	none  bool
	// unsigned sends an unsigned token, and strict has a middleware further in that wants a
	// signed one.
	unsigned, strict bool
	// broken makes the signer fail, or panic, once the handler runs.
	broken, panics bool
	// small leaves no room for the token in what goes back.
	small bool
	// do is what the handler does.
	do func(context.Context) error
	// spans are what the spans have in ect.result and error.type, in the order in which they
	// end.
	spans [][2]string
	// task tells that the last of them has a task id.
	task bool
}

const accepted, acceptedLevel = otelbridge.ResultAccepted, "level"

func endings() []ending {
	none := func(context.Context) error { return nil }
	step := func(ctx context.Context) error {
		if t, ok := core.TaskFromContext(ctx); ok {
			_, err := t.Step(ctx, "step", core.StepInput{})
			return err
		}
		return core.ErrNoTask
	}
	return []ending{
		{name: "well", do: none, spans: [][2]string{{accepted, ""}}, task: true},
		{name: "with an error", do: func(context.Context) error { return errors.New("no") }, spans: [][2]string{{accepted, ""}}, task: true},
		{name: "by a panic", do: func(context.Context) error { panic("the handler is broken") }, spans: [][2]string{{accepted, ""}}, task: true},
		{name: "by an abort", do: func(context.Context) error { panic(http.ErrAbortHandler) }, spans: [][2]string{{accepted, ""}}, task: true},
		{name: "finished by the handler", do: func(ctx context.Context) error {
			t, _ := core.TaskFromContext(ctx)
			_, err := t.Finish(ctx, core.Completion{})
			return err
		}, spans: [][2]string{{accepted, ""}}, task: true},
		{name: "finished by the handler, which panics", do: func(ctx context.Context) error {
			t, _ := core.TaskFromContext(ctx)
			t.Finish(ctx, core.Completion{}) //nolint:errcheck // it panics
			panic("the handler is broken")
		}, spans: [][2]string{{accepted, ""}}, task: true},
		{name: "unrecorded", broken: true, do: none, spans: [][2]string{{"unrecorded", "unrecorded"}}},
		{name: "unrecorded, and a panic", broken: true, do: func(context.Context) error { panic("the handler is broken") }, spans: [][2]string{{"unrecorded", "unrecorded"}}},
		{name: "by a panic of the signer", broken: true, panics: true, do: none, spans: [][2]string{{"unrecorded", "unrecorded"}}},
		{name: "no room for the answer", small: true, do: none, spans: [][2]string{{accepted, ""}, {"", ""}}},
		{name: "refused", token: func(k *ecttest.Token) { k.With("aud", "spiffe://elsewhere") }, spans: [][2]string{{"audience", "audience"}}},
		{name: "without a token", none: true, spans: [][2]string{{"required", "required"}}},
		{name: "turned away", unsigned: true, strict: true, spans: [][2]string{{acceptedLevel, acceptedLevel}}},
		{name: "let through", strict: true, do: none, spans: [][2]string{{accepted, ""}}, task: true},
		{name: "optional, none, nothing done", mode: core.Optional, none: true, do: none, spans: [][2]string{{"", ""}}},
		{name: "optional, none, a step", mode: core.Optional, none: true, do: step, spans: [][2]string{{"", ""}}, task: true},
		{name: "optional, none, a panic", mode: core.Optional, none: true, do: func(context.Context) error { panic("the handler is broken") }, spans: [][2]string{{"", ""}}},
		{name: "optional, none, turned away", mode: core.Optional, none: true, strict: true, spans: [][2]string{{"required", "required"}}},
		{name: "optional, bad", mode: core.Optional, token: func(k *ecttest.Token) { k.Without("exec_act") }, spans: [][2]string{{"claims", "claims"}}},
		{name: "observe, good", mode: core.Observe, do: none, spans: [][2]string{{accepted, ""}}, task: true},
		{name: "observe, bad", mode: core.Observe, token: func(k *ecttest.Token) { k.Without("exec_act") }, do: none, spans: [][2]string{{"claims", ""}, {"", ""}}, task: true},
		{name: "observe, none", mode: core.Observe, none: true, do: none, spans: [][2]string{{"required", ""}, {"", ""}}, task: true},
		{name: "silent", silent: true, do: none, spans: [][2]string{{accepted, ""}}},
		{name: "silent, a panic", silent: true, do: func(context.Context) error { panic("the handler is broken") }, spans: [][2]string{{accepted, ""}}},
		{name: "silent, optional, none", silent: true, mode: core.Optional, none: true, do: none},
		{name: "silent, turned away", silent: true, unsigned: true, strict: true, spans: [][2]string{{acceptedLevel, acceptedLevel}}},
	}
}

// service makes the service of an ending, and returns the values that are sent to it.
func (e ending) service(t *testing.T) (w *party, signer *brokenSigner, values []string) {
	t.Helper()
	d := ecttest.NewDomain()
	from := d.Agent(t, "from")
	signer = newBrokenSigner(t, d.Agent(t, "to"), e.panics)
	s := taskSpans()
	s.silent, s.signer = e.silent, signer
	s.to = []core.Audience{{ID: from.Identity, Tokens: true}}
	s.policy = func(p *core.Policy) { p.MinLevel = core.L1 }
	w = newTraced(t, d, "to", s)
	token := from.Token(w.Identity)
	if e.token != nil {
		e.token(token)
	}
	switch {
	case e.none:
	case e.unsigned:
		values = []string{token.Unsigned(t)}
	default:
		values = []string{token.Sign(t)}
	}
	return w, signer, values
}

// holds holds the spans against what the ending must leave.
func (e ending) holds(t *testing.T, w *party) {
	t.Helper()
	w.settled(t)
	all := w.spans.Ended()
	if began, _ := w.balance.counts(); began != len(e.spans) || len(all) != len(e.spans) {
		t.Fatalf("%d spans began and %d ended, want %d", began, len(all), len(e.spans))
	}
	for n, s := range all {
		wantAttrs(t, s, map[attribute.Key]string{otelbridge.AttrResult: e.spans[n][0], otelbridge.AttrErrorType: e.spans[n][1]})
		if failed := e.spans[n][1] != ""; failed && s.Status().Code != codes.Error {
			t.Errorf("span %d: the status is %v", n, s.Status())
		}
		if s.Name() != otelbridge.SpanName || s.InstrumentationScope().Name != otelbridge.ScopeName || s.InstrumentationScope().Version != otelbridge.Version {
			t.Errorf("span %d is %q of %v", n, s.Name(), s.InstrumentationScope())
		}
	}
	if len(all) > 0 && e.task && attr(all[len(all)-1].Attributes(), otelbridge.AttrTaskID) == "" {
		t.Error("the last span has no task id")
	}
	if e.small {
		if got := eventsOf(all[1], otelbridge.EventUnsent); len(got) != 1 || attr(got[0].Attributes, otelbridge.AttrTaskID) != attr(all[0].Attributes(), otelbridge.AttrTaskID) {
			t.Errorf("the events of the second span are %v, want that the token of the first was not sent", all[1].Events())
		}
		if all[1].Parent().SpanID() != all[0].SpanContext().SpanID() {
			t.Error("the second span is not below the first")
		}
	}
}

// overHTTP has a request end so, at a server whose handler is within around, and returns the
// service that got it.
func (e ending) overHTTP(t *testing.T, around func(*party, http.Handler) http.Handler) *party {
	t.Helper()
	w, signer, values := e.service(t)
	var h http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if e.broken {
			signer.fail()
		}
		if e.small {
			rw.Header().Set("Large", strings.Repeat("x", httpect.DefaultHeaderBytes-100))
		}
		if err := e.do(r.Context()); err != nil {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	if e.strict {
		h = httpect.Middleware(w.service, httpect.WithMinLevel(core.L2))(h)
	}
	server := httptest.NewUnstartedServer(around(w, httpect.Middleware(w.service, httpect.WithMode(e.mode))(h)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header[httpect.FieldName] = values
	if resp, err := server.Client().Do(req); err == nil { // some endings break the connection
		resp.Body.Close()
	}
	return w
}

// overGRPC has a call end so, at a server with options beside those of the adapter, and returns
// the service that got it.
func (e ending) overGRPC(t *testing.T, stream bool, options func(*party) []grpc.ServerOption) *party {
	t.Helper()
	w, signer, values := e.service(t)
	// What panics ends the program unless somebody recovers.
	opts := append(options(w),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (_ any, err error) {
			defer recovered(&err)
			return h(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) (err error) {
			defer recovered(&err)
			return h(srv, ss)
		}))
	codec := grpcect.NewCodec(nil)
	with := []grpcect.Option{grpcect.WithMode(e.mode), grpcect.WithCodec(codec)}
	if e.small {
		with = append(with, grpcect.WithMetadataBytes(300))
	}
	opts = append(opts, grpcect.ServerOptions(w.service, with...)...)
	if e.strict {
		opts = append(opts,
			grpc.ChainUnaryInterceptor(grpcect.UnaryServerInterceptor(w.service, codec, grpcect.WithMinLevel(core.L2))),
			grpc.ChainStreamInterceptor(grpcect.StreamServerInterceptor(w.service, codec, grpcect.WithMinLevel(core.L2))))
	}
	client := connect(t, listen(t, &talker{on: func(ctx context.Context) error {
		if e.broken {
			signer.fail()
		}
		return e.do(ctx)
	}}, opts...))
	ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{core.CarrierTokens: values})
	if stream {
		drain(ctx, client, payload("a"))
	} else {
		client.UnaryCall(ctx, &grpc_testing.SimpleRequest{}) //nolint:errcheck // the spans say what came of it
	}
	return w
}

// TestEndingsOverHTTP: every span that the bridge begins ends, however the request does, and
// says what became of it.
func TestEndingsOverHTTP(t *testing.T) {
	for _, e := range endings() {
		t.Run(e.name, func(t *testing.T) {
			e.holds(t, e.overHTTP(t, func(_ *party, h http.Handler) http.Handler { return h }))
		})
	}
}

// TestEndingsOverGRPC is TestEndingsOverHTTP for gRPC.
func TestEndingsOverGRPC(t *testing.T) {
	for _, e := range endings() {
		for _, stream := range []bool{false, true} {
			name := e.name + ", unary"
			if stream {
				name = e.name + ", stream"
			}
			t.Run(name, func(t *testing.T) {
				e.holds(t, e.overGRPC(t, stream, func(*party) []grpc.ServerOption { return nil }))
			})
		}
	}
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = status.Error(13, "panic")
	}
}

// TestEndingsByConnection: spans end as well where a handler takes the connection over, leaves
// its goroutine, streams, or its client goes.
func TestEndingsByConnection(t *testing.T) {
	left := make(chan struct{})
	for _, c := range []struct {
		name string
		do   http.HandlerFunc
		call func(ctx context.Context, t *testing.T, req *http.Request)
	}{
		{name: "taken over", do: func(rw http.ResponseWriter, _ *http.Request) {
			conn, _, err := rw.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		}},
		{name: "the goroutine left", do: func(http.ResponseWriter, *http.Request) { runtime.Goexit() }},
		{name: "streamed", do: func(rw http.ResponseWriter, _ *http.Request) {
			io.Copy(rw, strings.NewReader(strings.Repeat("x", 1<<20))) //nolint:errcheck // the client would notice
		}},
		{name: "cut short", do: func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "100")
			io.WriteString(rw, "less") //nolint:errcheck // as above
		}},
		{name: "the client went", do: func(_ http.ResponseWriter, r *http.Request) {
			left <- struct{}{}
			<-r.Context().Done()
		}, call: func(ctx context.Context, t *testing.T, req *http.Request) {
			t.Helper()
			ctx, cancel := context.WithCancel(ctx)
			go func() { <-left; cancel() }()
			if resp, err := http.DefaultClient.Do(req.WithContext(ctx)); err == nil {
				resp.Body.Close()
				t.Error("a client that left has a response")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := ending{spans: [][2]string{{accepted, ""}}, task: true}
			w, _, values := e.service(t)
			server := httptest.NewUnstartedServer(httpect.Middleware(w.service)(c.do))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.Start()
			defer server.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header[httpect.FieldName] = values
			if c.call != nil {
				c.call(t.Context(), t, req)
			} else if resp, err := server.Client().Do(req); err == nil {
				io.Copy(io.Discard, resp.Body) //nolint:errcheck // some are cut short
				resp.Body.Close()
			}
			e.holds(t, w)
		})
	}
}
