// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/grpc/examplepb"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/grpcect"
)

// grace is how long calls may take that run when the service is stopped.
const grace = 5 * time.Second

// serve runs one service until ctx is done.
func serve(ctx context.Context, addr string, c demo.Standalone, to *demo.Telemetry, log *slog.Logger, stdout io.Writer) error {
	service, err := c.Service(ctx, to, log)
	if err != nil {
		return err
	}
	keys, err := json.Marshal(service.Key.JWKS())
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	traces := grpc.StatsHandler(otelgrpc.NewServerHandler(traced(service.Tracers, service.Bridge)...))
	server, healthy := newServer(service.Service, keys, traces)
	if _, err := fmt.Fprintf(stdout, "listening on %s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		halt(server, healthy, grace)
	})
	err = server.Serve(l)
	if stop() {
		return err
	}
	<-stopped
	if errors.Is(err, grpc.ErrServerStopped) { // before it began
		return nil
	}
	return err
}

// halt stops a server that tells of its health, whose calls may run on for a while.
func halt(server *grpc.Server, healthy *health.Server, grace time.Duration) {
	healthy.Shutdown()
	stop(server, grace)
}

// stop stops a server, whose calls may run on for a while.
func stop(server *grpc.Server, grace time.Duration) {
	late := time.AfterFunc(grace, server.Stop)
	defer late.Stop()
	server.GracefulStop()
}

// newServer puts the server together. What needs no token is skipped by name, so that a
// service that is added later needs one.
func newServer(service *core.Service, keys []byte, opts ...grpc.ServerOption) (*grpc.Server, *health.Server) {
	open := []string{
		healthpb.Health_ServiceDesc.ServiceName,
		reflectionpb.ServerReflection_ServiceDesc.ServiceName,
		reflectionalphapb.ServerReflection_ServiceDesc.ServiceName,
		examplepb.KeyService_ServiceDesc.ServiceName,
	}
	closed := selector.MatchFunc(func(_ context.Context, call interceptors.CallMeta) bool {
		return !slices.Contains(open, call.Service)
	})
	codec := grpcect.NewCodec(nil)
	server := grpc.NewServer(append(opts,
		codec.ServerOption(),
		grpc.ChainUnaryInterceptor(selector.UnaryServerInterceptor(grpcect.UnaryServerInterceptor(service, codec), closed)),
		grpc.ChainStreamInterceptor(selector.StreamServerInterceptor(grpcect.StreamServerInterceptor(service, codec), closed)),
	)...)
	examplepb.RegisterTaskServiceServer(server, recorder{})
	examplepb.RegisterKeyServiceServer(server, keyService{keys: string(keys)})
	healthy := health.NewServer()
	healthpb.RegisterHealthServer(server, healthy)
	reflection.Register(server)
	return server, healthy
}

// keyService gives public keys to everybody.
type keyService struct {
	examplepb.UnimplementedKeyServiceServer
	keys string
}

// GetKeys implements KeyService.
func (s keyService) GetKeys(context.Context, *examplepb.GetKeysRequest) (*examplepb.GetKeysResponse, error) {
	return &examplepb.GetKeysResponse{Jwks: s.keys}, nil
}

// recorder answers with what was verified.
type recorder struct {
	examplepb.UnimplementedTaskServiceServer
}

// Record implements TaskService.
func (recorder) Record(ctx context.Context, req *examplepb.RecordRequest) (*examplepb.RecordResponse, error) {
	task, ok := core.TaskFromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "no task")
	}
	if action := req.GetAction(); action != "" {
		if err := task.SetAction(action); err != nil {
			return nil, status.Error(codes.InvalidArgument, "an action is 1 to 256 bytes of text")
		}
	}
	received, ok := task.Received()
	if !ok {
		return nil, status.Error(codes.Internal, "no token")
	}
	resp := &examplepb.RecordResponse{Task: task.ID().String()}
	for _, s := range demo.SeenOf(received) {
		resp.Tokens = append(resp.Tokens, &examplepb.Token{
			Jti: s.TaskID, Iss: s.Issuer, Level: s.Level, ExecAct: s.Action, Pred: s.Pred, Wid: s.Workflow, Role: s.Role,
		})
	}
	return resp, nil
}

// RecordStream implements TaskService.
func (recorder) RecordStream(stream grpc.BidiStreamingServer[examplepb.RecordStreamRequest, examplepb.RecordStreamResponse]) error {
	task, ok := core.TaskFromContext(stream.Context())
	if !ok {
		return status.Error(codes.Internal, "no task")
	}
	for n := uint64(1); ; n++ {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&examplepb.RecordStreamResponse{Task: task.ID().String(), Number: n}); err != nil {
			return err
		}
	}
}
