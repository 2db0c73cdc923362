// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/limited"
	"github.com/go-ect/ect/internal/section"
)

// server is what the interceptors of one server have in common.
type server struct {
	config
	service *core.Service
	hook    *Codec
	binding core.BodyBinding
}

// newServer checks what the interceptors are made of. It panics, as the program starts, if
// something is wrong with it.
func newServer(name string, s *core.Service, c *Codec, opts []Option) *server {
	v := &server{config: config{metadata: DefaultMetadataBytes}, service: s, hook: c}
	for _, o := range opts {
		v.config = o.apply(v.config)
	}
	if why := v.wrong(); why != "" {
		panic("grpcect." + name + ": " + why) //nolint:forbidigo // wiring time: the program has not begun to serve
	}
	v.binding = s.Verifier().Policy().Body
	return v
}

// wrong says what interceptors cannot be made of.
func (s *server) wrong() string {
	if s.service == nil {
		return "the service is nil"
	}
	least := s.service.Verifier().Policy().MinLevel
	switch {
	case s.hook == nil:
		return "the codec is nil"
	case !s.hook.given.Load():
		return "the codec was given to no server: call its ServerOption before, in the same grpc.NewServer"
	case !hides:
		return "this version of grpc-go has metadata in contexts in a way that the package does not know"
	case s.metadata < 0:
		return "WithMetadataBytes: the number is negative"
	case s.mode > core.Observe:
		return "WithMode: no such mode"
	case s.minLevel > core.L3:
		return "WithMinLevel: no such level"
	case s.minLevel != 0 && s.minLevel < least:
		return "WithMinLevel: below the minimum level of the policy, which can only be raised"
	}
	for method, l := range s.methods {
		switch {
		case !isFullMethod(method):
			return "WithMethodMinLevel: the method is not of the form /package.Service/Method"
		case l < core.L1 || l > core.L3:
			return "WithMethodMinLevel: no such level"
		case l < max(least, s.minLevel):
			return "WithMethodMinLevel: below the minimum level that holds anyway, which can only be raised"
		}
	}
	return ""
}

// info says of which message observers are told.
func (s *server) info() core.VerifyInfo {
	return core.VerifyInfo{Transport: core.TransportGRPC, Observed: s.mode == core.Observe}
}

// isFullMethod tells whether a method is named as interceptors are told of it.
func isFullMethod(method string) bool {
	rooted, ok := strings.CutPrefix(method, "/")
	service, name, both := strings.Cut(rooted, "/")
	return ok && both && service != "" && name != "" && !strings.Contains(name, "/")
}

// levelOf returns the minimum level that a method asks for.
func (s *server) levelOf(method string) core.Level { return max(s.minLevel, s.methods[method]) }

// actionOf returns the action that a task which chose none has.
func (s *server) actionOf(method string) string {
	if s.action != nil {
		return s.action(method)
	}
	return strings.TrimPrefix(method, "/")
}

// exchange is one call on its way through a server's interceptor.
type exchange struct {
	core.Entry
	s      *server
	method string
	// mode is that of the interceptor furthest out, or of one further in that enforces what
	// was only observed before.
	mode     core.Mode
	values   []string
	evidence core.Evidence
	// known is the hash of a request that was read before the handler runs.
	known core.Hash
	// stream is nil for a unary call.
	stream *serverStream
	// transport is what the handler finds in the place of the call's own.
	transport quietTransport
	// mu is held while an interceptor further in changes what the messages are held against.
	mu sync.Mutex
	// reached counts the interceptors furthest in that let the call through.
	reached atomic.Int32

	ctx exchangeContext
}

// exchangeContext is the context of the call that a handler gets. It leads to nothing of the
// tokens of others, and by it none get into what goes back (profile 9.8).
type exchangeContext struct {
	context.Context //nolint:containedctx // it is one itself
	x               *exchange
}

// Value implements context.Context. grpc-go has keys of its own, and finds these two by
// their types.
func (c *exchangeContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.x
	}
	switch v := c.Context.Value(key).(type) {
	case metadata.MD:
		return without(v)
	case grpc.ServerTransportStream:
		return &c.x.transport
	default:
		return v
	}
}

// hides tells whether metadata is found in contexts as it is hidden in them.
var hides = func() bool {
	md := metadata.MD{core.CarrierTokens: {""}, receiptsKey: {""}}
	return !incoming(&exchangeContext{Context: metadata.NewIncomingContext(context.Background(), md)})
}()

type exchangeKey struct{}

// newExchange makes an exchange of a call that nothing further out has looked at.
func (s *server) newExchange(ctx context.Context, method string) *exchange {
	x := &exchange{s: s, method: method, mode: s.mode, values: metadata.ValueFromIncomingContext(ctx, core.CarrierTokens)}
	x.transport.ServerTransportStream = grpc.ServerTransportStreamFromContext(ctx)
	if p, ok := peer.FromContext(ctx); ok {
		x.evidence = evidenceOf(p)
	}
	return x
}

