// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

const (
	// receiptField and receiptKey are where receipts are, over HTTP and over gRPC. Under the
	// other's name they are none, until somebody copies them.
	receiptField = "Execution-Context-Receipt"
	receiptKey   = "execution-context-receipt-bin"
	// marker is a field that copying handlers must pass on, to show that they do copy.
	marker = "X-Request-Id"
)

// tap keeps what passes outside of everything that verifies, by who serves.
type tap struct {
	under  sync.WaitGroup // HTTP exchanges that are not over, also where the answer is out
	mu     sync.Mutex
	tokens map[string][]string // "gate in" and "gate out", and so on
	marks  map[string][]string
	// others has what nobody should pass on or see.
	others []string
}

func (p *tap) note(where, receipts string, values func(name string) []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[where] = slices.Clone(values(httpect.FieldName))
	p.marks[where] = slices.Clone(values(marker))
	p.find(where, receipts, values)
}

// shown keeps what a handler is shown of tokens and receipts, which should be nothing.
func (p *tap) shown(where, receipts string, values func(name string) []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.find(where, httpect.FieldName, values)
	p.find(where, receipts, values)
}

// find keeps what has a name. The lock is held.
func (p *tap) find(where, name string, values func(name string) []string) {
	for _, v := range values(name) {
		p.others = append(p.others, where+": "+name+": "+v)
	}
}

// http is a middleware that goes outside of that of httpect.
func (p *tap) http(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.under.Add(1)
		defer p.under.Done()
		p.note(name+" in", receiptField, r.Header.Values)
		next.ServeHTTP(w, r)
		p.note(name+" out", receiptField, func(field string) []string {
			return slices.Concat(w.Header().Values(field), w.Header().Values(http.TrailerPrefix+field))
		})
	})
}

// grpc is an interceptor that is further out than those of a chain.
func (p *tap) grpc(name string) grpc.ServerOption {
	return grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		p.note(name+" in", receiptKey, func(key string) []string { return metadata.ValueFromIncomingContext(ctx, key) })
		reply, err := handler(ctx, req)
		stream := grpc.ServerTransportStreamFromContext(ctx).(interface {
			Header() (metadata.MD, error)
			Trailer() metadata.MD
		})
		p.note(name+" out", receiptKey, func(key string) []string {
			header, err := stream.Header()
			if err != nil {
				return []string{err.Error()}
			}
			return slices.Concat(header.Get(key), stream.Trailer().Get(key))
		})
		return reply, err
	})
}

// copied tells what a handler that copies everything leaves out: what is no field, and what
// says how long a body is that it does not copy.
func copied(name string) bool {
	return !strings.HasPrefix(name, ":") && !strings.EqualFold(name, "Content-Length")
}

func headerOf(md metadata.MD) http.Header {
	h := http.Header{}
	for name, values := range md {
		for _, v := range values {
			if copied(name) {
				h.Add(name, v)
			}
		}
	}
	return h
}

func metadataOf(h http.Header) metadata.MD {
	md := metadata.MD{}
	for name, values := range h {
		if copied(name) {
			md.Append(name, values...)
		}
	}
	return md
}

// copying has a handler for each service that copies all that it gets.
type copying struct {
	healthpb.UnimplementedHealthServer
	chain  *chain
	passed *tap
}

// gate passes every field of its request on as metadata, and all metadata that comes back on
// as fields.
func (c *copying) gate(w http.ResponseWriter, r *http.Request) {
	c.passed.shown("the gate's handler", receiptField, r.Header.Values)
	var header, trailer metadata.MD
	out := metadataOf(r.Header)
	out.Append(receiptField, ":AAAA:")
	ctx := metadata.NewOutgoingContext(r.Context(), out)
	_, err := healthpb.NewHealthClient(c.chain.gate.conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "billing"},
		grpc.Header(&header), grpc.Trailer(&trailer))
	c.passed.shown("the gate's call", receiptKey, metadata.Join(header, trailer).Get)
	maps.Copy(w.Header(), headerOf(metadata.Join(header, trailer)))
	w.Header().Set("Content-Type", "text/plain")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

