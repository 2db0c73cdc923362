// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/httpect"
)

// keyService is a signer whose key service is away.
type keyService struct{}

func (keyService) Algorithm() core.Algorithm { return core.ES256 }
func (keyService) KeyID() string             { return "key" }
func (keyService) Sign(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("the key service is away")
}

// unsigning is the stage's service with an issuer that cannot sign.
func unsigning(t *testing.T) *stage {
	t.Helper()
	s := newStage(t, nil)
	v, err := core.NewVerifier(s.d, s.to.Policy(), core.WithObserver(s.bridge(t, s.to.Identity).Observer()))
	if err != nil {
		t.Fatal(err)
	}
	i, err := core.NewIssuer(s.to.Identity, keyService{})
	if err != nil {
		t.Fatal(err)
	}
	audiences, err := core.NewAudiences()
	if err != nil {
		t.Fatal(err)
	}
	if s.service, err = core.NewService(v, i, audiences); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMetricsOverHTTP pins what is counted of one request to the middleware: a message that
// was verified counts as verified once, whatever came of it later.
func TestMetricsOverHTTP(t *testing.T) {
	const body = "what was sent"
	sum := core.HashOf([]byte(body)).String()
	multipart := http.Header{"Content-Type": {`multipart/related; type="application/exec+jwt"; boundary=x`}}
	const unsupported, unrecorded, differs = "ect.code=unsupported,ect.transport=http", "ect.code=unrecorded,ect.transport=http", "ect.code=body,ect.transport=http"
	for _, c := range []struct {
		name   string
		stage  func(*testing.T) *stage
		token  func(*ecttest.Token) *ecttest.Token
		header http.Header
		mode   httpect.Mode
		status int
		want   map[string]int64
	}{
		{"accepted", nil, func(k *ecttest.Token) *ecttest.Token { return k.With("out_hash", sum) }, nil, httpect.Enforce, 200,
			and(judged(atHTTP, 1), issued(1))},
		{"the body differs", nil, func(k *ecttest.Token) *ecttest.Token { return k.With("out_hash", core.HashOf(nil).String()) }, nil, httpect.Enforce, 403,
			and(judged(atHTTP, 1), refusal(differs), issued(1))},
		{"the body differs, and is only observed", nil, func(k *ecttest.Token) *ecttest.Token { return k.With("out_hash", core.HashOf(nil).String()) }, nil, httpect.Observe, 200,
			and(judged(atHTTP, 1), refusal(differs), issued(1))},
		{"refused before it is verified", nil, nil, multipart, httpect.Enforce, 415, refusal(unsupported)},
		{"not recorded", unsigning, func(k *ecttest.Token) *ecttest.Token { return k }, nil, httpect.Enforce, 500,
			and(judged(atHTTP, 1), refusal(unrecorded))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.stage == nil {
				c.stage = func(t *testing.T) *stage { t.Helper(); return newStage(t, nil) }
			}
			s := c.stage(t)
			h := httpect.Middleware(s.service, httpect.WithMode(c.mode))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					io.WriteString(w, "done") //nolint:errcheck // the client would notice
				}
			}))
			server := httptest.NewServer(h)
			defer server.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if c.header != nil {
				req.Header = c.header
			}
			if c.token != nil {
				req.Header.Set(httpect.FieldName, c.token(s.token()).Sign(t))
			}
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if resp.StatusCode != c.status {
				t.Errorf("the status is %d, want %d", resp.StatusCode, c.status)
			}
			server.Close() // what the middleware does after the answer is done then
			if diff := cmp.Diff(c.want, s.counts(t)); diff != "" {
				t.Errorf("what is counted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMetricsOfAnswers: the answers that a caller verifies count beside the requests that a
// service does, over HTTP and gRPC.
func TestMetricsOfAnswers(t *testing.T) {
	d := ecttest.NewDomain()
	a, b := d.Agent(t, "a"), d.Agent(t, "b")
	at := map[*ecttest.Agent]*meters{a: newMeters(), b: newMeters()}
	callee := at[b].service(t, d, b, b.Policy(), []core.Audience{{ID: a.Identity, Tokens: true, Hashes: true}})
	web := httptest.NewServer(httpect.Middleware(callee)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "done") //nolint:errcheck // the client would notice
	})))
	defer web.Close()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpcect.ServerOptions(callee)...)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener) //nolint:errcheck // a call would fail
	defer server.Stop()

	caller := at[a].service(t, d, a, a.Policy(), []core.Audience{{
		ID: b.Identity, Tokens: true, Hashes: true, Answer: core.AnswerRequired, Endpoints: []string{web.URL, listener.Addr().String()},
	}})
	conn, err := grpc.NewClient(listener.Addr().String(), append(grpcect.DialOptions(caller), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	transport, err := httpect.NewTransport(caller, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, task, err := caller.StartTask(t.Context(), "ask")
	if err != nil {
		t.Fatal(err)
	}
	if status, err := get(ctx, t, &http.Client{Transport: transport}, web.URL); err != nil || status != http.StatusOK {
		t.Fatalf("the call over HTTP = %d, %v", status, err)
	}
	for range 2 {
		if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := task.Finish(ctx, core.Completion{}); err != nil {
		t.Fatal(err)
	}
	server.GracefulStop()
	for agent, tokens := range map[*ecttest.Agent]int64{a: 4, b: 3} {
		want := and(judged(atHTTP, 1), judged(atGRPC, 2), issued(tokens))
		if diff := cmp.Diff(want, at[agent].counts(t)); diff != "" {
			t.Errorf("what is counted at %s (-want +got):\n%s", agent.Identity, diff)
		}
	}
}
