// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-jose/go-jose/v4"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/internal/readme"
	"github.com/go-ect/ect/otelbridge"
)

// TestReadme holds the README's code against the regions of the example.
func TestReadme(t *testing.T) { readme.Check(t, "../README.md", "readme_test.go", 2) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A chi service that has OpenTelemetry already shows its tasks beside its spans.
func Example() {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	jwks := must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "billing-1"}}}))
	binder := must(core.NewStaticBinder(map[string]*core.KeySet{"https://billing.example": must(core.ParseKeySet(jwks))}))
	policy := core.Policy{
		MinLevel: core.L2, Audience: "https://billing.example", Missing: core.RejectMissing,
		Replay: core.ReplayOncePerInstance, Body: core.BodyMatch,
	}
	issuer := must(core.NewIssuer("https://billing.example", must(core.NewSigner(key, "billing-1"))))
	exporter := tracetest.NewInMemoryExporter() // in place of one that exports over OTLP
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	w3c := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	r := chi.NewRouter()
	keep := func(context.Context, *core.Issued) {}
	refused := func(context.Context, *core.Error, core.VerifyInfo) {}
	createInvoice := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "invoice 7") }

	// readme: bridge
	bridge := must(otelbridge.New("https://billing.example", otelbridge.ShowTasks()))
	verifier := must(core.NewVerifier(binder, policy,
		core.WithObserver(core.Observer{Issued: keep, Rejected: refused, BodyDiffered: refused}),
		core.WithObserver(bridge.Observer())))
	// end
	billing := httptest.NewUnstartedServer(nil)
	site := "http://" + billing.Listener.Addr().String()
	service := must(core.NewService(verifier, issuer, must(core.NewAudiences(core.Audience{
		ID: "https://billing.example", Endpoints: []string{site}, Tokens: true, Hashes: true, Answer: core.AnswerRequired,
		Trace: core.TraceParent,
	}))))
	// readme: otelhttp
	r.Group(func(r chi.Router) {
		r.Use(otelhttp.NewMiddleware("billing", otelhttp.WithTracerProvider(tracers),
			otelhttp.WithPropagators(bridge.EdgePropagator(w3c)))) // or w3c: see below
		r.Use(httpect.Middleware(service))
		r.Post("/invoices", createInvoice)
	})

	client := &http.Client{Transport: otelhttp.NewTransport(must(httpect.NewTransport(service, nil)),
		otelhttp.WithTracerProvider(tracers), otelhttp.WithPropagators(w3c))}
	// end

	billing.Config.Handler = r
	billing.Start()
	defer billing.Close()
	// Billing asks itself, for want of a peer.
	ctx, task := must2(service.StartTask(context.Background(), "checkout"))
	req := must(http.NewRequestWithContext(ctx, http.MethodPost, site+"/invoices", http.NoBody))
	resp := must(client.Do(req))
	must(io.Copy(io.Discard, resp.Body))
	if err := resp.Body.Close(); err != nil {
		panic(err)
	}
	must(task.Finish(ctx, core.Completion{}))
	billing.Close() // the server's span ends after its response
	of := map[string]map[string]string{}
	for _, s := range exporter.GetSpans() {
		attrs := map[string]string{}
		for _, a := range s.Attributes {
			attrs[string(a.Key)] = a.Value.String()
		}
		for _, e := range s.Events {
			if e.Name == otelbridge.EventPredecessor {
				attrs["after"] = e.Attributes[0].Value.String()
			}
		}
		of[attrs["ect.kind"]] = attrs
	}
	fmt.Println("the call's span has the id of its dispatch:", of["dispatch"]["ect.task.id"] != "")
	fmt.Println("the server's span has the task's:", of["task"]["ect.task.id"] != "", of["task"]["ect.result"], of["task"]["ect.outcome"])
	fmt.Println("which comes after the dispatch:", of["task"]["after"] == of["dispatch"]["ect.task.id"])
	// Output:
	// the call's span has the id of its dispatch: true
	// the server's span has the task's: true accepted ok
	// which comes after the dispatch: true
}

func must2[T, U any](t T, u U, err error) (T, U) {
	if err != nil {
		panic(err)
	}
	return t, u
}
