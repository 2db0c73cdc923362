// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
)

// ServerOptions returns all that a server needs, in the order that it needs it in: the
// codec hook, and the interceptors for unary calls and for streams. Give them to
// grpc.NewServer before any other interceptor, so that they are furthest out:
//
//	opts := append(grpcect.ServerOptions(service), grpc.ChainUnaryInterceptor(auth))
//	server := grpc.NewServer(opts...)
//
// An interceptor given with grpc.UnaryInterceptor or grpc.StreamInterceptor is further out
// all the same. It panics where the interceptors do.
func ServerOptions(s *core.Service, opts ...Option) []grpc.ServerOption {
	var c config
	for _, o := range opts {
		c = o.apply(c)
	}
	hook := c.codec
	if hook == nil {
		hook = NewCodec(nil)
	}
	return []grpc.ServerOption{
		hook.ServerOption(),
		grpc.ChainUnaryInterceptor(UnaryServerInterceptor(s, hook, opts...)),
		grpc.ChainStreamInterceptor(StreamServerInterceptor(s, hook, opts...)),
	}
}

// DialOptions returns all that a connection needs: the interceptors for unary calls and for
// streams, and [CheckTrace]. Give them to grpc.NewClient after interceptors that change
// requests, retry or add metadata of tracing, and before others; where stats handlers stand
// makes no difference, but those that add such metadata are wrapped in [GuardTrace]. It panics
// where the interceptors do.
func DialOptions(s *core.Service, opts ...ClientOption) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(UnaryClientInterceptor(s, opts...)),
		grpc.WithChainStreamInterceptor(StreamClientInterceptor(s, opts...)),
		CheckTrace(),
	}
}