// Check passes all its metadata on as fields, and every field that comes back on as metadata,
// in the header and in the trailer.
func (c *copying) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	c.passed.shown("health's handler", receiptKey, md.Get)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.chain.billing.endpoint+"/status", nil)
	if err != nil {
		return nil, err
	}
	req.Header = headerOf(md)
	resp, err := c.chain.health.client.Do(req)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	c.passed.shown("health's call", receiptField, resp.Header.Values)
	if resp.StatusCode != http.StatusOK {
		return nil, status.Error(codes.Unavailable, resp.Status)
	}
	for _, pass := range []func(context.Context, metadata.MD) error{grpc.SetHeader, grpc.SetTrailer} {
		if err := pass(ctx, metadataOf(resp.Header)); err != nil {
			return nil, err
		}
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

// billing sends every field of its request back.
func (c *copying) billing(w http.ResponseWriter, r *http.Request) {
	c.passed.shown("billing's handler", receiptField, r.Header.Values)
	for name, values := range r.Header {
		if copied(name) {
			w.Header()[name] = values
		}
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Del("Accept-Encoding")
}

// TestCopyingHandlers: where every handler copies all that comes in to all that goes out, in
// both directions and across transports, each hop carries its own tokens and nobody else's.
func TestCopyingHandlers(t *testing.T) {
	passed := tap{tokens: map[string][]string{}, marks: map[string][]string{}}
	c := joined(t)
	h := &copying{chain: c, passed: &passed}
	c.gate.serve(passed.http("gate", routes(c.gate, http.MethodPost, "/releases", h.gate)))
	c.health.serveGRPC(checks(c.health, h, passed.grpc("health")))
	c.billing.serve(passed.http("billing", routes(c.billing, http.MethodGet, "/status", h.billing)))

	// A deployer without the library's transport, which would take the receipts out itself.
	dispatch := c.dispatch(t, c.deployer, c.gate, core.Hash{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.gate.endpoint+"/releases", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		httpect.FieldName: {dispatch}, receiptField: {":AAAA:"}, http.CanonicalHeaderKey(receiptKey): {"AAAA"}, marker: {"7"},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", resp.Status, body, err)
	}

	passed.under.Wait()

	g, label := c.graph(c.tokens()), map[string]string{}
	for _, i := range c.tokens() {
		label[i.Text()] = g.Label(i)
	}
	carried := map[string][]string{}
	for where, tokens := range passed.tokens {
		for _, token := range tokens {
			carried[where] = append(carried[where], label[token])
		}
	}
	want := map[string][]string{
		"gate in":     {"deployer calls gate"},
		"health in":   {"gate calls health", "deployer calls gate"}, // one generation of context
		"billing in":  {"health calls billing", "gate calls health"},
		"billing out": {"billing: GET /status"},
		"health out":  {"health: grpc.health.v1.Health/Check", "billing: GET /status"},
		"gate out":    {"gate: POST /releases", "health: grpc.health.v1.Health/Check"},
	}
	if diff := cmp.Diff(want, carried); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	// What came in with the deployer's own request is not one that anybody passed on.
	passed.others = slices.DeleteFunc(passed.others, func(s string) bool { return strings.HasPrefix(s, "gate in: ") })
	if len(passed.others) > 0 {
		t.Errorf("passed on or shown: %v", passed.others)
	}
	for where := range want {
		if !slices.Contains(passed.marks[where], "7") {
			t.Errorf("%s: the handlers did not copy: %v", where, passed.marks[where])
		}
	}
	if err := shape(g, c.tokens(), approved[:6]); err != nil {
		t.Error(err)
	}
	if err := g.Check(); err != nil {
		t.Error(err)
	}
}
