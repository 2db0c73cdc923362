// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/go-ect/ect/core"
)

// UnaryClientInterceptor returns an interceptor that records the calls of a task and
// verifies their answers. Tokens go to the peers that the service's audiences name, see
// [WithAudience], and to nobody else, and so does metadata of distributed tracing that is there
// by then, as far as each peer's [core.Audience].Trace says. Of what is added further in see
// [GuardTrace] and [CheckTrace].
//
// The request is serialized once, before the call is made: its hash is in the dispatch. Put
// interceptors that change requests before this one, further out; those that retry as well,
// so that each attempt is a dispatch of its own. What grpc-go retries by itself has the same
// token: a peer that never processed it accepts it, and one whose handler ran refuses it as
// replayed. Such a call is dispatched once more if its method is declared idempotent
// (`idempotency_level`), and fails otherwise.
//
// Errors are those of the call itself, and of the dispatch before it: [core.ErrNoTask], and
// codes.ResourceExhausted where the metadata has no room. An answer that is missing where one
// is required, or not right, fails the call with codes.Internal, and messages that are not
// those that it names with codes.DataLoss; errors.As finds the [core.Error].
//
// It panics when it is made if s is nil or has no issuer, or its audiences do not name who
// [WithAudience] says, or do not say whether that one must answer.
func UnaryClientInterceptor(s *core.Service, opts ...ClientOption) grpc.UnaryClientInterceptor {
	c := newClient("UnaryClientInterceptor", s, opts)
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		to, ok := c.peer(cc)
		ctx = withTrace(ctx, method, c.trace(cc, to, ok))
		k := c.dispatched(opts)
		if k.goesTo(cc, to) {
			return invoker(withoutTrace(ctx, method), method, req, reply, cc, opts...)
		}
		if k != nil || !ok {
			err := invoker(stripOutgoing(ctx, method), method, req, reply, cc, opts...)
			hide(opts)
			return err
		}
		replayed, err := c.unary(ctx, method, req, reply, cc, to, invoker, opts)
		if replayed && idempotent(method) && ctx.Err() == nil {
			_, err = c.unary(ctx, method, req, reply, cc, to, invoker, opts)
		}
		return err
	}
}

// dispatched returns the call if an interceptor of the same service further out has dispatched
// it, nil if none has: it is the codec that the call is written with then. One further in does
// nothing, unless the call goes elsewhere.
func (c *client) dispatched(opts []grpc.CallOption) *call {
	for _, o := range opts {
		if f, ok := o.(grpc.ForceCodecV2CallOption); ok {
			if k, ok := f.CodecV2.(*call); ok && k.c.service == c.service {
				return k
			}
		}
	}
	return nil
}

// goesTo tells whether the tokens of a call may go over a connection: that which it was made
// on, or another to the same peer. Something in between may try a call elsewhere as well.
func (k *call) goesTo(cc *grpc.ClientConn, to core.Audience) bool {
	return k != nil && (k.cc == cc || k.to.ID == to.ID)
}

// unary makes a call, and tells whether the peer refused it as replayed.
func (c *client) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, to core.Audience, invoker grpc.UnaryInvoker, opts []grpc.CallOption) (bool, error) {
	k, err := c.newCall(ctx, cc, to, opts)
	if err != nil {
		return false, err
	}
	if err := k.serialize(req); err != nil {
		return false, err
	}
	defer k.free()
	out, err := k.dispatch(ctx, method)
	if err != nil {
		return false, err
	}
	asked := opts
	var got struct { // in one piece
		header, trailer metadata.MD
		from            peer.Peer
	}
	opts = append(slices.Clip(opts), grpc.ForceCodecV2(k), grpc.Header(&got.header), grpc.Trailer(&got.trailer), grpc.Peer(&got.from))
	failed := invoker(out, method, req, reply, cc, opts...)
	hide(asked)
	return saysReplayed(failed, got.trailer), k.conclude(got.header, got.trailer, &got.from, failed)
}

// saysReplayed tells whether a peer refused a call as replayed. What has an answer is a
// handler's own error: what is refused gets none.
func saysReplayed(err error, trailer metadata.MD) bool {
	class, ok := RefusedAs(err)
	return ok && class == core.ClassReplayed && !core.AnyToken(trailer[core.CarrierTokens])
}

// stripOutgoing returns a context whose outgoing metadata has no tokens and no receipts, and
// of tracing what goes along.
func stripOutgoing(ctx context.Context, method string) context.Context {
	md, ok := metadata.FromOutgoingContext(ctx) // a copy
	if !ok {
		return ctx
	}
	ours := carries(md)
	strip(md)
	if !stripTrace(md, goesAlong(ctx, method)) && !ours {
		return ctx
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// hide removes tokens and receipts from the metadata that a caller asked for, so that one
// who passes it on does not pass those of others on (profile 9.8).
func hide(opts []grpc.CallOption) {
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = without(*o.HeaderAddr)
		case grpc.TrailerCallOption:
			*o.TrailerAddr = without(*o.TrailerAddr)
		}
	}
}
