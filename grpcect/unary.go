// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
)

// UnaryServerInterceptor returns an interceptor that verifies the tokens of unary calls,
// records what the handler does, and answers with the record in the trailing metadata, also
// where the handler fails. Handlers find the task with [core.TaskFromContext] and what was
// verified with [core.ReceivedFromContext].
//
// Put it first in the chain: a reply leaves it serialized, so an interceptor further out
// sees it in a wrapper, which shows the message to whoever knows no more of it than
// proto.Message, and can be given another in its place only at the cost of a record that
// names what was not sent.
//
// Mounted again further in, for some methods, it only raises requirements: nothing is
// verified or claimed twice (profile 9.10).
//
// Tokens that a handler puts into header or trailer metadata do not go out. For that its
// context has a transport of the interceptor's own; grpc.SetSendCompressor and
// grpc.ClientSupportedCompressors, which know grpc-go's alone, need [TransportContext].
//
// It panics when it is made, never while it serves, if s or c is nil, c was given to no
// server yet, or an option asks for less than the verifier's policy. A call whose message
// did not pass c is refused as [core.CodeUnavailable].
func UnaryServerInterceptor(s *core.Service, c *Codec, opts ...Option) grpc.UnaryServerInterceptor {
	v := newServer("UnaryServerInterceptor", s, c, opts)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if x := v.outer(ctx); x != nil {
			in, err := v.inner(ctx, x, info.FullMethod)
			if err != nil {
				return nil, err
			}
			return handler(in, req)
		}
		deepen()
		x := v.newExchange(ctx, info.FullMethod)
		if bad := x.arrived(ctx, req); bad != nil {
			v.service.Rejected(ctx, bad, v.info())
			return nil, v.refusal(bad)
		}
		in, err := x.enter(ctx)
		if err != nil {
			return nil, err
		}
		if x.want().Present {
			x.setBodyState(core.BodyBound) // compared before the claim
		}
		return x.unary(in, req, handler)
	}
}

// arrived takes the hash of the request, as it was on the wire.
func (x *exchange) arrived(ctx context.Context, req any) *core.Error {
	if of := x.behind(ctx); of != nil {
		x.known = of.known
		return nil
	}
	object, ok := identity(req)
	if !ok {
		return nil // of a type whose messages cannot be told apart: it has no hash
	}
	if x.known, ok = x.s.hook.arrivals.take(object); !ok {
		return errNotSeen
	}
	return nil
}

// errNotSeen refuses what cannot be recorded as it was on the wire.
var errNotSeen = core.NewError(core.CodeUnavailable, errors.New(
	"the message did not pass the interceptor's codec: the server has another one, or an interceptor further out replaced the message"))

// unary runs the handler and ends the task, however the handler ends.
func (x *exchange) unary(ctx context.Context, req any, handler grpc.UnaryHandler) (reply any, err error) {
	returned := false
	defer func() {
		if !returned {
			x.abandon(ctx, x.known)
		}
	}()
	reply, err = handler(ctx, req)
	returned, err = true, handed(err)

	task := x.End()
	if x.turnedAway(ctx, err) || task == nil {
		return reply, err
	}
	var data mem.BufferSlice
	var out core.Hash
	if err == nil {
		if data, err = x.serialize(reply); err == nil {
			out = sumOf(data)
		}
	}
	answer, bad := x.finish(ctx, task, x.ends(ctx, err, x.known, out))
	if bad != nil {
		data.Free()
		return nil, x.s.refusal(bad)
	}
	x.send(ctx, answer, err, x.setTrailer)
	if err != nil {
		return nil, err
	}
	return packed(reply, data), nil
}

// setTrailer sets trailing metadata of a unary call.
func (x *exchange) setTrailer(md metadata.MD) error {
	if t := x.transport.ServerTransportStream; t != nil {
		return t.SetTrailer(md)
	}
	return errNoTransport
}

// errNoTransport reports that the interceptor is called by something that is no server.
var errNoTransport = errors.New("the context has no call's transport")

// serialize writes a reply as grpc-go would.
func (x *exchange) serialize(reply any) (mem.BufferSlice, error) {
	if reply == nil {
		return nil, nil
	}
	data, err := (*serverCodec)(x.s.hook).Marshal(reply)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	return data, nil
}