// enter verifies what came, starts the task and returns the context that the handler gets.
// The error is a status.
func (x *exchange) enter(ctx context.Context) (context.Context, error) {
	s := x.s
	if bad := x.speaks(); bad != nil {
		s.service.Rejected(ctx, bad, s.info())
		return nil, s.refusal(bad)
	}
	if bad := x.Verify(ctx, s.service, s.mode, x.presented(s, s.levelOf(x.method))); bad != nil {
		if bad.Code == core.CodeUnavailable && ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		return nil, s.refusal(bad)
	}
	in, bad := x.Begin(ctx, s.service, s.mode, s.actionOf(x.method))
	if bad != nil {
		return nil, s.refusal(bad)
	}
	x.ctx = exchangeContext{in, x}
	return &x.ctx, nil
}

// speaks tells whether a call is written with the server's codec. grpc-go forces that codec
// on whatever comes.
func (x *exchange) speaks() *core.Error {
	t, ok := x.transport.ServerTransportStream.(interface{ ContentSubtype() string })
	if !ok {
		return nil
	}
	if sub := t.ContentSubtype(); sub != "" && !strings.EqualFold(sub, x.s.hook.inner.Name()) {
		return core.NewError(core.CodeUnsupported, errors.New("the content-subtype is not that of the server's codec"))
	}
	return nil
}

// info says of which message observers are told.
func (x *exchange) info() core.VerifyInfo {
	return core.VerifyInfo{Transport: core.TransportGRPC, Observed: x.enforced() == core.Observe}
}

func (x *exchange) presented(s *server, least core.Level) core.Presented {
	p := core.Presented{
		Values: x.values, Transport: core.TransportGRPC, Evidence: x.evidence, MinLevel: least, Content: x.content(), Observe: s.mode == core.Observe,
	}
	switch {
	case p.Content.Present:
	case x.stream == nil:
		// A request without a hash is none that a record can name; BodyRequire finds that none
		// can be read.
		p.NoContent = s.binding != core.BodyRequire
	case s.binding == core.BodyRequire:
		p.ReadContent = x.stream.readContent
	}
	return p
}

// content is the hash of all that the client sends, absent while that has not been read.
func (x *exchange) content() core.Hash {
	if x.stream == nil {
		return x.known
	}
	return x.stream.received()
}

// want is the hash that the messages must have, absent if they are bound to none.
func (x *exchange) want() core.Hash {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.Received()
	if x.s.binding == core.BodyIgnore || r == nil {
		return core.Hash{}
	}
	from, ok := r.Sender()
	if !ok {
		return core.Hash{}
	}
	return from.OutHash()
}

func (x *exchange) setBodyState(s core.BodyState) {
	if t := x.Task(); t != nil {
		t.SetBodyState(s)
	}
}

// finish issues the task token, if the service records. The call may be over already; the
// record is not.
func (x *exchange) finish(ctx context.Context, task *core.Task, c core.Completion) (*core.Answer, *core.Error) {
	last := limited.Until(context.WithoutCancel(ctx), time.Now().Add(issueTimeout))
	defer last.Stop()
	a, err := task.Finish(last, c) //nolint:contextcheck // it is the call's, without its end
	if err != nil {
		bad := core.NewError(core.CodeUnrecorded, err)
		x.s.service.Unrecorded(last, bad, x.info()) //nolint:contextcheck // as above
		return nil, bad
	}
	return a, nil
}

// ends says how a call that came to an end is recorded.
func (x *exchange) ends(ctx context.Context, err error, in, out core.Hash) core.Completion {
	code := recordable(codeOf(err))
	c := core.Completion{
		Action: x.s.actionOf(x.method), Outcome: outcomeOf(code), Status: int(code), InpHash: in, OutHash: out,
	}
	if ctx.Err() != nil { // nobody gets it any more
		c.Outcome, c.OutHash, c.Keep = core.OutcomeCancelled, core.Hash{}, true
	}
	return c
}

// abandon records a task whose handler panicked. The panic goes on.
func (x *exchange) abandon(ctx context.Context, in core.Hash) {
	if task := x.End(); task != nil {
		x.finish(ctx, task, core.Completion{ //nolint:errcheck // observers were told, and the panic says more
			Action: x.s.actionOf(x.method), Outcome: core.OutcomeError, InpHash: in, Keep: true,
		})
	}
}

// send puts an answer into the trailing metadata, context left out where there is no room
// (profile 9.2), and tells observers of one that cannot go.
func (x *exchange) send(ctx context.Context, a *core.Answer, failed error, set func(metadata.MD) error) {
	if len(a.Tokens) == 0 {
		return
	}
	size := statusSize(failed)
	if t, ok := x.transport.ServerTransportStream.(interface{ Trailer() metadata.MD }); ok {
		size += sizeOf(t.Trailer())
	}
	n := section.Fit(a.Tokens, core.CarrierTokens, size, x.s.metadata)
	if n == 0 || set(metadata.MD{core.CarrierTokens: a.Tokens[:n:n]}) != nil {
		x.s.service.Unsent(ctx, a.Issued)
	}
}
