// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestPeer: who is at the other end of a connection follows from its target, as it was given
// and in its canonical form, byte for byte, or is said. A peer that is not found gets nothing,
// and needs no task.
func TestPeer(t *testing.T) {
	const another = "spiffe://test.example/another"
	at := func(prefix string) func(addr string) string { return func(addr string) string { return prefix + addr } }
	for _, c := range []struct {
		name     string
		endpoint func(addr string) string
		target   func(addr string) string
		opts     []grpcect.ClientOption
		silent   bool // the audience is named without Tokens
		found    bool
	}{
		{name: "as given", endpoint: at(""), target: at(""), found: true},
		{name: "canonical", endpoint: at("dns:///"), target: at(""), found: true},
		{name: "given in canonical form", endpoint: at("dns:///"), target: at("dns:///"), found: true},
		{name: "another resolver", endpoint: at("passthrough:///"), target: at("passthrough:///"), found: true},
		{name: "named by another resolver", endpoint: at("passthrough:///"), target: at("")},
		{name: "named in short", endpoint: at(""), target: at("dns:///")},
		{name: "another port", endpoint: func(string) string { return "127.0.0.1:1" }, target: at("")},
		{name: "named, and told nothing", endpoint: at(""), target: at(""), silent: true},
		{name: "said", endpoint: func(string) string { return "127.0.0.1:1" }, target: at(""), opts: []grpcect.ClientOption{grpcect.WithAudience("spiffe://test.example/to")}, found: true},
		// Who is said to be there counts, though the endpoint is another's.
		{name: "said to be another", endpoint: at(""), target: at(""), opts: []grpcect.ClientOption{grpcect.WithAudience(another)}},
	} {
		for _, k := range kinds {
			t.Run(c.name+"/"+k.name, func(t *testing.T) {
				w := newWorld(t)
				l := listen(t)
				var got metadata.MD
				w.server = mode(core.Optional)
				w.serverOptions = []grpc.ServerOption{
					grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
						got, _ = metadata.FromIncomingContext(ctx)
						return handler(ctx, req)
					}),
					grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
						got, _ = metadata.FromIncomingContext(ss.Context())
						return handler(srv, ss)
					}),
				}
				w.serve(t, l, talk())
				to := core.Audience{ID: w.to.agent.Identity, Endpoints: []string{c.endpoint(l.Addr().String())}, Tokens: !c.silent, Answer: core.AnswerRequired}
				w.from.service = w.domain.ServiceWithPolicy(t, w.from.agent, w.from.policy,
					[]core.Audience{to, {ID: another, Tokens: true, Answer: core.AnswerRequired}}, core.WithObserver(w.from.seen.observer()))
				w.client = c.opts
				cc := testpb.NewTestServiceClient(w.connect(t, c.target(l.Addr().String()), grpc.WithTransportCredentials(insecure.NewCredentials())))

				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				toldOther := c.name == "said to be another"
				if err := k.call(ctx, cc); (err == nil) == (c.found || toldOther) {
					t.Errorf("the call without a task = %v", err)
				}
				ctx, _ = w.task(t)
				err := k.call(ctx, cc)
				if toldOther {
					if core.CodeOf(err) != 0 || err == nil { // its audience is not the one who is there
						t.Errorf("the call = %v, want that the peer refuses it", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if n := len(got[core.CarrierTokens]); (n == 1) != c.found || (len(w.from.seen.tokens()) == 1) != c.found {
					t.Errorf("%d tokens went, %d were issued", n, len(w.from.seen.tokens()))
				}
			})
		}
	}
}
