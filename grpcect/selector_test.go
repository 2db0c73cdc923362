// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// checksHealth makes a connection ask for the server's health, as load balancers do.
const checksHealth = `{"healthCheckConfig": {"serviceName": ""}, "loadBalancingConfig": [{"round_robin": {}}]}`

// selected returns options of a server whose interceptors, made for each service, meet only
// what it is for.
func selected(t *testing.T, codec *grpcect.Codec, s *core.Service, matches func(interceptors.CallMeta) bool) []grpc.ServerOption {
	t.Helper()
	m := selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool { return matches(c) })
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(selector.UnaryServerInterceptor(grpcect.UnaryServerInterceptor(s, codec), m)),
		grpc.ChainStreamInterceptor(selector.StreamServerInterceptor(grpcect.StreamServerInterceptor(s, codec), m)),
	}
}

// listening runs a server until the test ends.
func listening(t *testing.T, server *grpc.Server) *bufconn.Listener {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l
}

// TestHealth: a client's own health checks carry no tokens, so a server that asks them for
// some never looks well to it.
func TestHealth(t *testing.T) {
	for _, asked := range []bool{true, false} {
		t.Run(fmt.Sprintf("asked for tokens %t", asked), func(t *testing.T) {
			w := newWorld(t)
			codec := grpcect.NewCodec(nil)
			opts := append([]grpc.ServerOption{codec.ServerOption()}, selected(t, codec, w.to.service, func(c interceptors.CallMeta) bool {
				return asked || c.Service != healthpb.Health_ServiceDesc.ServiceName
			})...)
			server := grpc.NewServer(opts...)
			healthpb.RegisterHealthServer(server, health.NewServer())
			testpb.RegisterTestServiceServer(server, talk())
			l := listening(t, server)
			cc := w.connect(t, bufTarget, append(bufOptions(l), grpc.WithDefaultServiceConfig(checksHealth))...)
			cc.Connect()
			ctx, _ := w.task(t)
			want := connectivity.Ready
			if asked {
				want = connectivity.TransientFailure
			}
			for s := cc.GetState(); s != want; s = cc.GetState() {
				if s == connectivity.Ready || s == connectivity.TransientFailure || !cc.WaitForStateChange(ctx, s) {
					t.Fatalf("the connection is %v, want %v", s, want)
				}
			}
			if _, err := testpb.NewTestServiceClient(cc).Unary(ctx, message(1)); (err == nil) == asked {
				t.Errorf("the call ends with %v", err)
			}
			if got := w.to.seen.codes(); len(got) > 0 != asked {
				t.Errorf("observers were told of %v", got)
			}
		})
	}
}

// TestPolicyByMethod: two services of one identity hold methods to two policies, and know of
// each other's tasks.
func TestPolicyByMethod(t *testing.T) {
	const strict = "Unary"
	w := newWorld(t)
	tasks, err := dag.NewMemory(dag.MemoryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := replay.NewMemory(replay.Config{})
	if err != nil {
		t.Fatal(err)
	}
	codec := grpcect.NewCodec(nil)
	opts := []grpc.ServerOption{codec.ServerOption()}
	for body, matches := range map[core.BodyBinding]func(interceptors.CallMeta) bool{
		core.BodyRequire: func(c interceptors.CallMeta) bool { return c.Method == strict },
		core.BodyMatch:   func(c interceptors.CallMeta) bool { return c.Method != strict },
	} {
		p := w.to.policy
		p.Body = body
		s := w.domain.ServiceWithPolicy(t, w.to.agent, p, []core.Audience{w.to.tells},
			core.WithTaskStore(tasks), core.WithReplayStore(claims), core.WithObserver(w.to.seen.observer()))
		opts = append(opts, selected(t, codec, s, matches)...)
	}
	server := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(server, talk())
	l := listening(t, server)
	c := testpb.NewTestServiceClient(w.connect(t, bufTarget, bufOptions(l)...))
	ctx, _ := w.task(t) // one task: each call comes after the one before, whoever saw that
	for range 2 {
		for _, k := range kinds {
			if err := k.call(ctx, c); err != nil {
				t.Errorf("%s: %v", k.name, err)
			}
		}
	}
	if got := w.to.seen.codes(); len(got) > 0 {
		t.Errorf("observers were told of %v", got)
	}
}
