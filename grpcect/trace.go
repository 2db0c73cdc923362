// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/go-ect/ect/core"
)

// allTrace is all that there is of tracing.
const allTrace = core.TraceParent | core.TraceState | core.Baggage

// traceContext is the context of a call that says what goes along of tracing. Where none says
// it, nothing does, nor with a call of another method: the credentials of a call may make one
// of their own in its context.
type traceContext struct {
	context.Context //nolint:containedctx // it is one itself
	method          string
	trace           core.TraceHeaders
}

type traceKey struct{}

// Value implements context.Context.
func (c *traceContext) Value(key any) any {
	if key == (traceKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// goesAlong returns what goes along of tracing with a call.
func goesAlong(ctx context.Context, method string) core.TraceHeaders {
	if c, ok := ctx.Value(traceKey{}).(*traceContext); ok && c.method == method {
		return c.trace
	}
	return 0
}

// withTrace returns a context of a call that says what goes along.
func withTrace(ctx context.Context, method string, t core.TraceHeaders) context.Context {
	if goesAlong(ctx, method) == t {
		return ctx
	}
	return &traceContext{ctx, method, t}
}

// trace returns what goes along to the other end of a connection, whose audience is known if
// tokens go there.
func (c *client) trace(cc *grpc.ClientConn, to core.Audience, tokens bool) core.TraceHeaders {
	if tokens || cc == nil { // what is no connection has no target to be known by
		return to.Trace
	}
	a := c.service.Audiences()
	if t := a.TraceAt(cc.Target()); t != 0 {
		return t
	}
	return a.TraceAt(cc.CanonicalTarget())
}

// stripTrace takes out of metadata of our own what does not go along, and tells whether there
// was any.
func stripTrace(md metadata.MD, t core.TraceHeaders) (found bool) {
	for name := range md {
		if !t.Passes(name) {
			delete(md, name)
			found = true
		}
	}
	return found
}

// withoutTrace returns a context of a call without metadata of tracing that does not go along.
func withoutTrace(ctx context.Context, method string) context.Context {
	t := goesAlong(ctx, method)
	if t == allTrace {
		return ctx
	}
	if md, ok := metadata.FromOutgoingContext(ctx); ok && stripTrace(md, t) { // a copy
		return metadata.NewOutgoingContext(ctx, md)
	}
	return ctx
}

// GuardTrace returns a stats handler of a client that does what h does, and takes out of the
// metadata what h has added of distributed tracing and the peer does not get
// ([core.Audience].Trace):
//
//	grpc.WithStatsHandler(grpcect.GuardTrace(otelgrpc.NewClientHandler()))
//
// Which peer it is it learns from the interceptors of this package, which every connection with
// a guard needs. Without them none of that goes anywhere, unless a call is made in the context of
// another of the same method, as by an interceptor that tries a call elsewhere: then it is
// guarded like that one. It does the same for each attempt that grpc-go makes, and for all that is
// in the metadata by then. With nil as h it does only that: for handlers that come in options of
// others, and those that are more than a stats handler, it is given after them.
//
// Observers are told that the dispatch goes with the call once the attempt begins, in the context
// that all stats handlers of the connection made, so that a span of h stands for it; and once,
// however many guards there are. It is safe for concurrent use.
func GuardTrace(h stats.Handler) stats.Handler {
	if h == nil {
		h = noStats{}
	}
	return &traceGuard{h}
}

type traceGuard struct{ stats.Handler }

// TagRPC implements stats.Handler.
func (g *traceGuard) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	ctx = g.Handler.TagRPC(ctx, info)
	return withoutTrace(withAttempt(ctx, info.FullMethodName), info.FullMethodName)
}

// HandleRPC implements stats.Handler.
func (g *traceGuard) HandleRPC(ctx context.Context, s stats.RPCStats) {
	g.Handler.HandleRPC(ctx, s)
	if _, ok := s.(*stats.Begin); ok {
		begins(ctx)
	}
}

// noStats is a stats handler that does nothing.
type noStats struct{}

func (noStats) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (noStats) HandleRPC(context.Context, stats.RPCStats)                         {}
func (noStats) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (noStats) HandleConn(context.Context, stats.ConnStats)                       {}

// CheckTrace returns a dial option that has a call fail, before anything of it is sent, where
// its metadata has something of distributed tracing that the peer does not get, whichever of a
// stats handler without [GuardTrace] and an interceptor further in has added it. What other
// credentials add is not seen. The error is codes.Internal and names it, without its values. It is among [DialOptions], and for
// connections that have the interceptors of this package one by one.
func CheckTrace() grpc.DialOption { return grpc.WithPerRPCCredentials(traceCheck{}) }

// traceCheck is credentials that add nothing: grpc-go asks for those last, when all that goes
// out is in the context, and fails the call if there is an error.
type traceCheck struct{}

var _ credentials.PerRPCCredentials = traceCheck{}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (traceCheck) RequireTransportSecurity() bool { return false }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (traceCheck) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	call, _ := credentials.RequestInfoFromContext(ctx)
	t := goesAlong(ctx, call.Method)
	if t == allTrace {
		return nil, nil
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	var found []string
	for name := range md {
		if !t.Passes(name) {
			found = append(found, name)
		}
	}
	if found == nil {
		return nil, nil
	}
	slices.Sort(found)
	return nil, fails(codes.Internal, fmt.Errorf("the call was not made, as something adds %s to it, which the peer does not get: "+
		"wrap the stats handler in grpcect.GuardTrace, or put the interceptor before those of grpcect; or let it go there by Audience.Trace", strings.Join(found, ", ")))
}
