// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
	"github.com/go-ect/ect/internal/readme"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newService returns a service that trusts a peer and tells it.
func newService(identity string, key *ecdsa.PrivateKey, peer core.Audience, peerKey *ecdsa.PrivateKey) *core.Service {
	jwks := must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: peerKey.Public(), KeyID: "key-1"}}}))
	binder := must(core.NewStaticBinder(map[string]*core.KeySet{peer.ID: must(core.ParseKeySet(jwks))}))
	return must(core.NewService(
		must(core.NewVerifier(binder, core.Policy{
			MinLevel: core.L2, Audience: identity, Missing: core.RejectMissing,
			Replay: core.ReplayOncePerInstance, Body: core.BodyMatch,
		})),
		must(core.NewIssuer(identity, must(core.NewSigner(key, "key-1")))),
		must(core.NewAudiences(peer)),
	))
}

// A gRPC service adopts the library: the codec, and interceptors that leave out what comes
// without tokens. Without anything to leave out, grpcect.ServerOptions is all of that. The
// handlers stay as they are.
func Example_adopt() {
	shopKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	billingKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	service := newService("https://billing.example", billingKey,
		core.Audience{ID: "https://shop.example", Tokens: true, Hashes: true}, shopKey)
	shop := newService("https://shop.example", shopKey, core.Audience{
		ID: "https://billing.example", Tokens: true, Hashes: true, Context: 1, Answer: core.AnswerRequired,
	}, billingKey)
	invoices := &stub{unary: func(context.Context, *testpb.Message) (*testpb.Message, error) {
		return &testpb.Message{Text: "invoice 7"}, nil
	}}

	// readme: grpc
	codec := grpcect.NewCodec(nil) // protobuf
	recorded := selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool {
		switch c.Service { // these come without tokens
		case "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection":
			return false
		}
		return true
	})
	server := grpc.NewServer(
		codec.ServerOption(), // before the interceptors that are made with it
		grpc.ChainUnaryInterceptor(selector.UnaryServerInterceptor(grpcect.UnaryServerInterceptor(service, codec), recorded)),
		grpc.ChainStreamInterceptor(selector.StreamServerInterceptor(grpcect.StreamServerInterceptor(service, codec), recorded)),
	)
	healthpb.RegisterHealthServer(server, health.NewServer())
	testpb.RegisterTestServiceServer(server, invoices) // your service, as it is
	// end
	listener := must(new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0"))
	defer server.Stop()
	go server.Serve(listener) //nolint:errcheck // ends when it is stopped
	target := listener.Addr().String()

	// The shop, on the other side.
	// readme: grpc-call
	conn := must(grpc.NewClient(target, append(
		grpcect.DialOptions(shop, grpcect.WithAudience("https://billing.example")),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)) // TLS, outside of an example
	ctx, task, err := shop.StartTask(context.Background(), "checkout")
	if err != nil {
		panic(err)
	}
	var answer *core.Received
	reply, err := testpb.NewTestServiceClient(conn).Unary(ctx, &testpb.Message{Text: "order 7"}, grpcect.Answer(&answer))
	var end core.Completion
	if err != nil {
		fmt.Println("the call failed:", err)
		end.Outcome = core.OutcomeError
	}
	must(task.Finish(ctx, end))
	// end
	fmt.Println(reply.GetText())
	head := answer.Heads()[0]
	fmt.Println(head.Level(), head.Issuer(), head.Claims().Action, "complete:", head.Complete())

	// Without a token: the service, and its health.
	stranger := must(grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials())))
	_, err = testpb.NewTestServiceClient(stranger).Unary(context.Background(), &testpb.Message{})
	class, refused := grpcect.RefusedAs(err)
	fmt.Println(err, refused, class)
	alive := must(healthpb.NewHealthClient(stranger).Check(context.Background(), &healthpb.HealthCheckRequest{}))
	fmt.Println(alive.GetStatus())
	for _, c := range []*grpc.ClientConn{conn, stranger} {
		if err := c.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// invoice 7
	// L2 https://billing.example ect.test.v1.TestService/Unary complete: yes
	// rpc error: code = PermissionDenied desc = An execution context token is required. true required
	// SERVING
}

// TestReadme holds the README's code against the regions of the example, so that what it
// shows is what was run.
func TestReadme(t *testing.T) { readme.Check(t, "../README.md", "readme_test.go", 2) }
