// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/otelbridge"
)

const (
	// presented is how many tokens take turns. Their signatures are remembered, or crypto
	// would be most of what is measured: the memory has so much room that none of them takes
	// the place of another.
	presented = 1024
	room      = 1 << 18
	// indexed is fewer: the bridge forgets one for each that comes, as it does after a while.
	indexed = presented / 2
)

// road is a route of chi's under otelhttp, with tokens for it.
type road struct {
	handler http.Handler
	tokens  []string
	n       int
	w       discard
}

// discard is a response writer that keeps the status alone.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

var (
	roadBody     = []byte(`{"amount":1}`)
	roadResponse = []byte("invoice 7\n")
	roadAgent    = []string{"bench/1"}
)

// newRoad makes a road with the middlewares, and presents every token once.
func newRoad(tb testing.TB, tracers trace.TracerProvider, tokens []string, use ...func(http.Handler) http.Handler) *road {
	tb.Helper()
	r := chi.NewRouter()
	r.Use(use...)
	r.Post("/invoices/{id}", func(w http.ResponseWriter, r *http.Request) {
		var buf [64]byte
		for {
			if _, err := r.Body.Read(buf[:]); err != nil {
				break
			}
		}
		w.Write(roadResponse) //nolint:errcheck // it is not kept
	})
	d := &road{tokens: tokens, w: discard{h: http.Header{}}, handler: otelhttp.NewHandler(r, "serve",
		otelhttp.WithTracerProvider(tracers), otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()), otelhttp.WithPropagators(w3c))}
	for range tokens {
		if status := d.request(tb.Context()); status != http.StatusOK {
			tb.Fatalf("status = %d", status)
		}
	}
	return d
}

// request presents the next token, in a request as a server gets them.
func (d *road) request(ctx context.Context) (status int) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://to.example/invoices/7", io.NopCloser(bytes.NewReader(roadBody)))
	if err != nil {
		return 0
	}
	req.RemoteAddr = "192.0.2.1:50000"
	req.Header["User-Agent"] = roadAgent
	d.n = (d.n + 1) % len(d.tokens)
	req.Header[httpect.FieldName] = d.tokens[d.n : d.n+1]
	clear(d.w.h)
	d.w.status = http.StatusOK
	d.handler.ServeHTTP(&d.w, req)
	return d.w.status
}

func (d *road) run(b *testing.B) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if status := d.request(b.Context()); status != http.StatusOK {
			b.Fatalf("status = %d", status)
		}
	}
}

// toll is who sends tokens, and who takes them again and again.
type toll struct {
	domain   *ecttest.Domain
	from, to *ecttest.Agent
	tokens   []string
}

// newToll has tokens each of which comes after two that no message brought.
func newToll(tb testing.TB) *toll {
	tb.Helper()
	d := ecttest.NewDomain()
	l := &toll{domain: d, from: d.AgentWithAlgorithm(tb, "from", core.Ed25519), to: d.AgentWithAlgorithm(tb, "to", core.Ed25519)}
	for range presented {
		one, two := l.from.Token(l.to.Identity), l.from.Token(l.to.Identity)
		wid := one.Claims["jti"]
		head := l.from.Token(l.to.Identity).After(tb, true, one.With("wid", wid).Sign(tb), two.With("wid", wid).Sign(tb))
		l.tokens = append(l.tokens, head.Sign(tb))
	}
	return l
}

// middleware verifies, and records if there is a token to be sent back.
func (l *toll) middleware(tb testing.TB, records bool, opts ...core.VerifierOption) func(http.Handler) http.Handler {
	tb.Helper()
	p := l.to.Policy()
	p.Replay, p.Missing = core.ReplayIdempotent, core.AllowPartial
	s := l.domain.ServiceWithPolicy(tb, l.to, p, []core.Audience{{ID: l.from.Identity, Tokens: true, Hashes: true}},
		append(opts, core.WithSignatureMemory(room))...)
	if !records {
		var err error
		if s, err = core.NewService(s.Verifier(), nil, s.Audiences()); err != nil {
			tb.Fatal(err)
		}
	}
	return httpect.Middleware(s)
}

// observed is the middleware with a bridge.
func (l *toll) observed(tb testing.TB, records bool, p otelbridge.Policy, opts ...otelbridge.Option) func(http.Handler) http.Handler {
	tb.Helper()
	b, err := otelbridge.New(l.to.Identity, p, append(opts, otelbridge.WithIndexSize(indexed))...)
	if err != nil {
		tb.Fatal(err)
	}
	return l.middleware(tb, records, core.WithObserver(b.Observer()))
}

// nowhere is an exporter of spans that nobody wants.
type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                             { return nil }

func sdk(tb testing.TB, opts ...sdktrace.TracerProviderOption) *sdktrace.TracerProvider {
	tb.Helper()
	p := sdktrace.NewTracerProvider(opts...)
	tb.Cleanup(func() {
		if err := p.Shutdown(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// BenchmarkRequest measures a request under otelhttp, without a socket. Signatures are
// remembered. Each has the arms
//
//   - otelhttp: the route alone;
//   - verified: with a service that verifies and records nothing;
//   - bridge: with the bridge beside, under [otelbridge.ShowTasks].
func BenchmarkRequest(b *testing.B) {
	l := newToll(b)
	for _, tt := range []struct {
		name    string
		tracers func(b *testing.B) trace.TracerProvider
	}{
		{"sampled", func(b *testing.B) trace.TracerProvider { return sdk(b, sdktrace.WithBatcher(nowhere{})) }},
		{"not sampled", func(b *testing.B) trace.TracerProvider {
			return sdk(b, sdktrace.WithBatcher(nowhere{}), sdktrace.WithSampler(sdktrace.NeverSample()))
		}},
		{"no provider", func(*testing.B) trace.TracerProvider { return tracenoop.NewTracerProvider() }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.Run("otelhttp", func(b *testing.B) { newRoad(b, tt.tracers(b), l.tokens).run(b) })
			b.Run("verified", func(b *testing.B) { newRoad(b, tt.tracers(b), l.tokens, l.middleware(b, false)).run(b) })
			b.Run("bridge", func(b *testing.B) {
				newRoad(b, tt.tracers(b), l.tokens, l.observed(b, false, otelbridge.ShowTasks())).run(b)
			})
		})
	}
}

// BenchmarkPolicy measures a sampled request under the other policies, in a service that
// verifies and in one that records: there the task token is signed.
func BenchmarkPolicy(b *testing.B) {
	l := newToll(b)
	for _, s := range []struct {
		name    string
		records bool
	}{{"verifies", false}, {"records", true}} {
		b.Run(s.name, func(b *testing.B) {
			run := func(name string, use func(b *testing.B) func(http.Handler) http.Handler) {
				b.Run(name, func(b *testing.B) {
					newRoad(b, sdk(b, sdktrace.WithBatcher(nowhere{})), l.tokens, use(b)).run(b)
				})
			}
			policy := func(name string, p otelbridge.Policy) {
				run(name, func(b *testing.B) func(http.Handler) http.Handler { return l.observed(b, s.records, p) })
			}
			run("none", func(b *testing.B) func(http.Handler) http.Handler { return l.middleware(b, s.records) })
			policy("nothing", otelbridge.ShowNothing())
			policy("tasks", otelbridge.ShowTasks())
			policy("pseudonyms", otelbridge.ShowPseudonyms(keys()...))
			policy("everything", otelbridge.ShowEverything())
		})
	}
}
