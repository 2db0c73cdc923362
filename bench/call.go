// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"runtime/pprof"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
)

// checker is the least that a gRPC service can do.
type checker struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (checker) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

// request is what all calls have.
var request = &grpc_health_v1.HealthCheckRequest{Service: "invoices"}

// calls makes unary calls to a server over a connection in memory, with tokens if there
// are any. The client is a plain one.
func calls(tokens *stock, opts ...grpc.ServerOption) (*runner, error) {
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer(opts...)
	grpc_health_v1.RegisterHealthServer(server, checker{})
	served := make(chan error, 1)
	var cc *grpc.ClientConn
	var err error
	// What serves and what is called with are goroutines of their own, which are measured.
	pprof.Do(context.Background(), pprof.Labels(turnLabel, "run"), func(ctx context.Context) {
		cc, err = grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
		if err != nil {
			return
		}
		go func() { served <- server.Serve(l) }()
		_, err = grpc_health_v1.NewHealthClient(cc).Check(ctx, request)
	})
	if cc == nil {
		return nil, err
	}
	stop := func() error {
		closed := cc.Close()
		server.Stop()
		return errors.Join(closed, <-served)
	}
	if err != nil && status.Code(err) != codes.PermissionDenied { // which is for want of a token
		return nil, errors.Join(err, stop())
	}
	client := grpc_health_v1.NewHealthClient(cc)
	r := &runner{close: stop, run: func() error {
		ctx := context.Background()
		if tokens != nil {
			ctx = metadata.NewOutgoingContext(ctx, metadata.MD{core.CarrierTokens: tokens.next()})
		}
		_, err := client.Check(ctx, request)
		return err
	}}
	if tokens != nil {
		r.prepare = tokens.prepare
	}
	return r, nil
}
