// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

const (
	shopID    = "https://shop.example"
	billingID = "https://billing.example"
)

// shopAndBilling returns two services that trust and tell each other.
func shopAndBilling() (shop, billing *core.Service) {
	shopKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	billingKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	shop = newService(shopID, shopKey, core.Audience{
		ID: billingID, Tokens: true, Hashes: true, Context: 1, Answer: core.AnswerRequired,
	}, billingKey)
	billing = newService(billingID, billingKey, core.Audience{ID: shopID, Tokens: true, Hashes: true}, shopKey)
	return shop, billing
}

// running serves on a free port of this machine, and returns where.
func running(server *grpc.Server) (target string) {
	l := must(new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0"))
	go server.Serve(l) //nolint:errcheck // ends when the example stops it
	return l.Addr().String()
}

// dialed returns a connection; TLS belongs here outside of an example.
func dialed(target string, opts ...grpc.DialOption) *grpc.ClientConn {
	return must(grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...))
}

// A server on which every call must have a token. Other interceptors come after, and so
// further in.
func ExampleServerOptions() {
	_, billing := shopAndBilling()
	counts := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		fmt.Println("let through:", info.FullMethod)
		return handler(ctx, req)
	}
	server := grpc.NewServer(append(grpcect.ServerOptions(billing), grpc.ChainUnaryInterceptor(counts))...)
	testpb.RegisterTestServiceServer(server, talk())
	defer server.Stop()

	conn := dialed(running(server))
	defer conn.Close()
	_, err := testpb.NewTestServiceClient(conn).Unary(context.Background(), &testpb.Message{Text: "order 7"})
	fmt.Println(err)
	// Output:
	// rpc error: code = PermissionDenied desc = An execution context token is required.
}

// A handler finds what it answers, and calls on as a part of the same task.
func ExampleDialOptions() {
	shop, billing := shopAndBilling()
	server := grpc.NewServer(grpcect.ServerOptions(billing)...)
	testpb.RegisterTestServiceServer(server, &stub{unary: func(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
		received, _ := core.ReceivedFromContext(ctx)
		task, _ := core.TaskFromContext(ctx)
		from := received.Heads()[0]
		fmt.Printf("billing answers %s, which says %q, in the same workflow: %t\n",
			from.Issuer(), from.Claims().Action, task.Workflow() == from.Claims().Workflow)
		return m, nil
	}})
	defer server.Stop()

	conn := dialed(running(server), grpcect.DialOptions(shop, grpcect.WithAudience(billingID))...)
	defer conn.Close()
	ctx, task, err := shop.StartTask(context.Background(), "checkout")
	if err != nil {
		panic(err)
	}
	reply := must(testpb.NewTestServiceClient(conn).Unary(ctx, &testpb.Message{Text: "invoice 7"}))
	record := must(task.Finish(ctx, core.Completion{})).Issued
	fmt.Printf("shop has %s; its task comes after %d other\n", reply.GetText(), len(record.Claims().Pred))
	// Output:
	// billing answers https://shop.example, which says "dispatch", in the same workflow: true
	// shop has invoice 7; its task comes after 1 other
}

// Health checks, reflection and chosen methods are left out with the selector of
// go-grpc-middleware: what it does not choose never meets the interceptors.
func ExampleUnaryServerInterceptor() {
	_, billing := shopAndBilling()
	codec := grpcect.NewCodec(nil)
	recorded := selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool {
		switch {
		case c.Service == healthpb.Health_ServiceDesc.ServiceName,
			strings.HasPrefix(c.Service, "grpc.reflection."):
			return false
		}
		return c.FullMethod() != testpb.TestService_Get_FullMethodName
	})
	server := grpc.NewServer(
		codec.ServerOption(), // before the interceptors that are made with it
		grpc.ChainUnaryInterceptor(selector.UnaryServerInterceptor(grpcect.UnaryServerInterceptor(billing, codec), recorded)),
		grpc.ChainStreamInterceptor(selector.StreamServerInterceptor(grpcect.StreamServerInterceptor(billing, codec), recorded)),
	)
	testpb.RegisterTestServiceServer(server, talk())
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	defer server.Stop()

	// Somebody without tokens.
	conn := dialed(running(server))
	defer conn.Close()
	ctx := context.Background()
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	fmt.Println("health:", status.Code(err))
	list := must(reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx))
	err = list.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	if err == nil {
		_, err = list.Recv()
	}
	fmt.Println("reflection:", status.Code(err))
	client := testpb.NewTestServiceClient(conn)
	_, err = client.Get(ctx, &testpb.Message{})
	fmt.Println("Get:", status.Code(err))
	_, err = client.Unary(ctx, &testpb.Message{})
	fmt.Println("Unary:", status.Code(err))
	_, err = must(client.ServerStream(ctx, &testpb.Message{})).Recv()
	fmt.Println("ServerStream:", status.Code(err))
	// Output:
	// health: OK
	// reflection: OK
	// Get: OK
	// Unary: PermissionDenied
	// ServerStream: PermissionDenied
}

