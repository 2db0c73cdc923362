// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/httpect"
)

// dispatch issues what goes with a call to one party, without making it.
func (c *chain) dispatch(t *testing.T, from, to *party, sent core.Hash) string {
	t.Helper()
	ctx, task, err := from.service.StartTask(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	d, err := task.Dispatch(ctx, to.audience(), core.DispatchInput{OutHash: sent})
	if err != nil {
		t.Fatal(err)
	}
	return d.Tokens()[0]
}

// codeOfStatus is how a stranger is answered over HTTP, by how it is over gRPC.
var codeOfStatus = map[int]codes.Code{http.StatusOK: codes.OK, http.StatusForbidden: codes.PermissionDenied}

// overHTTP and overGRPC make one call to a party, without the library.
func overHTTP(t *testing.T, to *party, token string, body []byte) codes.Code {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+to.listener.Addr().String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(httpect.FieldName, token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	code, ok := codeOfStatus[resp.StatusCode]
	if !ok {
		t.Fatalf("status %s", resp.Status)
	}
	return code
}

func overGRPC(t *testing.T, to *party, token string, body []byte) codes.Code {
	t.Helper()
	cc, err := grpc.NewClient(to.listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	var in healthpb.HealthCheckRequest
	if err := proto.Unmarshal(body, &in); err != nil {
		t.Fatal(err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), core.CarrierTokens, token)
	_, err = healthpb.NewHealthClient(cc).Check(ctx, &in)
	return status.Code(err)
}

// serving is a health service that says yes.
type serving struct {
	healthpb.UnimplementedHealthServer
}

func (serving) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

func hashOf(parts ...[]byte) core.Hash {
	return core.Hash{Sum: sha256.Sum256(bytes.Join(parts, nil)), Present: true}
}

// TestBodies: what a call is bound to depends on what carries it, and neither transport takes
// the hash of the other.
func TestBodies(t *testing.T) {
	body, err := proto.Marshal(&healthpb.HealthCheckRequest{Service: "billing"})
	if err != nil {
		t.Fatal(err)
	}
	plain := hashOf(body)
	framed := hashOf(binary.BigEndian.AppendUint64(nil, uint64(len(body))), body)
	for _, tt := range []struct {
		name       string
		binding    core.BodyBinding
		hash       core.Hash
		http, grpc codes.Code
	}{
		{"Match, of the bytes", core.BodyMatch, plain, codes.OK, codes.PermissionDenied},
		{"Match, of the message with its length", core.BodyMatch, framed, codes.PermissionDenied, codes.OK},
		{"Match, of something else", core.BodyMatch, hashOf(), codes.PermissionDenied, codes.PermissionDenied},
		{"Match, none", core.BodyMatch, core.Hash{}, codes.OK, codes.OK},
		{"Require, of the bytes", core.BodyRequire, plain, codes.OK, codes.PermissionDenied},
		{"Require, of the message with its length", core.BodyRequire, framed, codes.PermissionDenied, codes.OK},
		{"Require, of something else", core.BodyRequire, hashOf(), codes.PermissionDenied, codes.PermissionDenied},
		{"Require, none", core.BodyRequire, core.Hash{}, codes.PermissionDenied, codes.PermissionDenied},
		{"Ignore, of something else", core.BodyIgnore, hashOf(), codes.OK, codes.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := joined(t, everybody(func(p *core.Policy) { p.Body = tt.binding }))
			c.gate.serve(routes(c.gate, http.MethodPost, "/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
			c.health.serveGRPC(checks(c.health, serving{}))
			if got := overHTTP(t, c.gate, c.dispatch(t, c.deployer, c.gate, tt.hash), body); got != tt.http {
				t.Errorf("HTTP: %v, want %v", got, tt.http)
			}
			if got := overGRPC(t, c.health, c.dispatch(t, c.gate, c.health, tt.hash), body); got != tt.grpc {
				t.Errorf("gRPC: %v, want %v", got, tt.grpc)
			}
		})
	}
}

// TestOneService: a party that is reached over both transports acts on a token once, and
// knows over the one what it saw over the other.
func TestOneService(t *testing.T) {
	for _, first := range []string{"HTTP", "gRPC"} {
		t.Run(first, func(t *testing.T) {
			c := joined(t)
			c.gate.serve(routes(c.gate, http.MethodPost, "/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
			too, err := newParty(t.Context(), "gate", c.gate.identity, "", &demo.Telemetry{})
			if err != nil {
				t.Fatal(err)
			}
			too.service = c.gate.service
			too.serveGRPC(checks(too, serving{}))
			t.Cleanup(func() {
				if err := too.close(); err != nil {
					t.Error(err)
				}
			})

			send, again := func(token string) codes.Code { return overHTTP(t, c.gate, token, nil) }, func(token string) codes.Code {
				return overGRPC(t, too, token, nil)
			}
			if first == "gRPC" {
				send, again = again, send
			}
			ctx, task, err := c.deployer.service.StartTask(t.Context(), "test")
			if err != nil {
				t.Fatal(err)
			}
			d, err := task.Dispatch(ctx, c.gate.audience(), core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			token := d.Tokens()[0]
			if got := send(token); got != codes.OK {
				t.Errorf("first: %v", got)
			}
			if got := again(token); got != codes.PermissionDenied {
				t.Errorf("the same token over the other transport: %v", got)
			}
			// A successor, without the first as context: it is known already.
			d.Done()
			next, err := task.Dispatch(ctx, c.gate.audience(), core.DispatchInput{})
			if err != nil {
				t.Fatal(err)
			}
			if got := again(next.Tokens()[0]); got != codes.OK {
				t.Errorf("what comes after it, over the other transport: %v", got)
			}
		})
	}
}
