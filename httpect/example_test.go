// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-jose/go-jose/v4"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
	"github.com/go-ect/ect/internal/readme"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newKey returns a key, and its public half as another team would hand it over.
func newKey(kid string) (key *ecdsa.PrivateKey, jwks []byte) {
	key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	jwks = must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: kid}}}))
	return key, jwks
}

func createInvoice(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "invoice 7") }

// A chi service adopts the library: who it is, whose keys it trusts, what it believes
// and whom it tells; then one middleware, in a group, so that probes and CORS preflights
// stay free of it. The handlers stay as they are.
func Example() {
	shopKey, shopKeys := newKey("shop-1")
	billingKey, billingKeys := newKey("billing-1")

	logger := slog.New(slog.DiscardHandler)
	var records sync.Map // in place of a database
	keep := func(_ context.Context, i *core.Issued) { records.Store(i.Claims().TaskID, i.Text()) }
	refused := func(ctx context.Context, err *core.Error, _ core.VerifyInfo) {
		logger.WarnContext(ctx, "refused", "code", err.Code.String(), "cause", err)
	}
	r := chi.NewRouter()
	// readme: adopt
	binder := must(core.NewStaticBinder(map[string]*core.KeySet{
		"https://shop.example": must(core.ParseKeySet(shopKeys)),
	}))
	verifier := must(core.NewVerifier(binder, core.Policy{
		MinLevel: core.L2,                    // signed tokens only
		Audience: "https://billing.example",  // who we are
		Missing:  core.RejectMissing,         // every predecessor of a request must be known
		Replay:   core.ReplayOncePerInstance, // a token is acted on once
		Body:     core.BodyMatch,             // the body is the one the sender recorded, if it did
	}, core.WithObserver(core.Observer{Issued: keep, Rejected: refused, BodyDiffered: refused})))
	signer := must(core.NewSigner(billingKey, "billing-1"))
	issuer := must(core.NewIssuer("https://billing.example", signer))
	peers := must(core.NewAudiences(core.Audience{ID: "https://shop.example", Tokens: true, Hashes: true}))
	service := must(core.NewService(verifier, issuer, peers))

	r.Group(func(r chi.Router) {
		r.Use(httpect.Middleware(service))
		r.Post("/invoices", createInvoice)
	})
	// end
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	billing := httptest.NewServer(r)
	defer billing.Close()

	// The shop, on the other side.
	shop := must(core.NewService(
		must(core.NewVerifier(
			must(core.NewStaticBinder(map[string]*core.KeySet{"https://billing.example": must(core.ParseKeySet(billingKeys))})),
			core.Policy{
				MinLevel: core.L2, Audience: "https://shop.example", Missing: core.RejectMissing,
				Replay: core.ReplayOncePerInstance, Body: core.BodyMatch,
			})),
		must(core.NewIssuer("https://shop.example", must(core.NewSigner(shopKey, "shop-1")))),
		must(core.NewAudiences(core.Audience{
			ID: "https://billing.example", Endpoints: []string{billing.URL},
			Tokens: true, Hashes: true, Context: 1, Answer: core.AnswerRequired,
		})),
	))
	// readme: call
	client := &http.Client{Transport: must(httpect.NewTransport(shop, nil))}
	ctx, task, err := shop.StartTask(context.Background(), "checkout")
	if err != nil {
		panic(err)
	}
	req := must(http.NewRequestWithContext(ctx, http.MethodPost, billing.URL+"/invoices", strings.NewReader("order 7")))
	resp := must(client.Do(req))
	body, err := io.ReadAll(resp.Body) // reading to the end verifies the answer
	var end core.Completion
	if err = cmp.Or(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
		fmt.Printf("the call failed: %s, %v: %s\n", resp.Status, err, body) // the body says why
		end.Outcome = core.OutcomeError
	}
	must(task.Finish(ctx, end))
	// end
	fmt.Printf("%s: %s", resp.Status, body)
	answer, ok := httpect.AnswerOf(resp)
	if ok {
		head := answer.Heads()[0]
		fmt.Println(head.Level(), head.Issuer(), head.Claims().Action, "complete:", head.Complete())
	}

	// Without a token, and without the middleware.
	for _, path := range []string{"/invoices", "/healthz"} {
		method := http.MethodPost
		if path == "/healthz" {
			method = http.MethodGet
		}
		resp := must(http.DefaultClient.Do(must(http.NewRequestWithContext(ctx, method, billing.URL+path, nil))))
		fmt.Println(path, resp.Status)
		if err := resp.Body.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 200 OK: invoice 7
	// L2 https://billing.example POST /invoices complete: yes
	// /invoices 403 Forbidden
	// /healthz 200 OK
}

// TestReadme holds the README's code against the regions of Example, so that what it
// shows is what was run.
func TestReadme(t *testing.T) { readme.Check(t, "../README.md", "example_test.go", 2) }