// While a team connects its services one by one, a server observes what comes to all methods,
// and enforces it for those whose callers all send tokens. Nothing is verified twice that
// need not be, and each call has one record.
func ExampleStreamServerInterceptor() {
	_, billing := shopAndBilling()
	codec := grpcect.NewCodec(nil)
	all := grpcect.ServerOptions(billing, grpcect.WithCodec(codec), grpcect.WithMode(core.Observe))
	ready := selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool { return c.Method == "ServerStream" })
	server := grpc.NewServer(append(all,
		grpc.ChainUnaryInterceptor(selector.UnaryServerInterceptor(grpcect.UnaryServerInterceptor(billing, codec), ready)),
		grpc.ChainStreamInterceptor(selector.StreamServerInterceptor(grpcect.StreamServerInterceptor(billing, codec), ready)),
	)...)
	testpb.RegisterTestServiceServer(server, talk())
	defer server.Stop()

	conn := dialed(running(server))
	defer conn.Close()
	client := testpb.NewTestServiceClient(conn)
	_, err := client.Unary(context.Background(), &testpb.Message{})
	fmt.Println("Unary:", status.Code(err))
	_, err = must(client.ServerStream(context.Background(), &testpb.Message{})).Recv()
	fmt.Println("ServerStream:", status.Code(err))
	// Output:
	// Unary: OK
	// ServerStream: PermissionDenied
}

// A client that retries puts what retries further out: each attempt is then a dispatch of its
// own. What changes requests goes there as well.
func ExampleUnaryClientInterceptor() {
	shop, billing := shopAndBilling()
	server := grpc.NewServer(grpcect.ServerOptions(billing)...)
	testpb.RegisterTestServiceServer(server, talk())
	defer server.Stop()

	stamp := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if m, ok := req.(*testpb.Message); ok {
			m.Text += ", stamped"
		}
		return invoker(ctx, method, req, reply, cc, opts...)
	}
	conn := dialed(running(server),
		grpc.WithChainUnaryInterceptor(stamp, grpcect.UnaryClientInterceptor(shop, grpcect.WithAudience(billingID))),
	)
	defer conn.Close()
	ctx, task, err := shop.StartTask(context.Background(), "checkout")
	if err != nil {
		panic(err)
	}
	fmt.Println(must(testpb.NewTestServiceClient(conn).Unary(ctx, &testpb.Message{Text: "order 7"})).GetText())
	must(task.Finish(ctx, core.Completion{}))

	// Outside of a task nothing goes to a peer that gets tokens.
	_, err = testpb.NewTestServiceClient(conn).Unary(context.Background(), &testpb.Message{Text: "order 8"})
	fmt.Println(status.Code(err), errors.Is(err, core.ErrNoTask))
	// Output:
	// order 7, stamped
	// FailedPrecondition true
}

// The answer to a stream is there at its end.
func ExampleStreamClientInterceptor() {
	shop, billing := shopAndBilling()
	server := grpc.NewServer(grpcect.ServerOptions(billing)...)
	testpb.RegisterTestServiceServer(server, talk())
	defer server.Stop()

	conn := dialed(running(server),
		grpc.WithChainStreamInterceptor(grpcect.StreamClientInterceptor(shop, grpcect.WithAudience(billingID))),
	)
	defer conn.Close()
	ctx, task, err := shop.StartTask(context.Background(), "checkout")
	if err != nil {
		panic(err)
	}
	var answer *core.Received
	stream := must(testpb.NewTestServiceClient(conn).ServerStream(ctx, &testpb.Message{}, grpcect.Answer(&answer)))
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break // the messages are those that the answer names
		}
		fmt.Println(m.GetText(), err, answer != nil)
	}
	fmt.Println("answered by", answer.Heads()[0].Issuer())
	must(task.Finish(ctx, core.Completion{}))
	// Output:
	// message 0 <nil> false
	// message 1 <nil> false
	// message 2 <nil> false
	// answered by https://billing.example
}

// The record of a call that failed comes with its error.
func ExampleAnswer() {
	shop, billing := shopAndBilling()
	server := grpc.NewServer(grpcect.ServerOptions(billing)...)
	testpb.RegisterTestServiceServer(server, &stub{unary: func(context.Context, *testpb.Message) (*testpb.Message, error) {
		return nil, errors.New("out of paper")
	}})
	defer server.Stop()

	conn := dialed(running(server), grpcect.DialOptions(shop, grpcect.WithAudience(billingID))...)
	defer conn.Close()
	ctx, task, err := shop.StartTask(context.Background(), "checkout")
	if err != nil {
		panic(err)
	}
	var answer *core.Received
	_, err = testpb.NewTestServiceClient(conn).Unary(ctx, &testpb.Message{Text: "order 7"}, grpcect.Answer(&answer))
	fmt.Println(err)
	record := answer.Heads()[0]
	fmt.Println(record.Issuer(), "records:", record.Claims().Ext.Outcome, record.Claims().Ext.Status)
	must(task.Finish(ctx, core.Completion{Outcome: core.OutcomeError}))
	// Output:
	// rpc error: code = Unknown desc = out of paper
	// https://billing.example records: error 2
}

// What a peer refused a call as is in the details of its status.
func ExampleRefusedAs() {
	_, billing := shopAndBilling()
	server := grpc.NewServer(grpcect.ServerOptions(billing)...)
	testpb.RegisterTestServiceServer(server, talk())
	defer server.Stop()

	conn := dialed(running(server))
	defer conn.Close()
	_, err := testpb.NewTestServiceClient(conn).Unary(context.Background(), &testpb.Message{Text: "order 7"})
	if class, ok := grpcect.RefusedAs(err); ok {
		fmt.Println(status.Code(err), class)
	}
	_, ok := grpcect.RefusedAs(errors.New("anything else"))
	fmt.Println(ok)
	// Output:
	// PermissionDenied required
	// false
}
