// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/go-ect/ect/core"
)

// DropTrace returns the options of a server that takes metadata of distributed tracing out of
// each call, before stats handlers, interceptors and handlers get it: that of W3C Trace
// Context and W3C Baggage, and its like of other systems ([core.TraceParent]). It is for a
// listener at the edge of a trust domain, where callers must not choose which trace their
// calls are part of, nor what is in its baggage. Where the options stand among others makes no
// difference:
//
//	server := grpc.NewServer(append(grpcect.DropTrace(), grpc.StatsHandler(otelgrpc.NewServerHandler()))...)
//
// It is done in the server's tap handle, and grpc.NewServer panics where there is another one.
// Those of one's own are given here instead, and are called in their order with what is left.
// DropTrace panics if one of them is nil.
//
// A server that is called by its ServeHTTP method has no tap handle: its calls are refused with
// codes.Internal. There, httpect.DropTrace goes around it in the place of this.
func DropTrace(taps ...tap.ServerInHandle) []grpc.ServerOption {
	for _, h := range taps {
		if h == nil {
			panic("grpcect.DropTrace: a tap handle is nil") //nolint:forbidigo // wiring time: the program has not begun to serve
		}
	}
	return []grpc.ServerOption{
		grpc.InTapHandle(func(ctx context.Context, info *tap.Info) (context.Context, error) {
			ctx, info = dropTrace(ctx, info)
			var err error
			for _, h := range taps {
				if ctx, err = h(ctx, info); err != nil {
					return ctx, err
				}
			}
			return ctx, nil
		}),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := tapped(ctx); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, st grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := tapped(st.Context()); err != nil {
				return err
			}
			return handler(srv, st)
		}),
	}
}

// dropTrace takes metadata of tracing out of a call that has just come.
func dropTrace(ctx context.Context, info *tap.Info) (context.Context, *tap.Info) {
	var none core.TraceHeaders
	for name := range info.Header {
		if none.Passes(name) {
			continue
		}
		left := metadata.MD{}
		for name, values := range info.Header {
			if none.Passes(name) {
				left[name] = values
			}
		}
		in := *info
		in.Header = left
		ctx, info = metadata.NewIncomingContext(ctx, left), &in //nolint:fatcontext // once: the loop ends here
		break
	}
	return &tappedContext{ctx}, info
}

// tappedContext is the context of a call that was looked at.
type tappedContext struct{ context.Context } //nolint:containedctx // it is one itself

type tappedKey struct{}

// Value implements context.Context.
func (c *tappedContext) Value(key any) any {
	if key == (tappedKey{}) {
		return true
	}
	return c.Context.Value(key)
}

// tapped refuses a call that came in another way: what must not see its metadata has seen it.
func tapped(ctx context.Context) error {
	if ctx.Value(tappedKey{}) != nil {
		return nil
	}
	return status.Error(codes.Internal, "the server drops trace metadata, and cannot where it is called by ServeHTTP")
}
